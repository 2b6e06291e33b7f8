"""What a detector was told in training: nothing, the label of each video, or, of a ceiling alone, those of frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

Supervision = Literal["none", "videos", "frames"]
KEY = "supervision"
"""Of a detector's card, and of the meta of its scores."""
CEILING = "(ceiling: trained on frame labels)"
"""Stands behind the name of such a method wherever its figures do: it is no weakly supervised one."""


def supervision_in(saved: Mapping[str, Any]) -> Supervision | None:
    """What a card or a meta says; None where it says nothing, as those of other programs."""
    found = saved.get(KEY)
    return next((known for known in get_args(Supervision) if known == found), None)


def most_told(told: Iterable[Supervision]) -> Supervision | None:
    """What several detectors together were told: the most that any of them was. None of no detector."""
    return max(told, key=get_args(Supervision).index, default=None)
