"""Which video, and when in it: a snippet's score composed of what speaks for its video and of its place within that.

A detector trained on video labels knows which video and places badly within it; how much features change knows when and
not which (METHODS: measured on every set at hand), and so does how much the picture moves, where people fight. So the
log odds of a snippet are a sum of parts, each of about one unit, and three quarters of one for motion [ours]:

    w * (top - m) / s       the mean of the video's highest log odds, standardised over held-out videos
  + (own - m') / s'         the snippet's own log odds, standardised over the snippets of those videos
  + (change - mean) / r     the log of how much features change around it, less its mean over the video
  + .75 (motion - mean) / q the log of how much the picture moves, the same way, where the features say it

The share `w` of the video follows from what held-out videos say: with the rank AUC `A` of their highest log odds, two
normal classes that far apart lie d = sqrt(2) * Phi^-1(A) deviations apart, and their log likelihood ratio has the slope
d * sqrt(1 + d^2 / 4) over the standardised score. Near chance that is 0, and a video that is anomalous throughout keeps
its own log odds; at an AUC of .9 it is 2.5, and a normal video's liveliest moment stays below an abnormal video.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import torch
from torch import Tensor, nn

from downstream.detector.bags import bag_means, num_top, top_mask
from downstream.detector.temporal import Smoothing

SHRINKAGE = 0.1
"""Of the covariance towards its diagonal, before features are whitened."""
MAX_DIRECTIONS = 256
"""Of whitened features: those of the greatest variance, where there are more."""
CHANGE_SMOOTHING = 2.0
"""Standard deviation in snippets of the mean of changes over time."""
PRIOR_VIDEOS = 10
"""Held-out videos' AUC is drawn towards 1/2 as if so many more had been no better than chance: ten say little."""
MOTION_SHARE = 0.75
"""Of motion in the sum. A whole one finds more on real fights, and less where cameras are shaken and lights go on."""
OWN_SHARE = 0.5
"""Of a video's own variance of changes in what they are divided by; the rest is that of all held-out videos. With its
own alone, noise of a still video would be blown up."""


class Composition(nn.Module):
    """The sum above. Its numbers are buffers, fitted after training: they travel with the detector's weights."""

    directions: Tensor
    values: Tensor
    motion_spread: Tensor

    needs_whole_video = True
    """Once fitted: a snippet's score hangs on the rest of its video."""
    hides_motion = True
    """The network does not see motion: it has its own part in the score, and as an input as well it found less."""

    NAMES = ("fitted", "video_weight", "video_mean", "video_scale", "own_mean", "own_scale", "change_spread")
    """What `values` are."""

    def __init__(self, dim: int, motion: tuple[int, ...] = ()) -> None:
        """`dim`: of the features; `motion`: which of the numbers are logarithms of motion."""
        super().__init__()
        self.motion = motion
        self.smoothing = Smoothing(CHANGE_SMOOTHING)
        count = min(dim - len(motion), MAX_DIRECTIONS)
        self.register_buffer("directions", torch.eye(dim, count))
        self.register_buffer("values", torch.tensor([0.0, 0, 0, 1, 0, 1, 1], dtype=torch.float64))
        if motion:
            self.register_buffer("motion_spread", torch.ones((), dtype=torch.float64))

    @property
    def is_fitted(self) -> bool:
        """Whether `fit` has been called."""
        return bool(self.values[0] > 0)

    @property
    def video_weight(self) -> float:
        """The share `w` of the video."""
        return float(self.values[1])

    @torch.no_grad()
    def whiten(self, covariance: Tensor) -> None:
        """Set the directions that changes are measured along, from the training features' covariance (D, D)."""
        self.directions.copy_(whitening(covariance.double(), self.directions.shape[1], self.motion))

    def evidence(self, features: Tensor, mask: Tensor) -> Tensor:
        """Features (B, T, D), mask bool (B, T) -> float64 (B, T, K): `step_lengths` of them whitened, and motion."""
        with torch.autocast(features.device.type, enabled=False):
            parts = [step_lengths(features.float() @ self.directions, mask)]
        if self.motion:
            parts.append(features[..., list(self.motion)].double().mean(dim=2))
        return torch.stack(parts, dim=2)

    def smoothed(self, evidence: Tensor, mask: Tensor) -> Tensor:
        """Evidence of whole videos (B, T, K) -> the logarithms, smoothed over time (B, T, K)."""
        change = (self.smoothing(evidence[..., 0], mask) + 1e-6).log()
        return torch.stack([change, *(self.smoothing(part, mask) for part in evidence[..., 1:].unbind(2))], dim=2)

    def forward(self, own: Tensor, when: Tensor, mask: Tensor) -> Tensor:
        """Smoothed log odds (B, T), what `smoothed` gives (B, T, K), mask bool (B, T) -> composed log odds (B, T)."""
        _, weight, video_mean, video_scale, own_mean, own_scale, change_spread = self.values
        video = weight * (top_mean(own, mask) - video_mean) / video_scale
        composed = video.unsqueeze(1) + (own - own_mean) / own_scale + _within(when[..., 0], change_spread, mask)
        if self.motion:
            composed = composed + MOTION_SHARE * _within(when[..., 1], self.motion_spread, mask)
        return composed

    @torch.no_grad()
    def fit(self, videos: Sequence[tuple[Tensor, Tensor]], labels: Sequence[int]) -> None:
        """Fit to held-out videos: smoothed log odds (B, T) and what `smoothed` gives of each, and its label, 0 or 1."""
        masks = [torch.ones_like(own, dtype=torch.bool) for own, _ in videos]
        tops = torch.stack([top_mean(own, mask).mean() for (own, _), mask in zip(videos, masks, strict=True)])
        own = torch.cat([own.flatten() for own, _ in videos])
        spreads = [
            _spread([(when[..., part], mask) for (_, when), mask in zip(videos, masks, strict=True)])
            for part in range(videos[0][1].shape[2])
        ]
        numbers = [1.0, video_weight(tops.tolist(), labels), float(tops.mean()), deviation(tops)]
        numbers += [float(own.mean()), deviation(own), spreads[0]]
        self.values.copy_(torch.tensor(numbers, dtype=torch.float64))
        if self.motion:
            self.motion_spread.fill_(spreads[1])


