"""Training bags straight from videos: which videos and snippets, decoded by workers as uint8.

Stateless like all drawing here: a bag is a function of the seed, the step and its place in the step, whatever the
number of processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from downstream.features.config import SnippetSettings
from downstream.features.crops import centre_region
from downstream.features.snippets import ClipView, snippet_clips
from downstream.training.balanced_sampler import DRAW, BalancedSampler, share_of
from downstream.training.segment_cache import segment_edges
from pretrain.data.geometry import DECODE_MARGIN
from pretrain.data.settings import AugmentConfig
from pretrain.data.transforms import Augmentation, draw_augmentation, neutral_augmentation
from pretrain.data.video import IndexCache, VideoError, VideoInfo, read_frames

FLIP_CROP = AugmentConfig(min_crop_area=0.5, brightness=0, contrast=0, colour_cast=0, frame_jitter=0, noise=0)
"""Pretraining's own crop and flip; its colours and noise hide shortcuts of the pretext tasks, of no use here."""
COLOURS = AugmentConfig(min_crop_area=0.8, frame_jitter=0, noise=0)
"""What is called anomalous is to stay in the picture, and a camera is not to be known by its light. Noise and
jitter of frames would drown what is small and moves."""


class TrainingVideo(NamedTuple):
    """A video as drawing needs it."""

    name: str
    path: str
    label: int
    info: VideoInfo
    snippet_labels: NDArray[np.float32] | None = None
    """(S,): the share of each snippet that is anomalous, NaN where nobody says; None: its own label is all there is."""


class Bag(NamedTuple):
    """What fills one place of a step."""

    video: TrainingVideo
    snippet: int | None = None
    """The one whose own label is learnt; None: snippets of the whole video, drawn anew every time."""

    @property
    def is_abnormal(self) -> bool:
        """What a step has as many of as of the others."""
        labels = self.video.snippet_labels
        return bool(self.video.label) if labels is None else bool(labels[self.snippet] >= 0.5)


def bags_of(videos: Sequence[TrainingVideo]) -> list[Bag]:
    """A bag for each video; where snippets have labels, for each of these.

    Snippets are learnt by themselves: of few videos more of each are learnt by heart (docs/results.md).
    """
    bags = []
    for video in videos:
        told = [None] if video.snippet_labels is None else np.flatnonzero(~np.isnan(video.snippet_labels)).tolist()
        bags += [Bag(video, snippet) for snippet in told]
    return bags


class ClipBatch(NamedTuple):
    """The bags of one process's share of a step, as read."""

    clips: Tensor
    """uint8 (N, clips, frames, height, width, 3): the N snippets that `mask` marks, bag by bag; one empty one if N = 0.
    """
    mask: Tensor
    """bool (B, T): all false for a video that could not be read."""
    labels: Tensor
    """float32 (B,)."""
    augmentation: list[Tensor]
    """The fields of `pretrain.data.transforms.Augmentation`, each with N in front."""
    names: list[str]
    problems: dict[str, str]
    """Videos that could not be read, and why."""
    snippet_labels: Tensor
    """float32 (B, T): the share of each snippet that is anomalous where its video says that, else 0."""


@dataclass(frozen=True, kw_only=True)
class SnippetReader:
    """Reads snippets of a video at random, with the frames and the geometry of extraction; picklable for workers."""

    settings: SnippetSettings
    view: ClipView
    augment: AugmentConfig | None
    """None: clips are exactly those that extraction encodes."""
    index_cache: IndexCache | None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the frames read: the view's own, or with a margin for a random crop."""
        if self.augment is None:
            return self.view.clip.height, self.view.clip.width
        return round(self.view.clip.height * DECODE_MARGIN), round(self.view.clip.width * DECODE_MARGIN)

    def read(self, video: TrainingVideo, snippets: NDArray[np.int64]) -> NDArray[np.uint8]:
        """uint8 (snippets, clips, frames, height, width, 3); every frame is decoded once. VideoError."""
        height, width = self.size
        frames = snippet_clips(video.info.num_frames, self.settings, self.view)[snippets]
        region = centre_region(video.info, height, width, self.view.border_crop)
        y, x = region.y, region.x
        size = (region.decode_height, region.decode_width)
        needed, places = np.unique(frames, return_inverse=True)
        decoded = read_frames(video.path, needed, size=size, cache=self.index_cache)
        cut: NDArray[np.uint8] = decoded[:, y : y + height, x : x + width]
        return cut[places.reshape(frames.shape)]


class VideoBags(Dataset[ClipBatch]):
    """One process's bags by step."""

    def __init__(
        self,
        bags: Sequence[Bag],
        reader: SnippetReader,
        order: BalancedSampler,
        length: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """`length`: snippets of a bag at most."""
        self.bags, self.reader, self.order, self.length = bags, reader, order, length
        self.rank, self.world_size = rank, world_size

    def __getitem__(self, step: int) -> ClipBatch:
        """A video that fails is named and its bag is empty; no other takes its place."""
        chosen = self.order.draw(step)
        numbers = share_of(len(chosen), self.rank, self.world_size)
        mask = torch.zeros(len(numbers), self.length, dtype=torch.bool)
        labels = torch.zeros(len(numbers), self.length)
        problems: dict[str, str] = {}
        parts, augmentation = [], []
        for row, number in enumerate(numbers):
            bag = self.bags[chosen[number]]
            video, told = bag.video, bag.video.snippet_labels
            rng = np.random.default_rng([self.order.seed, DRAW, step, number])
            snippets = self._draw_snippets(bag, rng)
            try:
                parts.append(self.reader.read(video, snippets))
            except VideoError as error:
                problems[video.name] = str(error)
                continue
            mask[row, : len(snippets)] = True
            augmentation += [self._draw_augmentation(rng)] * len(snippets)
            if told is not None:
                labels[row, : len(snippets)] = torch.from_numpy(told[snippets])
        if not parts:  # networks want at least one clip; nothing is made of it
            clips = len(snippet_clips(1, self.reader.settings, self.reader.view)[0])
            parts = [np.zeros((1, clips, self.reader.view.clip.frames, *self.reader.size, 3), np.uint8)]
            augmentation = [neutral_augmentation(self.reader.view.clip.frames)]
        mine = [self.bags[chosen[number]].video for number in numbers]
        return ClipBatch(
            torch.from_numpy(np.concatenate(parts)),
            mask,
            torch.tensor([video.label for video in mine], dtype=torch.float32),
            [torch.from_numpy(np.stack(field)) for field in zip(*augmentation, strict=True)],
            [video.name for video in mine],
            problems,
            labels,
        )

    def _draw_snippets(self, bag: Bag, rng: np.random.Generator) -> NDArray[np.int64]:
        if bag.snippet is not None:
            return np.array([bag.snippet])
        edges = segment_edges(self.reader.settings.count(bag.video.info.num_frames), self.length)
        return rng.integers(edges[:-1], edges[1:])

    def _draw_augmentation(self, rng: np.random.Generator) -> Augmentation:
        frames = self.reader.view.clip.frames
        return (
            neutral_augmentation(frames)
            if self.reader.augment is None
            else draw_augmentation(self.reader.augment, frames, rng)
        )
