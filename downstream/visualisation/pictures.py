"""A frame with what was found on it: heat, found boxes with their scores, annotated boxes, and which is which.

Found boxes are solid and light blue, annotated ones dashed and black on white; during an event that was found, a wide
amber frame with its name goes round the picture. All are told apart by line, not by colour alone, and have a dark and a
bright part, so that they stand out from any footage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from downstream.events.alarm_level import LevelScale
from downstream.events.boxes import ScoredBox
from downstream.scores.cell_geometry import PixelBox
from downstream.scores.score_map import ScoreMap
from downstream.scores.video_scores import VideoScores
from downstream.visualisation.heat import HeatRange, HeatStyle, blend_heat, contour_scores, draw_contours
from downstream.visualisation.score_axis import plain_score
from pretrain.data.catalogue import Box
from pretrain.data.video import VideoInfo
from pretrain.errors import UserError, problem_list

FOUND = "#3fd0ff"
ANNOTATED = "#ffffff"
EVENT = "#ffb000"
DARK = "#101418"


def check_fits(
    video_path: str,
    info: VideoInfo,
    scores: VideoScores,
    boxes: Sequence[Sequence[ScoredBox]],
    threshold: float | None,
    events: Sequence[tuple[int, int]] = (),
) -> ScoreMap | None:
    """The score map, if there is one, once it is certain that all is of this video; else UserError, all at once.

    `boxes`: those of each snippet, or nothing. `events`: half-open spans of frames.
    """
    problems = []
    if scores.map is not None and scores.map.size != (info.width, info.height):
        found = "x".join(map(str, scores.map.size))
        problems.append(f"the score map is of {found} pixels, the video of {info.width}x{info.height}")
    if boxes and len(boxes) != len(scores.scores):
        problems.append(
            f"boxes of {len(boxes)} snippets, scores of {len(scores.scores)}; give a list for every snippet"
        )
    if scores.edges[-2] >= info.num_frames:
        problems.append(
            f"the last snippet begins at frame {scores.edges[-2]}, the video has {info.num_frames}: "
            "these are another video's scores"
        )
    if wrong := [event for event in events if not 0 <= event[0] < min(event[1], info.num_frames)]:
        problems.append(f"no events of {info.num_frames} frames: {wrong}; give frames [start, end) of this video")
    if threshold is not None and not np.isfinite(threshold):
        problems.append(f"the threshold is {threshold}; it must be a finite number")
    if problems:
        raise UserError(f"cannot draw '{scores.name}' over {video_path}:\n{problem_list(problems)}")
    return scores.map


def as_read(box: Box, info: VideoInfo) -> PixelBox:
    """An annotated box, in the pixels of its own frame, in those of the video's first, at whose size all are read."""
    width, height = info.size_at(box.frame)
    across, down = info.width / width, info.height / height
    return PixelBox(box.x1 * across, box.y1 * down, box.x2 * across, box.y2 * down)


def snippet_of(scores: VideoScores, frame: int) -> int:
    """The snippet that stands for a frame; past the last scored frame, the last one."""
    return int(min(np.searchsorted(scores.edges, frame, side="right") - 1, len(scores.scores) - 1))


def draw_frame(
    frame: NDArray[np.uint8],
    heat: NDArray[np.float32] | None,
    seen: tuple[float, float, float, float] | None,
    found: Sequence[ScoredBox],
    truth: Sequence[PixelBox],
    size: tuple[int, int],
    in_event: bool = False,
    style: HeatStyle = "contours",
    label: Callable[[float], str] = plain_score,
) -> Image.Image:
    """An RGB picture of the size of `frame`, uint8 (height, width, 3), which may be a scaled one.

    `size` is the video's own width and height: `seen` and all boxes are in its pixels. `heat` (rows, columns) lies
    within [0, 1] (see `to_heat`); without it there is neither colour nor a dimmed border. `in_event`: it is part of an
    event that was found. `label`: what stands at a found box, of its score.
    """
    picture = Image.fromarray(frame)
    scale = (picture.width / size[0], picture.height / size[1])
    if heat is not None:
        inside = _scaled(seen or (0, 0, *size), scale)
        if style == "contours":
            picture = draw_contours(picture, heat, inside, max(2, line_width(picture.height) - 1))
        else:
            picture = blend_heat(picture, heat if style == "colours" else np.zeros_like(heat), inside)
    draw = ImageDraw.Draw(picture)
    line = line_width(picture.height)
    if in_event:  # first: a box at the border is to be seen, and its score to be read
        _event_frame(draw, picture.size, line)
    ranked = sorted(found, key=lambda entry: entry.score)  # the best on top
    for entry in ranked:
        _solid(draw, _scaled(entry.box, scale), line)
    for annotated in truth:
        _dashed(draw, _scaled(annotated, scale), line)
    for entry in ranked:  # no line crosses a figure
        _score_label(draw, _scaled(entry.box, scale), label(entry.score), picture.size)
    return picture


def level_label(levels: LevelScale) -> Callable[[float], str]:
    """What stands at a found box: the alarm level of its score."""
    return lambda score: f"level {levels.level(score).value}"


def line_width(height: int) -> int:
    """Of boxes in a picture of that height, all in pixels."""
    return max(2, round(height / 180))


@lru_cache(maxsize=16)
def font(pixels: int) -> Any:
    """DejaVu Sans, which comes with matplotlib; Pillow's own has few characters."""
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), pixels)


