"""Classes of training videos, for terms that tell more apart than normal and abnormal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from pretrain.data.catalogue import Video

NORMAL, UNNAMED = "normal", "unnamed"
"""The class of every normal video, and of abnormal ones whose class the catalogue does not say."""


def classes_of(video: Video) -> list[str]:
    """Its classes: of an abnormal video those that the catalogue names, joined with `+` where they are several."""
    if not video.label:
        return [NORMAL]
    return sorted(set(filter(None, (video.class_name or "").split("+")))) or [UNNAMED]


def class_names(videos: Iterable[Video]) -> tuple[str, ...]:
    """Every class there is, the normal one first. Videos of which none is named are of two: normal and unnamed."""
    found = {name for video in videos for name in classes_of(video)} - {NORMAL}
    return (NORMAL, *sorted(found))


def class_targets(videos: Sequence[Video], names: Sequence[str]) -> Tensor:
    """float32 (videos, classes): 1 where a video is of the class."""
    place = {name: number for number, name in enumerate(names)}
    targets = torch.zeros(len(videos), len(names))
    for row, video in enumerate(videos):
        targets[row, [place[name] for name in classes_of(video)]] = 1
    return targets


def describe_classes(names: Sequence[str]) -> str:
    """What is told apart, in words."""
    named = [name for name in names if name not in (NORMAL, UNNAMED)]
    if not named:
        return "the catalogue names no class of anomaly: normal and abnormal videos are aligned with one embedding each"
    rest = ", and one of abnormal videos without a class" if UNNAMED in names else ""
    return f"embeddings of {len(named)} named classes of anomaly and of the normal one{rest}"
