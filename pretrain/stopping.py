"""SIGTERM, Ctrl-C and a launcher that died: all processes save and leave together, between two steps."""

from __future__ import annotations

import os
import signal
from types import FrameType

import torch
from accelerate import Accelerator


class StopRequest:
    """Remembers a signal until the loop asks for it. A second Ctrl-C stops at once."""

    def __init__(self, device: torch.device) -> None:
        self._number = 0
        self._device = device
        self._process = os.getpid()
        # `accelerate launch` does not pass SIGTERM on: when it is gone, its children must not train on unseen
        self._launcher = os.getppid() if "ACCELERATE_MIXED_PRECISION" in os.environ else None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._remember)

    @property
    def name(self) -> str:
        """The signal's name."""
        return signal.Signals(self._number).name if self._number else "nothing"

    def agreed(self, accelerator: Accelerator) -> int:
        """The signal that any process got, the same on all of them; 0 for none."""
        if self._launcher is not None and os.getppid() != self._launcher and not self._number:
            self._number = signal.SIGTERM
        number = torch.tensor(float(self._number), device=self._device)
        if accelerator.num_processes > 1:
            number = accelerator.gather(number.view(1)).max()
        agreed = int(number)
        if agreed:  # else leave it: a signal that came meanwhile counts at the next step
            self._number = agreed
        return agreed

    def _remember(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a reading worker forked from us: it leaves when we do
            return
        if self._number == number == signal.SIGINT:
            raise KeyboardInterrupt
        self._number = number
