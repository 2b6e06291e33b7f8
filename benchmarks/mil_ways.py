"""Simulated feature sets of UCF-Crime's size, and a training step's two ways of reading them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from downstream.detector.objective import DetectorTraining
from downstream.features.feature_spec import FeatureSpec, VideoEntry
from downstream.features.fusion import FusedFeatures
from downstream.features.set_writer import FeatureWriter
from downstream.features.store import FORMAT, MANIFEST
from downstream.training.bag_dataset import BagDataset
from downstream.training.config import FinetuneConfig
from downstream.training.feature_source import FeatureSource
from downstream.training.source import Batch, TrainingVideos
from pretrain.data.catalogue import Catalogue, Video
from pretrain.errors import UserError
from pretrain.files import write_json

SEGMENTS = 32
TEN_CROPS = tuple(f"crop{number}" for number in range(10))
LONGEST = 60_000
FPS = 30.0


def ucf_lengths(videos: int = 1610, seed: int = 0) -> NDArray[np.int64]:
    """Snippets of 16 frames of each video, like those of UCF-Crime's training part: ascending, about 490 in the mean.

    That mean is of 128 hours at 30 frames/s; half of the videos have under 150. The longest gets 60 000 (nine hours; an
    assumption): a way that holds a whole video in memory shows there.
    """
    lengths = np.random.default_rng(seed).lognormal(np.log(150), 1.5, videos)
    found: NDArray[np.int64] = np.sort(np.maximum(2, lengths).astype(np.int64))
    found[-1] = LONGEST
    return found


def make_videos(lengths: Sequence[int] | NDArray[np.int64]) -> list[Video]:
    """One video a length, every second one abnormal."""
    return [Video(name=f"video{number:04d}", path="", label=number % 2) for number in range(len(lengths))]


def source_of(features: FusedFeatures, config: FinetuneConfig, segments: Path) -> FeatureSource:
    """All simulated videos as training videos; `segments`: folder of the segment cache."""
    videos, none = Catalogue(make_videos([0] * len(features.videos)), "simulated"), Catalogue([], "simulated")
    return FeatureSource(
        features=features,
        videos=TrainingVideos(train=videos, validation=none, test=none),
        bags=config.bags,
        detector=config.detector,
        objective=config.objective,
        batch_size=config.optim.batch_size,
        segments=segments,
    )


def feature_spec(dim: int) -> FeatureSpec:
    """What the simulated features say of themselves."""
    return FeatureSpec(encoder="simulated", weights_sha256=None, dim=dim, crops=TEN_CROPS)


def write_features(
    folder: Path, videos: Sequence[Video], lengths: NDArray[np.int64], dim: int, rng: np.random.Generator
) -> list[Path]:
    """The same numbers twice: `folder/features`, a set in float16, and `folder/plain/NAME.npy`, float32 (T, C, D).

    float32 is what public ten-crop files hold.
    """
    writer = FeatureWriter(folder / "features", feature_spec(dim))
    noise = rng.standard_normal((256, len(TEN_CROPS), dim)).astype(np.float16)
    (folder / "plain").mkdir()
    files = []
    for video, length in zip(videos, lengths, strict=True):
        features = noise[(np.arange(length) + int(rng.integers(256))) % 256]
        writer.add(video.name, features, frames=16 * int(length), fps=FPS)
        files.append(folder / "plain" / f"{video.name}.npy")
        with open(files[-1], "wb") as file:
            np.save(file, features.astype(np.float32))
            file.flush()
            os.fsync(file.fileno())  # what is not on disk yet cannot leave the system's cache either
    writer.finish()
    return files


def write_sparse_features(
    folder: Path, videos: Sequence[Video], lengths: NDArray[np.int64], dim: int, rng: np.random.Generator
) -> int:
    """A feature set whose file is mostly holes, which read as zeros: its bytes.

    To who maps it into memory it is as large as it says. The first snippets of every video are numbers.
    """
    folder.mkdir(parents=True)
    rows, crops = int(lengths.sum()), len(TEN_CROPS)
    noise = rng.standard_normal((4, crops, dim)).astype(np.float16)
    offsets = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    with open(folder / "features.npy", "wb") as file:
        header = {"descr": np.dtype(np.float16).str, "fortran_order": False, "shape": (rows, crops, dim)}
        np.lib.format.write_array_header_1_0(file, header)
        start = file.tell()
        for offset, length in zip(offsets, lengths, strict=True):
            file.seek(start + int(offset) * crops * dim * 2)
            file.write(noise[: min(4, int(length))].tobytes())
        size = file.truncate(start + rows * crops * dim * 2)
    entries = [
        VideoEntry(
            name=video.name,
            offset=int(offset),
            snippets=int(length),
            frames=16 * int(length),
            fps=FPS,
            snippet_frames=16,
        )
        for video, offset, length in zip(videos, offsets, lengths, strict=True)
    ]
    manifest = {
        "format": FORMAT,
        "spec": feature_spec(dim).as_json(),
        "dtype": "float16",
        "array": "features.npy",
        "array_sha256": "simulated",
        "videos": [{field: getattr(entry, field) for field in VideoEntry.__slots__} for entry in entries],
    }
    write_json(folder / MANIFEST, manifest)
    return size


def check_space(folder: Path, needed: int) -> None:
    """UserError where the disk of `folder` has no room for so many bytes."""
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    if free < needed:
        raise UserError(
            f"{folder} has {free / 1e9:.1f} GB free, {needed / 1e9:.1f} GB are needed: make room, set TMPDIR to "
            "another disk, or use --quick"
        )


def plain_bags(
    files: Sequence[Path], bags: BagDataset, step: int, average: str = "all", device: torch.device | None = None
) -> Batch:
    """The bags of `bags.draw(step)`, as public code makes them: load each video's file, average in a Python loop.

    average: `all`: every crop, as they come in the file; `one`: only the crop that is used, the careful writer's way.
    """
    videos, crops = bags.draw(step)
    made: dict[int, NDArray[np.float32]] = {}
    features = np.empty((len(videos), SEGMENTS, bags.source.dim), np.float32)
    for row, (video, crop) in enumerate(zip(videos.tolist(), crops.tolist(), strict=True)):
        if average == "one":
            features[row] = averaged(np.load(files[video], allow_pickle=False)[:, crop])
            continue
        if video not in made:  # with all crops of a video in the batch, its file is read once
            made = {video: averaged(np.load(files[video], allow_pickle=False))}
        features[row] = made[video][:, crop]
    device = device or bags.device
    return Batch(
        torch.from_numpy(features).to(device),
        torch.ones(len(videos), SEGMENTS, dtype=torch.bool, device=device),
        torch.from_numpy(bags.labels[videos]).to(device, torch.float32),
        [bags.names[video] for video in videos],
    )


def averaged(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """(T, ...) -> (32, ...) by a loop over segments; T below 32 repeats snippets, as public code does."""
    edges = np.linspace(0, len(features), SEGMENTS + 1, dtype=int)
    made = np.zeros((SEGMENTS, *features.shape[1:]), np.float32)
    for segment in range(SEGMENTS):
        start, end = edges[segment], edges[segment + 1]
        made[segment] = features[start:end].mean(axis=0) if end > start else features[min(start, len(features) - 1)]
    return made


def train_step(
    module: DetectorTraining, optimizer: torch.optim.Optimizer, config: FinetuneConfig, batch: Batch, step: int
) -> float:
    """Forward, backward, clip, optimiser, as `training.loop` does them; the loss, which waits for the device."""
    loss, _ = module(batch.inputs, batch.mask, batch.labels, step)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(module.parameters(), config.optim.clip_norm)
    optimizer.step()
    optimizer.zero_grad()
    module.update_teacher(step)
    return float(loss.detach())


def status_bytes(field: str) -> int | None:
    """A figure of /proc/self/status (VmHWM: the greatest resident memory so far) in bytes; None where there is none."""
    try:
        text = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return None
    found = [line.split()[1] for line in text.splitlines() if line.startswith(f"{field}:")]
    return int(found[0]) * 1024 if found else None


def disk_bytes_read() -> int | None:
    """Bytes this process has had fetched from disk; None where the system does not count them."""
    try:
        lines: dict[str, Any] = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    except OSError:
        return None
    return int(lines["read_bytes"])
