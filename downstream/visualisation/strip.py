"""One found anomaly as a strip of frames: before, from its start over its peak to its end, and after.

The frames are chosen by the scores alone. Choosing annotated ones would show how good the annotation is. Detectors of
whole pictures have neither heat nor boxes; their strips show the frames as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from downstream.events.alarm_level import LevelScale, scale_of
from downstream.events.boxes import ScoredBox
from downstream.events.finder import DetectedEvent, find_events
from downstream.events.rule import AlarmRule
from downstream.scores.video_scores import VideoScores
from downstream.visualisation.heat import HeatRange, contour_scores, heat_range, to_heat
from downstream.visualisation.pictures import (
    ANNOTATED,
    DARK,
    FOUND,
    as_read,
    check_fits,
    draw_frame,
    level_label,
    snippet_of,
)
from downstream.visualisation.plots import STYLE
from downstream.visualisation.score_axis import plain_score, score_axis
from pretrain.data.catalogue import Box, merge_spans
from pretrain.data.video import FrameClock, IndexCache, probe, read_frames, video_clock
from pretrain.errors import UserError
from pretrain.files import replacing

WIDTH, MARGIN, GAP = 1600, 16, 8
"""Pixels of the picture; frames share what is left of the width."""
HEAD, CAPTION, TIMELINE = 72, 34, 210
SPAN_COLOUR = "#d3d3d3"
SCORE_COLOUR = "#0072b2"
DPI = 100


class Shown(NamedTuple):
    """A frame of the strip, and what it stands for."""

    frame: int
    part: str


class Facts(NamedTuple):
    """What is written on a strip, and drawn behind its curve."""

    title: str
    level: str
    threshold: float
    heat: HeatRange | None
    has_boxes: bool
    spans: Sequence[tuple[int, int]]


def write_strip(
    target: Path,
    video_path: str,
    scores: VideoScores,
    boxes: Sequence[Sequence[ScoredBox]],
    truth: Sequence[Box],
    title: str,
    threshold: float,
    columns: int = 6,
    spans: Sequence[tuple[int, int]] = (),
    heat: HeatRange | None = None,
    cache: IndexCache | None = None,
    levels: LevelScale | None = None,
) -> None:
    """Write a PNG, 1600 pixels wide: `columns` frames about the highest event, and the scores of the whole video.

    With heat the frames stand there twice: above with its contours and the boxes, below as they are.

    `boxes`: those found in each snippet. `truth`: annotated boxes, any frames; `spans`: annotated half-open spans of
    frames, where empty the frames that have boxes. `heat`: by default this video's `heat_range`. `levels`: what scores
    mean to people; None: relative to this video's own below the threshold. VideoError where the video cannot be read;
    UserError where scores or boxes are not this video's, or `columns` is not 1 to 12.
    """
    if not 1 <= columns <= 12:
        raise UserError(f"columns is {columns}; a strip has 1 to 12 frames")
    cache = cache or IndexCache(None)
    info, clock = probe(video_path, cache=cache), video_clock(video_path, cache=cache)
    cells = check_fits(video_path, info, scores, boxes, threshold)
    if cells is None:
        heat = None
    elif heat is None:
        heat = heat_range([scores], threshold)
    chosen = strip_frames(scores, info.num_frames, threshold, columns)
    width = (WIDTH - 2 * MARGIN - (columns - 1) * GAP) // columns
    size = (max(2, round(width * info.height / info.width)), width)
    frames = read_frames(video_path, [shown.frame for shown in chosen], size=size, cache=cache)
    tiles, clean = [], []
    scale = scale_of(levels, scores.scores, threshold)
    for shown, frame in zip(chosen, frames, strict=True):
        snippet = snippet_of(scores, shown.frame)
        glow = None if cells is None or heat is None else to_heat(cells.scores[snippet], *heat)
        found, seen = boxes[snippet] if boxes else (), cells.seen if cells else None
        annotated = [as_read(box, info) for box in truth if box.frame == shown.frame]
        pixels = (info.width, info.height)
        drawn = draw_frame(frame, glow, seen, found, annotated, pixels, label=level_label(scale))
        tiles.append(np.asarray(drawn))
        clean.append(frame)
    spans = merge_spans(spans or frames_of(truth))
    rows = [tiles] if heat is None else [tiles, clean]
    level = scale.level(float(scores.scores.max()))
    facts = Facts(title, level.words, threshold, heat, has_boxes=bool(truth), spans=spans)
    _lay_out(target, rows, chosen, clock, scores, facts)


def frames_of(truth: Iterable[Box]) -> list[tuple[int, int]]:
    """A half-open span for every annotated box."""
    return [(box.frame, box.frame + 1) for box in truth]


def highest_event(scores: VideoScores, threshold: float) -> DetectedEvent:
    """The event with the highest score, the first of equals; where nothing reaches the threshold, the best snippet.

    Without hysteresis and merging: a strip shows the frames over the threshold.
    """
    reached = min(threshold, float(scores.scores.max()))
    events = find_events(scores, AlarmRule(threshold=reached, release=reached), fps=1.0)  # no second in that rule
    return max(events, key=lambda event: event.peak_score)


def strip_frames(scores: VideoScores, num_frames: int, threshold: float, columns: int) -> list[Shown]:
    """At most `columns` different frames of the video in order, the middle of the highest snippet among them.

    Up to `columns - 2` of them are spread over the highest event, no more than it has snippets; the others are what
    came before and after it, at least half its length apart where the video has that much.
    """
    event = highest_event(scores, threshold)
    start, last = event.start, min(event.end, num_frames) - 1
    best = int(np.argmax(scores.scores))
    peak = int(scores.edges[best] + min(scores.edges[best + 1], num_frames) - 1) // 2
    snippets = int(np.count_nonzero((scores.edges[:-1] >= start) & (scores.edges[:-1] <= last)))
    inside = np.linspace(start, last, min(max(1, columns - 2), snippets)).astype(np.int64)
    inside[np.abs(inside - peak).argmin()] = peak
    rest = columns - len(inside)
    before = 0 if start == 0 else rest if last == num_frames - 1 else (rest + 1) // 2
    apart = max(last + 1 - start, 2 * int(scores.edges[best + 1] - scores.edges[best])) // 2
    earlier = np.linspace(max(0, start - apart * before), start, before + 1).astype(np.int64)[:-1]
    later = np.linspace(last, min(num_frames - 1, last + apart * (rest - before)), rest - before + 1)
    frames = np.unique([*earlier, *inside, *later.astype(np.int64)[1:]])
    names = {start: "start", last: "end", peak: "peak"}
    return [Shown(int(f), "before" if f < start else "after" if f > last else names.get(int(f), "")) for f in frames]


def _lay_out(
    target: Path,
    rows: Sequence[Sequence[NDArray[np.uint8]]],
    chosen: Sequence[Shown],
    clock: FrameClock,
    scores: VideoScores,
    facts: Facts,
) -> None:
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    tile_height, width = rows[0][0].shape[:2]
    height = len(rows) * tile_height + (len(rows) - 1) * GAP
    total = HEAD + height + CAPTION + TIMELINE
    with rc_context({**STYLE, "font.size": 13}):
        figure = Figure(figsize=(WIDTH / DPI, total / DPI), dpi=DPI, facecolor="white")
        FigureCanvasAgg(figure)
        figure.text(MARGIN / WIDTH, 1 - 24 / total, facts.title, va="center", fontsize=16, fontweight="bold")
        peak = f"its peak: {facts.level}"
        figure.text(1 - MARGIN / WIDTH, 1 - 24 / total, peak, va="center", ha="right", fontsize=13)
        for number, shown in enumerate(chosen):
            x = MARGIN + number * (width + GAP)
            for row, tiles in enumerate(rows):
                below = HEAD + (row + 1) * tile_height + row * GAP
                figure.figimage(tiles[number], x, total - below, origin="upper")
            words = [
                f"{number + 1}   {clock.begin(shown.frame):.1f} s",
                f"frame {shown.frame}",
                *filter(None, [shown.part]),
            ]
            y = 1 - (HEAD + height + 16) / total
            figure.text(x / WIDTH, y, ", ".join(words), va="center", fontsize=12)
        bottom, left = 52, MARGIN + 110
        place = (left / WIDTH, bottom / total, (WIDTH - left - MARGIN) / WIDTH, (TIMELINE - bottom - 26) / total)
        _timeline(figure.add_axes(place), chosen, clock, scores, facts.spans, facts.threshold)
        _legend(figure, total, facts)
        with replacing(target) as temporary:
            figure.savefig(temporary, dpi=DPI)


def _timeline(
    axis: Any,
    chosen: Sequence[Shown],
    clock: FrameClock,
    scores: VideoScores,
    spans: Sequence[tuple[int, int]],
    threshold: float,
) -> None:
    """Scores over the whole video, annotated spans behind them, the strip's frames as numbered lines."""
    places = score_axis(scores.scores, threshold)
    for start, end in spans:
        axis.axvspan(clock.begin(start), clock.end(end), color=SPAN_COLOUR, linewidth=0, zorder=0)
    edges = np.append(clock.begins_of(scores.edges[:-1]), clock.end(scores.covered_frames))
    axis.stairs(places.place(scores.scores), edges, baseline=None, color=SCORE_COLOUR, linewidth=2)
    axis.axhline(float(places.place(threshold)), color="#555555", linestyle=":", linewidth=1.5)
    for number, shown in enumerate(chosen):
        seconds = clock.begin(shown.frame)
        axis.axvline(seconds, color=DARK, linewidth=1, ymax=0.97)
        axis.annotate(
            str(number + 1), (seconds, 1), xycoords=("data", "axes fraction"), xytext=(0, 2),
            textcoords="offset points", ha="center", va="bottom", fontsize=12,
        )  # fmt: skip
    margin = 0.06 * (places.high - places.low)
    axis.set(xlim=(0, edges[-1]), ylim=(places.low - margin, places.high + margin))
    ticks = places.ticks(5)
    axis.set_yticks([place for place, _ in ticks], [label for _, label in ticks])
    axis.set(xlabel="seconds", ylabel="score" if scores.map is None else "hottest cell")


