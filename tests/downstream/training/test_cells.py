"""Training on features of cells: what it writes, that it goes on exactly, and that it never opens a box."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

from downstream.detector.entropy import EntropyConfig
from downstream.detector.spatial_smoothness import SpatialSmoothnessConfig
from downstream.detector.storage import load_detector
from downstream.scores.map_file import read_maps
from downstream.scores.score_file import read_scores
from downstream.training.config import FeaturesConfig, FinetuneConfig
from downstream.training.feature_source import FeatureSource
from downstream.training.finetune import finetune
from pretrain.data.catalogue import Catalogue, CatalogueConfig, Video
from pretrain.data.catalogues import open_catalogue
from pretrain.errors import UserError
from tests.downstream.sealed import Opened, seal
from tests.downstream.simulated import CELLS_SPEC, SIZE, make_features
from tests.downstream.training.test_loop import with_all_terms
from tests.pretrain.conftest import changed

COMPARED = ("detector/detector.safetensors", "detector/detector.json")
COMPARED += tuple(f"{part}_{what}" for part in ("validation", "test") for what in ("scores.json", "maps.safetensors"))


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 training and 12 test videos of simulated cells; the test videos have boxes."""
    return make_features(tmp_path_factory.mktemp("cells"), spec=CELLS_SPEC)


@pytest.fixture
def run(small_run: FinetuneConfig, cells: Path) -> FinetuneConfig:
    config = changed(with_all_terms(small_run), plots=False, detector__spatial="conv", detector__temporal="multi_scale")
    terms = {"entropy": EntropyConfig(weight=0.1), "spatial_smoothness": SpatialSmoothnessConfig(weight=1e-3)}
    return dataclasses.replace(
        config,
        catalogue=CatalogueConfig(kind="json", root=cells, check_files=False),
        features=FeaturesConfig(sets=(cells / "features",)),
        objective=dataclasses.replace(config.objective, **terms),
    )


def contents(config: FinetuneConfig) -> dict[str, object]:
    """Bytes; of maps those of every tensor, and the metadata: the header lists its keys in any order."""
    found: dict[str, object] = {}
    for name in COMPARED:
        file = config.output / "seed-0" / name
        if "maps" in name:
            with safe_open(file, framework="numpy") as maps:
                tensors = {key: maps.get_tensor(key).tobytes() for key in maps.keys()}  # noqa: SIM118 (not a dict)
                found[name] = (maps.metadata(), tensors)
        else:
            found[name] = file.read_bytes()
    return found


def hits(config: FinetuneConfig) -> list[bool]:
    """Of each abnormal test video: does the centre of the hottest cell of all lie in the box of its snippet?"""
    catalogue, found = open_catalogue(config.catalogue), []
    for item in read_maps(config.output / "seed-0" / "test_maps.safetensors").videos:
        video = catalogue.by_name(item.name)
        assert item.map is not None
        t, row, column = np.unravel_index(item.map.scores.argmax(), item.map.scores.shape)
        ys, xs = item.map.edges()
        y, x = ys[row : row + 2].mean(), xs[column : column + 2].mean()
        if video.label == 1:
            boxes = [box for box in video.boxes if item.edges[t] <= box.frame < item.edges[t + 1]]
            found.append(any(box.x1 <= x < box.x2 and box.y1 <= y < box.y2 for box in boxes))
    return found


def test_it_learns_where_from_labels_of_videos(run: FinetuneConfig) -> None:
    """Chance is below 1/6: one cell of six, in a quarter of the snippets. By its own scores: how much these made-up
    features change is noise."""
    settings = {"detector__spatial": "none", "detector__temporal": "none", "detector__composition": "none"}
    assert finetune(changed(run, **settings)) == 0
    folder = run.output / "seed-0"
    assert load_detector(folder)[0].grid == CELLS_SPEC.grid
    for part in ("validation", "test"):
        maps, scores = read_maps(folder / f"{part}_maps.safetensors"), read_scores(folder / f"{part}_scores.json")
        assert maps.meta == scores.meta
        assert [item.name for item in maps.videos] == [item.name for item in scores.videos]
        for mine, other in zip(maps.videos, scores.videos, strict=True):
            assert mine.map is not None
            assert (mine.map.grid, mine.map.size) == (CELLS_SPEC.grid, SIZE)
            np.testing.assert_allclose(mine.scores, other.scores, atol=1e-6)
            assert np.array_equal(mine.edges, other.edges)
    found = hits(run)
    assert len(found) == 6
    assert sum(found) >= 5
    assert json.loads((run.output / "summary.json").read_text())["test"]["metrics"]


