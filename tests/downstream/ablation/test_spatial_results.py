"""Where in the table of an ablation: from score maps and boxes, paired, and never before training is over."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from downstream.ablation.config import read_config
from downstream.ablation.grid import make_cells
from downstream.ablation.run import ablate, evaluate
from downstream.ablation.tables import as_csv, header, markdown
from downstream.evaluation.settings import LocalisationSettings
from downstream.evaluation.spatial_evaluation import evaluate_localisation
from downstream.features.feature_spec import FeatureSpec
from downstream.features.set_writer import FeatureWriter
from downstream.features.store import FeatureSet
from downstream.scores.map_file import read_maps
from pretrain.data.catalogue import Box, Catalogue, CatalogueConfig
from pretrain.data.catalogues import open_catalogue
from tests.downstream.sealed import seal
from tests.downstream.simulated import CELLS_SPEC, make_features


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features of cells and of whole pictures; the test videos have boxes."""
    folder = make_features(tmp_path_factory.mktemp("cells"), spec=CELLS_SPEC)
    cells, spec = FeatureSet.open(folder / "features"), FeatureSpec(encoder="whole", weights_sha256=None, dim=8)
    writer = FeatureWriter(folder / "whole", spec)
    for name, entry in cells.videos.items():
        writer.add(name, cells.read(name).mean(axis=1, keepdims=True), frames=entry.frames, fps=30.0)
    writer.finish()
    return folder


def flags(world: Path, output: Path) -> list[str]:
    return [
        *("--output", str(output), "--device", "cpu", "--seeds", "0", "1", "--catalogue.kind", "json"),
        *("--catalogue.root", str(world), "--catalogue.no-check-files", "--workers", "1"),
        *("--feature-sets", f"cells={world / 'features'}", f"whole={world / 'whole'}"),
        *("--bases", "mil_ranking", "--terms", "base", "--variants", "entropy=--objective.entropy.weight 0.1"),
        *("--compare", "frame_auc", "pointing", "--optim.steps", "12", "--optim.batch-size", "8"),
        *("--bags.segments", "8", "--evaluation.resamples", "40", "--evaluation.seed", "3"),
    ]


@pytest.fixture(scope="module")
def run(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ablation of both sets, under seal: boxes of training videos raise. Entropy is refused for whole pictures."""
    output = tmp_path_factory.mktemp("run") / "out"
    with pytest.MonkeyPatch.context() as patch:
        seal(patch)
        assert ablate(read_config(flags(world, output), "ablate.py")) == 1
    return output


def test_the_figures_are_those_of_the_maps_and_boxes(world: Path, run: Path) -> None:
    content = json.loads((run / "ablation.json").read_text(encoding="utf-8"))
    rows = {row["cell"]: row for row in content["rows"]}
    assert list(rows) == ["cells/mil_ranking-base", "cells/mil_ranking-base-entropy", "whole/mil_ranking-base"]
    videos = open_catalogue(CatalogueConfig(kind="json", root=world, check_files=False)).subset("test")
    base, entropy = list(rows.values())[:2]
    for row in (base, entropy):
        cell = run / "cells" / row["cell"]
        scores = {seed: read_maps(cell / f"seed-{seed}/test_maps.safetensors").videos for seed in ("0", "1")}
        none = {entry.name: [[] for _ in entry.scores] for entry in scores["0"]}
        settings = LocalisationSettings(resamples=40, seed=3)
        expected = evaluate_localisation(scores, dict.fromkeys(scores, none), list(videos), settings)
        for figure in ("pixel_auc", "pointing", "pointing_chance"):
            assert row["where"][figure] == expected.metrics[figure].as_json()
        assert "mean_iou" not in row["where"]  # nothing predicted boxes
    assert rows["whole/mil_ranking-base"]["where"] is None
    assert (base["less_base"], rows["whole/mil_ranking-base"]["less_base"]) == (None, None)
    less = entropy["where"]["pointing"]["value"] - base["where"]["pointing"]["value"]
    assert entropy["less_base"]["pointing"]["difference"] == pytest.approx(less)
    assert entropy["less_base"]["frame_auc"]["ci_low"] is not None


def test_tables_have_columns_of_where_and_say_what_they_are(run: Path) -> None:
    row = json.loads((run / "ablation.json").read_text(encoding="utf-8"))["rows"][1]
    text = (run / "ablation.md").read_text(encoding="utf-8")
    head, _, first, second, whole = (line.strip("| ").split(" | ") for line in text.splitlines()[:5])
    for figure, title in (("pixel_auc", "pixel AUC"), ("pointing", "pointing")):
        entry, place = row["where"][figure], head.index(title)
        assert second[place].startswith(f"{entry['value']:.3f} ± ")
        assert second[place].endswith(f"[{entry['ci_low']:.3f}, {entry['ci_high']:.3f}]")
        assert whole[place] == "-"
    assert first[head.index("Δ pointing")] == "-"
    assert f"{row['less_base']['pointing']['difference']:+.3f}" in second[head.index("Δ pointing")]
    assert "in 6 of 12 test videos; pointing is the share of them whose hottest cell" in text
    assert f"(by chance {row['where']['pointing_chance']['value']:.3f})" in text
    assert "(2 are shown" in text
    with open(run / "ablation.csv", encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert float(lines[1]["pointing"]) == pytest.approx(row["where"]["pointing"]["value"], abs=1e-5)
    assert lines[2]["pixel_auc"] == ""


@pytest.mark.parametrize("what", ["none", "beyond"])
def test_without_fitting_boxes_the_other_figures_stand(world: Path, run: Path, what: str) -> None:
    config = read_config(flags(world, run), "ablate.py")
    cells = [cell for cell in make_cells(config)[0] if cell.name != "whole/mil_ranking-base-entropy"]
    videos = open_catalogue(CatalogueConfig(kind="json", root=world, check_files=False)).subset("test")
    boxes = () if what == "none" else (Box(0, 300, 200, 400, 300),)
    changed = [replace(video, boxes=boxes if video.label else ()) for video in videos]
    tests = dict.fromkeys((cell.name for cell in cells), Catalogue(changed, "list"))
    ablation = evaluate(cells, tests, config, [])
    assert [row.cell.name for row in ablation.rows] == [cell.name for cell in cells]
    assert all(row.evaluation for row in ablation.rows)
    assert not {"pixel AUC", "pointing", "Δ pointing"} & set(header(ablation))
    assert "pointing" not in as_csv(ablation)
    said = "Where was not evaluated of 2 row(s); the first, cells/mil_ranking-base"
    assert (said in markdown(ablation)) == (what == "beyond")
    assert ("reaches out of a picture of 320x240 pixels" in markdown(ablation)) == (what == "beyond")
