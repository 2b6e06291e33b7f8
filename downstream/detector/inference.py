"""Scores of whole videos: every snippet at native length, the mean over crops, or every cell in its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from downstream.detector.bags import bag_means, num_top, top_mask
from downstream.detector.model import Detector
from downstream.features.feature_spec import VideoEntry
from downstream.scores.score_map import ScoreMap
from downstream.scores.video_scores import VideoScores
from pretrain.errors import UserError

INSTANCES_PER_BATCH = 16_384
"""Videos up to so many instances (snippets times crops or cells) are scored at once; longer ones part by part."""


class WholeVideos(Protocol):
    """Features that can be scored: stored sets, or one video's that were just made."""

    @property
    def videos(self) -> Mapping[str, VideoEntry]:
        """Entries by name."""

    @property
    def crops_or_cells(self) -> int:
        """Crops or cells of every video."""

    def read(self, name: str, rows: slice | None = None) -> NDArray[np.float32]:
        """(rows, places, dim): all snippets, or some."""


@torch.inference_mode()
def score_videos(
    detector: Detector,
    source: WholeVideos,
    names: Sequence[str],
    device: torch.device,
    frames: Mapping[str, int | None] | None = None,
    placed: bool = True,
) -> list[VideoScores]:
    """Scores of these videos in the order of `names`; the detector is in evaluation mode meanwhile.

    Videos of similar length share a padded, masked batch; the padding changes nothing. A long video is scored part by
    part, each with as many snippets before and after it as a score depends on: memory does not grow with it, and the
    scores are those of the whole (but for attention, which must see all of a video at once). `frames` gives the
    lengths of videos whose features do not say theirs; with `placed` off, snippets that nobody can place count
    themselves instead of frames, which is enough to compare whole videos.
    UserError: features that are not finite, or snippets that cannot be placed.
    """
    was_training = detector.training
    detector.eval()
    scored: dict[str, VideoScores] = {}
    for group in _groups(source, names):
        for name, scores in zip(group, _score_group(detector, source, group, device), strict=True):
            entry = source.videos[name]
            edges = entry.edges_with((frames or {}).get(name), placed)
            scored[name] = _video_scores(detector, entry, scores, edges)
    detector.train(was_training)
    return [scored[name] for name in names]


def _score_group(
    detector: Detector, source: WholeVideos, group: Sequence[str], device: torch.device
) -> Iterator[NDArray[np.float64]]:
    """(snippets, places) of each video: together where they are short, else part by part."""
    if detector.grid is not None or (len(group) == 1 and _size(source, group[0]) > INSTANCES_PER_BATCH):
        for name in group:
            yield score_parts(detector, source, name, device)
        return
    values = [_finite(name, source.read(name)) for name in group]
    lengths = torch.tensor([len(value) for value in values])
    bags = pad_sequence(values, batch_first=True).transpose(1, 2).flatten(0, 1)  # (B * C, T, D)
    mask = torch.arange(bags.shape[1]) < lengths.repeat_interleave(source.crops_or_cells).unsqueeze(1)
    scores = detector(bags.to(device), mask.to(device)).scores.double().cpu()
    for rows, length in zip(scores.unflatten(0, (len(group), source.crops_or_cells)), lengths.tolist(), strict=True):
        yield rows[:, :length].T.numpy()


def score_parts(
    detector: Detector, source: WholeVideos, name: str, device: torch.device, instances: int = INSTANCES_PER_BATCH
) -> NDArray[np.float64]:
    """(snippets, places) of one video, about so many instances in memory at a time."""
    snippets, reach = source.videos[name].snippets, detector.reach
    length = snippets if reach is None else max(1, instances // source.crops_or_cells)
    # made first: pieces that stay between the parts' big arrays would scatter the heap, and it would grow
    scores = np.empty((snippets, source.crops_or_cells))
    for start in range(0, snippets, length):
        end = min(start + length, snippets)
        first, last = (0, snippets) if reach is None else (max(0, start - reach), min(snippets, end + reach))
        values = _finite(name, source.read(name, slice(first, last))).to(device)
        scores[start:end] = score_block(detector, values)[start - first : end - first]
    return scores


@torch.inference_mode()
def score_block(detector: Detector, values: Tensor) -> NDArray[np.float64]:
    """Successive snippets' features (T, places, D) on the detector's device -> scores (T, places)."""
    if detector.grid is None:
        scores = detector(values.transpose(0, 1)).scores.T
    else:
        bag = rearrange(values, "t p d -> 1 (t p) d")
        scores = detector(bag).scores.view(len(values), -1)
    found: NDArray[np.float64] = scores.double().cpu().numpy()
    return found


def _finite(name: str, values: NDArray[np.float32]) -> Tensor:
    found = torch.from_numpy(np.array(values))
    if not bool(torch.isfinite(found).all()):
        raise UserError(f"'{name}': features that are not finite numbers; scripts/doctor.py says where")
    return found


def _video_scores(
    detector: Detector, entry: VideoEntry, scores: NDArray[np.float64], edges: NDArray[np.int64]
) -> VideoScores:
    """The mean over crops, or the map and its highest cells."""
    if detector.grid is None:
        return VideoScores(entry.name, scores.mean(axis=1), edges)
    if entry.size is None or entry.seen is None:
        raise UserError(f"'{entry.name}': its features do not say where in the picture its cells lie; extract it again")
    found = ScoreMap(scores.reshape(-1, *detector.grid), entry.size, entry.seen)
    return VideoScores(entry.name, found.frame_scores(), edges, found)


def video_score(scores: NDArray[np.float64]) -> float:
    """One score for a video: the mean of its `count // 16 + 1` greatest snippets."""
    values = torch.from_numpy(scores).unsqueeze(0)
    mask = torch.ones_like(values, dtype=torch.bool)
    return float(bag_means(values, top_mask(values, mask, num_top(mask, None))))


def _size(source: WholeVideos, name: str) -> int:
    return source.videos[name].snippets * source.crops_or_cells


def _groups(source: WholeVideos, names: Sequence[str]) -> Iterator[list[str]]:
    """Videos by length, as many together as fit a batch; a longer one is alone."""
    group: list[str] = []
    for name in sorted(names, key=lambda name: source.videos[name].snippets):
        if group and _size(source, name) * (len(group) + 1) > INSTANCES_PER_BATCH:
            yield group
            group = []
        group.append(name)
    if group:
        yield group
