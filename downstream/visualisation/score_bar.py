"""The bar below a film: the whole video's scores, events and annotated time, and a cursor at the frame that is shown.

Events are brackets along the top of the curve, annotated time is a lighter ground below it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from downstream.events.alarm_level import LevelScale
from downstream.scores.video_scores import VideoScores
from downstream.visualisation.heat import HeatRange, heat_scale
from downstream.visualisation.pictures import DARK, FOUND, draw_bracket, draw_contour_key, draw_legend, font, snippet_of
from downstream.visualisation.score_axis import ScoreAxis, plain_score, score_axis

BAR_HEIGHT, HEAD, PLOT = 126, 58, 60
"""Pixels: of the bar, of the two lines of text at its top, and of the curve below those."""
BRACKET = 8
"""Height of an event's legs."""
SIZE, SMALL = 13, 10
"""Of letters: of the text, of the ticks."""
LEAST_FOR_TICKS = 300
"""A narrower bar has no room for the ticks' labels."""
TEXT, SPAN, CURSOR, LINE, RULE = "#e8e8e8", "#59606a", "#ffffff", "#b8bec6", "#2c333b"


class ScoreBar:
    """Drawn once without its cursor; `at` gives a copy with it.

    `spans` (annotated) and `events` (found) are half-open spans of frames, `times` the seconds of all frames, `kinds`
    what the legend names. `threshold` None: no line. `heat` None: no scale of heat. `levels`: what scores mean to
    people.
    """

    def __init__(
        self,
        width: int,
        scores: VideoScores,
        times: NDArray[np.float64],
        *,
        threshold: float | None,
        spans: Sequence[tuple[int, int]] = (),
        events: Sequence[tuple[int, int]] = (),
        heat: HeatRange | None = None,
        kinds: Sequence[str] = (),
        style: str = "contours",
        levels: LevelScale,
    ) -> None:
        self._width, self._scores, self._times = width, scores, times
        self._levels = levels
        self._ground = Image.new("RGB", (width, BAR_HEIGHT), DARK)
        draw = ImageDraw.Draw(self._ground)
        axis = score_axis(scores.scores, threshold)
        ticks = axis.ticks(3) if width >= LEAST_FOR_TICKS else []
        labels = [round(draw.textlength(label, font=font(SMALL))) for _, label in ticks]
        self._left = max(labels, default=-8) + 8
        for start, end in spans:
            left, right = self._x(start), self._x(end) - 1
            draw.rectangle((left, HEAD, max(left, right), HEAD + PLOT), fill=SPAN)
        self._draw_scores(draw, axis, ticks, threshold)
        for start, end in events:
            draw_bracket(draw, self._x(start), self._x(end) - 1, HEAD - BRACKET - 2, BRACKET)
        end_of_legend = draw_legend(draw, 8, 27, SIZE, kinds) if width >= LEAST_FOR_TICKS else 8
        if heat is not None and width >= end_of_legend + 250:
            if style == "colours":
                self._draw_heat(draw, end_of_legend, heat)
            else:
                draw_contour_key(draw, end_of_legend, 27, SIZE, heat)

    def at(self, frame: int) -> Image.Image:
        """RGB, as wide as the film and BAR_HEIGHT high: score, time and frame number in words, the cursor."""
        bar = self._ground.copy()
        draw = ImageDraw.Draw(bar)
        x = (self._x(frame) + self._x(frame + 1)) // 2
        draw.rectangle((x - 1, HEAD - 2, x, HEAD + PLOT + 2), fill=CURSOR)
        score = float(self._scores.scores[snippet_of(self._scores, frame)])
        level = self._levels.level(score)
        words = f"{level.words}   (score {plain_score(score)})"
        room = self._width - 24 - draw.textlength("00:00.0   frame 000000", font=font(SIZE))
        if draw.textlength(words, font=font(SIZE)) > room:
            words = f"level {level.short}"
        draw.text((8, 14), words, font=font(SIZE), fill=TEXT, anchor="lm")
        text = f"{_clock(float(self._times[frame]))}   frame {frame}"
        if self._width >= LEAST_FOR_TICKS:
            draw.text((self._width - 8, 14), text, font=font(SIZE), fill=TEXT, anchor="rm")
        return bar

    def _draw_scores(
        self, draw: ImageDraw.ImageDraw, axis: ScoreAxis, ticks: list[tuple[float, str]], threshold: float | None
    ) -> None:
        for place, label in ticks:
            y = _row((place - axis.low) / (axis.high - axis.low))
            draw.line((self._left, y, self._width, y), fill=RULE)
            draw.text((self._left - 5, y), label, font=font(SMALL), fill=LINE, anchor="rm")
        peaks = column_peaks(self._scores, len(self._times), self._width - self._left)
        heights = [_row(share) for share in axis.share(peaks).tolist()]
        draw.line(list(enumerate(heights, start=self._left)), fill=FOUND, width=2)
        if threshold is not None:
            y = _row(float(axis.share(threshold)))
            for x in range(self._left, self._width, 8):
                draw.line((x, y, x + 3, y), fill=LINE)

    def _draw_heat(self, draw: ImageDraw.ImageDraw, x: int, heat: HeatRange) -> None:
        """Which score has which colour, from x on."""
        low, high = f"cell score {plain_score(heat.low)}", plain_score(heat.high)
        draw.text((x, 34), low, font=font(SIZE), fill=TEXT, anchor="lm")
        x += round(draw.textlength(low, font=font(SIZE))) + 5
        self._ground.paste(Image.fromarray(heat_scale(12)).resize((60, 12)), (x, 28))
        draw.text((x + 65, 34), high, font=font(SIZE), fill=TEXT, anchor="lm")

    def _x(self, frame: int) -> int:
        return self._left + round(frame * (self._width - self._left) / len(self._times))


def column_peaks(scores: VideoScores, num_frames: int, width: int) -> NDArray[np.float64]:
    """(width,): the highest score of the frames that each column of pixels stands for: no peak is lost in a long video.

    Frames past the last score have that one.
    """
    borders = np.arange(width + 1) * num_frames / width
    last = len(scores.scores) - 1
    first = np.clip(np.searchsorted(scores.edges, borders[:-1], side="right") - 1, 0, last)
    past = np.clip(np.searchsorted(scores.edges, borders[1:], side="left"), first + 1, last + 1)
    return np.array([scores.scores[a:b].max() for a, b in zip(first, past, strict=True)])


def _row(share: float) -> int:
    """The row of pixels of a score at this share of the axis."""
    return HEAD + 2 + round((1 - share) * (PLOT - 4))


def _clock(seconds: float) -> str:
    minutes, tenths = divmod(round(10 * seconds), 600)
    return f"{minutes}:{tenths / 10:04.1f}"
