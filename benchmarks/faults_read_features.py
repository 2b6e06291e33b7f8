"""Readers of features: sets, their parts, files of others, the cache of segments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.faults_reader import Reader, again, main_of, outputs_of, sha
from benchmarks.faults_world import (
    LISTED,
)
from downstream.features.fusion import FusedFeatures
from downstream.features.set_writer import FeatureWriter
from downstream.features.store import FeatureSet
from downstream.features.timing import read_grid
from downstream.training.segment_cache import SegmentCache
from pretrain.data.catalogue import CatalogueConfig
from pretrain.data.catalogues import open_catalogue
from pretrain.files import write_text


def read_features() -> str:
    """Two sets, every value."""
    sets = [FeatureSet.open(Path(name)) for name in ("features", "crops")]
    for features in sets:
        features.check_finite()
    return sha(*(features.read(name) for features in sets for name in features.videos))


def leave_parts() -> None:
    """A set whose extraction was killed when all videos were done, before they were joined."""

    def killed(*_: Any) -> None:
        raise SystemExit(0)

    FeatureWriter.finish = killed  # type: ignore[method-assign,assignment]
    again("extract", "--out", "unjoined")()


def join_parts() -> str:
    """Go on with it: parts that are damaged are made anew. A set may hold videos beyond the list (another's, or one
    whose name was damaged): what counts are those of the list."""
    outputs_of(again("extract", "--out", "unjoined"))
    joined = FeatureSet.open(Path("unjoined"))
    listed = open_catalogue(CatalogueConfig(kind="json", root=Path("videos")))
    return sha(*(part for video in listed for part in (video.name, joined.read(video.name))))


def read_segments() -> str:
    """The cache of segments, as every step of training reads it."""
    source = FusedFeatures.open([Path("features")])
    cache = SegmentCache.build(source, list(source.videos), 4, Path("own_segments"))
    return sha(np.asarray(cache.array), cache.lengths)


def import_texts() -> None:
    """Features as text, one snippet a line."""
    main_of("scripts.import_features", "texts", "--encoder", "c3d", "--segments", "--out", "from_texts")


def write_texts() -> None:
    """What `import_texts` reads: 32 lines a video."""
    Path("texts").mkdir()
    for number in range(3):
        rows = np.random.default_rng(number).normal(size=(32, 8))
        np.savetxt(Path("texts", f"v{number}.txt"), rows, fmt="%.4f")


def write_grid() -> None:
    """A CSV of snippets' lengths, as imported features may need."""
    rows = "".join(f"v{number},16,{64 + number},25.0\n" for number in range(10))
    write_text(Path("lists/grid.csv"), "name,snippet_frames,frames,fps\n" + rows)


def void(_: Any) -> None:
    """Nothing is answered by what prepares."""


FEATURES = (
    Reader(name="features", files=("features/*", "crops/*"), run=read_features),
    Reader(name="imported arrays", files=("exported/*",), run=again("import_features"), weight=0.6),
    Reader(name="imported texts", files=("texts/*",), run=import_texts, prepare=write_texts, weight=0.4),
    Reader(
        name="lengths of snippets",
        files=("lists/grid.csv",),
        run=lambda: sha(sorted(read_grid(Path("lists/grid.csv")).items())),
        prepare=write_grid,
        weight=0.5,
    ),
    Reader(
        name="segments",
        files=("own_segments/*.npy",),
        run=read_segments,
        prepare=lambda: void(read_segments()),
        is_cache=True,
    ),
    Reader(
        name="parts of features",
        files=("unjoined/parts/*", "unjoined/*.json"),
        run=join_parts,
        prepare=leave_parts,
        is_cache=True,
        weight=0.3,
    ),
    Reader(
        name="doctor",
        files=("features/manifest.json", "videos/annotations/*.json"),
        run=lambda: main_of("scripts.doctor", "--features", "features", *LISTED),
        weight=0.4,
    ),
)