def step_lengths(white: Tensor, mask: Tensor) -> Tensor:
    """Whitened features (B, T, K), mask bool (B, T) -> float64 (B, T): the mean distance to the snippet before and
    after; 0 where a snippet has no neighbour."""
    lengths = (white[:, 1:] - white[:, :-1]).double().norm(dim=2)
    both = (mask[:, 1:] & mask[:, :-1]).double()
    before, after = nn.functional.pad(lengths * both, (1, 0)), nn.functional.pad(lengths * both, (0, 1))
    count = nn.functional.pad(both, (1, 0)) + nn.functional.pad(both, (0, 1))
    return (before + after) / count.clamp(min=1)


def top_mean(own: Tensor, mask: Tensor) -> Tensor:
    """(B,): the mean of each bag's `count // 16 + 1` highest of (B, T)."""
    return bag_means(own, top_mask(own, mask, num_top(mask, None)))


def whitening(covariance: Tensor, count: int, without: tuple[int, ...] = ()) -> Tensor:
    """(D, D) -> float64 (D, count): directions over whose products features of that covariance have variance 1.

    Shrunk towards the diagonal; the directions of the greatest variance, where `count` is less than D. Numbers that
    are `without` take no part.
    """
    if without:
        kept = [number for number in range(len(covariance)) if number not in without]
        found = covariance.new_zeros(len(covariance), count)
        found[kept] = whitening(covariance[kept][:, kept], count)
        return found
    diagonal = torch.diag(covariance.diagonal())
    shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * diagonal
    values, vectors = torch.linalg.eigh(shrunk)
    # a number that hardly ever changes must not be blown up where it does
    floor = 1e-6 * float(shrunk.diagonal().mean().clamp(min=1e-12))
    chosen = slice(len(values) - count, None)
    # the sign of an eigenvector is nobody's: distances do not know it
    return vectors[:, chosen] / values[chosen].clamp(min=floor).sqrt()


def video_weight(tops: Sequence[float], labels: Sequence[int]) -> float:
    """The share of the video, from held-out videos' highest log odds and their labels; 0 where a class is missing."""
    abnormal = [top for top, label in zip(tops, labels, strict=True) if label]
    normal = [top for top, label in zip(tops, labels, strict=True) if not label]
    pairs = len(abnormal) * len(normal)
    if not pairs:
        return 0.0
    auc = sum((a > n) + 0.5 * (a == n) for a in abnormal for n in normal) / pairs
    count = len(tops)
    drawn = min(max((auc * count + 0.5 * PRIOR_VIDEOS) / (count + PRIOR_VIDEOS), 0.5), 0.995)
    apart = math.sqrt(2) * NormalDist().inv_cdf(drawn)
    return apart * math.sqrt(1 + apart**2 / 4)


def log_odds(log_scores: Tensor) -> Tensor:
    """The log odds of scores given as logarithms."""
    log_scores = log_scores.clamp(max=-1e-30)  # a score of exactly 1 has no finite log odds
    return log_scores - torch.log(-torch.expm1(log_scores))


def _within(values: Tensor, spread: Tensor, mask: Tensor) -> Tensor:
    """(B, T) compared with the rest of its bag: less the mean, over the video's spread and all videos' `spread`."""
    centred, variance = _centred(values, mask)
    scale = (OWN_SHARE * variance + (1 - OWN_SHARE) * spread.square()).sqrt()
    return centred / scale.unsqueeze(1)


def _spread(videos: Sequence[tuple[Tensor, Tensor]]) -> float:
    """The root of the mean variance within videos, of (B, T) and masks."""
    variances = torch.cat([_centred(values, mask)[1] for values, mask in videos])
    return max(float(variances.mean().sqrt()), 1e-3)


def _centred(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """(B, T) less each bag's mean, 0 on padding, and the variance (B,)."""
    count = mask.sum(dim=1, keepdim=True).clamp(min=1)
    centred = (values - (values * mask).sum(dim=1, keepdim=True) / count) * mask
    return centred, centred.square().sum(dim=1) / count.squeeze(1)


def deviation(values: Tensor) -> float:
    """What values are divided by to have the deviation 1; never 0."""
    return max(float(values.std(correction=0)), 1e-6)
