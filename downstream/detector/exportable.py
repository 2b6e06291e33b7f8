"""Detectors as plain graphs of a whole video, for programs without our code: what ONNX can say, and says exactly.

A detector's own code works part by part, with masks, in single precision where logarithms keep what is near 0 and 1.
Exporters turn `log1p` and `expm1` into what loses that, know no convolution in double precision and no loop over an
open number of snippets. These modules compute the same numbers another way; whoever exports compares them (1e-4).
"""

from __future__ import annotations

import copy
import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from downstream.detector.composition import MOTION_SHARE, OWN_SHARE, Composition
from downstream.detector.cross_batch_clustering import ClusterBranch, Guidance, squared_distances
from downstream.detector.global_local import GlobalLocal, GlobalLocalLayer
from downstream.detector.heads import HeadOutput
from downstream.detector.model import Detector
from downstream.detector.normal_detector import NEIGHBOURS, NormalDetector
from downstream.detector.snippet_detector import SnippetDetector
from downstream.detector.temporal import Smoothing
from pretrain.errors import UserError

_SMALL = 1e-4
"""Below this a series of three terms is exact to 13 digits."""


def exportable(detector: SnippetDetector) -> nn.Module:
    """A copy: features of a whole video (crops, T, D), float32 -> log odds float64 (crops, T).

    UserError for detectors that have no such graph: of cells, and those that compare a video with itself by medians.
    """
    if detector.grid is not None:
        raise UserError(
            f"this detector scores {detector.grid[0]}x{detector.grid[1]} cells of the picture, and only detectors of "
            "whole pictures are exported to ONNX: use the package as it is (detect), or train one without --grid"
        )
    if isinstance(detector, Detector):
        return _Trained(detector)
    if isinstance(detector, NormalDetector):
        return _LabelFree(detector)
    raise UserError(f"a {type(detector).__name__} is not exported to ONNX; use the package as it is (detect)")


