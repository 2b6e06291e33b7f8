"""A detector that no label has taught: how far snippets are from what is ordinary, by features alone.

Features are whitened by the covariance of footage that is mostly normal, shrunk towards its diagonal (after PaDiM,
2020, and PatchCore, 2021; of snippets rather than of image patches is [ours]). Then, for every snippet:

    change     the mean distance to the snippet before and after
    nearest    the mean distance to its 5 nearest of a coreset of the footage's snippets
    gaussian   the distance to the footage's mean (Mahalanobis)
    deviation  the median distance to the other snippets of its own video
    motion     how much the picture moves (`features.clip_motion`), and a grey level more

The logarithm of each, smoothed over time, is standardised: by the footage that the detector was fitted to, by a
camera's own part of it where a video is of a camera that it knows (`of_camera`), or by the video itself ("what is
unusual here?"). Their sum, less what the threshold stands for, is the log odds of the score.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from downstream.detector.composition import MAX_DIRECTIONS, OWN_SHARE, step_lengths, whitening
from downstream.detector.normal_config import NEIGHBOURS, NormalConfig, Part
from downstream.detector.snippet_detector import SnippetDetector
from downstream.detector.temporal import Smoothing
from downstream.features.feature_spec import NOISE_FLOOR
from pretrain.errors import UserError

CONTEXT_SNIPPETS = 256
"""Of a video, that `deviation` compares with: as many as a stream remembers."""
ROWS_AT_ONCE = 2048
"""Snippets whose distances to the coreset are in memory together."""
NOTHING = math.log(2e-6)
"""Logarithms below it are of no distance at all: the change of a snippet without a neighbour, or of a cell where
nothing is ever shown. It says nothing, for or against, nor of what is usual."""


class Usual(NamedTuple):
    """What is usual somewhere: the median and the spread of the parts' logarithms, (..., E) each."""

    median: Tensor
    spread: Tensor

    @staticmethod
    def of(logs: Tensor) -> Usual:
        """Of the logarithms of normal snippets (N, ..., E); quantiles, so that a few odd ones matter little. NaN where
        all of them say nothing."""
        said = logs.masked_fill(logs < NOTHING, torch.nan)
        median = said.nanmedian(dim=0).values
        return Usual(median, (1.4826 * (said - median).abs().nanmedian(dim=0).values).clamp(min=1e-3))

    def or_else(self, other: Usual) -> Usual:
        """What the other says where this one says nothing."""
        return Usual(*(torch.where(self.median.isnan(), b, a) for a, b in zip(self, other, strict=True)))

    def drawn_to(self, wider: Usual, snippets: int, prior: float) -> Usual:
        """What so many snippets say, drawn to what is usual in general as if that had `prior` snippets."""
        own = snippets / (snippets + prior)
        spread = (own * self.spread.square() + (1 - own) * wider.spread.square()).sqrt()
        return Usual(own * self.median + (1 - own) * wider.median, spread).or_else(wider)


def default_parts(motion: Sequence[int]) -> tuple[Part, ...]:
    """What a detector looks at that was told nothing."""
    return ("change", "nearest", "motion") if motion else ("change", "nearest")


