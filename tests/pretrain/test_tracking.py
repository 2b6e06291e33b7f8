"""Curves that compare: losses on one scale, and no trend where there are too few points for one."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from pretrain.tracking import plot_curves

TASKS = {"speed": 0.25, "abrupt_change": 0.5}


def drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, validations: int) -> Any:
    """The figure of a run of ten logged steps, whose losses are those of guessing."""
    log = tmp_path / "log.jsonl"
    lines = [
        {"step": step, "train/speed/loss": math.log(4), "train/speed/accuracy": 0.25, "train/abrupt_change/loss": 1.7,
         "train/abrupt_change/detection": math.log(2), "train/abrupt_change/accuracy": 0.5}
        for step in range(1, 11)
    ]  # fmt: skip
    for step in range(validations):
        ends = (("accuracy", 0.5), ("ci_low", 0.4), ("ci_high", 0.6))
        lines.append({"step": 5 * step + 5} | {f"validation/{t}/{key}": value for t in TASKS for key, value in ends})
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    kept: list[Any] = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda figure, *args, **more: (kept.append(figure), save(figure, *args, **more))
    )
    plot_curves(log, tmp_path / "curves.png", TASKS)
    assert (tmp_path / "curves.png").stat().st_size > 5000
    return kept[0]


def test_losses_of_tasks_compare_as_shares_of_guessing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    axes = drawn(tmp_path, monkeypatch, 3).axes
    for axis in axes[:2]:
        training = next(line for line in axis.lines if line.get_label() == "training")
        assert training.get_ydata() == pytest.approx([1.0] * 10)
    assert axes[0].get_ylim() == axes[1].get_ylim()
    assert axes[0].get_ylim()[0] == 0


@pytest.mark.parametrize(("validations", "style"), [(1, "None"), (2, "None"), (3, "-")])
def test_no_trend_is_drawn_through_two_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, validations: int, style: str
) -> None:
    axis = drawn(tmp_path, monkeypatch, validations).axes[2]
    (container,) = axis.containers
    line = container.lines[0]
    assert (line.get_linestyle(), len(line.get_xdata())) == (style, validations)
