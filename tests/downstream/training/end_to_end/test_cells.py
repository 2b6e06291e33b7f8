"""Fine-tuning end to end on cells: it trains, writes maps, goes on exactly, and opens no box."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from downstream.detector.entropy import EntropyConfig
from downstream.detector.inference import score_videos
from downstream.detector.model import DetectorConfig
from downstream.detector.spatial_smoothness import SpatialSmoothnessConfig
from downstream.detector.storage import load_detector, refuse_other_features
from downstream.detector.terms import ObjectiveConfig
from downstream.features.encoders import EncoderConfig, open_encoder
from downstream.features.extract import ExtractConfig, extract
from downstream.features.fusion import FusedFeatures
from downstream.features.pipeline import extract_video
from downstream.features.snippets import SnippetSettings
from downstream.scores.map_file import read_maps
from downstream.scores.score_file import read_scores
from downstream.training.config import FinetuneConfig
from downstream.training.end_to_end.video_source import VideoSource
from downstream.training.end_to_end.video_training import VideoTraining
from downstream.training.finetune import finetune
from pretrain.errors import UserError
from tests.downstream.sealed import seal
from tests.downstream.training.end_to_end.filmed import film, short_run

CPU = torch.device("cpu")
GRID = (4, 6)
LENGTHS = (64, 48, 30, 64, 48, 64, 64, 40)
"""Frames; the last two videos are for testing, 30 frames give a bag that is shorter than the others."""


def write_truth(file: Path, garbage: bool) -> None:
    """With `garbage`, other spans and boxes, and some for the training videos too."""
    videos: dict[str, Any] = {}
    for number, frames in enumerate(LENGTHS):
        split = "test" if number >= 6 else "train"
        videos[f"v{number}"] = {"path": f"v{number}.mp4", "label": number % 2, "split": split, "num_frames": frames}
        if number % 2 and (garbage or split == "test"):
            start = frames - 2 if garbage else 5
            videos[f"v{number}"] |= {"spans": [[start, start + 2]], "boxes": [[start, 10, 10, 30, 30, 0]]}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"format": "anomaly-pretext/ground-truth/1", "videos": videos}), encoding="utf-8")


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight real videos, every second abnormal, and a backbone that reads 32x48 pixels and gives 4x6 cells."""
    folder = tmp_path_factory.mktemp("filmed")
    film(folder, LENGTHS)
    write_truth(folder / "annotations" / "ground_truth.json", garbage=False)
    return folder


@pytest.fixture
def config(filmed: Path, tmp_path: Path) -> FinetuneConfig:
    """Three steps of four bags of up to three snippets."""
    terms = ObjectiveConfig(entropy=EntropyConfig(weight=0.1), spatial_smoothness=SpatialSmoothnessConfig(weight=1e-3))
    return short_run(
        *(filmed, tmp_path / "run"),
        kind="json",
        steps=3,
        videos={"grid": "map", "snippets": 3},
        validate_every=3,
        save_every=1,
        validation_fraction=0.34,
        detector=DetectorConfig(width=16, hidden=8, dropout=0.2, temporal="multi_scale", spatial="conv"),
        objective=terms,
    )


def written(config: FinetuneConfig) -> dict[str, bytes]:
    folder = config.output / "seed-0"
    names = ("detector/detector.safetensors", "detector/backbone/backbone.safetensors")
    return {name: (folder / name).read_bytes() for name in (*names, "validation_scores.json", "test_scores.json")}


