"""From features of footage that is mostly normal to a label-free detector (see `detector.normal_detector`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from downstream.detector.inference import as_bags, video_evidence
from downstream.detector.normal_config import NormalConfig
from downstream.detector.normal_detector import NormalDetector, coreset
from downstream.features.fusion import FusedFeatures
from pretrain.errors import UserError

MAX_VECTORS = 20_000
"""Features that the covariance and the coreset are made of: of each video as many, evenly spaced."""
USUAL_VIDEOS = 200
"""Held-out videos, evenly spaced in the list, that say what is usual."""
ALARM_SHARE = 0.01
"""Of normal snippets that score above one half."""


def fit_normal(
    config: NormalConfig,
    features: FusedFeatures,
    names: Sequence[str],
    held_out: Sequence[str],
    device: torch.device,
    generator: torch.Generator,
) -> NormalDetector:
    """Whitening and coreset from the videos `names`, what is usual from `held_out`, which are none of them.

    UserError: features that are not finite, or too few of them.
    """
    vectors = sample_vectors(features, names)
    if len(vectors) <= features.dim // 4:
        raise UserError(
            f"{len(vectors)} snippets of {len(names)} video(s) cannot say how {features.dim} numbers vary together: "
            "give more footage"
        )
    detector = NormalDetector(config, features.dim, 0, features.grid, features.motion)
    members = min(config.coreset, len(vectors)) if "nearest" in detector.parts else 0
    whiten(detector, vectors)
    if config.trim:
        distance = detector.whitened(vectors).norm(dim=1)
        vectors = vectors[distance <= distance.quantile(1 - config.trim)]
        whiten(detector, vectors)
    white = detector.whitened(vectors)
    if members:
        detector.members = white[coreset(white, members, generator)]
    detector.to(device)
    logs = [detector_logs(detector, features, name, device) for name in evenly(held_out, USUAL_VIDEOS)]
    detector.standardise(torch.cat([own.flatten(0, 1) for own in logs]))
    set_offset(detector, logs)
    return detector.eval()


def sample_vectors(features: FusedFeatures, names: Sequence[str]) -> Tensor:
    """float32 (at most MAX_VECTORS, D): of each video as many, evenly spaced over its snippets and places."""
    each = max(1, MAX_VECTORS // len(names))
    chosen = []
    for name in names:
        snippets = features.videos[name].snippets
        rows = np.unique(np.linspace(0, snippets - 1, min(snippets, each)).astype(np.int64))
        flat = torch.from_numpy(np.array(features.read(name, rows))).flatten(0, 1)
        if not bool(torch.isfinite(flat).all()):
            raise UserError(f"'{name}': features that are not finite numbers; scripts/doctor.py says where")
        chosen.append(flat[torch.linspace(0, len(flat) - 1, min(len(flat), each)).long()])
    return torch.cat(chosen)


def whiten(detector: NormalDetector, vectors: Tensor) -> None:
    """Set the detector's mean and directions to those of the vectors."""
    values = vectors.double()
    detector.whiten(values.mean(dim=0), torch.cov(values.T, correction=0))


def detector_logs(detector: NormalDetector, features: FusedFeatures, name: str, device: torch.device) -> Tensor:
    """(B, T, E) logarithms of one video's parts, as they are standardised."""
    bags = as_bags(detector, video_evidence(detector, features, name, device).to(device))
    return detector.log_parts(bags, whole_mask(bags))


def set_offset(detector: NormalDetector, logs: Sequence[Tensor]) -> None:
    """Let a share of `ALARM_SHARE` of these normal videos' snippets (of cells, their highest) score above one half."""
    highest = []
    for own in logs:
        odds = detector.odds_of(own, whole_mask(own))
        grid = detector.grid
        highest.append(odds.mean(dim=0) if grid is None else odds[0].view(-1, grid[0] * grid[1]).amax(dim=1))
    detector.offset.copy_(torch.cat(highest).quantile(1 - ALARM_SHARE))


def whole_mask(bags: Tensor) -> Tensor:
    """bool (B, T): nothing of (B, T, E) is padding."""
    return torch.ones(bags.shape[:2], dtype=torch.bool, device=bags.device)


def evenly(names: Sequence[str], count: int) -> list[str]:
    """At most so many, evenly spaced in the list."""
    return [names[i] for i in np.unique(np.linspace(0, len(names) - 1, min(len(names), count)).astype(int))]
