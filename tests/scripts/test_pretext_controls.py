"""The command that says whether a control lies above chance; what the controls are is tested in tests/pretrain."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pretrain import controls_command
from pretrain.intervals import Accuracy
from scripts.pretext_controls import main


def accuracy(value: float, ci_low: float) -> Accuracy:
    """An accuracy whose interval begins at `ci_low`; chance is a half."""
    return Accuracy(accuracy=value, ci_low=ci_low, ci_high=2 * value - ci_low, chance=0.5, clips=100, videos=10)


@pytest.mark.parametrize(
    ("still", "status", "verdict"),
    [
        (accuracy(0.52, 0.45), 0, "every control lies at chance"),
        (accuracy(0.70, 0.60), 1, "above chance without signal: speed under still"),
    ],
)
def test_a_control_above_chance_is_named_and_leaves_with_1(
    still: Accuracy,
    status: int,
    verdict: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    controls = {
        "none": {"speed": accuracy(0.9, 0.8)},
        "no_signal": {"speed": accuracy(0.5, 0.4)},
        "still": {"speed": still},
    }
    monkeypatch.setattr(controls_command, "control_accuracies", lambda *_: controls)
    with pytest.raises(SystemExit) as left:
        main([str(tmp_path)])
    assert left.value.code == status
    said = capsys.readouterr().out
    assert said.splitlines()[-1] == verdict
    assert [line for line in said.splitlines() if line.startswith("control: ")] == [
        "control: none",
        "control: no_signal",
        "control: still",
    ]
    written = json.loads((tmp_path / "controls.json").read_text())
    assert written["still"]["speed"]["ci_low"] == still.ci_low
