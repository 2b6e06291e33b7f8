"""What the doctor finds: one sentence about one video, list or set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

KINDS = (
    "train and test overlap",
    "one class only",
    "no label",
    "no spans",
    "label",
    "no features",
    "no snippet",
    "not finite",
    "no place",
    "length",
    "anomaly beyond the end",
    "sets do not match",
    "same features twice",
    "constant features",
    "identical crops",
    "not in the list",
    "few snippets",
)
"""Most serious first."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One disagreement; `video` is None where it is about a whole list or set."""

    severity: Literal["wrong", "note"]
    kind: str
    """One of `KINDS`."""
    video: str | None
    text: str
    """A sentence that begins with the quoted video or what else it is about."""