def test_it_trains_and_scores_maps_that_stored_cells_give_too(config: FinetuneConfig, tmp_path: Path) -> None:
    assert finetune(config) == 0
    folder = config.output / "seed-0"
    out = tmp_path / "cells"
    encoder = EncoderConfig(backbone=str(folder / "detector" / "backbone"), grid="map", motion=False)
    assert extract(ExtractConfig(out=out, encoder=encoder, catalogue=config.catalogue, dtype="float32")) == 0
    source, (detector, card) = FusedFeatures.open([out]), load_detector(folder)
    assert source.grid == detector.grid == GRID
    refuse_other_features(card, source)
    for part in ("validation", "test"):
        maps = read_maps(folder / f"{part}_maps.safetensors").videos
        scores = read_scores(folder / f"{part}_scores.json").videos
        again = score_videos(detector, source, [item.name for item in maps], CPU)
        assert len(maps) == 2
        for mine, theirs, file in zip(maps, again, scores, strict=True):
            assert mine.map is not None
            assert theirs.map is not None
            assert (mine.map.size, mine.map.grid) == ((72, 48), GRID)
            np.testing.assert_allclose(mine.map.seen, theirs.map.seen)
            assert mine.map.seen[1] > 4  # a tenth of the height is cut off at the top
            np.testing.assert_allclose(mine.map.scores, theirs.map.scores, atol=1e-6)
            np.testing.assert_allclose(mine.scores, file.scores, atol=1e-6)
            assert np.array_equal(mine.edges, theirs.edges)


def test_stopped_and_resumed_equals_uninterrupted(config: FinetuneConfig) -> None:
    assert finetune(config) == 0
    parted = dataclasses.replace(config, output=config.output.with_name("parted"))
    original = VideoTraining.batch

    def stopped(self: VideoTraining, step: int) -> Any:
        if step == 2:
            raise KeyboardInterrupt
        return original(self, step)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VideoTraining, "batch", stopped)
        with pytest.raises(KeyboardInterrupt):
            finetune(parted)
    assert finetune(dataclasses.replace(parted, resume=True)) == 0
    assert written(parted) == written(config)


def test_boxes_change_nothing_and_are_never_opened(config: FinetuneConfig, filmed: Path, tmp_path: Path) -> None:
    assert finetune(config) == 0
    write_truth(tmp_path / "garbage.json", garbage=True)
    catalogue = dataclasses.replace(config.catalogue, annotations=tmp_path / "garbage.json")
    other = dataclasses.replace(config, output=config.output.with_name("other"), catalogue=catalogue)
    with pytest.MonkeyPatch.context() as patch:
        seal(patch)
        assert finetune(other) == 0
    assert written(other) == written(config)


def test_the_cells_of_a_bag_are_those_of_extraction(config: FinetuneConfig, filmed: Path) -> None:
    videos = dataclasses.replace(config.videos, augment="none", snippets=4, unfreeze=0)
    config = dataclasses.replace(config, videos=videos)
    training = VideoSource.open(config).seed_training(0, Accelerator(cpu=True))
    encoder = open_encoder(EncoderConfig(backbone=str(filmed / "exported"), grid="map", motion=False))
    batch = training.batch(0)
    seen: list[torch.Tensor] = []
    training.model.detection.register_forward_pre_hook(lambda _, inputs: seen.extend(inputs[:2]))
    training.model(batch.inputs, batch.mask, batch.labels, 0)
    features, mask = seen
    cells = GRID[0] * GRID[1]
    assert features.shape == (4, 4 * cells, 128)
    for name, row, there in zip(batch.names, features, mask, strict=True):
        expected, _ = extract_video(filmed / f"{name}.mp4", encoder, SnippetSettings(), CPU)
        count = len(expected) * cells
        assert there.tolist() == [True] * count + [False] * (4 * cells - count)
        np.testing.assert_allclose(row[:count].numpy(), expected.reshape(count, -1), rtol=1e-4, atol=1e-5)
        assert not row[count:].any()


def test_what_does_not_go_together_is_refused_before_anything_runs(
    config: FinetuneConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    finer = dataclasses.replace(config, videos=dataclasses.replace(config.videos, grid=(8, 8)))
    with pytest.raises(UserError, match=r"a grid of 8x8 cells was asked for; the feature map of small3d has 4x6"):
        finetune(finer)
    no_cells = dataclasses.replace(config, videos=dataclasses.replace(config.videos, grid=None))
    with pytest.raises(UserError, match=r"entropy\.weight is 0\.1, but the features have no cells: .*set videos\.grid"):
        finetune(no_cells)
    with pytest.raises(UserError, match=r"detector\.spatial is conv, but the features have no cells.*set videos\.grid"):
        finetune(dataclasses.replace(no_cells, objective=ObjectiveConfig()))
    assert not capsys.readouterr().out
