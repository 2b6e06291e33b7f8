"""Small pictures of a video's highest moments, with heat over them where the detector says where."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from downstream.events.finder import DetectedEvent
from downstream.report.content import Thumbnail
from downstream.scores.score_map import ScoreMap
from downstream.scores.video_scores import VideoScores
from downstream.visualisation.heat import HeatRange, to_heat
from downstream.visualisation.pictures import check_fits, draw_frame, snippet_of
from pretrain.data.video import IndexCache, probe, read_frames, video_clock
from pretrain.errors import UserError

QUALITY = 80


def peak_thumbnails(
    path: str | Path,
    scores: VideoScores,
    events: Sequence[DetectedEvent],
    *,
    count: int = 3,
    width: int = 240,
    heat: HeatRange | None = None,
    cache: IndexCache | None = None,
) -> tuple[Thumbnail, ...]:
    """The moments of `moments`, in order.

    `width`: pixels, never more than the video's own. `heat`: scores shown as no heat and as full heat; None, or scores
    without a map: the frame alone; else the frame, and beside it the same with contours of heat. VideoError where the
    video cannot be read; UserError where a map is not of this video, or `count` or `width` is below 1.
    """
    if count < 1 or width < 1:
        raise UserError(f"count is {count}, width {width}; a video has at least 1 thumbnail, at least 1 pixel wide")
    cache = cache or IndexCache(None)
    info, clock = probe(path, cache=cache), video_clock(path, cache=cache)
    cells: ScoreMap | None = None
    if heat is not None and scores.map is not None:
        cells = check_fits(str(path), info, scores, [[] for _ in scores.scores], heat.low)
    width = min(width, info.width)
    size = (max(1, round(width * info.height / info.width)), width)
    chosen = [min(frame, info.num_frames - 1) for frame in moments(scores, events, count)]
    thumbnails, peaks = [], set(peak_frames(scores, events, count))
    for number, picture in zip(chosen, read_frames(path, chosen, size=size, cache=cache), strict=True):
        snippet = snippet_of(scores, number)
        glow = None if cells is None or heat is None else to_heat(cells.scores[snippet], *heat)
        seen = None if cells is None else cells.seen
        drawn = draw_frame(picture, glow, seen, [], [], (info.width, info.height))
        if glow is not None:
            pair = Image.new("RGB", (2 * width, size[0]))
            pair.paste(Image.fromarray(picture), (0, 0))
            pair.paste(drawn, (width, 0))
            drawn = pair
        data = io.BytesIO()
        drawn.save(data, "JPEG", quality=QUALITY, optimize=True)
        seconds = clock.begin(number)
        what = "Frame, and beside it contours round what scored high" if glow is not None else "Frame"
        thumbnails.append(
            Thumbnail(
                frame=number,
                seconds=seconds,
                score=float(scores.scores[snippet]),
                jpeg=data.getvalue(),
                alt=f"{what}, {_what(number, peaks, events)} at {seconds:.1f} s",
                is_pair=glow is not None,
            )
        )
    return tuple(thumbnails)


def _what(frame: int, peaks: set[int], events: Sequence[DetectedEvent]) -> str:
    if frame in peaks:
        return "the peak of an event" if events else "the highest score"
    return "within an event" if any(event.start <= frame < event.end for event in events) else "another moment"


def moments(scores: VideoScores, events: Sequence[DetectedEvent], count: int) -> list[int]:
    """Frames to look at, increasing, `count` where the video has that many snippets: the peaks; then the highest of
    what is left, no two of them next to each other while there is something else."""
    chosen = peak_frames(scores, events, count)
    middles = (scores.edges[:-1] + scores.edges[1:] - 1) // 2
    snippets = {int(np.searchsorted(scores.edges, frame, side="right")) - 1 for frame in chosen}
    ranked = np.argsort(-scores.scores, kind="stable").tolist()
    apart = max(2, len(ranked) // (2 * count))
    for least in (apart, 1):
        for snippet in ranked:
            if len(snippets) >= count:
                break
            if all(abs(snippet - other) >= least for other in snippets):
                snippets.add(snippet)
                chosen.append(int(middles[snippet]))
    return sorted(chosen)


def peak_frames(scores: VideoScores, events: Sequence[DetectedEvent], count: int) -> list[int]:
    """Frames to look at, increasing."""
    if not events:
        best = int(np.argmax(scores.scores))
        return [int(scores.edges[best] + scores.edges[best + 1] - 1) // 2]
    highest = sorted(events, key=lambda event: -event.peak_score)[:count]
    return sorted((event.peak_start + event.peak_end - 1) // 2 for event in highest)
