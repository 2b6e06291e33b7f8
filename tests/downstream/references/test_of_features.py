"""References of stored features: the measures on whole videos, however they are read, on the detector's snippets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from downstream.features.feature_spec import FeatureSpec
from downstream.features.fusion import FusedFeatures
from downstream.references import of_features
from downstream.references.measures import (
    NormalSnippets,
    compared_rows,
    deviation,
    feature_change,
    normal_distance,
    position,
)
from downstream.references.of_features import MEANING, draw_bank, score_references, write_feature_references
from downstream.runs.run_folder import RunFolder
from pretrain.data.catalogue import Video
from tests.downstream.simulated import CELLS_SPEC, SPEC, make_features

TEST = [Video("v024", "", 0, "test"), Video("v031", "", 1, "test", num_frames=700)]
TRAIN = [Video(f"v{number:03d}", "", number % 2) for number in range(24)]
NORMAL = [video.name for video in TRAIN if not video.label]


def opened(folder: Path, spec: FeatureSpec) -> FusedFeatures:
    return FusedFeatures.open([make_features(folder, spec=spec) / "features"])


@pytest.mark.parametrize("spec", [SPEC, CELLS_SPEC], ids=["crops", "cells"])
def test_scores_are_those_of_the_whole_video(
    tmp_path: Path, spec: FeatureSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = opened(tmp_path, spec)
    monkeypatch.setattr("downstream.features.blocks.BLOCK_BYTES", 4 * 16 * 5)  # a few snippets at a time
    monkeypatch.setattr(of_features, "_DRAWN_ROWS", 3)
    scores = score_references(features, TEST, NORMAL, np.random.default_rng(0))
    assert set(scores) == set(MEANING) - {"clip_motion"}
    bank = draw_bank(features, NORMAL, np.random.default_rng(0))
    for number, video in enumerate(TEST):
        values = features.read(video.name)
        values = values.mean(axis=1, keepdims=True) if spec.grid is None else values
        rows = compared_rows(len(values))
        own = {name: scored[number] for name, scored in scores.items()}
        assert own["feature_change"].scores == pytest.approx(feature_change([values]))
        assert own["deviation"].scores == pytest.approx(deviation([values], values[rows], rows))
        assert own["normal_distance"].scores == pytest.approx(normal_distance([values], bank))
        assert np.array_equal(own["position"].scores, position(len(values)))
        edges = features.videos[video.name].edges_with(video.num_frames)
        assert all(np.array_equal(scored.edges, edges) for scored in own.values())


def test_the_bank_is_of_normal_training_videos_alone(tmp_path: Path) -> None:
    features = opened(tmp_path, SPEC)
    bank = draw_bank(features, NORMAL, np.random.default_rng(0))
    expected = NormalSnippets.of(np.concatenate([features.read(name).mean(axis=1) for name in NORMAL]))
    assert bank.vectors == pytest.approx(expected.vectors, abs=1e-5)
    cells = opened(tmp_path / "cells", CELLS_SPEC)
    drawn = draw_bank(cells, NORMAL, np.random.default_rng(0))
    vectors = drawn.vectors * drawn.deviation + drawn.mean
    known = np.concatenate([cells.read(name).reshape(-1, 8) for name in NORMAL])
    assert len(vectors) == len(known) / 6
    assert all(np.abs(known - vector).max(axis=1).min() < 1e-5 for vector in vectors[:20])


def test_anomalies_of_simulated_features_score_high(tmp_path: Path) -> None:
    features = opened(tmp_path, replace(SPEC, dim=4))
    scores = score_references(features, [TEST[1]], NORMAL, np.random.default_rng(0))
    values = features.read("v031").mean(axis=1)[:, 0]
    for name in ("deviation", "normal_distance"):
        assert np.corrcoef(values, scores[name][0].scores)[0, 1] > 0.7


def test_every_run_gets_them_with_what_they_are(tmp_path: Path) -> None:
    features, runs = opened(tmp_path, SPEC), [RunFolder(tmp_path / "a"), RunFolder(tmp_path / "b")]
    write_feature_references(runs, features, TRAIN, TEST)
    first, second = (run.read_references() for run in runs)
    assert sorted(set(MEANING) - {"clip_motion"}) == list(first) == list(second)
    assert all(run.has_references(list(first)) for run in runs)
    meta = first["deviation"].meta
    assert (meta["reference"], meta["places"], meta["features"]) == (
        "deviation",
        "mean vector over crops",
        ["features"],
    )
    assert [video.name for video in first["deviation"].videos] == ["v024", "v031"]
    write_feature_references(runs, features, [video for video in TRAIN if video.label], TEST)
    assert (tmp_path / "a" / "references" / "deviation.json").read_bytes() == (
        tmp_path / "b" / "references" / "deviation.json"
    ).read_bytes()


def test_without_normal_training_videos_there_is_no_distance_to_them(tmp_path: Path) -> None:
    scores = score_references(opened(tmp_path, SPEC), TEST, [], np.random.default_rng(0))
    assert list(scores) == ["feature_change", "deviation", "position"]


@pytest.mark.parametrize("spec", [SPEC, CELLS_SPEC], ids=["crops", "cells"])
def test_motion_is_a_reference_of_its_own_and_part_of_no_other(tmp_path: Path, spec: FeatureSpec) -> None:
    plain, moving = opened(tmp_path / "plain", spec), opened(tmp_path / "moving", replace(spec, motion=True))
    without, scores = (
        score_references(features, TEST, NORMAL, np.random.default_rng(0)) for features in (plain, moving)
    )
    assert set(scores) - set(without) == {"clip_motion"}
    values = moving.read("v024")[..., -1]
    expected = values.mean(axis=1) if spec.grid is None else values.max(axis=1)
    assert scores["clip_motion"][0].scores == pytest.approx(expected, abs=1e-5)
    assert not np.allclose(scores["feature_change"][0].scores, without["feature_change"][0].scores)
