"""A small set whose anomalies are bright blobs, a run that was trained to find them, and calls of scripts/localise.py.

Every second video is abnormal: its cell `number % 6` is odd in snippets 2 and 3.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from downstream.detector.model import DetectorConfig
from downstream.features.feature_spec import FeatureSpec
from downstream.features.set_writer import FeatureWriter
from downstream.scores.score_file import write_scores
from downstream.scores.video_scores import VideoScores
from downstream.training.bag_dataset import BagsConfig
from downstream.training.config import DetectorOptimConfig, FeaturesConfig, FinetuneConfig
from downstream.training.finetune import finetune
from pretrain.data.catalogue import CatalogueConfig
from scripts.localise import main

GRID, CELL = (2, 3), 24
SIZE = (CELL * GRID[1], CELL * GRID[0])
SNIPPETS, LENGTH = 6, 16
TRAIN, TEST = 16, 6
Entries = dict[str, dict[str, Any]]


def encode(path: Path, blob: tuple[int, int, int] | None) -> None:
    """Grey footage; `blob`: column and row of the cell in which something bright is from snippet 2 on, for so many."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for number in range(SNIPPETS * LENGTH):
            frame = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
            if blob and 2 <= number // LENGTH < 2 + blob[2]:
                x, y = (CELL * cell + 4 + number % 8 for cell in blob[:2])
                frame[y : y + 12, x : x + 12] = (240, 60, 40)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def build_world(root: Path) -> None:
    """`videos`: lists and real test videos; `features`: their cells; `run`: two seeds trained on these; `frames`."""
    rng = np.random.default_rng(0)
    writer = FeatureWriter(
        root / "features", FeatureSpec(encoder="simulated", weights_sha256=None, dim=8, grid=GRID), "float32"
    )
    entries: Entries = {}
    for number in range(TRAIN + TEST):
        name, frames, test = f"v{number:02d}", SNIPPETS * LENGTH, number >= TRAIN
        features = rng.normal(size=(SNIPPETS, 6, 8))
        entry: dict[str, Any] = {"path": f"{name}.mp4", "label": number % 2, "num_frames": frames, "fps": 25.0}
        entry |= {
            "split": "test" if test else "train",
            "group": f"camera{number % 5 if not test else number // 18 * 9}",
        }
        row, column = divmod(number % 6, GRID[1])
        if number % 2:
            features[2:4, number % 6, 0] += 6
            entry["spans"] = [[2 * LENGTH, 4 * LENGTH]] if test else []
        if test and number % 2:
            box = [CELL * column, CELL * row, CELL * (column + 1), CELL * (row + 1), 0]
            entry["boxes"] = [[frame, *box] for frame in range(*entry["spans"][0])]
        if test:
            encode(root / "videos" / entry["path"], (column, row, 2) if number % 2 else None)
        writer.add(name, features, frames=frames, fps=25.0, size=SIZE, seen=(0.0, 0.0, float(SIZE[0]), float(SIZE[1])))
        entries[name] = entry
    writer.finish()
    write_list(root / "videos" / "annotations" / "ground_truth.json", entries)
    config = FinetuneConfig(
        output=root / "run",
        device="cpu",
        seeds=(0, 1),
        plots=False,
        log_every=60,
        catalogue=CatalogueConfig(kind="json", root=root / "videos", check_files=False),
        features=FeaturesConfig(sets=(root / "features",)),
        bags=BagsConfig(segments=SNIPPETS, cache=root / "segments"),
        detector=DetectorConfig(width=16, hidden=8, score_smoothing=0),
        optim=DetectorOptimConfig(steps=60, batch_size=8, warmup_steps=2, lr=1e-2),
        validation_fraction=0.4,
        validation_by="video",
    )
    assert finetune(config) == 0
    frames_run(root, "frames", list(entries)[TRAIN:])


def write_list(path: Path, entries: Entries) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"format": "anomaly-pretext/ground-truth/1", "videos": entries}))
    return path


def frames_run(root: Path, name: str, names: list[str]) -> Path:
    """A run on whole pictures: score files alone, and a catalogue that is not there any more."""
    scores = [VideoScores(n, np.linspace(0, 1, SNIPPETS), np.arange(SNIPPETS + 1) * LENGTH) for n in names]
    write_scores(root / name / "seed-0" / "test_scores.json", scores)
    (root / name / "config.json").write_text(json.dumps({"catalogue.kind": "json", "catalogue.root": "gone"}))
    return root / name


def entries_of(world: Path) -> Entries:
    content: Entries = json.loads((world / "videos" / "annotations" / "ground_truth.json").read_text())["videos"]
    return content


def other_list(world: Path, path: Path, change: Callable[[Entries], object]) -> list[str]:
    """Flags of a changed catalogue of the same video files."""
    entries = entries_of(world)
    change(entries)
    write_list(path, entries)
    return ["--catalogue.kind", "json", "--catalogue.root", str(world / "videos"), "--catalogue.annotations", str(path)]


def call(run: Path, out: Path, *arguments: str, pictures: tuple[int, int] = (0, 0)) -> int:
    strips, films = map(str, pictures)
    with pytest.raises(SystemExit) as left:
        main([str(run), "--out", str(out), "--resamples", "20", "--strips", strips, "--films", films, *arguments])
    return int(left.value.code or 0)


def copied(world: Path, target: Path) -> Path:
    """The run, to be changed."""
    return shutil.copytree(world / "run", target, ignore=shutil.ignore_patterns("checkpoints", "evaluation"))


def json_files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.json"))}
