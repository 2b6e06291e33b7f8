"""Scores of whole videos: part by part as in one go, cells in their places, and memory that does not grow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from downstream.detector import inference
from downstream.detector.inference import score_block, score_parts, score_videos
from downstream.detector.model import Detector, DetectorConfig
from downstream.features.feature_spec import VideoEntry
from pretrain.errors import UserError
from tests.paths import ROOT

CPU = torch.device("cpu")
DIM, GRID = 4, (2, 3)
PLACES = {"crops": 2, "cells": 6}


class Videos:
    """Random features of videos v0, v1, ... in memory; remembers the longest read."""

    def __init__(self, lengths: list[int], places: int, **entry: Any) -> None:
        rng = np.random.default_rng(0)
        self.crops_or_cells, self.longest = places, 0
        self.values = {f"v{n}": rng.normal(size=(length, places, DIM)) for n, length in enumerate(lengths)}
        placed = {"size": (320, 240), "seen": (0.0, 0.0, 320.0, 240.0)} | entry
        self.videos = {
            name: VideoEntry(
                name=name, offset=0, snippets=len(values), frames=None, fps=None, snippet_frames=16, **placed
            )
            for name, values in self.values.items()
        }

    def read(self, name: str, rows: slice | None = None) -> NDArray[np.float32]:
        found = self.values[name][rows or slice(None)].astype(np.float32)
        self.longest = max(self.longest, len(found))
        return found


def detector(what: str, temporal: str, spatial: str = "none") -> Detector:
    torch.manual_seed(0)
    shape = {"width": 12, "hidden": 8, "score_smoothing": 0, "composition": "none"}
    config = DetectorConfig(temporal=temporal, spatial=spatial, **shape)  # type: ignore[arg-type]
    return Detector(config, DIM, "mean", grid=GRID if what == "cells" else None).eval()


def whole(net: Detector, source: Videos, name: str) -> NDArray[np.float64]:
    """All snippets in one forward pass."""
    return score_block(net, torch.from_numpy(source.read(name)))


@pytest.mark.parametrize(
    ("what", "spatial"), [("crops", "none"), ("cells", "none"), ("cells", "conv")], ids=["crops", "cells", "conv"]
)
@pytest.mark.parametrize("temporal", ["none", "multi_scale"])
@settings(max_examples=15, deadline=None)
@given(snippets=st.integers(1, 40), instances=st.integers(1, 300))
def test_part_by_part_is_the_whole(what: str, spatial: str, temporal: str, snippets: int, instances: int) -> None:
    net = detector(what, temporal, spatial)
    source = Videos([snippets], PLACES[what])
    parts = score_parts(net, source, "v0", CPU, instances)
    context = 8 if temporal == "multi_scale" else 0
    assert source.longest <= max(1, instances // PLACES[what]) + context
    np.testing.assert_allclose(parts, whole(net, source, "v0"), atol=1e-6, rtol=0)


def test_a_transformer_sees_all_of_a_video_at_once() -> None:
    net, source = detector("crops", "transformer"), Videos([30], 2)
    np.testing.assert_allclose(score_parts(net, source, "v0", CPU, 4), whole(net, source, "v0"), atol=1e-6, rtol=0)


@pytest.mark.parametrize("what", ["crops", "cells"])
def test_long_and_short_videos_together(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """v1 and v3 are beyond the limit, the others share a batch."""
    source, net = Videos([3, 40, 5, 33, 1], PLACES[what]), detector(what, "multi_scale")
    monkeypatch.setattr(inference, "INSTANCES_PER_BATCH", 60)
    monkeypatch.setattr(score_parts, "__defaults__", (60,))  # its default was bound to the limit before
    for item in score_videos(net, source, list(source.videos), CPU):
        expected = whole(net, source, item.name)
        expected = expected.mean(axis=1) if what == "crops" else expected.max(axis=1)
        np.testing.assert_allclose(item.scores, expected, atol=1e-6, rtol=0)
        assert item.edges.tolist() == list(range(0, 16 * len(expected) + 1, 16))
        assert (item.map is None) == (what == "crops")


def test_cells_stand_in_their_places_and_the_highest_is_the_score() -> None:
    net, source = detector("cells", "none"), Videos([7, 2], 6, seen=(40.0, 0.0, 280.0, 240.0))
    for item in score_videos(net, source, ["v1", "v0"], CPU):
        assert item.map is not None
        assert item.map.scores.shape == (len(item.scores), *GRID)
        assert (item.map.size, item.map.seen) == ((320, 240), (40.0, 0.0, 280.0, 240.0))
        for t, (row, column) in ((0, (0, 2)), (1, (1, 0))):
            features = torch.from_numpy(source.values[item.name][t, row * 3 + column]).float().view(1, 1, -1)
            alone = Detector(net.config, DIM, "mean").eval()
            alone.load_state_dict(net.state_dict())
            assert item.map.scores[t, row, column] == pytest.approx(alone(features).scores.item(), abs=1e-6)
        assert np.array_equal(item.scores, item.map.scores.reshape(len(item.scores), -1).max(axis=1))
    assert [item.name for item in score_videos(net, source, ["v1", "v0"], CPU)] == ["v1", "v0"]


@pytest.mark.parametrize("lacking", ["size", "seen"])
def test_cells_that_nobody_can_place_are_refused(lacking: str) -> None:
    with pytest.raises(UserError, match="'v0': its features do not say where in the picture its cells lie; extract"):
        score_videos(detector("cells", "none"), Videos([3], 6, **{lacking: None}), ["v0"], CPU)


@pytest.mark.parametrize("what", ["crops", "cells"])
def test_features_that_are_no_numbers_are_named(what: str) -> None:
    source = Videos([9, 4], PLACES[what])
    source.values["v1"][3, 1, 0] = np.inf
    with pytest.raises(UserError, match=r"'v1': features that are not finite numbers; scripts/doctor.py says where"):
        score_videos(detector(what, "none"), source, ["v0", "v1"], CPU)


SCORE_AND_MEASURE = """
import sys
from pathlib import Path
import numpy as np, psutil, torch
from downstream.detector.model import Detector, DetectorConfig
from downstream.features.fusion import FusedFeatures
from downstream.features.feature_spec import FeatureSpec, VideoEntry
from downstream.features.store import FeatureSet
from downstream.detector.inference import score_videos