class _Trained(nn.Module):
    """Of a detector that was trained on labels."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.net = copy.deepcopy(detector).eval()
        self.smoothing = _ShiftedMean(detector.smoothing)
        self.composition = None
        if isinstance(detector.composition, Composition) and detector.composition.is_fitted:
            self.composition = _Composition(detector.composition)
        self.guidance: Guidance = detector.guidance or "none"
        self.branch = None if detector.branch is None else _Branch(detector.branch)
        # what is computed here is not computed there
        self.net.branch, self.net.composition = None, None
        if isinstance(self.net.temporal, GlobalLocal):
            layers = [layer for layer in self.net.temporal.layers if isinstance(layer, GlobalLocalLayer)]
            self.net.temporal.layers = nn.ModuleList(map(_WholeLayer, layers))

    def forward(self, features: Tensor) -> Tensor:
        """(crops, T, D) -> (crops, T)."""
        logits: list[Tensor | HeadOutput] = []
        # the head's own numbers: of their sigmoid's logarithm nothing would be left where the detector is sure
        handle = self.net.head.register_forward_hook(lambda _head, _given, found: logits.append(found))
        try:
            inside = self.net.per_snippet(features, torch.ones_like(features[..., 0], dtype=torch.bool)).features
        finally:
            handle.remove()
        said = logits[-1]
        own = (said.log_odds if isinstance(said, HeadOutput) else said.squeeze(2)).double()
        if self.branch is not None and self.guidance != "none":
            own = _guided(own, self.branch(inside), self.guidance)
        own = self.smoothing(own)
        return own if self.composition is None else self.composition(own, features)


class _Branch(nn.Module):
    """The log odds (crops, T) of the abnormal cluster."""

    def __init__(self, branch: ClusterBranch) -> None:
        super().__init__()
        self.branch = copy.deepcopy(branch)
        self.known = bool((branch.num_updates > 0).all())

    def forward(self, inside: Tensor) -> Tensor:
        to_normal, to_abnormal = squared_distances(self.branch.embed(inside), self.branch.centres)
        nearer = (to_normal - to_abnormal).double() / self.branch.temperature
        return nearer if self.known else torch.zeros_like(nearer)


class _Composition(nn.Module):
    """As `Composition`, of a whole video."""

    directions: Tensor

    def __init__(self, composition: Composition) -> None:
        super().__init__()
        _, self.weight, self.video_mean, self.video_scale, self.own_mean, self.own_scale, self.change_spread = (
            composition.values.tolist()
        )
        self.motion = list(composition.motion)
        self.motion_spread = float(composition.motion_spread) if self.motion else 1.0
        self.register_buffer("directions", composition.directions.clone())
        self.smoothing = _ShiftedMean(composition.smoothing)

    def forward(self, own: Tensor, features: Tensor) -> Tensor:
        """Smoothed log odds (crops, T), features (crops, T, D) -> composed log odds (crops, T)."""
        video = self.weight * (_top_mean(own) - self.video_mean) / self.video_scale
        change = (self.smoothing(_step_lengths(features @ self.directions)) + 1e-6).log()
        composed = video + (own - self.own_mean) / self.own_scale + _within(change, self.change_spread)
        if self.motion:
            motion = self.smoothing(features[..., self.motion].double().mean(dim=2))
            composed = composed + MOTION_SHARE * _within(motion, self.motion_spread)
        return composed


class _LabelFree(nn.Module):
    """Of a detector that was fitted to footage."""

    members: Tensor

    def __init__(self, detector: NormalDetector) -> None:
        super().__init__()
        if detector.compares:
            raise UserError(
                "this label-free detector compares a video with itself (relative_to video, keeps_learning, or the part "
                "deviation), which takes medians over it and has no ONNX graph here: use the package as it is "
                "(detect), or fit one relative to footage"
            )
        self.net = copy.deepcopy(detector).eval()
        self.smoothing = _ShiftedMean(detector.smoothing)
        self.register_buffer("members", detector.members.double())

    def forward(self, features: Tensor) -> Tensor:
        """(crops, T, D) -> (crops, T)."""
        white = self.net.whitened(features)
        parts = {
            "change": lambda: _step_lengths(white),
            "nearest": lambda: self._nearest(white.double()),
            "gaussian": lambda: white.double().square().sum(dim=2).sqrt(),
            "motion": lambda: self.net.moved(features),
        }
        logs = [(self.smoothing(parts[part]()) + 1e-6).log() for part in self.net.parts]
        return self.net.odds_of(torch.stack(logs, dim=2), torch.ones_like(features[..., 0], dtype=torch.bool))

    def _nearest(self, white: Tensor) -> Tensor:
        """As `nearest_distance`; squares in double precision, so that their differences keep their digits."""
        squares = white.square().sum(dim=2, keepdim=True) + self.members.square().sum(dim=1)
        distances = (squares - 2 * white @ self.members.T).clamp(min=0).sqrt()
        count = min(NEIGHBOURS, len(self.members))
        return distances.topk(count, dim=2, largest=False).values.mean(dim=2)


class _ShiftedMean(nn.Module):
    """As `Smoothing`, by sums of shifted copies: nobody convolves in double precision."""

    def __init__(self, smoothing: Smoothing) -> None:
        super().__init__()
        self.reach = smoothing.reach
        self.shares = smoothing.weights.flatten().tolist()

    def forward(self, values: Tensor) -> Tensor:
        """(crops, T) -> (crops, T)."""
        if not self.reach:
            return values
        summed, share = self._sum(values), self._sum(torch.ones_like(values))
        return summed / share.clamp(min=1e-6)

    def _sum(self, values: Tensor) -> Tensor:
        padded = F.pad(values, (self.reach, self.reach))
        last = padded.shape[1] - 2 * self.reach
        total = torch.zeros_like(values)
        for place, share in enumerate(self.shares):
            total = total + share * padded[:, place : place + last]
        return total


class _WholeLayer(nn.Module):
    """As `GlobalLocalLayer`, all of a video at once: memory grows with the square of its length."""

    def __init__(self, layer: GlobalLocalLayer) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, inside: Tensor, mask: Tensor) -> Tensor:
        """(crops, T, D) -> the same."""
        layer = self.layer
        normed = layer.norm(inside)
        queries, keys, values = rearrange(layer.content(normed), "b t (n h d) -> n b h t d", n=3, h=layer.heads)
        whole = rearrange(F.scaled_dot_product_attention(queries, keys, values), "b h t d -> b t (h d)")
        places = torch.cumsum(torch.ones_like(inside[0, :, 0]), dim=0)
        weights = torch.exp(-(places.unsqueeze(1) - places).abs() / math.e)
        near = (weights @ layer.nearby(normed)) / weights.sum(dim=1).unsqueeze(1)
        inside = inside + layer.mix(torch.cat([whole, near], dim=2))
        fed: Tensor = inside + layer.feed_forward(inside)
        return fed


def _step_lengths(white: Tensor) -> Tensor:
    """As `step_lengths`, of a whole video (crops, T, K) -> float64 (crops, T)."""
    lengths = (white[:, 1:] - white[:, :-1]).double().square().sum(dim=2).sqrt()
    there = torch.ones_like(lengths)
    summed, count = (F.pad(each, (1, 0)) + F.pad(each, (0, 1)) for each in (lengths, there))
    return summed / count.clamp(min=1)


def _top_mean(own: Tensor) -> Tensor:
    """As `top_mean`: (crops, T) -> (crops, 1)."""
    ordered = torch.sort(own, dim=1, descending=True).values
    places = torch.cumsum(torch.ones_like(own), dim=1)
    chosen = (places <= torch.floor(places[:, -1:] / 16) + 1).to(own.dtype)
    return (ordered * chosen).sum(dim=1, keepdim=True) / chosen.sum(dim=1, keepdim=True)


def _within(values: Tensor, spread: float) -> Tensor:
    """(crops, T) compared with the rest of the video, as in `Composition`."""
    centred = values - values.mean(dim=1, keepdim=True)
    variance = centred.square().mean(dim=1, keepdim=True)
    return centred / (OWN_SHARE * variance + (1 - OWN_SHARE) * spread**2).sqrt()


def _guided(own: Tensor, nearer: Tensor, mode: Guidance) -> Tensor:
    """Log odds of what `guide` makes of scores and memberships, both given as log odds."""
    score, member = _log_sigmoid(own), _log_sigmoid(nearer)
    if mode == "product":
        guided = score + member
    else:
        higher = torch.maximum(score, member)
        guided = higher + _log1p((torch.minimum(score, member) - higher).exp()) - math.log(2)
    return guided - _log_one_less_exp(guided.clamp(max=-1e-30))


def _log_sigmoid(x: Tensor) -> Tensor:
    return x.clamp(max=0) - _log1p((-x.abs()).exp())


def _log1p(x: Tensor) -> Tensor:
    """Of x >= 0, exact also where 1 + x is 1."""
    series = x * (1 - x * (0.5 - x / 3))
    return torch.where(x < _SMALL, series, (1 + x).log())


def _log_one_less_exp(x: Tensor) -> Tensor:
    """log(1 - exp(x)) of x < 0, exact also where exp(x) is 1."""
    series = -x * (1 + x * (0.5 + x / 6))
    return torch.where(x > -_SMALL, series, (1 - x.exp()).clamp(min=1e-300)).log()
