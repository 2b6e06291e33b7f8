"""What our own ground truth formats demand of frame counts, rates and spans: one rule for JSON and CSV."""

from __future__ import annotations

import math
from typing import Any


def length_problems(num_frames: Any, fps: Any) -> list[str]:
    """What is wrong with a frame count (whole, above 0, or None) and a frame rate (above 0, or None)."""
    if num_frames is not None and not (type(num_frames) is int and num_frames > 0):
        return [f"num_frames {num_frames!r} is not a whole number above 0"]
    if fps is not None and not (is_number(fps) and fps > 0):
        return [f"fps {fps!r} is not a number above 0"]
    return []


def span_problems(spans: Any, num_frames: int | None, label: int | None) -> list[str]:
    """What is wrong with a list of `[start, end)` in a video of so many frames (None: unknown) and that label."""
    if not isinstance(spans, list):
        return ["'spans' is not a list"]
    last = math.inf if num_frames is None else num_frames
    wrong = []
    for span in spans:
        if not (isinstance(span, list) and len(span) == 2 and all(type(value) is int for value in span)):
            wrong.append(f"span {span!r} is not [start, end) in whole frames")
        elif not 0 <= span[0] < span[1] <= last:
            wrong.append(f"span {span} is not within 0 <= start < end <= {last} frames")
    if label == 0 and spans:
        wrong.append("label 0 (normal), yet it has anomalous spans")
    return wrong


def is_number(value: Any) -> bool:
    """A finite int or float; a bool is none."""
    return type(value) in (int, float) and math.isfinite(value)
