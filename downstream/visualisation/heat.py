"""Scores of cells over a frame: as contours, which leave the footage as it is, or as colour that glows.

Contours are lines round what is hot, at two heats. Of the colours low scores are transparent, so that a calm frame is
shown as it is; high ones go from violet over red to yellow, in the middle part of matplotlib's `inferno`. Its ends are
left out: black vanishes on dark footage, pale yellow on bright.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from downstream.scores.video_scores import VideoScores
from downstream.visualisation.score_axis import axis_odds
from pretrain.errors import UserError

Bytes = NDArray[np.uint8]

DARKEST, BRIGHTEST = 0.22, 0.88
"""The part of `inferno` that is used."""
FAINT = 0.15
"""Heat up to which nothing is drawn."""
OPAQUE = 0.72
"""Opacity of the hottest."""
CONTOURS = (0.6, 0.85)
"""Heats that a line is drawn at."""
CONTOUR_COLOURS = ("#ff7a5c", "#ffd84a")
"""Of these lines: the order of the glowing colours, brighter, so that thin lines are seen on any footage."""
TINT = 0.07
"""Opacity of the colour inside of a contour, once for each that is round a place: which side is hot."""
HeatStyle = Literal["contours", "colours", "none"]
"""`none`: the footage alone, its border dimmed like that of the others."""
UNSEEN = 0.5
"""Brightness of the border that the network never looked at."""


class HeatRange(NamedTuple):
    """The scores that are shown as heat 0 and as heat 1."""

    low: float
    high: float


def heat_range(videos: Sequence[VideoScores], threshold: float) -> HeatRange:
    """From the median of all cells of these videos to the highest of them, or to the threshold where that is higher.

    So a video in which nothing reaches the threshold does not glow. UserError where a video has no score map.
    """
    cells = [video.map.scores.ravel() for video in videos if video.map is not None]
    if len(cells) < len(videos) or not videos:
        missing = [video.name for video in videos if video.map is None]
        raise UserError(f"no score map of {missing or 'any video'}; heat needs a detector that scores cells")
    every = np.concatenate(cells)
    return HeatRange(min(float(np.median(every)), threshold), max(float(every.max()), threshold))


def to_heat(scores: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    """Scores of any shape -> float32 in [0, 1]; all 0 where `low` and `high` are the same.

    Between scores within [0, 1] even steps of log odds are even steps of heat: of a sure detector all cells would glow.
    """
    if high <= low:
        return np.zeros(scores.shape, np.float32)
    held = np.clip(scores.astype(np.float64), low, high)
    if low >= 0 and high <= 1:
        is_hot = (scores.astype(np.float64) >= high).astype(np.float32)
        low, high = (float(axis_odds(np.float64(end))) for end in (low, high))
        held = np.clip(axis_odds(held), low, high)
        if high <= low:  # both nearer to 0 or 1 than is told apart
            return is_hot
    return ((held - low) / (high - low)).astype(np.float32)


def blend_heat(picture: Image.Image, heat: NDArray[np.float32], seen: tuple[float, float, float, float]) -> Image.Image:
    """The RGB picture with heat (rows, columns) over `seen` (x1, y1, x2, y2 in its pixels), the rest dimmed.

    Cells are stretched bilinearly between their centres.
    """
    left, top, right, bottom = (round(side) for side in seen)
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    cells = heat.astype(np.float32)
    colour, mask = _glow(cells.tobytes(), cells.shape, (right - left, bottom - top))
    blended = picture.point(lambda value: value * UNSEEN)
    inside = picture.crop((left, top, right, bottom))
    inside.paste(colour, mask=mask)
    blended.paste(inside, (left, top))
    return blended


def draw_contours(
    picture: Image.Image, heat: NDArray[np.float32], seen: tuple[float, float, float, float], line: int
) -> Image.Image:
    """The RGB picture with lines, `line` pixels wide, round what is at least as hot as each of `CONTOURS`; else as
    `blend_heat`. A line has a dark side, so that it stands out from bright footage; its hot side is tinted a little."""
    left, top, right, bottom = (round(side) for side in seen)
    right, bottom = max(right, left + 1), max(bottom, top + 1)
    cells = heat.astype(np.float32)
    drawn = picture.point(lambda value: value * UNSEEN)
    inside = picture.crop((left, top, right, bottom))
    for colour, (mask, around, tint) in zip(
        CONTOUR_COLOURS, _outlines(cells.tobytes(), cells.shape, inside.size, line), strict=True
    ):
        inside.paste(colour, mask=tint)
        inside.paste("#101418", mask=around)
        inside.paste(colour, mask=mask)
    drawn.paste(inside, (left, top))
    return drawn


@lru_cache(maxsize=4)  # as for `_glow`
def _outlines(
    cells: bytes, shape: tuple[int, int], size: tuple[int, int], line: int
) -> list[tuple[Image.Image, Image.Image, Image.Image]]:
    """Of each contour the masks of its line, of a pixel more on its inside, and of what it is round."""
    heat = np.frombuffer(cells, np.float32).reshape(shape)
    fine = np.asarray(Image.fromarray(heat).resize(size, Image.Resampling.BICUBIC))
    found = []
    for level in CONTOURS:
        hot = Image.fromarray(np.where(fine >= level, 255, 0).astype(np.uint8))
        thin, wide = (np.asarray(hot.filter(ImageFilter.MinFilter(2 * width + 1))) for width in (line, line + 1))
        whole = np.asarray(hot)
        tint = (whole > 0) * np.uint8(255 * TINT)
        found.append((Image.fromarray(whole - thin), Image.fromarray(whole - wide), Image.fromarray(tint)))
    return found


def contour_scores(heat: HeatRange) -> list[tuple[float, str]]:
    """The score of each contour and its colour, for legends."""
    low, high = heat
    if high <= low:
        return []
    if low < 0 or high > 1:
        return [(low + level * (high - low), colour) for level, colour in zip(CONTOURS, CONTOUR_COLOURS, strict=True)]
    ends = [float(axis_odds(np.float64(end))) for end in (low, high)]
    places = [ends[0] + level * (ends[1] - ends[0]) for level in CONTOURS]
    return [(1 / (1 + float(np.exp(-place))), colour) for place, colour in zip(places, CONTOUR_COLOURS, strict=True)]


@lru_cache(maxsize=2)  # all frames of a snippet glow alike: films take a third less time (measured)
def _glow(cells: bytes, shape: tuple[int, int], size: tuple[int, int]) -> tuple[Image.Image, Image.Image]:
    """Colours and opacity of heat, given as the bytes of float32, at `size` (width, height)."""
    heat = np.frombuffer(cells, np.float32).reshape(shape)
    fine = Image.fromarray(heat).resize(size, Image.Resampling.BILINEAR)
    levels = np.rint(np.clip(np.asarray(fine), 0, 1) * 255).astype(np.uint8)
    colours, opacity = heat_colours()
    return Image.fromarray(colours[levels]), Image.fromarray(opacity[levels])


@lru_cache(maxsize=1)
def heat_colours() -> tuple[Bytes, Bytes]:
    """Of heat 0 to 1 in 256 steps: RGB (256, 3) and opacity 0 to 255 (256,)."""
    from matplotlib import colormaps

    steps = np.linspace(0, 1, 256)
    colours = colormaps["inferno"](DARKEST + (BRIGHTEST - DARKEST) * steps)[:, :3]
    ramp = np.clip((steps - FAINT) / (1 - FAINT), 0, 1)
    # rises at once, then levels off: a cell over the threshold is seen even where another is far hotter
    return np.rint(colours * 255).astype(np.uint8), np.rint(OPAQUE * ramp**0.6 * 255).astype(np.uint8)


def heat_scale(height: int) -> Bytes:
    """uint8 (height, 256, 3): heat from 0 to 1 as it looks over grey footage, for legends."""
    colours, opacity = heat_colours()
    share = opacity[:, None] / 255
    return np.repeat(np.rint(128 * (1 - share) + colours * share).astype(np.uint8)[None], height, axis=0)
