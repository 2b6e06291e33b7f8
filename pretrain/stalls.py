"""Slow is not stuck: who waits for others asks here whether these did anything meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress

import psutil

from pretrain.errors import OwnError, problem_list

POLL_SECONDS = 2.0
"""How often a wait looks around."""
STALL_SECONDS = 120.0
"""A run ends where what it waits for did not come for so long and nobody did anything meanwhile."""
STALL_CPU_SECONDS, STALL_BYTES = 0.5, 1 << 16
"""Less than both, of all watched processes together, is nothing: waiting takes a little too."""


class StallWatch:
    """Watches processes while somebody waits for them. Default: this one, whose threads do the work."""

    def __init__(self, processes: Sequence[int] | None = None) -> None:
        self._processes = [os.getpid()] if processes is None else list(processes)
        self._since, self._done = time.monotonic(), self._work_done()

    def is_stuck(self) -> bool:
        """Whether nothing worth the name was done for `STALL_SECONDS`."""
        now = self._work_done()
        if now[0] - self._done[0] >= STALL_CPU_SECONDS or now[1] - self._done[1] >= STALL_BYTES:
            self._since, self._done = time.monotonic(), now
        return time.monotonic() - self._since >= STALL_SECONDS

    def _work_done(self) -> tuple[float, int]:
        """CPU seconds and bytes read so far."""
        seconds, read = 0.0, 0
        for number in self._processes:
            with suppress(psutil.Error):
                process = psutil.Process(number)
                times = process.cpu_times()
                seconds += times.user + times.system
                if hasattr(process, "io_counters"):
                    counters = process.io_counters()
                    read += getattr(counters, "read_chars", counters.read_bytes)
        return seconds, read


def stuck(what: str, names: Iterable[str]) -> OwnError:
    """The error to raise: `what` did not come, and these videos were in work."""
    told = sorted(names)
    listed = f". In work:\n{problem_list(told)}" if told else ""
    return OwnError(
        f"no {what} for {STALL_SECONDS:.0f} s, and nothing was done meanwhile: the disk or network that holds the "
        "videos does not answer, or the reading processes were stopped; look at it (ls there, dmesg), then run the "
        f"same command again (training: with --resume){listed}"
    )
