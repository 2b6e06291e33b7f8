"""What every dataset with boxes is asked: corners in order, inside the picture, in an anomalous frame."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

UCF_CRIME_SIZE = (320, 240)
"""Width and height of UCF-Crime's videos in pixels."""
SLACK_PIXELS = 2.0
"""A published box may stick out of the picture by so much, and is cut: tools and rounding do that. More is an error."""

Corners = tuple[float, float, float, float]


def fit_corners(corners: Corners, size: tuple[int, int] | None, slack: float = SLACK_PIXELS) -> Corners | str:
    """x1, y1, x2, y2 (pixels, x2 and y2 exclusive), cut to a picture of `size`, or what is wrong with them.

    `size` is width and height, None where they are unknown: then only the left and upper borders count.
    """
    x1, y1, x2, y2 = corners
    width, height = size or (float("inf"), float("inf"))
    if not (x1 < x2 and y1 < y2):
        return "is reversed or empty; it needs x1 < x2 and y1 < y2"
    inside = max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)
    too_far = max(-x1, -y1, x2 - width, y2 - height) > slack
    if too_far or inside[0] >= inside[2] or inside[1] >= inside[3]:
        limit = f"0 <= x <= {width}, 0 <= y <= {height}" if size else "0 <= x, 0 <= y"
        return f"is not within the picture ({limit}" + (f"; up to {slack:g} pixels more are cut)" if slack else ")")
    return inside


def in_spans(frame: int, spans: Sequence[tuple[int, int]]) -> bool:
    """Whether the frame lies in one of these half-open spans, which are sorted and disjoint."""
    index = bisect_right(spans, frame, key=lambda span: span[0])
    return index > 0 and frame < spans[index - 1][1]
