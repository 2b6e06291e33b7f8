"""From videos to batches: one decoded window per video and step feeds every task.

Sampling is stateless: item `g` (counted over the whole run, over all processes) is a function of the seed and `g`, so
nothing about order has to be saved, and one process or four see the same items in the same steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from pretext_tasks import ClipGeometry, PretextTasks
from pretrain.data.frozen_maps import MapStore
from pretrain.data.geometry import BorderCrop, covering
from pretrain.data.motion import cached_motion_profile, draw_window_start, motion_profile
from pretrain.data.motion_crops import crop_on_motion
from pretrain.data.settings import AugmentConfig, Control, CropAt
from pretrain.data.transforms import Augmentation, draw_augmentation, neutral_augmentation
from pretrain.data.video import IndexCache, VideoError, VideoInfo, read_frames

# the second entry of a generator's seed: what it is for
ORDER, TRAIN, VALIDATION = 1, 2, 3


@dataclass(frozen=True, kw_only=True)
class Source:
    """A video as sampling needs it: where it is read from, how long it is, where it moves."""

    name: str
    path: str
    """What is decoded: the video, or its proxy."""
    info: VideoInfo
    motion: np.ndarray | None
    """float32 (bins,), see `pretrain.data.motion`; None: looked at when a window is drawn, for the video lies elsewhere
    and all else of it is known."""


@dataclass(frozen=True, kw_only=True)
class WindowReader:
    """Reads the windows of one run: everything that decides what a window looks like, picklable for workers."""

    tasks: PretextTasks
    geometry: ClipGeometry
    height: int
    """Height of decoded frames after the border is cut away; somewhat more than the backbone's input."""
    width: int
    border_crop: BorderCrop
    motion_floor: float
    reader: str
    index_cache: IndexCache | None
    control: Control = "none"
    motion_cache: Path | None = None
    """Folder of motion profiles, for sources that come without theirs."""
    maps: MapStore | None = None
    """Where given, what is read of a frame is its kept map: (map height, map width, dim), in half precision."""

    def blank(self, shape: tuple[int, ...]) -> np.ndarray:
        """Frames of that many as `read` gives them, all zero."""
        if self.maps is not None:
            return np.zeros((*shape, *self.maps.shape), np.float16)
        return np.zeros((*shape, self.height, self.width, 3), np.uint8)

    def draw_clips(
        self, rng: np.random.Generator, labels: dict[str, int] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Frames in the window (clips, frames) and labels (clips,) of all tasks, one task after another."""
        samples = self.tasks.sample(self.geometry, rng, labels)
        if self.control == "no_signal":
            samples = self.tasks.without_signal(samples, self.geometry)
        frames = np.concatenate([sample.frames for sample in samples.values()])
        if self.control == "still":
            frames = np.broadcast_to(frames[:, :1], frames.shape).copy()
        return frames, np.concatenate([sample.labels for sample in samples.values()])

    def draw_start(self, source: Source, rng: np.random.Generator) -> int:
        """First frame of a window in the source; 0 where the video is shorter than the window."""
        room = source.info.num_frames - self.geometry.window_frames
        if room <= 0:
            return 0
        try:
            motion = self.motion_of(source)
        except VideoError:  # reading the window says it again, and names the video
            return 0
        return draw_window_start(motion, source.info.num_frames, self.geometry.window_frames, self.motion_floor, rng)

    def motion_of(self, source: Source) -> np.ndarray:
        """The motion profile of a source. Raises VideoError."""
        if source.motion is not None:
            return source.motion
        if self.motion_cache is None:
            return motion_profile(source.path, reader=self.reader, cache=self.index_cache)
        return cached_motion_profile(source.path, self.motion_cache, reader=self.reader, cache=self.index_cache)

    def read(self, source: Source, frames: np.ndarray) -> np.ndarray:
        """Decode source frames (any shape) once each: uint8 (*frames.shape, height, width, 3); or read their maps.

        Frames past the end show the last one: so a short video is held, where the run allows it at all.
        """
        held = np.minimum(frames, source.info.num_frames - 1)
        if self.maps is not None:
            return self.maps.read(source.path, held)
        needed, position = np.unique(held, return_inverse=True)
        scaled, cover, (top, left) = covering(source.info, self.height, self.width, self.border_crop)
        decoded = read_frames(source.path, needed, size=scaled, reader=self.reader, cache=self.index_cache)
        # the middle of what the border leaves; where the shapes differ the longer side loses its ends
        y = top + max(0, cover[0] - self.height) // 2
        x = left + max(0, cover[1] - self.width) // 2
        y, x = min(y, scaled[0] - self.height), min(x, scaled[1] - self.width)
        cropped = decoded[:, y : y + self.height, x : x + self.width]
        return cropped[position.reshape(frames.shape)]


class Batch(NamedTuple):
    """Windows of several videos, ready to travel; `clips` counts the clips of all tasks of a window, task by task."""

    clips: Tensor
    """uint8 (windows, clips, frames, height, width, 3), or float16 maps (.., map height, map width, dim)."""
    labels: Tensor
    """int64 (windows, clips)."""
    augmentation: list[Tensor]
    """The fields of `Augmentation`, each with (windows, clips) in front."""
    valid: Tensor
    """float32 (windows,): 0 where the video could not be read; such a window counts in no loss."""
    names: list[str]
    """Name of each window's video."""
    problems: dict[str, str]
    """Videos that could not be read, and why."""


class Item(NamedTuple):
    """One window, drawn but not yet read."""

    source: Source
    start: int
    frames: np.ndarray
    """int64 (clips, frames), indices into the window."""
    labels: np.ndarray
    """int64 (clips,)."""
    augmentation: list[Augmentation]
    """One entry a clip."""


def read_batch(reader: WindowReader, items: Sequence[Item], crop_at: CropAt = "anywhere") -> Batch:
    """Decode the items' windows. A video that fails is named and its window counts as invalid, never replaced."""
    clips = reader.blank((len(items), *items[0].frames.shape))
    valid = np.ones(len(items), np.float32)
    problems: dict[str, str] = {}
    for index, item in enumerate(items):
        try:
            clips[index] = reader.read(item.source, item.start + item.frames)
        except VideoError as error:
            valid[index] = 0
            problems[item.source.name] = str(error)
    drawn = [item.augmentation for item in items]
    if crop_at == "motion":
        drawn = [
            [crop_on_motion(clip, own) for clip, own in zip(window, item, strict=True)] if fine else item
            for window, item, fine in zip(clips, drawn, valid, strict=True)
        ]
    fields = zip(*(zip(*item, strict=True) for item in drawn), strict=True)
    stacked = [torch.from_numpy(np.stack([np.stack(part) for part in field])) for field in fields]
    return Batch(
        torch.from_numpy(clips),
        torch.from_numpy(np.stack([item.labels for item in items])),
        stacked,
        torch.from_numpy(valid),
        [item.source.name for item in items],
        problems,
    )


@lru_cache(maxsize=2)
def epoch_order(seed: int, epoch: int, count: int) -> np.ndarray:
    """A permutation of the videos: every video once per epoch."""
    return np.random.default_rng([seed, ORDER, epoch]).permutation(count)


@dataclass(frozen=True, kw_only=True)
class Share:
    """Which part of every step's windows this process reads."""

    batch_size: int
    """Windows per optimiser step, over all processes and accumulation rounds."""
    accumulate: int
    rank: int
    world_size: int

    @property
    def local(self) -> int:
        """Windows per process and round."""
        return self.batch_size // (self.accumulate * self.world_size)

    def items(self, step: int, part: int) -> range:
        """Numbers of this process's items in round `part` of step `step`."""
        per_round = self.batch_size // self.accumulate
        first = step * self.batch_size + part * per_round + self.rank * self.local
        return range(first, first + self.local)


class TrainWindows(Dataset[Batch]):
    """Whole training batches by (step, round)."""

    def __init__(
        self, sources: Sequence[Source], reader: WindowReader, augment: AugmentConfig, share: Share, seed: int
    ) -> None:
        self.sources, self.reader, self.augment, self.share, self.seed = sources, reader, augment, share, seed

    def draw(self, number: int) -> Item:
        """Item `number` of the run."""
        epoch, position = divmod(number, len(self.sources))
        source = self.sources[epoch_order(self.seed, epoch, len(self.sources))[position]]
        rng = np.random.default_rng([self.seed, TRAIN, number])
        start = self.reader.draw_start(source, rng)
        frames, labels = self.reader.draw_clips(rng)
        augmentation = [draw_augmentation(self.augment, self.reader.geometry.clip_frames, rng) for _ in labels]
        return Item(source, start, frames, labels, augmentation)

    def __getitem__(self, key: tuple[int, int]) -> Batch:
        items = [self.draw(number) for number in self.share.items(*key)]
        return read_batch(self.reader, items, self.augment.crop_at)

    def keys(self, first_step: int, last_step: int) -> list[tuple[int, int]]:
        """Keys of the steps `[first_step, last_step)` in order."""
        return [(step, part) for step in range(first_step, last_step) for part in range(self.share.accumulate)]


class ValidationWindows(Dataset[Batch]):
    """Fixed, unaugmented windows of validation videos: every task, every class of it, from the same windows.

    Each window is drawn from as often as the task with the most classes has classes; classes take turns, so that chance
    is one in the number of classes. One batch holds one window of a video, once for each turn.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        reader: WindowReader,
        windows_per_video: int,
        seed: int,
        augment: AugmentConfig | None = None,
    ) -> None:
        self.sources, self.reader, self.windows_per_video, self.seed = sources, reader, windows_per_video, seed
        self.augment = augment
        """Augmentation as in training, for controls; default: none."""

    def __len__(self) -> int:
        return len(self.sources) * self.windows_per_video

    def draw(self, number: int) -> list[Item]:
        """The items of window `number`."""
        source = self.sources[number // self.windows_per_video]
        rng = np.random.default_rng([self.seed, VALIDATION, number])
        start = self.reader.draw_start(source, rng)
        tasks = self.reader.tasks.enabled()
        rounds = max(task.num_labels for task in tasks.values())
        length = self.reader.geometry.clip_frames
        items = []
        for turn in range(rounds):
            labels = {name: turn % task.num_labels for name, task in tasks.items()}
            frames, drawn = self.reader.draw_clips(rng, labels)
            augmentation = [
                neutral_augmentation(length) if self.augment is None else draw_augmentation(self.augment, length, rng)
                for _ in drawn
            ]
            items.append(Item(source, start, frames, drawn, augmentation))
        return items

    def __getitem__(self, number: int) -> Batch:
        return read_batch(self.reader, self.draw(number), "anywhere" if self.augment is None else self.augment.crop_at)
