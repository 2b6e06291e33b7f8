"""Simulated features of videos whose abnormal snippets lie apart from the normal ones."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np

from downstream.features.kind import FeatureKind
from downstream.features.store import FeatureWriter
from downstream.segments import segment_edges

KIND = FeatureKind(encoder="simulated", weights_sha256=None, dim=8, crops=("centre", "centre_mirrored"))


def make_features(
    folder: Path, *, train: int = 24, test: int = 12, kind: FeatureKind = KIND, seed: int = 0, shift: float = 5.0
) -> Path:
    """`folder/features` and `folder/annotations/ground_truth.json`: half of the videos hold a burst of anomaly."""
    rng = np.random.default_rng(seed)
    writer = FeatureWriter(folder / "features", kind, "float32")
    videos = {}
    for number in range(train + test):
        name, label, snippets = f"v{number:03d}", number % 2, int(rng.integers(3, 40))
        features = rng.normal(size=(snippets, len(kind.crops), kind.dim))
        spans = []
        if label:
            length = max(1, snippets // 4)
            start = int(rng.integers(0, snippets - length + 1))
            features[start : start + length, :, 0] += shift
            spans = [[16 * start, 16 * (start + length)]]
        frames = 16 * snippets + int(rng.integers(0, 16))
        writer.add(name, features, frames=frames, fps=30.0)
        split = "train" if number < train else "test"
        truth = {"spans": spans} if split == "test" else {}
        entry = {"path": f"{name}.mp4", "label": label, "split": split, "num_frames": frames, "fps": 30.0}
        videos[name] = entry | truth
    writer.finish()
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    content = {"format": "anomaly-pretext/ground-truth/1", "videos": videos}
    (folder / "annotations" / "ground_truth.json").write_text(json.dumps(content))
    return folder


def segment_means(features: np.ndarray, segments: int) -> np.ndarray:
    """(snippets, ...) -> (parts, ...): the mean of each part, the obvious way."""
    edges = segment_edges(len(features), segments)
    return np.stack([features[a:b].mean(axis=0, dtype=np.float64) for a, b in itertools.pairwise(edges)])
