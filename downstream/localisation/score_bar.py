"""The bar below a film: the whole video's scores, where it was annotated, and a cursor at the frame that is shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from downstream.evaluation.scores import VideoScores
from downstream.localisation.heat import HeatRange, heat_scale
from downstream.localisation.pictures import DARK, FOUND, draw_legend, font, snippet_of
from pretrain.data.video import VideoInfo

BAR_HEIGHT, HEAD, PLOT = 96, 30, 60
"""Pixels: of the bar, of the line of text at its top, and of the curve below that."""
SIZE = 13
"""Of letters."""
TEXT, SPAN, CURSOR, LINE = "#e8e8e8", "#59606a", "#ffffff", "#b8bec6"


class ScoreBar:
    """Drawn once without its cursor; `at` gives a copy with it."""

    def __init__(
        self,
        width: int,
        scores: VideoScores,
        spans: Sequence[tuple[int, int]],
        threshold: float,
        heat: HeatRange,
        info: VideoInfo,
    ) -> None:
        self._width, self._scores, self._info = width, scores, info
        self._ground = Image.new("RGB", (width, BAR_HEIGHT), DARK)
        draw = ImageDraw.Draw(self._ground)
        for start, end in spans:
            draw.rectangle((self._x(start), HEAD, max(self._x(start), self._x(end) - 1), HEAD + PLOT), fill=SPAN)
        low, high = min(0.0, float(scores.scores.min()), threshold), max(threshold, float(scores.scores.max()))
        levels = np.append(column_peaks(scores, info.num_frames, width), threshold)
        heights = HEAD + 2 + np.rint((high - levels) / ((high - low) or 1) * (PLOT - 4))
        draw.line(list(enumerate(heights[:-1].tolist())), fill=FOUND, width=2)
        for x in range(0, width, 8):
            draw.line((x, heights[-1], x + 3, heights[-1]), fill=LINE)
        self._text_from = draw_legend(draw, 8, 9, SIZE)
        if width >= 600:
            self._text_from = self._draw_scale(draw, self._text_from, heat)

    def at(self, frame: int) -> Image.Image:
        """RGB, as wide as the film and BAR_HEIGHT high: score, time and frame number in words, the cursor."""
        bar = self._ground.copy()
        draw = ImageDraw.Draw(bar)
        x = (self._x(frame) + self._x(frame + 1)) // 2
        draw.rectangle((x - 1, HEAD - 2, x, HEAD + PLOT + 2), fill=CURSOR)
        score = self._scores.scores[snippet_of(self._scores, frame)]
        text = f"score {score:.2f}   {_clock(frame / self._info.fps)}   frame {frame}"
        if self._text_from + draw.textlength(text, font=font(SIZE)) + 8 <= self._width:
            draw.text((self._width - 8, 16), text, font=font(SIZE), fill=TEXT, anchor="rm")
        return bar

    def _draw_scale(self, draw: ImageDraw.ImageDraw, x: int, heat: HeatRange) -> int:
        """Which score has which colour, from x on; returns where it ends."""
        low, high = f"{heat.low:.2f}", f"{heat.high:.2f}"
        draw.text((x, 16), low, font=font(SIZE), fill=TEXT, anchor="lm")
        x += round(draw.textlength(low, font=font(SIZE))) + 5
        self._ground.paste(Image.fromarray(heat_scale(12)).resize((60, 12)), (x, 10))
        draw.text((x + 65, 16), high, font=font(SIZE), fill=TEXT, anchor="lm")
        return x + 65 + round(draw.textlength(high, font=font(SIZE))) + 10

    def _x(self, frame: int) -> int:
        return round(frame * self._width / self._info.num_frames)


def column_peaks(scores: VideoScores, num_frames: int, width: int) -> NDArray[np.float64]:
    """(width,): the highest score of the frames that each column of pixels stands for: no peak is lost in a long video.

    Frames past the last score have that one.
    """
    borders = np.arange(width + 1) * num_frames / width
    last = len(scores.scores) - 1
    first = np.clip(np.searchsorted(scores.edges, borders[:-1], side="right") - 1, 0, last)
    past = np.clip(np.searchsorted(scores.edges, borders[1:], side="left"), first + 1, last + 1)
    return np.array([scores.scores[a:b].max() for a, b in zip(first, past, strict=True)])


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}:{rest:04.1f}"
