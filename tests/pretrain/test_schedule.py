from __future__ import annotations

import pytest

from downstream.training.config import DetectorOptimConfig
from pretrain.schedule import lr_at


def at(step: int) -> float:
    return lr_at(step, DetectorOptimConfig(lr=1.0, warmup_steps=10, steps=110, final_lr_share=0.1))


def test_warm_up_peak_half_way_and_end() -> None:
    assert at(0) == pytest.approx(1 / 11)
    assert at(9) == pytest.approx(10 / 11)
    assert at(10) == pytest.approx(1.0)
    assert at(60) == pytest.approx(0.55)
    assert at(110) == pytest.approx(0.1)
    assert at(500) == pytest.approx(0.1)


def test_it_rises_then_falls() -> None:
    rates = [at(step) for step in range(111)]
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)
