"""How long a run will take: a bar on a terminal, a line from time to time elsewhere, from the first step on.

The time of a step is the mean over the last ones, the first left out: it starts reading processes and fills caches.
Validations and saves count as they were measured; before the first validation it is guessed from the steps.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable

from tqdm import tqdm

GAPS = (2.0, 5.0, 15.0, 30.0, 60.0)
"""Seconds without a line before one is due: of the first line, the second, and so on."""
LAST_STEPS = 50
"""Steps that the mean is taken over."""


class RunProgress:
    """Tells of steps as they are done, on the process that tells."""

    def __init__(
        self,
        first_step: int,
        steps: int,
        validate_every: int,
        *,
        show: bool,
        label: str = "",
        validation_steps: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`validation_steps`: for how many steps a validation takes, roughly. `label` stands before every line."""
        self._first, self._steps, self._validate_every = first_step, steps, validate_every
        self._label, self._clock = label, clock
        self._show = show
        self._bar = tqdm(
            total=steps,
            initial=first_step,
            disable=not (show and sys.stderr.isatty()),
            leave=False,
            bar_format="{desc}step {n_fmt}/{total_fmt} |{bar:30}|{postfix}",
            desc=label,
        )
        self._times: deque[float] = deque(maxlen=LAST_STEPS)
        self._validation: float | None = None
        self._validation_steps = validation_steps
        self._lines = 0
        self._since = self._last_line = clock()

    def step_done(self, done: int) -> None:
        """`done` steps are done, those before a resume among them."""
        now = self._clock()
        seconds, self._since = now - self._since, now
        if done > self._first + 1:
            self._times.append(seconds)
        left = self.seconds_left(done)
        if not self._bar.disable:
            self._bar.set_postfix_str("" if left is None else about(left), refresh=False)
            self._bar.update(done - self._bar.n)
        elif self._show and now - self._last_line >= GAPS[min(self._lines, len(GAPS) - 1)] and done < self._steps:
            told = (
                f"{seconds:.1f} s, the first one; how long the run takes is told soon" if left is None else about(left)
            )
            self.say(f"{self._label}step {done}/{self._steps}  {told}")

    def validation_done(self) -> None:
        """Time since the last step went into a validation."""
        now = self._clock()
        self._validation, self._since = now - self._since, now

    def other_done(self) -> None:
        """Time since the last step went into something rare."""
        self._since = self._clock()

    def seconds_left(self, done: int) -> float | None:
        """Until the last step; None where only one was done yet."""
        if not self._times:
            return 0.0 if done >= self._steps else None
        step = sum(self._times) / len(self._times)
        validation = self._validation_steps * step if self._validation is None else self._validation
        validations = -(-self._steps // self._validate_every) - done // self._validate_every
        return step * (self._steps - done) + validation * max(0, validations)

    def say(self, text: str) -> None:
        """Print a line that leaves the bar whole."""
        if self._show:
            self._lines += 1
            self._last_line = self._clock()
            tqdm.write(text, file=sys.stdout)
            sys.stdout.flush()

    def close(self) -> None:
        """Take the bar away."""
        self._bar.close()


def about(seconds: float) -> str:
    """`about 40 s left`, `about 12 min left`, `about 2 h 10 min left`."""
    if seconds < 55:
        return f"about {max(5, 5 * round(seconds / 5))} s left"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"about {minutes} min left"
    hours, minutes = divmod(10 * round(minutes / 10), 60)
    return f"about {hours} h {minutes} min left" if minutes else f"about {hours} h left"
