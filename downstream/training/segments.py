"""Training bags of a fixed length, from a cache in float16 that is built once.

Peers read and average all snippets of every video again in every step. Here each video is averaged once into `segments`
rows; a step then copies a few rows of a memory-mapped array. UCF-Crime with ten crops of 2048 numbers takes 2.1 GB.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

from downstream.features.blocks import blocks
from downstream.features.fusion import FusedFeatures
from downstream.features.normalising import release
from downstream.training.balanced_sampler import DRAW, BalancedDraw, share_of
from pretrain.data.catalogue import Video
from pretrain.errors import UserError, problem_list
from pretrain.files import replacing

DEVICE_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class BagsConfig:
    """How videos become training bags."""

    segments: int = 32
    """Length of a bag in snippets. Longer videos are cut into so many equal parts; shorter ones are padded and masked.
    A bag of cells holds all cells of each."""
    sampling: Literal["mean", "sample"] = "mean"
    """mean: each part is the mean of its snippets; sample: one snippet of each part, drawn anew in every step."""
    crops: Literal["one", "all"] = "one"
    """one: a random crop of each video and step; all: every crop is a bag of its own, in the same step. Features of
    cells have a single crop."""
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
    """float32 (B, T, D); of cells (B, T * cells, D), snippet by snippet, row by row."""
    mask: Tensor
    """bool, as the first two dimensions of the features."""
    labels: Tensor
    """float32 (B,)."""
    names: list[str]


def segment_edges(snippets: int, segments: int) -> NDArray[np.int64]:
    """int64 (min(snippets, segments) + 1,): part i of a video is snippets `[edges[i], edges[i + 1])`, never empty."""
    parts = min(snippets, segments)
    return np.arange(parts + 1, dtype=np.int64) * snippets // parts


def video_means(source: FusedFeatures, name: str, segments: int) -> NDArray[np.float32]:
    """float32 (parts, places, dim): the mean of each of `segment_edges`, with one block of the video in memory."""
    edges = segment_edges(source.videos[name].snippets, segments)
    sums = np.zeros((len(edges) - 1, source.places, source.dim), np.float32)
    for start, rows in blocks(source, name):
        first, last = np.searchsorted(edges, (start, start + len(rows) - 1), side="right") - 1
        for part in range(first, last + 1):
            sums[part] += rows[max(0, edges[part] - start) : edges[part + 1] - start].sum(axis=0)
    return sums / np.diff(edges).astype(np.float32).reshape(-1, 1, 1)


class SegmentCache:
    """The bags of many videos: float16 (videos, places, segments, dim), memory-mapped, and each one's length."""

    def __init__(self, file: Path, lengths: NDArray[np.int64]) -> None:
        self.array: NDArray[np.float16] = np.load(file, mmap_mode="r", allow_pickle=False)
        self.lengths = lengths

    @staticmethod
    def build(source: FusedFeatures, names: Sequence[str], segments: int, folder: Path) -> SegmentCache:
        """Open the cache of these videos, or make it: one block of a video in memory at a time, atomically.

        UserError naming every video with values that are not finite.
        """
        lengths = np.array([min(source.videos[name].snippets, segments) for name in names], np.int64)
        file = folder / f"{_key(source, names, segments)}.npy"
        if not file.exists():
            with replacing(file) as temporary:
                bad = _write(temporary, source, names, lengths, segments)
                if bad:
                    raise UserError(
                        f"{len(bad)} training video(s) have features that are no finite numbers:\n{problem_list(bad)}\n"
                        "Extract them again, or take them out of the list; scripts/doctor.py says where"
                    )
        return SegmentCache(file, lengths)


def _write(
    file: Path, source: FusedFeatures, names: Sequence[str], lengths: NDArray[np.int64], segments: int
) -> list[str]:
    """Write the array row by row (a writable memory map would hold all of it); names of videos that are not finite."""
    shape = (len(names), source.places, segments, source.dim)
    bad = []
    with open(file, "wb") as target:
        header = {"descr": np.dtype(np.float16).str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(target, header)
        for name, length in zip(names, lengths, strict=True):
            # float16 ends at 65504: larger values of odd features are cut there
            means = np.clip(video_means(source, name, segments), -65504, 65504)
            if not np.isfinite(means).all():
                bad.append(name)
            row = np.zeros(shape[1:], np.float16)
            row[:, :length] = means.transpose(1, 0, 2)
            target.write(row.data)
    return bad


def _key(source: FusedFeatures, names: Sequence[str], segments: int) -> str:
    content = {
        "arrays": [
            json.loads((part.folder / "manifest.json").read_text(encoding="utf-8"))["array_sha256"]
            for part in source.sets
        ],
        "normalise": source.normalise,
        "pool_cells": source.pool_cells,
        "names": list(names),
        "segments": segments,
        "version": 3,
    }
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:24]


