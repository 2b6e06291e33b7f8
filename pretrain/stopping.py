"""SIGTERM and Ctrl-C: all processes save and leave together, between two steps, or alone where one of them hangs."""

from __future__ import annotations

import os
import signal
import time
from types import FrameType

import torch
from accelerate import Accelerator

from pretrain.interrupts import AGAIN_SECONDS, give_time, heed

STOP_SECONDS = 60.0
"""After a signal, without a batch read or a step ended for so long, the process leaves without saving."""
SAVE_SECONDS = 600.0
"""How long the last save may take."""


class StopRequest:
    """Remembers a signal until the loop asks for it. A second Ctrl-C stops at once."""

    def __init__(self, device: torch.device) -> None:
        self._number = 0
        self._at = 0.0
        self._device = device
        self._process = os.getpid()
        told = (
            "stopped by {signal}, without saving: nothing moved for {seconds:.0f} s after it (a disk, a reading or "
            "another process that does not answer?); go on from the last saved state with --resume"
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            heed(number, self._remember, STOP_SECONDS, told)

    @property
    def name(self) -> str:
        """The signal's name."""
        return signal.Signals(self._number).name if self._number else "nothing"

    def agreed(self, accelerator: Accelerator) -> int:
        """The signal that any process got, the same on all of them; 0 for none."""
        number = torch.tensor(float(self._number), device=self._device)
        if accelerator.num_processes > 1:
            number = accelerator.gather(number.view(1)).max()
        agreed = int(number)
        if agreed:  # else leave it: a signal that came meanwhile counts at the next step
            self._number = agreed
            told = f"stopped by {self.name}: saving did not end within {SAVE_SECONDS:.0f} s; the state before is whole"
            give_time(SAVE_SECONDS, 128 + agreed, told)
        return agreed

    def _remember(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a reading worker forked from us: it leaves when we do
            return
        now = time.monotonic()
        if self._number == number == signal.SIGINT and now - self._at > AGAIN_SECONDS:
            raise KeyboardInterrupt
        if not self._number:  # the first counts: launchers pass on what a terminal has told everybody
            self._number, self._at = number, now
