"""A signal is never lost, whenever it comes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any, cast

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor

from pretrain.stopping import StopRequest


class Gathering:
    """Stands for an Accelerator of two processes; the signal reaches this one while they exchange their numbers."""

    num_processes = 2

    def __init__(self, other: int) -> None:
        self.other = other
        self.sent = False

    def gather(self, number: Tensor) -> Tensor:
        if not self.sent:
            self.sent = True
            os.kill(os.getpid(), signal.SIGTERM)
        return torch.cat([number, torch.tensor([float(self.other)])])


@pytest.fixture
def stop() -> Iterator[StopRequest]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield StopRequest(torch.device("cpu"))
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_that_comes_while_processes_agree_counts_at_the_next_step(stop: StopRequest) -> None:
    accelerator = cast(Any, Gathering(other=0))
    assert stop.agreed(accelerator) == 0
    assert stop.agreed(accelerator) == signal.SIGTERM
    assert stop.name == "SIGTERM"


def test_the_signal_of_another_process_stops_this_one(stop: StopRequest) -> None:
    accelerator = cast(Any, Gathering(other=signal.SIGINT))
    accelerator.sent = True
    assert stop.agreed(accelerator) == signal.SIGINT
    assert stop.name == "SIGINT"


def test_no_signal_is_nothing(stop: StopRequest) -> None:
    assert stop.agreed(Accelerator(cpu=True)) == 0
    assert stop.name == "nothing"
