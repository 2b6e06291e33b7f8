from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from downstream.features.fusion import FusedFeatures
from downstream.training.bag_dataset import BagDataset, BagsConfig
from downstream.training.segment_cache import SegmentCache, segment_edges
from pretrain.data.catalogue import Catalogue, CatalogueConfig
from pretrain.data.catalogues import open_catalogue
from tests.downstream.simulated import segment_means

CELLS_GRID = (2, 3)
CPU = torch.device("cpu")


def catalogue(folder: Path) -> Catalogue:
    return open_catalogue(CatalogueConfig(kind="json", root=folder, check_files=False))


def bags(folder: Path, target: Path, batch_size: int = 8, seed: int = 0, **fields: object) -> BagDataset:
    source = FusedFeatures.open([folder / "features"])
    config = BagsConfig(**{"segments": 8, **fields})  # type: ignore[arg-type]
    return BagDataset(source, list(catalogue(folder).subset("train")), config, batch_size, seed, target, CPU)


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