def test_whole_frames_write_no_maps(small_run: FinetuneConfig) -> None:
    assert finetune(small_run) == 0
    assert not list((small_run.output / "seed-0").glob("*_maps.safetensors"))


def test_resumed_equals_uninterrupted(run: FinetuneConfig, tmp_path: Path) -> None:
    finetune(run)
    half = changed(run, output=tmp_path / "half", keep_states=9)
    finetune(half)
    folder = half.output / "seed-0"
    for step in (40, 60):
        shutil.rmtree(folder / "checkpoints" / f"step-000000{step}")
    for name in ("summary.json", *(name for name in COMPARED if "/" not in name)):
        (folder / name).unlink()
    finetune(changed(half, resume=True))
    states = [next((config.output / "seed-0" / "checkpoints").glob("step-00000060")) for config in (run, half)]
    assert len({(state / "state.safetensors").read_bytes() for state in states}) == 1
    assert contents(half) == contents(run)


def with_truth(cells: Path, file: Path, change: Callable[[dict[str, Any]], None]) -> CatalogueConfig:
    """The lists of `cells` with other ground truth of every abnormal video."""
    content = json.loads((cells / "annotations" / "ground_truth.json").read_text(encoding="utf-8"))
    for entry in content["videos"].values():
        if entry["label"] == 1:
            change(entry)
    file.write_text(json.dumps(content), encoding="utf-8")
    return CatalogueConfig(kind="json", root=cells, annotations=file, check_files=False)


def garbage(entry: dict[str, Any]) -> None:
    """Other spans and boxes, and boxes for training videos, which have none in truth."""
    last = entry["num_frames"] - 1
    entry["spans"] = [[last, last + 1]] if entry["split"] == "train" else [[0, 5]]
    entry["boxes"] = [[entry["spans"][0][0], 1, 2, 3, 4, 7]]


def test_no_box_and_no_span_changes_a_detector_or_a_score(run: FinetuneConfig, cells: Path, tmp_path: Path) -> None:
    finetune(run)
    catalogue = with_truth(cells, tmp_path / "garbage.json", garbage)
    other = changed(run, output=tmp_path / "other", catalogue=catalogue, bags__cache=tmp_path / "again")
    trained = FeatureSource.open(other).videos.train
    assert all(video.boxes and video.spans for video in trained if video.label == 1)
    assert not any(video.boxes or video.spans for video in FeatureSource.open(run).videos.train)
    finetune(other)
    assert contents(other) == contents(run)
    figures = [json.loads((config.output / "summary.json").read_text())["test"]["metrics"] for config in (run, other)]
    assert figures[0] != figures[1]  # the evaluation did see it


def test_training_never_opens_a_box_or_a_span(
    run: FinetuneConfig, cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = changed(run, catalogue=with_truth(cells, tmp_path / "garbage.json", garbage), optim__steps=20)
    seal(monkeypatch)
    with pytest.raises(Opened, match="boxes of train video 'a'"):
        Catalogue([Video("a", "a.mp4")], "list")[0].boxes  # noqa: B018 (reading it is the test)
    assert finetune(run) == 0
    assert (run.output / "seed-0" / "test_maps.safetensors").exists()


def test_all_crops_of_cells_are_refused(run: FinetuneConfig) -> None:
    with pytest.raises(UserError, match=r"bags\.crops is all, but features of cells have a single crop.*leave it out"):
        finetune(changed(run, bags__crops="all"))