class TrainBags:
    """The bags of every step: a function of the seed and the step, whatever the number of processes.

    UserError where a class is missing, and as `SegmentCache.build`.
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
        self.order = BalancedDraw(self.labels.tolist(), batch_size, config.normal_per_abnormal, seed)
        self.cache = (
            SegmentCache.build(source, self.names, config.segments, cache) if config.sampling == "mean" else None
        )
        self.resident: Tensor | None = None
        if self.cache is not None and device.type == "cuda" and _fits(self.cache.array.nbytes, device):
            self.resident = torch.from_numpy(np.array(self.cache.array)).to(device)

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation (D,) of the training snippets' features, over all places; each video counts alike."""
        total, squares = np.zeros(self.source.dim), np.zeros(self.source.dim)
        for row, name in enumerate(self.names):
            mine, my_squares, count = np.zeros(self.source.dim), np.zeros(self.source.dim), 0
            for block in self._snippets(row, name):
                flat = block.reshape(-1, self.source.dim).astype(np.float64)
                mine, my_squares, count = mine + flat.sum(axis=0), my_squares + (flat**2).sum(axis=0), count + len(flat)
            total += mine / count / len(self.names)
            squares += my_squares / count / len(self.names)
        deviation = np.sqrt(np.maximum(squares - total**2, 0))
        return torch.from_numpy(total).float(), torch.from_numpy(deviation).float()

    def _snippets(self, row: int, name: str) -> Iterator[NDArray[Any]]:
        """What statistics are made of, (..., dim) at a time."""
        if self.cache is None:
            yield from (block for _, block in blocks(self.source, name))
        else:
            yield self.cache.array[row, :, : self.cache.lengths[row]]
            release(self.cache.array)

    def draw(self, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Video numbers and crops (bags,) of a step; of cells, which are one crop, always the first."""
        chosen = self.order.draw(step)
        rng = np.random.default_rng([self.seed, DRAW, step])
        crops = self.source.places if self.source.grid is None else 1
        if self.config.crops == "one":
            return chosen, rng.integers(crops, size=len(chosen))
        return np.repeat(chosen, crops), np.tile(np.arange(crops), len(chosen))

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
        """The bags of one process's share of a step, on the device."""
        videos, crops = self.draw(step)
        numbers = share_of(len(videos), rank, world_size)
        videos, crops = videos[numbers.start : numbers.stop], crops[numbers.start : numbers.stop]
        if self.cache is not None:
            features, lengths = self._cached(videos, crops)
        else:
            features, lengths = self._sampled(step, numbers, videos, crops)
        mask = torch.arange(self.config.segments) < torch.from_numpy(lengths).unsqueeze(1)
        mask = mask.repeat_interleave(features.shape[1] // self.config.segments, dim=1)
        labels = torch.from_numpy(self.labels[videos]).to(torch.float32)
        names = [self.names[video] for video in videos]
        return Batch(features.to(self.device, torch.float32), mask.to(self.device), labels.to(self.device), names)

    def _cached(self, videos: NDArray[np.int64], crops: NDArray[np.int64]) -> tuple[Tensor, NDArray[np.int64]]:
        """Bags of one crop each, or of all cells."""
        assert self.cache is not None
        if self.source.grid is None:
            chosen: tuple[NDArray[np.int64], ...] = (videos, crops)
        else:
            chosen = (videos,)
        if self.resident is not None:
            features = self.resident[tuple(torch.from_numpy(numbers).to(self.device) for numbers in chosen)]
        else:
            features = torch.from_numpy(self.cache.array[chosen])
        if self.source.grid is not None:
            features = rearrange(features, "b p t d -> b (t p) d")
        return features, self.cache.lengths[videos]

    def _sampled(
        self, step: int, numbers: Sequence[int], videos: NDArray[np.int64], crops: NDArray[np.int64]
    ) -> tuple[Tensor, NDArray[np.int64]]:
        """One snippet of each part, one crop or all cells of it; padded with zeros."""
        cells = self.source.places if self.source.grid is not None else 1
        features = np.zeros((len(videos), self.config.segments, cells, self.source.dim), np.float32)
        lengths = np.zeros(len(videos), np.int64)
        for row, (number, video, crop) in enumerate(zip(numbers, videos, crops, strict=True)):
            rng = np.random.default_rng([self.seed, DRAW, step, number])
            name = self.names[video]
            edges = segment_edges(self.source.videos[name].snippets, self.config.segments)
            lengths[row] = len(edges) - 1
            chosen = rng.integers(edges[:-1], edges[1:])
            read = self.source.read(name, chosen)
            features[row, : lengths[row]] = read if self.source.grid is not None else read[:, crop : crop + 1]
        if not np.isfinite(features).all():
            bad = sorted(
                {self.names[video] for row, video in enumerate(videos) if not np.isfinite(features[row]).all()}
            )
            raise UserError(f"features that are not finite numbers in: {', '.join(bad)}; scripts/doctor.py says where")
        return torch.from_numpy(features).flatten(1, 2), lengths


def _fits(num_bytes: int, device: torch.device) -> bool:
    free, _ = torch.cuda.mem_get_info(device)
    return num_bytes < DEVICE_SHARE * free
