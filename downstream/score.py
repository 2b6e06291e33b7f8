"""Scores of whole videos: every snippet at native length, the mean over crops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils.rnn import pad_sequence

from downstream.detector.bags import bag_means, num_top, top_mask
from downstream.detector.model import Detector
from downstream.evaluation.scores import VideoScores
from downstream.features.kind import VideoEntry
from pretrain.errors import UserError

INSTANCES_PER_BATCH = 16_384


class WholeVideos(Protocol):
    """Features that can be scored: stored sets, or one video's that were just made."""

    @property
    def videos(self) -> Mapping[str, VideoEntry]:
        """Entries by name."""

    @property
    def crops(self) -> int:
        """Crops of every video."""

    def read(self, name: str) -> NDArray[np.float32]:
        """(snippets, crops, dim)."""


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

    Videos of similar length share a padded, masked batch; the padding changes nothing. `frames` gives the lengths of
    videos whose features do not say theirs; with `placed` off, snippets that nobody can place count themselves instead
    of frames, which is enough to compare whole videos.
    UserError: features that are not finite, or snippets that cannot be placed.
    """
    was_training = detector.training
    detector.eval()
    scored: dict[str, VideoScores] = {}
    for group in _groups(source, names):
        values = [torch.from_numpy(np.array(source.read(name))) for name in group]
        for name, value in zip(group, values, strict=True):
            if not bool(torch.isfinite(value).all()):
                raise UserError(f"'{name}': features that are not finite numbers; scripts/doctor.py says where")
        lengths = torch.tensor([len(value) for value in values])
        bags = pad_sequence(values, batch_first=True).transpose(1, 2)  # (B, C, T, D)
        bags = bags.flatten(0, 1).to(device)
        mask = torch.arange(bags.shape[1]) < lengths.repeat_interleave(source.crops).unsqueeze(1)
        scores = detector(bags, mask.to(device)).scores.double().cpu()
        scores = scores.unflatten(0, (len(group), source.crops)).mean(dim=1)
        for name, row, length in zip(group, scores, lengths.tolist(), strict=True):
            edges = snippet_edges(source.videos[name], (frames or {}).get(name), placed)
            scored[name] = VideoScores(name, row[:length].numpy().copy(), edges)
    detector.train(was_training)
    return [scored[name] for name in names]


def snippet_edges(entry: VideoEntry, frames: int | None, placed: bool = True) -> NDArray[np.int64]:
    """int64 (snippets + 1,): the frames of a video's snippets; UserError where neither side knows its length."""
    edges = entry.edges()
    if edges is None and frames is not None:
        return np.arange(entry.snippets + 1, dtype=np.int64) * frames // entry.snippets
    if edges is None and not placed:
        return np.arange(entry.snippets + 1, dtype=np.int64)
    if edges is None:
        raise UserError(
            f"'{entry.name}': its {entry.snippets} snippets divide the video evenly, and nobody says how many frames "
            "it has: give num_frames in the catalogue"
        )
    return edges


def video_score(scores: NDArray[np.float64]) -> float:
    """One score for a video: the mean of its `count // 16 + 1` greatest snippets."""
    values = torch.from_numpy(scores).unsqueeze(0)
    mask = torch.ones_like(values, dtype=torch.bool)
    return float(bag_means(values, top_mask(values, mask, num_top(mask, None))))


def _groups(source: WholeVideos, names: Sequence[str]) -> Iterator[list[str]]:
    """Videos by length, as many together as fit a batch; a longer one is alone."""
    group: list[str] = []
    for name in sorted(names, key=lambda name: source.videos[name].snippets):
        size = source.videos[name].snippets * source.crops
        if group and size * (len(group) + 1) > INSTANCES_PER_BATCH:
            yield group
            group = []
        group.append(name)
    if group:
        yield group
