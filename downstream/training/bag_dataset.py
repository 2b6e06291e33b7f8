"""Training bags of a fixed length from stored features: those of every step, by seed and step alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

from downstream.detector.model import FeatureStatistics
from downstream.features.blocks import blocks
from downstream.features.fusion import FusedFeatures
from downstream.features.scratch import drop_pages
from downstream.training.balanced_sampler import DRAW, BalancedSampler, share_of
from downstream.training.config import BagsConfig
from downstream.training.frame_labels import frame_counts
from downstream.training.segment_cache import SegmentCache, segment_edges
from downstream.training.source import Batch
from downstream.training.video_classes import class_targets
from pretrain.data.catalogue import Video
from pretrain.errors import UserError

COVARIANCE_ROWS = 64
"""Feature vectors of a video, evenly spaced, that the covariance is made of."""
DEVICE_SHARE = 0.5
"""Of a GPU's free memory that the segment cache may take."""


class BagDataset:
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
        frame_labels: bool = False,
        classes: Sequence[str] = (),
    ) -> None:
        """`frame_labels`: batches of whole snippets bring the labels of frames, for a ceiling. `classes`: batches bring
        the classes of videos, as `video_classes.class_targets` has them."""
        self.source, self.config, self.seed, self.device = source, config, seed, device
        self.names = [video.name for video in videos]
        self.labels = np.array([video.label for video in videos], np.int64)
        self.order = BalancedSampler(self.labels.tolist(), batch_size, config.normal_per_abnormal, seed)
        self.cache = (
            SegmentCache.build(source, self.names, config.segments, cache) if config.sampling == "mean" else None
        )
        self.counts = [frame_counts(source.videos[video.name], video) for video in videos] if frame_labels else None
        self.classes = class_targets(videos, classes) if classes else None
        self.resident: Tensor | None = None
        if self.cache is not None and device.type == "cuda" and _fits(self.cache.array.nbytes, device):
            self.resident = torch.from_numpy(np.array(self.cache.array)).to(device)

    def statistics(self) -> FeatureStatistics:
        """Of the training snippets' features, over all places; each video counts alike."""
        dim = self.source.dim
        total, squares, products = np.zeros(dim), np.zeros(dim), np.zeros((dim, dim))
        for row, name in enumerate(self.names):
            mine, my_squares, count = np.zeros(dim), np.zeros(dim), 0
            products_of = np.zeros((dim, dim))
            apart, seen, used = self._apart(row, name), 0, 0
            for block in self._snippets(row, name):
                flat = block.reshape(-1, dim).astype(np.float64)
                mine, my_squares, count = mine + flat.sum(axis=0), my_squares + (flat**2).sum(axis=0), count + len(flat)
                chosen = flat[-seen % apart :: apart]
                products_of, seen, used = products_of + chosen.T @ chosen, seen + len(flat), used + len(chosen)
            total += mine / count / len(self.names)
            squares += my_squares / count / len(self.names)
            products += products_of / used / len(self.names)
        deviation = np.sqrt(np.maximum(squares - total**2, 0))
        covariance = products - np.outer(total, total)
        return FeatureStatistics(*(torch.from_numpy(values).float() for values in (total, deviation, covariance)))

    def _snippets(self, row: int, name: str) -> Iterator[NDArray[Any]]:
        """What statistics are made of, (..., dim) at a time."""
        if self.cache is None:
            yield from (block for _, block in blocks(self.source, name))
        else:
            yield self.cache.array[row, :, : self.cache.lengths[row]]
            drop_pages(self.cache.array)

    def _apart(self, row: int, name: str) -> int:
        """Every how many of the vectors that `_snippets` gives the covariance is made of."""
        places = self.source.crops_or_cells
        if self.cache is not None:  # one place after the other: all take part
            return int(self.cache.lengths[row]) * places // COVARIANCE_ROWS + 1
        apart = self.source.videos[name].snippets * places // COVARIANCE_ROWS + 1
        while math.gcd(apart, places) > 1:  # else it would meet the same places again and again
            apart += 1
        return apart

    def draw(self, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Video numbers and crops (bags,) of a step; of cells, which are one crop, always the first."""
        chosen = self.order.draw(step)
        rng = np.random.default_rng([self.seed, DRAW, step])
        crops = self.source.crops_or_cells if self.source.grid is None else 1
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
        shares = None if self.counts is None else self._shares(step, numbers, videos).to(self.device)
        inputs = features.to(self.device, torch.float32)
        classes = None if self.classes is None else self.classes[torch.from_numpy(videos)].to(self.device)
        return Batch(inputs, mask.to(self.device), labels.to(self.device), names, shares, classes)

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
        cells = self.source.crops_or_cells if self.source.grid is not None else 1
        features = np.zeros((len(videos), self.config.segments, cells, self.source.dim), np.float32)
        lengths = np.zeros(len(videos), np.int64)
        for row, (number, video, crop) in enumerate(zip(numbers, videos, crops, strict=True)):
            chosen = self._chosen(step, number, video)
            lengths[row] = len(chosen)
            read = self.source.read(self.names[video], chosen)
            features[row, : lengths[row]] = read if self.source.grid is not None else read[:, crop : crop + 1]
        if not np.isfinite(features).all():
            bad = sorted(
                {self.names[video] for row, video in enumerate(videos) if not np.isfinite(features[row]).all()}
            )
            raise UserError(f"features that are not finite numbers in: {', '.join(bad)}; scripts/doctor.py says where")
        return torch.from_numpy(features).flatten(1, 2), lengths

    def _chosen(self, step: int, number: int, video: int) -> NDArray[np.int64]:
        """The snippet of each part that the bag of that number takes in a step."""
        rng = np.random.default_rng([self.seed, DRAW, step, number])
        edges = self._edges(video)
        return rng.integers(edges[:-1], edges[1:])

    def _edges(self, video: int) -> NDArray[np.int64]:
        return segment_edges(self.source.videos[self.names[video]].snippets, self.config.segments)

    def _shares(self, step: int, numbers: Sequence[int], videos: NDArray[np.int64]) -> Tensor:
        """float32 (bags, segments): the share of anomalous frames of each part, or of its chosen snippet."""
        assert self.counts is not None
        shares = torch.zeros(len(videos), self.config.segments)
        for row, (number, video) in enumerate(zip(numbers, videos, strict=True)):
            counts = self.counts[video]
            if self.cache is not None:
                mine = counts.of_parts(self._edges(video)).shares()
            else:
                mine = counts.shares()[self._chosen(step, number, video)]
            shares[row, : len(mine)] = torch.from_numpy(mine)
        return shares


def _fits(num_bytes: int, device: torch.device) -> bool:
    free, _ = torch.cuda.mem_get_info(device)
    return num_bytes < DEVICE_SHARE * free