class NormalDetector(SnippetDetector):
    """Its numbers are buffers: a detector on disk like any other (`storage`)."""

    mean: Tensor
    directions: Tensor
    members: Tensor
    usual: Tensor
    spread: Tensor
    offset: Tensor
    camera_usual: Tensor
    camera_spread: Tensor
    camera_offset: Tensor

    def __init__(
        self,
        config: NormalConfig,
        dim: int,
        members: int = 0,
        grid: tuple[int, int] | None = None,
        motion: tuple[int, ...] = (),
        cameras: Sequence[str] = (),
    ) -> None:
        """`members`: snippets in the coreset (0 where no part needs one). `grid`: rows and columns of cells.
        `motion`: which of the `dim` numbers are logarithms of motion. UserError for that part of features without.
        `cameras`: names of those that it knows."""
        super().__init__()
        self.parts = config.parts or default_parts(motion)
        if "motion" in self.parts and not motion:
            raise UserError(
                "parts has motion, but the features do not say how much the picture moves: extract them from videos "
                "again (--motion, the default), or leave it out"
            )
        self.config = dataclasses.replace(config, parts=self.parts)
        self.dim, self.grid, self.motion = dim, grid, motion
        self.context_snippets = CONTEXT_SNIPPETS if "deviation" in self.parts else 0
        self.smoothing = Smoothing(config.smoothing)
        self.register_buffer("mean", torch.zeros(dim))
        directions = min(dim - len(motion), MAX_DIRECTIONS)
        self.register_buffer("directions", torch.eye(dim, directions))
        self.register_buffer("members", torch.zeros(members, directions))
        count = len(self.parts)
        self.register_buffer("usual", torch.zeros(count, dtype=torch.float64))
        self.register_buffer("spread", torch.ones(count, dtype=torch.float64))
        self.register_buffer("offset", torch.zeros((), dtype=torch.float64))
        self.cameras: tuple[str, ...] = ()
        if cameras:  # without, there are no such numbers: files of before stay what they are
            table = torch.zeros(len(cameras), 1 if grid is None else grid[0] * grid[1], count, dtype=torch.float64)
            self.set_cameras(cameras, Usual(table, table + 1), self.offset.clone())

    @property
    def reach(self) -> int | None:
        """A neighbour, for changes."""
        return 1 if "change" in self.parts else 0

    @property
    def score_reach(self) -> int | None:
        """That of the smoothing, unless scores are relative to the video."""
        return None if self._is_relative else self.smoothing.reach

    @property
    def score_lookahead(self) -> int:
        """That of the smoothing."""
        return self.smoothing.reach

    @property
    def compares(self) -> bool:
        """Where scores are relative to the video, or a part is."""
        return self._is_relative or self.context_snippets > 0

    def set_cameras(self, names: Sequence[str], usual: Usual, offset: Tensor) -> None:
        """Set what is usual of each camera, (cameras, places, E); whole pictures have one place."""
        self.cameras = tuple(names)
        self.register_buffer("camera_usual", usual.median)
        self.register_buffer("camera_spread", usual.spread)
        self.register_buffer("camera_offset", offset)

    def of_camera(self, name: str | None) -> NormalDetector:
        """The same for videos of one camera; itself for None and for a camera that it does not know."""
        if name not in self.cameras:
            return self
        at = self.cameras.index(name)
        return self.with_numbers(usual=self.camera_usual[at], spread=self.camera_spread[at], offset=self.camera_offset)

    def with_numbers(self, **buffers: Tensor) -> NormalDetector:
        """The same with other numbers in place of these; the rest is shared."""
        other = copy.copy(self)
        other._buffers = {**self._buffers, **buffers}
        return other

    @property
    def _is_relative(self) -> bool:
        return self.config.relative_to == "video" or self.config.keeps_learning

    @torch.no_grad()
    def whiten(self, mean: Tensor, covariance: Tensor) -> None:
        """Set what features are whitened by, from the footage's mean (D,) and covariance (D, D)."""
        self.mean.copy_(mean)
        self.directions.copy_(whitening(covariance.double(), self.directions.shape[1], self.motion))

    def whitened(self, features: Tensor) -> Tensor:
        """(..., D) -> (..., K)."""
        white: Tensor = (features.float() - self.mean) @ self.directions
        return white

    def evidence(self, features: Tensor, mask: Tensor, context: Tensor | None = None) -> Tensor:
        """The parts' distances, in the order of the configuration."""
        white = self.whitened(features)
        compared = white if context is None else self.whitened(context)
        parts = {
            "change": lambda: self.untracked(step_lengths(self.tracks(white), self.tracks(mask)), len(white)),
            "nearest": lambda: nearest_distance(white.flatten(0, 1), self.members).view(white.shape[:2]),
            "gaussian": lambda: white.double().norm(dim=2),
            "deviation": lambda: self.untracked(median_distance(self.tracks(white), self.tracks(compared)), len(white)),
            "motion": lambda: self.moved(features),
        }
        return torch.stack([parts[part]() for part in self.parts], dim=2)

    def moved(self, features: Tensor) -> Tensor:
        """(B, T, D) -> float64 (B, T): how much the picture moves, in grey levels above `motion_floor`."""
        stored = features[..., list(self.motion)].double().mean(dim=2)
        return stored.exp() + (self.config.motion_floor - NOISE_FLOOR)

    def log_parts(self, evidence: Tensor, mask: Tensor) -> Tensor:
        """Evidence of whole videos (B, T, E) -> the parts' logarithms, smoothed over time (B, T, E)."""
        tracks = self.tracks(mask)
        smoothed = [
            self.untracked(self.smoothing(self.tracks(part), tracks), len(evidence)) for part in evidence.unbind(2)
        ]
        return (torch.stack(smoothed, dim=2) + 1e-6).log()

    def compose(self, evidence: Tensor, mask: Tensor) -> Tensor:
        """Of `log_odds`."""
        return F.logsigmoid(self.log_odds(evidence, mask))

    def log_odds(self, evidence: Tensor, mask: Tensor) -> Tensor:
        """Evidence of whole videos (B, T, E) -> (B, T)."""
        return self.odds_of(self.log_parts(evidence, mask), mask)

    def odds_of(self, logs: Tensor, mask: Tensor) -> Tensor:
        """What `log_parts` gives of whole videos (B, T, E) -> log odds (B, T): the sum of the standardised parts, over
        the root of their number, less the offset."""
        return self.apart(logs, mask).sum(dim=2) / math.sqrt(logs.shape[2]) - self.offset

    def apart(self, logs: Tensor, mask: Tensor) -> Tensor:
        """What `log_parts` gives of whole videos (B, T, E) -> each part less what is usual, in spreads (B, T, E)."""
        usual, spread = self.usual, self.spread
        if usual.ndim == 2:  # of places: of every snippet the same
            usual, spread = (each.repeat(logs.shape[1] // len(each), 1) for each in (usual, spread))
        if self._is_relative:
            own_usual, own_spread = own_statistics(logs, mask)
            usual, spread = own_usual, (OWN_SHARE * own_spread.square() + (1 - OWN_SHARE) * spread.square()).sqrt()
        return ((logs - usual) / spread).masked_fill(logs < NOTHING, 0)

    @torch.no_grad()
    def standardise(self, logs: Tensor) -> None:
        """Set what is usual from the parts' logarithms (N, E) of normal snippets."""
        nobody = torch.zeros_like(logs[0])
        self.usual, self.spread = Usual.of(logs).or_else(Usual(nobody, nobody + 1))


def nearest_distance(white: Tensor, members: Tensor) -> Tensor:
    """float64 (N,): mean distance of (N, K) to the nearest `NEIGHBOURS` of (M, K)."""
    count = min(NEIGHBOURS, len(members))
    parts = [
        torch.cdist(rows, members).topk(count, dim=1, largest=False).values.mean(dim=1)
        for rows in white.split(ROWS_AT_ONCE)
    ]
    return torch.cat(parts).double()


def median_distance(white: Tensor, context: Tensor) -> Tensor:
    """float64 (B, T): median distance of (B, T, K) to the (B, N, K) of its own bag, itself among them."""
    parts = [torch.cdist(rows, context).median(dim=2).values for rows in white.split(ROWS_AT_ONCE, dim=1)]
    return torch.cat(parts, dim=1).double()


def own_statistics(logs: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """(B, T, E) -> what is usual in each bag (B, 1, E), and its spread: median and scaled median deviation."""
    hidden = logs.masked_fill(~mask.unsqueeze(2) | (logs < NOTHING), torch.nan)
    usual = hidden.nanmedian(dim=1, keepdim=True).values
    spread = 1.4826 * (hidden - usual).abs().nanmedian(dim=1, keepdim=True).values
    return usual.nan_to_num(0.0), spread.nan_to_num(0.0)


def coreset(white: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """int64 (at most count,): rows of (N, K) that lie close to all of them (greedy k-centre; Sener and Savarese, 2018,
    as PatchCore, 2021, has it). [ours] Once every row is equal to a chosen one the others are drawn at random: footage
    that stands still has neighbours, too."""
    if len(white) <= count:
        return torch.arange(len(white))
    chosen = [int(torch.randint(len(white), (1,), generator=generator))]
    distance = (white - white[chosen[0]]).square().sum(dim=1)
    while len(chosen) < count and bool(distance.max() > 0):
        chosen.append(int(distance.argmax()))
        distance = torch.minimum(distance, (white - white[chosen[-1]]).square().sum(dim=1))
    if len(chosen) < count:
        taken = set(chosen)
        others = [row for row in torch.randperm(len(white), generator=generator).tolist() if row not in taken]
        chosen += others[: count - len(chosen)]
    return torch.tensor(chosen)
