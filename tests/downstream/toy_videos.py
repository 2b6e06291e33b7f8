"""Features of videos that nobody filmed, with their ground truth: what trains a detector in a second."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from downstream.features.feature_spec import FeatureSpec
from downstream.features.set_writer import FeatureWriter

SNIPPETS, DIM = 8, 6


def make_toy_videos(folder: Path) -> list[str]:
    """24 training and 12 test videos whose anomalies stand out in the first number.

    Leaves a feature set in `folder/toy` and a catalogue in `folder/truth.json`; gives the flags that open the latter.
    """
    rng = np.random.default_rng(0)
    spec = FeatureSpec(encoder="toy", weights_sha256=None, dim=DIM, snippet_frames=16)
    writer = FeatureWriter(folder / "toy", spec)
    videos = {}
    for number in range(36):
        label = number % 2
        features = rng.normal(size=(SNIPPETS, 1, DIM))
        if label:
            features[2:5, :, 0] += 3
        writer.add(f"v{number:02d}", features, frames=SNIPPETS * 16)
        videos[f"v{number:02d}"] = {
            "path": f"v{number:02d}.mp4",
            "label": label,
            "split": "train" if number < 24 else "test",
            "num_frames": SNIPPETS * 16,
            "spans": [[32, 80]] if label else [],
        }
    writer.finish([f"v{number:02d}" for number in range(36)])
    (folder / "truth.json").write_text(json.dumps({"format": "anomaly-pretext/ground-truth/1", "videos": videos}))
    return ["--catalogue.kind", "json", "--catalogue.annotations", str(folder / "truth.json")]
