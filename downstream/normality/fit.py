"""From features of footage that is mostly normal to a label-free detector (see `detector.normal_detector`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from downstream.detector.inference import as_bags, video_evidence
from downstream.detector.normal_config import NEIGHBOURS, NormalConfig
from downstream.detector.normal_detector import NormalDetector, Usual, coreset
from downstream.features.feature_spec import Grid
from downstream.features.fusion import FusedFeatures
from pretrain.errors import UserError

T = TypeVar("T")
MAX_VECTORS = 20_000
"""Features that the covariance and the coreset are made of: of each video as many, evenly spaced."""
HALVINGS = 60
"""More than double precision tells apart."""
GOLDEN = (5**0.5 - 1) / 2
"""Its multiples, less whole numbers, lie evenly in 0 to 1 however many there are."""
USUAL_VIDEOS = 200
"""Held-out videos, evenly spaced in the list, that say what is usual."""
ALARM_SHARE = 0.01
"""Of normal snippets that score above one half."""
CAMERA_VIDEOS = 64
"""Of one camera, evenly spaced in the list, that say what is usual there."""
CAMERA_PRIOR = 30
"""Snippets of its own after which a camera is believed as much as all footage together. Chosen on rendered videos (seed
31, 36 cameras of about 84 normal snippets; 0 to 100 differ little)."""
PLACE_PRIOR = 1000
"""The same for a place against its camera: a score is the highest of many places, and a place that is thought calmer
than it is alarms. Chosen on UCSD Ped2 (641 snippets); on rendered cells 300 to 3000 make no difference."""


def fit_normal(
    config: NormalConfig,
    features: FusedFeatures,
    names: Sequence[str],
    held_out: Sequence[str],
    device: torch.device,
    generator: torch.Generator,
    cameras: Mapping[str, str] | None = None,
) -> NormalDetector:
    """Whitening and coreset from the videos `names`, what is usual from `held_out`, which are none of them.

    `cameras`: of these videos, where it is known: what is usual of each with two videos or more is learnt as well.
    UserError: features that are not finite, or too few of them.
    """
    vectors, owners = sample_vectors(features, names)
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
        kept = distance <= distance.quantile(1 - config.trim)
        vectors, owners = vectors[kept], owners[kept]
        whiten(detector, vectors)
    white = detector.whitened(vectors)
    if members:
        chosen = coreset(white, members, generator)
        detector.members, owners = white[chosen], owners[chosen]
    detector.to(device)
    logs = [detector_logs(detector, features, name, device) for name in evenly(held_out, USUAL_VIDEOS)]
    detector.standardise(torch.cat([own.flatten(0, 1) for own in logs]))
    detector.offset = offset_of([detector.odds_of(own, whole_mask(own)) for own in logs], detector.grid)
    if cameras and config.cameras and config.relative_to == "footage":
        learn_cameras(detector, features, [*names, *held_out], cameras, owners.to(device), device)
    return detector.eval()


def learn_cameras(
    detector: NormalDetector,
    features: FusedFeatures,
    names: Sequence[str],
    cameras: Mapping[str, str],
    owners: Tensor,
    device: torch.device,
) -> None:
    """Set what is usual of each camera with two videos or more, of each of its places; see `NormalConfig.cameras`.

    A video that is in the coreset is compared with the rest of it, as a new video of its camera would be. `owners`, of
    each member: the number of its video in `names`.
    """
    of_camera: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        if name in cameras:
            of_camera.setdefault(cameras[name], []).append(number)
    usual: list[Usual] = []
    logs: dict[str, list[Tensor]] = {}
    for camera, own in sorted(of_camera.items()):
        if len(own) < 2:
            continue
        logs[camera] = [
            detector_logs(without_own(detector, owners == number), features, names[number], device)
            for number in evenly(own, CAMERA_VIDEOS)
        ]
        usual.append(usual_of_places(logs[camera], detector))
    if not usual:
        return
    tables = Usual(torch.stack([each.median for each in usual]), torch.stack([each.spread for each in usual]))
    detector.set_cameras(tuple(logs), tables, torch.zeros_like(detector.offset))
    known = [(detector.of_camera(camera), own) for camera, videos in logs.items() for own in videos]
    detector.camera_offset = offset_of([its.odds_of(own, whole_mask(own)) for its, own in known], detector.grid)


def without_own(detector: NormalDetector, own: Tensor) -> NormalDetector:
    """The same without these members (bool, one each) of its coreset; itself where hardly any would be left."""
    if not len(detector.members) or int((~own).sum()) < NEIGHBOURS:
        return detector
    return detector.with_numbers(members=detector.members[~own])


def usual_of_places(logs: Sequence[Tensor], detector: NormalDetector) -> Usual:
    """(places, E) of one camera's videos (B, T, E): its places drawn to the camera, the camera to all footage."""
    footage = Usual(detector.usual, detector.spread)
    places = 1 if detector.grid is None else detector.grid[0] * detector.grid[1]
    own = torch.cat([each.flatten(0, 1).unflatten(0, (-1, places)) for each in logs])
    snippets = sum(each.shape[1] for each in logs) // places  # crops of one snippet are no further snippets
    camera = Usual.of(own.flatten(0, 1)).drawn_to(footage, snippets, CAMERA_PRIOR)
    if detector.grid is None:
        return Usual(camera.median.unsqueeze(0), camera.spread.unsqueeze(0))
    return Usual.of(own).drawn_to(camera, snippets, PLACE_PRIOR)


