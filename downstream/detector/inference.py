"""Scores of whole videos: every snippet at native length, the mean over crops, or every cell in its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from downstream.detector.bags import bag_means, num_top, top_mask
from downstream.detector.snippet_detector import SnippetDetector
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
    detector: SnippetDetector,
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


def score_by_camera(
    detector: SnippetDetector,
    source: WholeVideos,
    names: Sequence[str],
    cameras: Mapping[str, str],
    device: torch.device,
    frames: Mapping[str, int | None] | None = None,
    placed: bool = True,
) -> list[VideoScores]:
    """As `score_videos`, each video by what is usual of its own camera, where it is one that the detector knows."""
    of_camera: dict[str | None, list[str]] = {}
    for name in names:
        camera = cameras.get(name)
        of_camera.setdefault(camera if camera in detector.cameras else None, []).append(name)
    scored: dict[str, VideoScores] = {}
    for camera, own in of_camera.items():
        found = score_videos(detector.of_camera(camera), source, own, device, frames, placed)
        scored |= {video.name: video for video in found}
    return [scored[name] for name in names]


def _score_group(
    detector: SnippetDetector, source: WholeVideos, group: Sequence[str], device: torch.device
) -> Iterator[NDArray[np.float64]]:
    """(snippets, places) of each video: together where they are short, else part by part."""
    alone = detector.grid is not None or detector.context_snippets > 0
    if alone or (len(group) == 1 and _size(source, group[0]) > INSTANCES_PER_BATCH):
        for name in group:
            yield score_parts(detector, source, name, device)
        return
    values = [_finite(name, source.read(name)) for name in group]
    lengths = torch.tensor([len(value) for value in values])
    bags = pad_sequence(values, batch_first=True).transpose(1, 2).flatten(0, 1)  # (B * C, T, D)
    mask = torch.arange(bags.shape[1]) < lengths.repeat_interleave(source.crops_or_cells).unsqueeze(1)
    bags, mask = bags.to(device), mask.to(device)
    scores = detector.compose(detector.evidence(bags, mask), mask).exp().cpu()
    for rows, length in zip(scores.unflatten(0, (len(group), source.crops_or_cells)), lengths.tolist(), strict=True):
        yield rows[:, :length].T.numpy()


def score_parts(
    detector: SnippetDetector,
    source: WholeVideos,
    name: str,
    device: torch.device,
    instances: int = INSTANCES_PER_BATCH,
) -> NDArray[np.float64]:
    """(snippets, places) of one video, features of about so many instances in memory at a time."""
    return compose_scores(detector, video_evidence(detector, source, name, device, instances))


@torch.inference_mode()
def video_evidence(
    detector: SnippetDetector,
    source: WholeVideos,
    name: str,
    device: torch.device,
    instances: int = INSTANCES_PER_BATCH,
) -> Tensor:
    """Float64 (snippets, places, E) of one video, on the CPU; features of about so many instances in memory at a time.

    UserError: features that are not finite.
    """
    snippets, reach = source.videos[name].snippets, detector.reach
    length = snippets if reach is None else max(1, instances // source.crops_or_cells)
    context = _context(detector, source, name, device)
    # made first: pieces that stay between the parts' big arrays would scatter the heap, and it would grow
    evidence: Tensor | None = None
    for start in range(0, snippets, length):
        end = min(start + length, snippets)
        first, last = (0, snippets) if reach is None else (max(0, start - reach), min(snippets, end + reach))
        values = _finite(name, source.read(name, slice(first, last))).to(device)
        part = block_evidence(detector, values, context)[start - first : end - first].cpu()
        if evidence is None:
            evidence = torch.empty(snippets, *part.shape[1:], dtype=torch.float64)
        evidence[start:end] = part
    assert evidence is not None, "FusedFeatures.require refuses videos without a snippet"
    return evidence


def _context(detector: SnippetDetector, source: WholeVideos, name: str, device: torch.device) -> Tensor | None:
    """(N, places, D): the video's snippets that the detector compares with, evenly spaced."""
    if not detector.context_snippets:
        return None
    snippets = source.videos[name].snippets
    count = min(snippets, detector.context_snippets)
    chosen = np.arange(count, dtype=np.int64) * snippets // count
    # one by one: rows far apart of a long video are no block that fits
    rows = [_finite(name, source.read(name, slice(row, row + 1))) for row in chosen.tolist()]
    return torch.cat(rows).to(device)


@torch.inference_mode()
def block_evidence(detector: SnippetDetector, values: Tensor, context: Tensor | None = None) -> Tensor:
    """Successive snippets' features (T, places, D), on the detector's device -> float64 (T, places, E).

    `context` (N, places, D): see `SnippetDetector.evidence`.
    """
    bag = as_bags(detector, values)
    mask = torch.ones(bag.shape[:2], dtype=torch.bool, device=bag.device)
    evidence = detector.evidence(bag, mask, None if context is None else as_bags(detector, context))
    return _unbagged(detector, evidence, len(values))


@torch.inference_mode()
def compose_scores(detector: SnippetDetector, evidence: Tensor) -> NDArray[np.float64]:
    """Evidence of a whole video, or of what there is of a stream (T, places, E) -> scores (T, places)."""
    bag = as_bags(detector, evidence.to(next(detector.buffers()).device))
    mask = torch.ones(bag.shape[:2], dtype=torch.bool, device=bag.device)
    scores: NDArray[np.float64] = _unbagged(detector, detector.compose(bag, mask).exp(), len(evidence)).cpu().numpy()
    return scores


def score_block(detector: SnippetDetector, values: Tensor) -> NDArray[np.float64]:
    """A whole video's features (T, places, D) on the detector's device -> scores (T, places)."""
    return compose_scores(detector, block_evidence(detector, values))


def as_bags(detector: SnippetDetector, values: Tensor) -> Tensor:
    """(T, places, ...) -> a bag for each crop (places, T, ...), or one of all cells (1, T * cells, ...)."""
    return values.transpose(0, 1) if detector.grid is None else values.flatten(0, 1).unsqueeze(0)


def _unbagged(detector: SnippetDetector, values: Tensor, snippets: int) -> Tensor:
    """The inverse of `as_bags`."""
    return values.transpose(0, 1) if detector.grid is None else values[0].unflatten(0, (snippets, -1))


def _finite(name: str, values: NDArray[np.float32]) -> Tensor:
    found = torch.from_numpy(np.array(values))
    if not bool(torch.isfinite(found).all()):
        raise UserError(f"'{name}': features that are not finite numbers; scripts/doctor.py says where")
    return found


def _video_scores(
    detector: SnippetDetector, entry: VideoEntry, scores: NDArray[np.float64], edges: NDArray[np.int64]
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