def draw_legend(draw: ImageDraw.ImageDraw, x: int, y: int, pixels: int, kinds: Sequence[str]) -> int:
    """Samples of these kinds (found, annotated, event) with their names, `pixels` high, at x, y of a dark ground.

    Returns where it ends.
    """
    line, sample = max(2, pixels // 7), 2 * pixels
    for name in kinds:
        box = (x, y + 0.1 * pixels, x + sample, y + pixels)
        if name == "event":
            draw_bracket(draw, x, x + sample - 1, round(box[1]), pixels)
        else:
            {"found": _solid, "annotated": _dashed}[name](draw, box, line)
        x += sample + pixels // 2
        draw.text((x, y + pixels // 2 + 1), name, font=font(pixels), fill="#e8e8e8", anchor="lm")
        x += round(draw.textlength(name, font=font(pixels))) + pixels
    return x


def draw_contour_key(draw: ImageDraw.ImageDraw, x: int, y: int, pixels: int, heat: HeatRange) -> int:
    """Which score each contour is at, on a dark ground, `pixels` high; returns where it ends."""
    draw.text((x, y + pixels // 2 + 1), "cell score", font=font(pixels), fill="#e8e8e8", anchor="lm")
    x += round(draw.textlength("cell score", font=font(pixels))) + pixels // 2
    for score, colour in contour_scores(heat):
        draw.rectangle((x, y + pixels // 2 - 1, x + 2 * pixels, y + pixels // 2 + 1), fill=colour)
        x += 2 * pixels + pixels // 3
        text = plain_score(score)
        draw.text((x, y + pixels // 2 + 1), text, font=font(pixels), fill="#e8e8e8", anchor="lm")
        x += round(draw.textlength(text, font=font(pixels))) + pixels
    return x


def draw_bracket(draw: ImageDraw.ImageDraw, left: int, right: int, top: int, height: int) -> None:
    """The time of an event, from column `left` to column `right`: a bar with a short leg at either end."""
    line = max(3, height // 4)
    right = max(right, left + 2)
    draw.rectangle((left, top, right, top + line - 1), fill=EVENT)
    for x in (left, right - 1):
        draw.rectangle((x, top, x + 1, top + height - 1), fill=EVENT)


def _scaled(box: tuple[float, float, float, float], scale: tuple[float, float]) -> tuple[float, float, float, float]:
    return box[0] * scale[0], box[1] * scale[1], box[2] * scale[0], box[3] * scale[1]


def _corners(box: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
    """Pixels that belong to the box, the last ones inclusive as Pillow wants them."""
    x1, y1, x2, y2 = (round(side) for side in box)
    return x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)


def _solid(draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float], line: int) -> None:
    x1, y1, x2, y2 = _corners(box)
    draw.rectangle((x1 - 1, y1 - 1, x2 + 1, y2 + 1), outline=DARK, width=1)
    draw.rectangle((x1, y1, x2, y2), outline=FOUND, width=line)


def _dashed(draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float], line: int) -> None:
    x1, y1, x2, y2 = _corners(box)
    draw.rectangle((x1, y1, x2, y2), outline=DARK, width=line)
    dash, inner = 4 * line, line - 1
    for x in range(x1, x2 + 1, 2 * dash):
        end = min(x + dash, x2)
        draw.rectangle((x, y1, end, min(y1 + inner, y2)), fill=ANNOTATED)
        draw.rectangle((x, max(y2 - inner, y1), end, y2), fill=ANNOTATED)
    for y in range(y1, y2 + 1, 2 * dash):
        end = min(y + dash, y2)
        draw.rectangle((x1, y, min(x1 + inner, x2), end), fill=ANNOTATED)
        draw.rectangle((max(x2 - inner, x1), y, x2, end), fill=ANNOTATED)


def _score_label(
    draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float], text: str, size: tuple[int, int]
) -> None:
    """Above the box; inside its upper edge where there is no room above."""
    letters = font(max(11, round(size[1] / 26)))
    width, height = round(draw.textlength(text, font=letters)) + 6, letters.size + 4
    x = min(max(0, round(box[0])), max(0, size[0] - width))
    y = round(box[1]) - height if box[1] >= height else max(0, round(box[1]))
    draw.rectangle((x, y, x + width - 1, y + height - 1), fill=FOUND)
    draw.text((x + 3, y + height // 2), text, font=letters, fill=DARK, anchor="lm")


def _event_frame(draw: ImageDraw.ImageDraw, size: tuple[int, int], line: int) -> None:
    """Round the whole picture, dark on its inside; its name hangs from the middle of the upper edge."""
    width, height = size
    wide = 2 * line
    draw.rectangle((0, 0, width - 1, height - 1), outline=DARK, width=wide + line)
    draw.rectangle((0, 0, width - 1, height - 1), outline=EVENT, width=wide)
    letters = font(max(11, round(height / 26)))
    half = round(draw.textlength("EVENT", font=letters)) // 2 + 8
    tab = (width // 2 - half, wide, width // 2 + half, wide + letters.size + 4)
    if tab[0] > 2 * wide:  # else the picture is too narrow for a word
        draw.rectangle((tab[0] - line, 0, tab[2] + line, tab[3] + line), fill=DARK)
        draw.rectangle((tab[0] - line, 0, tab[2] + line, wide - 1), fill=EVENT)
        draw.rectangle(tab, fill=EVENT)
        draw.text((width // 2, wide + letters.size // 2 + 1), "EVENT", font=letters, fill=DARK, anchor="mm")
