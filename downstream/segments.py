"""Training bags of a fixed length, from a cache in float16 that is built once.

Peers read and average all snippets of every video again in every step. Here each video is averaged once into `segments`
rows; a step then copies a few rows of a memory-mapped array. UCF-Crime with ten crops of 2048 numbers takes 2.1 GB.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from downstream.features.fusion import FusedFeatures
from pretrain.data.catalogue import Video
from pretrain.errors import UserError, problem_list
from pretrain.files import replacing

ORDER, DRAW = 11, 12  # what a generator is for: the second entry of its seed
DEVICE_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class BagsConfig:
    """How videos become training bags."""

    segments: int = 32
    """Length of a bag. Longer videos are cut into so many equal parts; shorter ones are padded and masked."""
    sampling: Literal["mean", "sample"] = "mean"
    """mean: each part is the mean of its snippets; sample: one snippet of each part, drawn anew in every step."""
    crops: Literal["one", "all"] = "one"
    """one: a random crop of each video and step; all: every crop is a bag of its own, in the same step."""
    normal_per_abnormal: float = 1.0
    """Normal bags for each abnormal one in a batch."""
    cache: Path | None = None
    """Folder of the segment cache, shared by runs; default: `segments` beside the run folder."""

    def __post_init__(self) -> None:
        if self.segments < 1:
            raise UserError(f"bags.segments is {self.segments}; it must be at least 1")
        if not self.normal_per_abnormal > 0:
            raise UserError(f"bags.normal_per_abnormal is {self.normal_per_abnormal}; it must be above 0")


class Batch(NamedTuple):
    """Training bags of one step (or of one process's share of it)."""

    features: Tensor
    """float32 (B, T, D)."""
    mask: Tensor
    """bool (B, T)."""
    labels: Tensor
    """float32 (B,)."""
    names: list[str]


def segment_edges(snippets: int, segments: int) -> NDArray[np.int64]:
    """int64 (min(snippets, segments) + 1,): part i of a video is snippets `[edges[i], edges[i + 1])`, never empty."""
    parts = min(snippets, segments)
    return np.arange(parts + 1, dtype=np.int64) * snippets // parts


def segment_means(features: NDArray[Any], segments: int) -> NDArray[np.float32]:
    """(snippets, ...) -> float32 (parts, ...): the mean of each of `segment_edges`."""
    edges = segment_edges(len(features), segments)
    sums = np.add.reduceat(np.asarray(features, np.float32), edges[:-1], axis=0)
    sizes = np.diff(edges).astype(np.float32)
    return np.asarray(sums / sizes.reshape(-1, *([1] * (features.ndim - 1))), np.float32)


class SegmentCache:
    """The bags of many videos: float16 (videos, crops, segments, dim), memory-mapped, and each one's length."""

    def __init__(self, file: Path, lengths: NDArray[np.int64]) -> None:
        self.array: NDArray[np.float16] = np.load(file, mmap_mode="r", allow_pickle=False)
        self.lengths = lengths

    @staticmethod
    def build(source: FusedFeatures, names: Sequence[str], segments: int, folder: Path) -> SegmentCache:
        """Open the cache of these videos, or make it: one video in memory at a time, atomically.

        UserError naming every video with values that are not finite.
        """
        lengths = np.array([min(source.videos[name].snippets, segments) for name in names], np.int64)
        file = folder / f"{_key(source, names, segments)}.npy"
        if not file.exists():
            with replacing(file) as temporary:
                shape = (len(names), source.crops, segments, source.dim)
                target = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float16, shape=shape)
                bad = []
                for row, name in enumerate(names):
                    # float16 ends at 65504: larger values of odd features are cut there
                    means = np.clip(segment_means(source.read(name), segments), -65504, 65504)
                    if not np.isfinite(means).all():
                        bad.append(name)
                    target[row, :, : lengths[row]] = means.transpose(1, 0, 2)
                target.flush()
                del target
                if bad:
                    raise UserError(
                        f"{len(bad)} training video(s) have features that are no finite numbers:\n{problem_list(bad)}\n"
                        "Extract them again, or take them out of the list; scripts/doctor.py says where"
                    )
        return SegmentCache(file, lengths)


def _key(source: FusedFeatures, names: Sequence[str], segments: int) -> str:
    content = {
        "arrays": [
            json.loads((part.folder / "manifest.json").read_text(encoding="utf-8"))["array_sha256"]
            for part in source.sets
        ],
        "normalise": source.normalise,
        "names": list(names),
        "segments": segments,
        "version": 1,
    }
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:24]


@lru_cache(maxsize=8)
def epoch_order(seed: int, label: int, epoch: int, count: int) -> NDArray[np.int64]:
    """A permutation of the videos of one class: each of them once per epoch."""
    return np.random.default_rng([seed, ORDER, label, epoch]).permutation(count)