def sample_vectors(features: FusedFeatures, names: Sequence[str]) -> tuple[Tensor, Tensor]:
    """float32 (N, D), N at most MAX_VECTORS: of each video as many (of more videos than that, of some of them).

    Beside it int64 (N,): each one's video, by its number in `names`.
    """
    each = max(1, MAX_VECTORS // len(names))
    chosen, owners = [], []
    for number in evenly(range(len(names)), MAX_VECTORS):
        name, places = names[number], features.crops_or_cells
        instances = spread_out(features.videos[name].snippets, places, each, number)
        rows, row = np.unique(instances // places, return_inverse=True)
        vectors = torch.from_numpy(np.array(features.read(name, rows)))[row, instances % places]
        if not bool(torch.isfinite(vectors).all()):
            raise UserError(f"'{name}': features that are not finite numbers; scripts/doctor.py says where")
        chosen.append(vectors)
        owners += [number] * len(vectors)
    return torch.cat(chosen), torch.tensor(owners)


def spread_out(snippets: int, places: int, count: int, number: int) -> NDArray[np.int64]:
    """Ascending int64: at most `count` of the instances of one video (snippets by crops or cells, places first).

    Evenly spaced in time, and each of the next place: all of them in turn. Times and places begin elsewhere in each
    video `number`, so that no place goes with the beginning of videos or their end.
    """
    instances = snippets * places
    if instances <= count:
        return np.arange(instances, dtype=np.int64)
    turns = np.arange(count, dtype=np.int64)
    times = ((turns + number * GOLDEN % 1) * snippets / count).astype(np.int64)
    return np.sort(np.minimum(times, snippets - 1) * places + (turns + number * count) % places)


def whiten(detector: NormalDetector, vectors: Tensor) -> None:
    """Set the detector's mean and directions to those of the vectors."""
    values = vectors.double()
    detector.whiten(values.mean(dim=0), torch.cov(values.T, correction=0))


def detector_logs(detector: NormalDetector, features: FusedFeatures, name: str, device: torch.device) -> Tensor:
    """(B, T, E) logarithms of one video's parts, as they are standardised."""
    bags = as_bags(detector, video_evidence(detector, features, name, device).to(device))
    return detector.log_parts(bags, whole_mask(bags))


def offset_of(odds: Sequence[Tensor], grid: Grid | None) -> Tensor:
    """What a share of `ALARM_SHARE` of these normal videos' snippets (of cells, their highest) is above: of log odds
    (B, T) of each video."""
    highest = [even_odds(each) if grid is None else each[0].view(-1, grid[0] * grid[1]).amax(dim=1) for each in odds]
    return torch.cat(highest).quantile(1 - ALARM_SHARE)


def even_odds(odds: Tensor) -> Tensor:
    """Log odds (crops, T) -> (T,): taken from all crops, it makes their mean score one half, as scores are averaged."""
    low, high = odds.amin(dim=0), odds.amax(dim=0)
    for _ in range(HALVINGS if len(odds) > 1 else 0):
        middle = (low + high) / 2
        above = (odds - middle).sigmoid().mean(dim=0) > 0.5
        low, high = torch.where(above, middle, low), torch.where(above, high, middle)
    return high


def whole_mask(bags: Tensor) -> Tensor:
    """bool (B, T): nothing of (B, T, E) is padding."""
    return torch.ones(bags.shape[:2], dtype=torch.bool, device=bags.device)


def evenly(values: Sequence[T], count: int) -> list[T]:
    """At most so many, evenly spaced in the list."""
    return [values[i] for i in np.unique(np.linspace(0, len(values) - 1, min(len(values), count)).astype(int))]
