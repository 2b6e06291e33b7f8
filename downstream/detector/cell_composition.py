"""Where, of a detector of cells: what labels of videos taught, and what is unusual in that place.

A detector of cells that is trained on video labels learns what abnormal videos hold and points at it coarsely; how much
a cell changes and moves says where something happens and not what it is worth. So the log odds of a cell are a sum of
two parts of one unit each, both standardised over the cells of held-out videos [ours]:

    (own - m) / s       the cell's own log odds, smoothed
  + (odd - m') / s'     how unusual its change is, and its motion where features say it (as in `normal_detector`)

Unlike those of whole pictures (`composition`) they hang on no other snippet than the smoothing reaches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from downstream.detector.composition import deviation
from downstream.detector.normal_config import NormalConfig
from downstream.detector.normal_detector import NormalDetector
from downstream.features.feature_spec import Grid

MAX_CELLS = 1 << 16
"""Of each held-out video, evenly spaced, that the parts are standardised by."""
STILL = 3.0
"""Deviations below what is usual, at most: a cell that is stiller than others is not endlessly more normal."""


class CellComposition(nn.Module):
    """The sum above. Its numbers are buffers, fitted after training: they travel with the detector's weights."""

    values: Tensor

    needs_whole_video = False
    hides_motion = False
    NAMES = ("fitted", "own_mean", "own_scale", "odd_mean", "odd_scale")
    """What `values` are."""

    def __init__(self, dim: int, grid: Grid, motion: tuple[int, ...] = (), smoothing: float = 1.0) -> None:
        """`dim`: of the features; `grid`: rows and columns of cells; `motion`: which of the numbers are logarithms of
        motion; `smoothing`: over time, in snippets."""
        super().__init__()
        config = NormalConfig(parts=("change", "motion") if motion else ("change",), smoothing=smoothing)
        self.ordinary = NormalDetector(config, dim, 0, grid, motion)
        self.register_buffer("values", torch.tensor([0.0, 0, 1, 0, 1], dtype=torch.float64))

    @property
    def is_fitted(self) -> bool:
        """Whether `fit` has been called."""
        return bool(self.values[0] > 0)

    def whiten(self, covariance: Tensor) -> None:
        """Set the directions that changes are measured along, from the training features' covariance (D, D)."""
        self.ordinary.whiten(torch.zeros_like(self.ordinary.mean), covariance)

    def evidence(self, features: Tensor, mask: Tensor) -> Tensor:
        """Features (B, T * cells, D), mask bool (B, T * cells) -> float64 (B, T * cells, K): change, and motion."""
        with torch.autocast(features.device.type, enabled=False):
            return self.ordinary.evidence(features, mask)

    def smoothed(self, evidence: Tensor, mask: Tensor) -> Tensor:
        """Evidence of whole videos -> the logarithms, smoothed over time; shapes stay."""
        return self.ordinary.log_parts(evidence, mask)

    def forward(self, own: Tensor, logs: Tensor, mask: Tensor) -> Tensor:
        """Smoothed log odds (B, T * cells), what `smoothed` gives, mask -> composed log odds (B, T * cells)."""
        _, own_mean, own_scale, odd_mean, odd_scale = self.values
        return (own - own_mean) / own_scale + (self._odd(logs, mask) - odd_mean) / odd_scale

    def _odd(self, logs: Tensor, mask: Tensor) -> Tensor:
        """(B, T * cells, K) -> (B, T * cells): the sum of the standardised parts, over the root of their number."""
        return self.ordinary.apart(logs, mask).clamp(min=-STILL).sum(dim=2) / math.sqrt(logs.shape[2])

    @torch.no_grad()
    def fit(self, videos: Sequence[tuple[Tensor, Tensor]], labels: Sequence[int]) -> None:
        """Fit to held-out videos: smoothed log odds (1, T * cells) and what `smoothed` gives of each. Labels say
        nothing of cells: what is usual are medians, which the few that are abnormal hardly move."""
        own = torch.cat([self._sampled(own) for own, _ in videos])
        logs = torch.cat([self._sampled(logs) for _, logs in videos])
        self.ordinary.standardise(logs)
        odd = self._odd(logs.unsqueeze(0), torch.ones_like(own, dtype=torch.bool).unsqueeze(0))
        numbers = [1.0, float(own.mean()), deviation(own), float(odd.mean()), deviation(odd)]
        self.values.copy_(torch.tensor(numbers, dtype=torch.float64))

    def _sampled(self, values: Tensor) -> Tensor:
        """(1, T * cells, ...) -> at most about MAX_CELLS of them: all cells of snippets that are evenly spaced."""
        assert self.ordinary.grid is not None
        cells = self.ordinary.grid[0] * self.ordinary.grid[1]
        return values[0].unflatten(0, (-1, cells))[:: -(-values.shape[1] // MAX_CELLS)].flatten(0, 1)