torch.set_num_threads(1)
spec = FeatureSpec(encoder="e", weights_sha256=None, dim=512, grid=(7, 7))
entries, files = [], []
net = Detector(DetectorConfig(temporal="multi_scale", spatial="conv", width=16, hidden=8), spec.dim, grid=spec.grid)
process = psutil.Process()

def score(snippets):
    file = Path(sys.argv[1]) / f"{snippets}.npy"
    made = np.lib.format.open_memmap(file, "w+", np.float16, (snippets, spec.crops_or_cells, spec.dim))
    del made  # a sparse file: it holds zeros and takes no disk
    entry = VideoEntry(name="long", offset=0, snippets=snippets, frames=None, fps=25.0, snippet_frames=16,
                       size=(320, 240), seen=(0.0, 0.0, 320.0, 240.0))
    array = np.load(file, mmap_mode="r", allow_pickle=False)
    source = FusedFeatures([FeatureSet(Path(sys.argv[1]), spec, [entry], array)])
    Path("/proc/self/clear_refs").write_text("5")  # the kernel's own peak begins anew
    (found,) = score_videos(net, source, ["long"], torch.device("cpu"))
    assert found.map.scores.shape == (snippets, 7, 7)
    status = Path("/proc/self/status").read_text()
    return next(1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))

score(700)  # code, buffers, threads
before = process.memory_info().rss
print(*[(score(int(snippets)) - before) / 1e6 for snippets in sys.argv[2:]])
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="asks the Linux kernel for the peak")
def test_memory_does_not_grow_with_the_length_of_a_video(tmp_path: Path) -> None:
    """2000 and 7000 snippets of 49 cells; the second one's features are 350 MB stored and 700 MB as float32."""
    command = [sys.executable, "-c", SCORE_AND_MEASURE, str(tmp_path), "2000", "7000"]
    # what is freed goes back to the kernel: measured is what is held, not how glibc's heap happens to lie
    environment = os.environ | {"MALLOC_TRIM_THRESHOLD_": "65536"}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    short, long = map(float, run.stdout.split())
    assert long < short + 20, (short, long)
    assert long < 200, (short, long)
