"""What makes a score of what the encoder says of a snippet.

mlp          hidden numbers, ReLU, dropout, the score                 (Sultani 2018: 512 -> 32 -> 1)
deep         4 x hidden, hidden, the score, ReLU and dropout between  (RTFM, 2021: 512 -> 128 -> 1)
linear       the score                                                (MGFN, 2023)
residual     x + a perceptron of x, then the score                    (VadCLIP, 2024)
batch_norm   numbers, batch norm, ReLU, half as many, batch norm, ReLU, the score (BN-WVAD, 2023)
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from downstream.detector.config import HeadName
from downstream.detector.masked_batch_norm import MaskedBatchNorm
from downstream.detector.window_graph import perceptron


class Residual(nn.Module):
    """`x + perceptron(x)`, then the score."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inside, self.score = perceptron(width), nn.Linear(width, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, T, D) -> log odds (B, T, 1)."""
        odds: Tensor = self.score(features + self.inside(features))
        return odds


class HeadOutput(NamedTuple):
    """What a batch-normalised head says."""

    log_odds: Tensor
    """(B, T)."""
    before_norms: Tensor
    """(B, T, H): what its batch norms were given, side by side."""


class BatchNormHead(nn.Module):
    """A classifier whose batch norms also say how far a snippet lies from what is usual.

    [paper] BatchNorm-based Weakly Supervised Video Anomaly Detection (Zhou et al., 2023): layers of a sixteenth and a
    32nd of the width, each before a batch norm. Divergence of a feature from the mean (DFM): the Mahalanobis distance
    of what a batch norm is given from its running mean, by its running variance. When videos are scored, the
    classifier's score times the sum of the distances. [ours] The log odds of a score are the logarithm of that product,
    which keeps its order and lies in (0, 1) as scores do here. In training the score is the classifier's own.
    """

    def __init__(self, width: int, hidden: int) -> None:
        """`hidden` numbers in the first layer, half as many in the second."""
        super().__init__()
        widths = (hidden, max(1, hidden // 2))
        self.layers = nn.ModuleList([nn.Linear(width, widths[0]), nn.Linear(widths[0], widths[1])])
        self.first_norm, self.second_norm = (MaskedBatchNorm(own) for own in widths)
        self.score = nn.Linear(widths[1], 1)
        self.amends = True
        """Whether scores of videos are the classifier's times the distances; a teacher's are what students learn."""

    @property
    def norms(self) -> tuple[MaskedBatchNorm, MaskedBatchNorm]:
        """One after each layer."""
        return self.first_norm, self.second_norm

    def forward(self, features: Tensor, mask: Tensor) -> HeadOutput:
        """(B, T, D), mask bool (B, T) -> scores and what they are made of."""
        before, inside = [], features
        for layer, norm in zip(self.layers, self.norms, strict=True):
            before.append(layer(inside).to(torch.promote_types(features.dtype, torch.float32)))
            inside = F.relu(norm(before[-1], mask)).to(features.dtype)
        odds = self.score(inside).squeeze(2)
        if self.amends and not self.training:
            far = torch.stack(self.distances(torch.cat(before, dim=2))).sum(dim=0)
            odds = F.logsigmoid(odds) + far.clamp(min=1e-12).log()
        return HeadOutput(odds, torch.cat(before, dim=2))

    def split(self, before_norms: Tensor) -> list[Tensor]:
        """(..., H) -> what each batch norm was given."""
        return list(before_norms.split([len(norm.running_mean) for norm in self.norms], dim=-1))

    def distances(self, before_norms: Tensor) -> list[Tensor]:
        """(..., H) -> the distance (...) of each layer."""
        return [norm.distance(values) for norm, values in zip(self.norms, self.split(before_norms), strict=True)]


def scoring_head(name: HeadName, width: int, hidden: int, dropout: float) -> nn.Module:
    """The head of that name, from (B, T, width) to log odds (B, T, 1); `batch_norm` wants the mask and gives more."""
    if name == "batch_norm":
        return BatchNormHead(width, hidden)
    if name == "residual":
        return Residual(width)
    if name == "linear":
        return nn.Linear(width, 1)
    # made from the input to the score: another order would give other weights of the same seed
    if name == "mlp":
        return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, 1))
    first = (nn.Linear(width, 4 * hidden), nn.ReLU(), nn.Dropout(dropout))
    second = (nn.Linear(4 * hidden, hidden), nn.ReLU(), nn.Dropout(dropout))
    return nn.Sequential(*first, *second, nn.Linear(hidden, 1))
