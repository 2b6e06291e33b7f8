"""How sure an accuracy is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

Z95 = 1.959963984540054


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """An accuracy on validation videos with its 95 % interval and its chance level."""

    accuracy: float
    ci_low: float
    ci_high: float
    chance: float
    clips: int
    videos: int

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return asdict(self)


def clustered_accuracy(right: Sequence[int], clips: Sequence[int], chance: float) -> Accuracy:
    """Accuracy over clips with a Wilson interval (1927) that allows for clips of one video being alike.

    `right[i]` of the `clips[i]` clips of video i were judged right. The number of clips is divided by the design
    effect: the variance of the accuracy as videos show it (ratio estimator) over that of independent clips, at least 1.
    Unlike a bootstrap over videos the interval does not shrink to nothing at an accuracy of 1.
    Raises ValueError without clips.
    """
    hits, sizes = np.asarray(right, np.float64), np.asarray(clips, np.float64)
    hits, sizes = hits[sizes > 0], sizes[sizes > 0]
    total, videos = sizes.sum(), len(sizes)
    if videos == 0:
        raise ValueError("an accuracy needs at least one clip")
    rate = hits.sum() / total
    effective = total
    independent = rate * (1 - rate) / total
    if videos > 1 and independent > 0:
        observed = videos / (videos - 1) * ((hits - rate * sizes) ** 2).sum() / total**2
        effective = total / max(1.0, observed / independent)
    elif videos == 1:
        effective = 1.0  # one video says nothing about videos
    centre = (rate + Z95**2 / (2 * effective)) / (1 + Z95**2 / effective)
    half = Z95 / (1 + Z95**2 / effective) * math.sqrt(rate * (1 - rate) / effective + Z95**2 / (4 * effective**2))
    return Accuracy(
        accuracy=float(rate),
        ci_low=float(max(0.0, centre - half)),
        ci_high=float(min(1.0, centre + half)),
        chance=chance,
        clips=int(total),
        videos=videos,
    )


def as_dicts(accuracies: dict[str, Accuracy]) -> dict[str, dict[str, float]]:
    """Accuracies by name, for JSON."""
    return {name: entry.as_dict() for name, entry in accuracies.items()}
