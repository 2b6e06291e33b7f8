"""The detector: features of snippets in, an anomaly score of each out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from downstream.detector.cell_composition import CellComposition
from downstream.detector.composition import Composition, log_odds
from downstream.detector.config import ATTENTION, EMBEDS, DetectorConfig, check_width
from downstream.detector.cross_batch_clustering import ClusterBranch, guide
from downstream.detector.dual_memory import DualMemory
from downstream.detector.heads import BatchNormHead, scoring_head
from downstream.detector.loss_config import Guidance
from downstream.detector.snippet_detector import SnippetDetector
from downstream.detector.spatial import spatial_encoder
from downstream.detector.temporal import Smoothing, temporal_encoder
from pretrain.errors import UserError


class DetectorOutput(NamedTuple):
    """What a detector says of bags; see `downstream.detector.bags.Bags` for the shapes."""

    log_scores: Tensor
    """(B, T), guided by the clusters where the detector has them."""
    features: Tensor
    """(B, T, width): what the scoring head saw, but for what memories added to it."""
    embeddings: Tensor | None
    """(B, T, E) of the clustering branch, or None."""
    mask: Tensor
    """bool (B, T)."""
    before_norms: Tensor | None = None
    """(B, T, H): what the batch norms of the head were given, or None."""

    @property
    def scores(self) -> Tensor:
        """float64 (B, T) in [0, 1], 0 on padding. Single precision has no numbers between 1 - 6e-8 and 1, where many
        scores of a detector that is sure lie: they would tie."""
        return self.log_scores.double().exp() * self.mask


class FeatureStatistics(NamedTuple):
    """Of training features."""

    mean: Tensor
    """(D,)."""
    deviation: Tensor
    """(D,)."""
    covariance: Tensor
    """(D, D); of a part of the snippets, where there are many."""


def check_detector(config: DetectorConfig, grid: tuple[int, int] | None) -> None:
    """UserError where the configuration does not go with cells of so many rows and columns, or with none."""
    if grid is None and config.spatial != "none":
        raise UserError(
            f"detector.spatial is {config.spatial}, but the features have no cells to look around: extract them with "
            "--grid map (end to end: set videos.grid), or set detector.spatial to none"
        )
    if grid is not None and config.temporal in ATTENTION:
        raise UserError(
            f"detector.temporal is {config.temporal}, and the features have {grid[0]}x{grid[1]} cells: attention over "
            "the whole track of every cell has no bounded memory; choose multi_scale or none"
        )


class Detector(SnippetDetector):
    """Projection, temporal encoder, scoring head, and on request the clustering branch that guides the scores.

    Any B >= 1, T >= 1. Snippets that the mask leaves out change nothing. With a grid the instances are cells, snippet
    by snippet, row by row. MIL ranking (Sultani 2018) scores snippets by an MLP of 512 and 32 units; ours has the same
    three layers in other widths.
    """

    input_mean: Tensor
    input_scale: Tensor

    def __init__(
        self,
        config: DetectorConfig,
        dim: int,
        guidance: Guidance | None = None,
        cluster_temperature: float = 1.0,
        grid: tuple[int, int] | None = None,
        motion: tuple[int, ...] = (),
        num_classes: int = 2,
    ) -> None:
        """`guidance` None: no clustering branch; otherwise how it guides, see `cross_batch_clustering.guide`.

        `grid`: rows and columns of cells; None: instances are whole snippets. `motion`: which of the `dim` numbers are
        logarithms of motion. `num_classes`: of videos that training tells apart, the normal one first; of no meaning
        when videos are scored. UserError where the configuration does not go with the grid or the features.
        """
        super().__init__()
        check_detector(config, grid)
        self.config, self.dim, self.guidance, self.cluster_temperature = config, dim, guidance, cluster_temperature
        self.grid, self.motion, self.num_classes = grid, motion, num_classes
        self.register_buffer("input_mean", torch.zeros(dim))
        self.register_buffer("input_scale", torch.ones(dim))
        projects = config.projection == "linear"
        self.width = config.width if projects or config.temporal in EMBEDS else dim
        """Numbers of a snippet as the head sees it, but for what memories add."""
        if self.width != config.width:
            check_width(config.temporal, dim, "detector.projection is none, and features are of the width")
        self.project = nn.Linear(dim, config.width) if projects else None
        self.temporal = temporal_encoder(config.temporal, config.width if projects else dim, self.width, config.dropout)
        self.spatial = spatial_encoder(config.spatial, self.width)
        self.drop = nn.Dropout(config.dropout)
        self.memories = DualMemory(config.memories, self.width, config.dropout > 0) if config.memories else None
        seen = self.width if self.memories is None else 2 * self.width
        self.head = scoring_head(config.head, seen, config.hidden, config.dropout)
        self.smoothing = Smoothing(config.score_smoothing)
        self.composition = self._composition() if config.composition == "which_when" else None
        self.branch = None if guidance is None else ClusterBranch(self.width, temperature=cluster_temperature)

    def _composition(self) -> Composition | CellComposition:
        if self.grid is None:
            return Composition(self.dim, self.motion)
        return CellComposition(self.dim, self.grid, self.motion, self.config.score_smoothing)

    @property
    def reach(self) -> int | None:
        """That of the temporal encoder, and a neighbour for changes."""
        reach: Any = self.temporal.reach
        return reach if reach is None else max(int(reach), 0 if self.composition is None else 1)

    @property
    def score_reach(self) -> int | None:
        """That of the smoothing; a composed score of a whole picture depends on the whole video."""
        composition = self.composition
        is_of_video = composition is not None and composition.is_fitted and composition.needs_whole_video
        return None if is_of_video else self.smoothing.reach

    @property
    def score_lookahead(self) -> int:
        """That of the smoothing."""
        return self.smoothing.reach

    def forward(self, features: Tensor, mask: Tensor | None = None) -> DetectorOutput:
        """Features (B, T, D), mask bool (B, T) (default: no padding) -> scores; in training those of `per_snippet`."""
        output = self.per_snippet(features, mask)
        if self.training:
            return output
        evidence = self._evidence(output, features)
        return output._replace(log_scores=self.compose(evidence, output.mask))

    def per_snippet(self, features: Tensor, mask: Tensor | None = None) -> DetectorOutput:
        """As `forward`, but scores are each snippet's own: neither smoothed nor composed, as losses see them."""
        if mask is None:
            mask = torch.ones(features.shape[:2], dtype=torch.bool, device=features.device)
        inside = (features - self.input_mean) * self.input_scale
        if self.project is not None:
            inside = self.drop(F.relu(self.project(inside)))
        inside = self._look_around(inside, mask)
        seen = inside if self.memories is None else self.memories(inside)
        odds, before_norms = self._odds(seen, mask)
        log_scores = F.logsigmoid(odds.float())
        embeddings = None
        if self.branch is not None and self.guidance is not None:
            embeddings, log_abnormal = self.branch(inside)
            log_scores = guide(log_scores, log_abnormal.float(), self.guidance)
        return DetectorOutput(log_scores, inside, embeddings, mask, before_norms)

    def _odds(self, seen: Tensor, mask: Tensor) -> tuple[Tensor, Tensor | None]:
        """(B, T) log odds; of a head with batch norms, what these were given."""
        if isinstance(self.head, BatchNormHead):
            said = self.head(seen, mask)
            return said.log_odds, said.before_norms
        return self.head(seen).squeeze(2), None

    def evidence(self, features: Tensor, mask: Tensor, context: Tensor | None = None) -> Tensor:
        """Each snippet's own log odds; where scores are composed, how much features change around it, and motion."""
        return self._evidence(self.per_snippet(features, mask), features)

    def _evidence(self, output: DetectorOutput, features: Tensor) -> Tensor:
        own = log_odds(output.log_scores.double())
        if self.composition is None:
            return own.unsqueeze(2)
        return torch.cat([own.unsqueeze(2), self.composition.evidence(features, output.mask)], dim=2)

    def compose(self, evidence: Tensor, mask: Tensor) -> Tensor:
        """Smoothed log odds; composed with the rest, once `fit_composition` was called."""
        own = self._smoothed(evidence[..., 0], mask)
        if self.composition is not None and self.composition.is_fitted:
            own = self.composition(own, self.composition.smoothed(evidence[..., 1:], mask), mask)
        return F.logsigmoid(own)

    @torch.no_grad()
    def fit_composition(self, evidence: Sequence[Tensor], labels: Sequence[int]) -> None:
        """Fit what composes scores to videos that the detector was not trained on: (B, T, E) of each, its label."""
        if self.composition is None:
            return
        parts = []
        for video in evidence:
            mask = torch.ones(video.shape[:2], dtype=torch.bool, device=video.device)
            parts.append((self._smoothed(video[..., 0], mask), self.composition.smoothed(video[..., 1:], mask)))
        self.composition.fit(parts, labels)

    def _look_around(self, inside: Tensor, mask: Tensor) -> Tensor:
        """Neighbours in time, then in space."""
        if self.grid is None:
            around: Tensor = self.temporal(inside, mask)
            return around
        rows, columns = self.grid
        count = len(inside)
        inside = self.temporal(self.tracks(inside), self.tracks(mask))
        maps = self.spatial(rearrange(inside, "(b r c) t d -> (b t) r c d", b=count, r=rows, c=columns))
        return rearrange(maps, "(b t) r c d -> b (t r c) d", b=count)

    def _smoothed(self, own: Tensor, mask: Tensor) -> Tensor:
        """(B, T) along time; of cells, each along its own track."""
        return self.untracked(self.smoothing(self.tracks(own), self.tracks(mask)), len(own))

    @torch.no_grad()
    def standardise(self, statistics: FeatureStatistics) -> None:
        """Set the input normalisation from those of the training features, as the configuration says."""
        mean, deviation, covariance = statistics
        scale = torch.ones_like(deviation)
        if self.config.standardise != "none":
            self.input_mean.copy_(mean)
            others = [number for number in range(self.dim) if number not in self.motion]
            whole = deviation[others].square().mean().sqrt().clamp(min=1e-6)
            if self.config.standardise == "global":
                deviation = whole.expand_as(deviation)
            # a number that hardly ever changes must not be blown up where it does
            scale = 1 / deviation.clamp(min=1e-3 * float(whole))
        if self.composition is not None:
            self.composition.whiten(covariance)
            if self.composition.hides_motion:
                scale[list(self.motion)] = 0
        self.input_scale.copy_(scale)
