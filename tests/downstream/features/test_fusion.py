from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from downstream.features.feature_spec import FeatureSpec
from downstream.features.fusion import FusedFeatures
from downstream.features.normalising import Normalise, normalised
from downstream.features.set_writer import FeatureWriter
from downstream.features.store import FeatureSet
from pretrain.errors import UserError

ONE = FeatureSpec(encoder="a", weights_sha256=None, dim=3)


SEEN = (0.0, 13.5, 320.0, 226.5)


def make(
    folder: Path,
    spec: FeatureSpec,
    lengths: dict[str, int],
    seed: int = 0,
    seen: tuple[float, float, float, float] = SEEN,
    size: tuple[int, int] = (320, 240),
) -> FeatureSet:
    rng = np.random.default_rng(seed)
    writer = FeatureWriter(folder, spec, "float32")
    for name, length in lengths.items():
        writer.add(name, rng.normal(3, 2, (length, spec.crops_or_cells, spec.dim)), size=size, seen=seen)
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


CELLS = replace(ONE, encoder="cells", grid=(2, 3))


def test_a_set_of_the_whole_picture_serves_all_cells(tmp_path: Path) -> None:
    whole = make(tmp_path / "whole", ONE, {"x": 5, "y": 7})
    cells = make(tmp_path / "cells", CELLS, {"y": 6, "x": 5})
    for fused in (FusedFeatures([whole, cells]), FusedFeatures([cells, whole])):
        at = 3 if fused.sets[0] is whole else 0
        assert (fused.dim, fused.crops_or_cells, fused.grid) == (6, 6, (2, 3))
        read = fused.read("y")
        assert read.shape == (6, 6, 6)
        assert np.array_equal(read[..., at : at + 3], cells.read("y"))
        assert np.array_equal(read[..., 3 - at : 6 - at], np.repeat(whole.read("y")[:6], 6, axis=1))
        assert (fused.videos["y"].snippets, fused.videos["y"].seen, fused.videos["y"].size) == (6, SEEN, (320, 240))


@pytest.mark.parametrize("normalise", get_args(Normalise))
def test_some_rows_are_those_of_the_whole(tmp_path: Path, normalise: Normalise) -> None:
    whole, cells = make(tmp_path / "whole", ONE, {"y": 7}), make(tmp_path / "cells", CELLS, {"y": 6})
    fused = FusedFeatures([whole, cells], normalise)
    read = fused.read("y")
    for rows in (slice(2, 5), slice(4, 99), np.array([5, 0, 0]), slice(3, 3)):
        np.testing.assert_allclose(fused.read("y", rows), read[rows], rtol=1e-6)


def test_grids_that_differ_are_refused_naming_both_wherever_they_stand(tmp_path: Path) -> None:
    whole = make(tmp_path / "whole", ONE, {"x": 5})
    two, three = (make(tmp_path / f"{g}", replace(CELLS, grid=g), {"x": 5}) for g in ((2, 3), (3, 2)))
    five = make(tmp_path / "crops", replace(ONE, crops=tuple("abcdef")), {"x": 5})
    with pytest.raises(UserError, match=rf"cells of {re.escape(str(three.folder))}: 3x2, of .*: 2x3"):
        FusedFeatures([two, three])
    with pytest.raises(UserError, match=r"cells of .*: 3x2, of .*: 2x3"):  # none of them fails beside the first alone
        FusedFeatures([whole, two, three])
    with pytest.raises(UserError, match=r"cells of .*: none, but crops, of .*: 2x3"):
        FusedFeatures([two, five])
    assert FusedFeatures([whole, two, whole]).crops_or_cells == 6


def test_cells_of_another_part_of_the_picture_are_refused(tmp_path: Path) -> None:
    first = make(tmp_path / "first", CELLS, {"x": 5})
    near = make(tmp_path / "near", CELLS, {"x": 5}, seen=(0, 14.5, 320, 225.5))
    twice = make(tmp_path / "twice", CELLS, {"x": 5}, seen=(0, 27, 640, 453), size=(640, 480))
    square = make(tmp_path / "square", CELLS, {"x": 5}, seen=(40, 0, 280, 240))
    assert FusedFeatures([first, near, twice]).dim == 9
    with pytest.raises(UserError) as caught:
        FusedFeatures([first, square])
    assert (
        "'x': cells over x 0 to 320, y 14 to 226 of 320x240 pixels against x 40 to 280, y 0 to 240 of 320x240 pixels"
        in str(caught.value)
    )


def test_cells_are_pooled_by_their_maximum_after_normalising(tmp_path: Path) -> None:
    cells = make(tmp_path / "cells", replace(ONE, grid=(4, 6)), {"x": 5, "y": 3})
    source = FusedFeatures([cells], "place", (2, 3))
    assert (source.grid, source.crops_or_cells) == ((2, 3), 6)
    for name in ("x", "y"):
        features = cells.read(name).astype(np.float32)
        maps = (features - features.mean(axis=0)).reshape(-1, 4, 6, features.shape[2])
        for row in range(2):
            for column in range(3):
                block = maps[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].max(axis=(1, 2))
                np.testing.assert_allclose(source.read(name)[:, 3 * row + column], block, atol=1e-5)
    np.testing.assert_array_equal(source.read("x", slice(2, 4)), source.read("x")[2:4])


@pytest.mark.parametrize("wanted", [(3, 6), (8, 6), (1, 1), (0, 2)])
def test_cells_that_do_not_pool_evenly_are_refused(tmp_path: Path, wanted: tuple[int, int]) -> None:
    cells = make(tmp_path / "cells", replace(ONE, grid=(4, 6)), {"x": 5})
    with pytest.raises(UserError, match=rf"pool_cells is {wanted[0]} {wanted[1]}; the sets have 4x6 cells"):
        FusedFeatures([cells], "none", wanted)
    with pytest.raises(UserError, match="no feature set has cells: extract one with --grid map"):
        FusedFeatures([make(tmp_path / "whole", ONE, {"x": 5})], "none", wanted)


def test_what_one_set_knows_of_a_video_is_known(tmp_path: Path) -> None:
    spec, sets = replace(ONE, snippet_frames=None), []
    for name, frames in (("unknown", None), ("known", 1000)):
        writer = FeatureWriter(tmp_path / name, replace(spec, encoder=name), "float32")
        writer.add("v", np.ones((32, 1, spec.dim)), frames=frames, fps=None if frames is None else 25.0)
        sets.append(writer.finish())
    for order in (sets, sets[::-1]):
        entry = FusedFeatures(order).videos["v"]
        assert (entry.frames, entry.fps) == (1000, 25.0)
