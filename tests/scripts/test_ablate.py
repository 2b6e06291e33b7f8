"""The command line of scripts/ablate.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from downstream.ablation.config import named_features, read_config
from downstream.ablation.grid import make_cells
from downstream.training.config import FREE_TO_CHANGE, FinetuneConfig
from pretrain.cli import parse
from pretrain.run_folder import as_json
from scripts.ablate import main
from tests.paths import ROOT

CONFIGS = ROOT / "configs"


def test_the_example_configuration_is_whole() -> None:
    config = read_config([str(CONFIGS / "ucf_crime_ablation.yaml")], "ablate.py")
    cells, failures = make_cells(config)
    assert not failures
    assert len(cells) == 2 * 3 * 6
    assert list(named_features(config)) == ["i3d", "i3d+clip"]
    assert {cell.config.objective.smoothness.weight for cell in cells if cell.variant == "smooth"} == {8e-5}


@pytest.mark.parametrize(
    "file", sorted([*CONFIGS.glob("*_ablation.yaml"), *CONFIGS.glob("*_search.yaml")]), ids=lambda path: path.name
)
def test_every_shipped_grid_has_no_wrong_flag(file: Path) -> None:
    cells, failures = make_cells(read_config([str(file)], "ablate.py"))
    assert cells
    assert not failures


def test_the_grid_of_the_demo_stands_on_the_demos_own_detector_of_cells() -> None:
    cells, _ = make_cells(read_config([str(CONFIGS / "demo_cells_ablation.yaml")], "ablate.py"))
    rows = [(cell.base, cell.method) for cell in cells]
    names = ("base", "own_scores", "k1", "margin05", "smooth", "spatial_smooth", "entropy")
    assert rows == [*(("mil_ranking", name) for name in names), ("topk_bce", "base")]
    demo = as_json(parse(FinetuneConfig, [str(CONFIGS / "demo_cells_detector.yaml")], "finetune.py"))
    ours = as_json(cells[0].config)
    other = {key for key in demo if demo[key] != ours[key] and key not in FREE_TO_CHANGE}
    assert other == {"objective.topk_bce.divisor"}  # of the last row


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
    assert "start it by itself" in capsys.readouterr().err
