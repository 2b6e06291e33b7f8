from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from downstream.features.fusion import FusedFeatures, normalised
from downstream.features.kind import FeatureKind
from downstream.features.store import FeatureSet, FeatureWriter
from pretrain.errors import UserError

ONE = FeatureKind(encoder="a", weights_sha256=None, dim=3)


def make(folder: Path, kind: FeatureKind, lengths: dict[str, int], seed: int = 0) -> FeatureSet:
    rng = np.random.default_rng(seed)
    writer = FeatureWriter(folder, kind, "float32")
    for name, length in lengths.items():
        writer.add(name, rng.normal(3, 2, (length, len(kind.crops), kind.dim)))
    return writer.finish(list(lengths))


def test_sets_lie_side_by_side_and_the_shorter_length_counts(tmp_path: Path) -> None:
    a = make(tmp_path / "a", ONE, {"x": 5, "y": 7})
    b = make(tmp_path / "b", replace(ONE, encoder="b", dim=2), {"y": 6, "x": 5})
    fused = FusedFeatures([a, b])
    assert fused.dim == 5
    assert fused.read("y").shape == (6, 1, 5)
    assert np.array_equal(fused.read("y")[..., :3], a.read("y")[:6])
    assert np.array_equal(fused.read("y")[..., 3:], b.read("y"))


def test_one_crop_serves_all_crops_of_the_other(tmp_path: Path) -> None:
    a = make(tmp_path / "a", replace(ONE, crops=("centre", "top_left")), {"x": 4})
    b = make(tmp_path / "b", ONE, {"x": 4})
    read = FusedFeatures([a, b]).read("x")
    assert read.shape == (4, 2, 6)
    assert np.array_equal(read[:, 0, 3:], read[:, 1, 3:])


def test_every_disagreement_is_named_at_once(tmp_path: Path) -> None:
    a = make(tmp_path / "a", ONE, {"x": 5, "y": 7, "only_a": 2})
    b = make(tmp_path / "b", ONE, {"x": 9, "y": 7, "only_b": 2})
    with pytest.raises(UserError) as caught:
        FusedFeatures([a, b])
    text = str(caught.value)
    assert "'x': 5 snippets against 9, 4 off" in text
    assert "'only_a' is not in" in text
    assert "'only_b' is not in" in text
    assert "'y'" not in text


def test_other_snippet_lengths_and_crops_are_refused(tmp_path: Path) -> None:
    a = make(tmp_path / "a", ONE, {"x": 5})
    b = make(tmp_path / "b", replace(ONE, snippet_frames=32), {"x": 5})
    with pytest.raises(UserError, match="snippets of 16 frames against 32"):
        FusedFeatures([a, b])
    c = make(tmp_path / "c", replace(ONE, crops=tuple("abc")), {"x": 5})
    d = make(tmp_path / "d", replace(ONE, crops=tuple("acb")), {"x": 5})
    with pytest.raises(UserError, match="another order"):
        FusedFeatures([c, d])
    with pytest.raises(UserError, match="has 3 crops"):
        FusedFeatures([make(tmp_path / "e", replace(ONE, crops=tuple("ab")), {"x": 5}), c])


def test_normalisation_gives_numbers_of_size_one_and_no_nan() -> None:
    features = np.random.default_rng(0).normal(5, 3, (20, 2, 50)).astype(np.float16)
    assert np.allclose(np.linalg.norm(normalised(features, "l2"), axis=2), np.sqrt(50), rtol=1e-3)
    layer = normalised(features, "layer")
    assert np.allclose(layer.mean(axis=2), 0, atol=1e-4)
    assert np.allclose(layer.std(axis=2), 1, rtol=1e-2)
    video = normalised(features, "video")
    assert np.allclose(video.mean(axis=(0, 1)), 0, atol=1e-4)
    for how in ("none", "l2", "layer", "video"):
        assert np.isfinite(normalised(np.zeros((3, 1, 4)), how)).all()  # type: ignore[arg-type]
    constant = np.full((6, 1, 4), 7.0)
    assert np.abs(normalised(constant, "video")).max() < 1e-3


def test_no_set_and_missing_videos(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no feature set was given"):
        FusedFeatures([])
    fused = FusedFeatures([make(tmp_path / "a", ONE, {"x": 5})])
    with pytest.raises(UserError, match=r"1 of 2 test videos have no features .*\n  - y"):
        fused.require(["x", "y"], "test")