def _legend(figure: Any, total: int, facts: Facts) -> None:
    """One line under the title: what there is of boxes, contours and annotation, and the timeline's marks."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.patheffects import withStroke

    contours = [] if facts.heat is None else contour_scores(facts.heat)
    outlined = [Line2D([], [], color=colour, linewidth=2, label=plain_score(score)) for score, colour in contours]
    if contours:
        outlined[0].set_label(f"cell score {outlined[0].get_label()}")
        outlined.insert(0, Line2D([], [], color=FOUND, linewidth=3, label="found, with its level"))
    if facts.has_boxes:
        outlined.append(Line2D([], [], color=ANNOTATED, linewidth=3, dashes=(2, 2), label="annotated box"))
    for handle in outlined:
        handle.set_path_effects([withStroke(linewidth=5, foreground=DARK)])
    handles: list[Any] = [
        *outlined,
        Line2D([], [], color=SCORE_COLOUR, linewidth=2, label="score"),
        Line2D(
            [], [], color="#555555", linewidth=1.5, linestyle=":", label=f"threshold {plain_score(facts.threshold)}"
        ),
    ]
    if facts.spans:
        handles.append(Patch(color=SPAN_COLOUR, label="annotated time"))
    figure.legend(
        handles=handles, loc="center left", bbox_to_anchor=(MARGIN / WIDTH - 0.001, 1 - 53 / total),
        ncols=len(handles), fontsize=12, borderpad=0, handlelength=1.8, columnspacing=1.6,
    )  # fmt: skip
