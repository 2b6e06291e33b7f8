"""What is exported of a model: clips to features, features to scores, clips to scores, as plain graphs.

    clips_to_features     uint8 (snippets, clips, frames, height, width, 3) -> float32 (snippets, dim)
    features_to_scores    float32 (crops, snippets, dim) of a whole video   -> scores, log odds float32 (snippets,)
    clips_to_scores       one after the other, with one crop

The number of snippets is open in all of them. Normalising the pixels, motion (the last number of a vector), what the
detector subtracts and divides by, smoothing, composition and the mean of several detectors are all inside.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn

from downstream.detection.model import DetectorGroup
from downstream.detector.exportable import exportable
from downstream.features.clip_motion import log_motion
from downstream.features.encoders import Encoder
from downstream.features.normalising import Normalise
from downstream.scores.ensemble import weights_of_runs
from downstream.scores.log_odds import EDGE


class ClipsToFeatures(nn.Module):
    """What `Encoder.features` gives, the mean over a snippet's clips."""

    mean: Tensor
    std: Tensor

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.network, self.motion = encoder.network, encoder.motion
        for name, values in (("mean", encoder.clip.mean), ("std", encoder.clip.std)):
            self.register_buffer(name, torch.tensor(values))

    def forward(self, clips: Tensor) -> Tensor:
        """uint8 (snippets, clips, frames, height, width, 3) -> float32 (snippets, dim)."""
        flat = rearrange(clips, "n c t h w k -> (n c) t h w k")
        pixels = rearrange((flat.float() / 255 - self.mean) / self.std, "n t h w k -> n k t h w")
        features = self.network(pixels).float()
        if self.motion:
            features = torch.cat([features, log_motion(flat)], dim=1)
        return features.unflatten(0, (-1, clips.shape[1])).mean(dim=1)


class FeaturesToScores(nn.Module):
    """Of one group of detectors, whose features are those of one encoder or of several side by side."""

    shares: Tensor
    """Of each detector in the mean of their log odds."""

    def __init__(self, group: DetectorGroup, widths: Sequence[int], motion: Sequence[bool]) -> None:
        """`widths` of the feature sets side by side; `motion`: whose last number is that of motion.

        UserError for detectors without a graph.
        """
        super().__init__()
        self.normalise, self.widths, self.motion = group.normalise, list(widths), list(motion)
        self.detectors = nn.ModuleList(exportable(detector) for detector in group.detectors)
        weights = torch.tensor(weights_of_runs(group.runs))
        self.register_buffer("shares", (weights / weights.sum())[:, None])

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """float32 (crops, snippets, dim) of a whole video -> scores and log odds, float32 (snippets,)."""
        sets = features.split(self.widths, dim=2)
        parts = [normalised(part, self.normalise, own) for part, own in zip(sets, self.motion, strict=True)]
        side_by_side = torch.cat(parts, dim=2)
        scores = [detector(side_by_side).sigmoid().mean(dim=0) for detector in self.detectors]
        odds = (self.shares * torch.stack([_log_odds(each) for each in scores])).sum(dim=0)
        score = scores[0] if len(scores) == 1 else odds.sigmoid()
        return score.float(), odds.float()


class ClipsToScores(nn.Module):
    """Both, of whole videos seen by one crop."""

    def __init__(self, encode: ClipsToFeatures, score: FeaturesToScores) -> None:
        super().__init__()
        self.encode, self.score = encode, score

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 (snippets, clips, frames, height, width, 3) -> scores and log odds, float32 (snippets,)."""
        scores, odds = self.score(self.encode(clips).unsqueeze(0))
        return scores, odds


def normalised(features: Tensor, how: Normalise, motion: bool) -> Tensor:
    """As `features.normalising.normalised`, of a whole video (crops, snippets, dim)."""
    if how == "none":
        return features
    if motion:
        return torch.cat([normalised(features[..., :-1], how, False), features[..., -1:]], dim=2)
    if how == "l2":
        length = features.square().sum(dim=2, keepdim=True).sqrt()
        return features * (features.shape[2] ** 0.5 / length.clamp(min=1e-6))
    if how == "place":
        return features - features.mean(dim=1, keepdim=True)
    over = 2 if how == "layer" else (0, 1)
    mean = features.double().mean(dim=over, keepdim=True)
    deviation = (features - mean).square().mean(dim=over, keepdim=True).sqrt()
    return ((features - mean) / torch.maximum(deviation, 1e-3 * mean.abs() + 1e-6)).float()


def _log_odds(scores: Tensor) -> Tensor:
    safe = scores.clamp(EDGE, 1 - EDGE)
    return safe.log() - (1 - safe).log()
