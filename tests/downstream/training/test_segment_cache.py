from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from downstream.features.fusion import FusedFeatures
from downstream.training.segment_cache import SegmentCache, segment_edges
from pretrain.errors import UserError
from tests.downstream.simulated import make_features, segment_means
from tests.downstream.training.simulated_bags import bags

CELLS_GRID = (2, 3)


@given(st.integers(1, 400), st.integers(1, 64))
def test_segments_share_out_all_snippets_evenly(snippets: int, segments: int) -> None:
    edges = segment_edges(snippets, segments)
    sizes = np.diff(edges)
    assert edges[0] == 0
    assert edges[-1] == snippets
    assert len(sizes) == min(snippets, segments)
    assert sizes.min() >= 1
    assert sizes.max() - sizes.min() <= 1


def test_the_cache_is_made_once_and_anew_for_other_settings(simulated: Path, tmp_path: Path) -> None:
    bags(simulated, tmp_path)
    (file,) = tmp_path.glob("*.npy")
    before = file.stat().st_mtime_ns
    bags(simulated, tmp_path, seed=4)
    assert file.stat().st_mtime_ns == before
    bags(simulated, tmp_path, segments=9)
    assert len(list(tmp_path.glob("*.npy"))) == 2


def test_segment_cache_holds_half_precision(simulated: Path, tmp_path: Path) -> None:
    source = FusedFeatures.open([simulated / "features"])
    cache = SegmentCache.build(source, ["v001", "v000"], 4, tmp_path)
    assert cache.array.dtype == np.float16
    assert cache.array.shape == (2, 2, 4, 8)
    assert np.allclose(cache.array[0, 1, : cache.lengths[0]], segment_means(source.read("v001"), 4)[:, 1], atol=4e-3)


def test_a_damaged_cache_is_made_anew_and_said(
    simulated: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = FusedFeatures.open([simulated / "features"])
    right = np.array(SegmentCache.build(source, ["v001", "v000"], 4, tmp_path).array)
    (file,) = tmp_path.glob("*.npy")
    whole = file.read_bytes()
    changed = bytearray(whole)
    changed[-3] ^= 8  # still a finite number
    objects = whole.replace(b"'<f2'", b"'|O' ", 1)
    huge = whole.replace(b"(2, 2, 4, 8)", b"(9, 9, 9, 9)", 1)
    for damaged in (b"", whole[:-1], whole[:40], bytes(changed), objects, huge, b"foreign" * 99):
        file.write_bytes(damaged)
        caplog.clear()
        assert np.array_equal(SegmentCache.build(source, ["v001", "v000"], 4, tmp_path).array, right)
        assert f"the cache of segments {file} is made anew: " in caplog.text
        assert file.read_bytes() == whole


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_features_that_are_not_finite_are_named(tmp_path: Path, wrong: float) -> None:
    folder = make_features(tmp_path / "world", train=4, test=2)
    (file,) = (folder / "features").glob("features-*.npy")
    array = np.load(file, mmap_mode="r+", allow_pickle=False)
    array[0] = wrong
    array.flush()
    source = FusedFeatures.open([folder / "features"])
    name = next(iter(source.videos))
    with pytest.raises(UserError, match=rf"1 training video.* no finite numbers:\n  - {name}"):
        SegmentCache.build(source, list(source.videos), 4, tmp_path)