class TrainBags:
    """Draws the bags of every step: a function of the seed and the step, whatever the number of processes.

    Abnormal and normal videos are each gone through in a random order of their own, epoch by epoch. UserError where a
    class is missing.
    """

    def __init__(
        self,
        source: FusedFeatures,
        videos: Sequence[Video],
        config: BagsConfig,
        batch_size: int,
        seed: int,
        cache: Path,
        device: torch.device,
    ) -> None:
        self.source, self.config, self.seed, self.device = source, config, seed, device
        self.names = [video.name for video in videos]
        self.labels = np.array([video.label for video in videos], np.int64)
        self.by_label = [np.flatnonzero(self.labels == label) for label in (0, 1)]
        for label, what in enumerate(("normal", "abnormal")):
            if not len(self.by_label[label]):
                raise UserError(
                    f"none of the {len(videos)} training videos is {what} (label {label}); weak supervision needs both "
                    "classes: check the labels of the catalogue"
                )
        normal = max(1, round(batch_size * config.normal_per_abnormal / (1 + config.normal_per_abnormal)))
        self.counts = (min(normal, batch_size - 1), max(1, batch_size - normal))
        self.cache = (
            SegmentCache.build(source, self.names, config.segments, cache) if config.sampling == "mean" else None
        )
        self.resident: Tensor | None = None
        if self.cache is not None and device.type == "cuda" and _fits(self.cache.array.nbytes, device):
            self.resident = torch.from_numpy(np.array(self.cache.array)).to(device)

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation (D,) of the training snippets' features, over all crops; each video counts alike."""
        total, squares = np.zeros(self.source.dim), np.zeros(self.source.dim)
        for row, name in enumerate(self.names):
            if self.cache is not None:
                values = self.cache.array[row, :, : self.cache.lengths[row]].astype(np.float64)
            else:
                values = self.source.read(name).astype(np.float64)
            values = values.reshape(-1, self.source.dim)
            total += values.mean(axis=0) / len(self.names)
            squares += (values**2).mean(axis=0) / len(self.names)
        deviation = np.sqrt(np.maximum(squares - total**2, 0))
        return torch.from_numpy(total).float(), torch.from_numpy(deviation).float()

    def draw(self, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Video numbers and crops (bags,) of a step; the classes are mixed evenly, so that shares are alike."""
        videos: list[tuple[float, int]] = []
        for label, count in enumerate(self.counts):
            pool = self.by_label[label]
            for place in range(count):
                epoch, position = divmod(step * count + place, len(pool))
                order = epoch_order(self.seed, label, epoch, len(pool))
                videos.append(((place + 0.5) / count + 1e-6 * label, int(pool[order[position]])))
        chosen = np.array([number for _, number in sorted(videos)], np.int64)
        rng = np.random.default_rng([self.seed, DRAW, step])
        if self.config.crops == "one":
            return chosen, rng.integers(self.source.crops, size=len(chosen))
        return np.repeat(chosen, self.source.crops), np.tile(np.arange(self.source.crops), len(chosen))

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
        """The bags of one process's share of a step, on the device."""
        videos, crops = self.draw(step)
        share = math.ceil(len(videos) / world_size)
        mine = slice(rank * share, (rank + 1) * share)
        numbers = range(len(videos))[mine]
        videos, crops = videos[mine], crops[mine]
        if self.cache is not None:
            features, lengths = self._cached(videos, crops)
        else:
            features, lengths = self._sampled(step, numbers, videos, crops)
        mask = torch.arange(features.shape[1]) < torch.from_numpy(lengths).unsqueeze(1)
        labels = torch.from_numpy(self.labels[videos]).to(torch.float32)
        names = [self.names[video] for video in videos]
        return Batch(features.to(self.device, torch.float32), mask.to(self.device), labels.to(self.device), names)

    def _cached(self, videos: NDArray[np.int64], crops: NDArray[np.int64]) -> tuple[Tensor, NDArray[np.int64]]:
        assert self.cache is not None
        if self.resident is not None:
            rows = torch.from_numpy(videos).to(self.device), torch.from_numpy(crops).to(self.device)
            features = self.resident[rows]
        else:
            features = torch.from_numpy(self.cache.array[videos, crops])
        return features, self.cache.lengths[videos]

    def _sampled(
        self, step: int, numbers: Sequence[int], videos: NDArray[np.int64], crops: NDArray[np.int64]
    ) -> tuple[Tensor, NDArray[np.int64]]:
        """One snippet of each part; padded with zeros."""
        features = np.zeros((len(videos), self.config.segments, self.source.dim), np.float32)
        lengths = np.zeros(len(videos), np.int64)
        for row, (number, video, crop) in enumerate(zip(numbers, videos, crops, strict=True)):
            rng = np.random.default_rng([self.seed, DRAW, step, number])
            whole = self.source.read(self.names[video])
            edges = segment_edges(len(whole), self.config.segments)
            lengths[row] = len(edges) - 1
            features[row, : lengths[row]] = whole[rng.integers(edges[:-1], edges[1:]), crop]
        if not np.isfinite(features).all():
            bad = sorted(
                {self.names[video] for row, video in enumerate(videos) if not np.isfinite(features[row]).all()}
            )
            raise UserError(f"features that are not finite numbers in: {', '.join(bad)}; scripts/doctor.py says where")
        return torch.from_numpy(features), lengths


def _fits(num_bytes: int, device: torch.device) -> bool:
    free, _ = torch.cuda.mem_get_info(device)
    return num_bytes < DEVICE_SHARE * free
