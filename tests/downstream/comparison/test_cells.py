"""Detectors of a comparison: presets, and over them what was given for all."""

from __future__ import annotations

import pytest

from downstream.comparison.cells import describe_first_steps, make_cells
from downstream.comparison.config import read_request
from downstream.detector.loss_config import HardMiningConfig

PROG = "compare.py"


@pytest.mark.parametrize(
    ("flags", "first"),
    [
        ([], HardMiningConfig.warmup_steps),
        (["--optim.steps", "150"], 30),
        (["--optim.steps", "3"], 0),
        (["--optim.steps", "4000"], HardMiningConfig.warmup_steps),
        (["--optim.steps", "150", "--objective.hard_mining.warmup_steps", "70"], 70),
        (["--optim.steps=150", "--objective.hard-mining.warmup-steps=70"], 70),
    ],
)
def test_hard_mining_waits_for_the_same_share_of_fewer_steps(flags: list[str], first: int) -> None:
    request = read_request(["features", "--detectors", "ours", "rtfm", *flags], PROG)
    cells, failures = make_cells(request, PROG)
    assert not failures
    assert cells[0].config.objective.hard_mining.warmup_steps == first
    told = describe_first_steps(cells, request, PROG)
    if first in (30, 0):
        assert told == [f"ours: hard_mining comes on at step {first} of {flags[1]}, the share of its preset"]
    else:
        assert told == []
