"""Simulated features of videos whose abnormal snippets lie apart from the normal ones."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np

from downstream.features.feature_spec import FeatureSpec
from downstream.features.set_writer import FeatureWriter
from downstream.training.segment_cache import segment_edges

SPEC = FeatureSpec(encoder="simulated", weights_sha256=None, dim=8, crops=("centre", "centre_mirrored"))

CELLS_SPEC = FeatureSpec(encoder="simulated", weights_sha256=None, dim=8, grid=(2, 3))
SIZE, SEEN = (320, 240), (10.0, 0.0, 310.0, 240.0)
"""Of every video with cells: 2 rows of 120 and 3 columns of 100 pixels."""


def make_features(
    folder: Path,
    *,
    train: int = 24,
    test: int = 12,
    spec: FeatureSpec = SPEC,
    seed: int = 0,
    shift: float = 5.0,
    context: float = 0.0,
    train_spans: bool = False,
) -> Path:
    """`folder/features` and `folder/annotations/ground_truth.json`: half of the videos hold a burst of anomaly.

    With a grid it is in one cell of each of them, and the test videos have boxes of that cell. `context`: what sets the
    normal snippets of abnormal videos apart from those of normal ones; anomalies are then of several kinds.
    `train_spans`: training videos have spans too.
    """
    rng = np.random.default_rng(seed)
    writer = FeatureWriter(folder / "features", spec, "float32")
    videos = {}
    for number in range(train + test):
        name, label, snippets = f"v{number:03d}", number % 2, int(rng.integers(3, 40))
        features = rng.normal(size=(snippets, spec.crops_or_cells, spec.dim))
        spans, boxes = [], []
        if label:
            length = max(1, snippets // 4)
            start = int(rng.integers(0, snippets - length + 1))
            spans = [[16 * start, 16 * (start + length)]]
            if spec.grid is None:
                kind = 0 if not context else 2 + number // 2 % (spec.dim - 2)
                features[start : start + length, :, kind] += shift
                features[:start, :, 1] += context
                features[start + length :, :, 1] += context
            else:
                cell = int(rng.integers(spec.crops_or_cells))
                features[start : start + length, cell, 0] += shift
                boxes = [[frame, *box_of(cell, spec.grid), 0] for frame in range(*spans[0])]
        frames = 16 * snippets + int(rng.integers(0, 16))
        placed = {} if spec.grid is None else {"size": SIZE, "seen": SEEN}
        writer.add(name, features, frames=frames, fps=30.0, **placed)  # type: ignore[arg-type]
        split = "train" if number < train else "test"
        truth = {"spans": spans} | ({"boxes": boxes} if boxes else {}) if split == "test" or train_spans else {}
        entry = {"path": f"{name}.mp4", "label": label, "split": split, "num_frames": frames, "fps": 30.0}
        videos[name] = entry | truth
    writer.finish()
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    content = {"format": "anomaly-pretext/ground-truth/1", "videos": videos}
    (folder / "annotations" / "ground_truth.json").write_text(json.dumps(content))
    return folder


def box_of(cell: int, grid: tuple[int, int]) -> tuple[float, float, float, float]:
    """x1, y1, x2, y2 of a cell, numbered row by row."""
    row, column = divmod(cell, grid[1])
    width, height = (SEEN[2] - SEEN[0]) / grid[1], (SEEN[3] - SEEN[1]) / grid[0]
    x1, y1 = SEEN[0] + column * width, SEEN[1] + row * height
    return x1, y1, x1 + width, y1 + height


def segment_means(features: np.ndarray, segments: int) -> np.ndarray:
    """(snippets, ...) -> (parts, ...): the mean of each part, the obvious way."""
    edges = segment_edges(len(features), segments)
    return np.stack([features[a:b].mean(axis=0, dtype=np.float64) for a, b in itertools.pairwise(edges)])
