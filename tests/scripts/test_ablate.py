"""The command line of scripts/ablate.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from downstream.ablation.config import named_features, read_config
from downstream.ablation.grid import make_cells
from scripts.ablate import main

CONFIG = Path(__file__).parents[2] / "configs" / "ucf_crime_ablation.yaml"


def test_the_example_configuration_is_whole() -> None:
    config = read_config([str(CONFIG)], "ablate.py")
    cells, failures = make_cells(config)
    assert not failures
    assert len(cells) == 2 * 3 * 6
    assert list(named_features(config)) == ["i3d", "i3d+clip"]
    assert {cell.config.objective.smoothness.weight for cell in cells if cell.variant == "smooth"} == {8e-5}


def test_a_wrong_value_is_one_message_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--terms", "hims"])
    assert left.value.code == 2
    assert "terms: 'hims' (known: base, hard_mining," in " ".join(capsys.readouterr().err.replace("|", " ").split())


def test_a_launcher_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SystemExit) as left:
        main(["--feature-sets", "a=nowhere"])
    assert left.value.code == 2
    assert "start it with python" in capsys.readouterr().err
