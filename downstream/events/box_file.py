"""The file that boxes are kept in, for other programs and for our pictures.

JSON, a video a line. Frames are counted from 0 and half-open, boxes are in pixels of the picture, rounded to 0.1, with
`x2` and `y2` exclusive:

    {"format": "anomaly-pretext/boxes/1", "meta": {...}, "videos": [
    {"name": "d0004", "tubes": [{"number": 0, "score": 0.9, "start": 16, "end": 48,
        "boxes": [[16, 32, 40.0, 0.0, 100.0, 60.0, 0.9], [32, 48, 40.0, 60.0, 100.0, 120.0, 0.7]]}]}]}

A box is start, end, x1, y1, x2, y2, score. `start` and `end` of a tube are those of its first and last box; between
them it may be without a box for a while.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from downstream.events.boxes import Tube
from downstream.scores.cell_geometry import PixelBox
from downstream.scores.video_scores import VideoScores
from pretrain.files import write_text
from pretrain.json_shapes import check, number, sequence, whole
from pretrain.reading import LIST_BYTES
from pretrain.versioned_json import read_versioned_json, read_videos

FORMAT = "anomaly-pretext/boxes/1"


class FrameBox(NamedTuple):
    """A box over the frames `[start, end)`."""

    start: int
    end: int
    box: PixelBox
    score: float


class FrameTube(NamedTuple):
    """A tube in frames; its boxes are in order and disjoint in time, there is at least one."""

    number: int
    score: float
    boxes: tuple[FrameBox, ...]

    @property
    def span(self) -> tuple[int, int]:
        """Frames `[start, end)` from its first box to its last, gaps within it included."""
        return self.boxes[0].start, self.boxes[-1].end


class BoxFile(NamedTuple):
    """The content of one box file."""

    videos: dict[str, tuple[FrameTube, ...]]
    """Every video that was looked at; one without an anomaly has no tubes."""
    meta: dict[str, Any]


def write_boxes(
    path: Path,
    tubes: Mapping[str, Sequence[Tube]],
    videos: Sequence[VideoScores],
    meta: Mapping[str, Any] | None = None,
) -> None:
    """Write the tubes by name of video, atomically. Videos that `tubes` lacks are written without any.

    ValueError where `tubes` holds a video that is not one of `videos`.
    """
    if unknown := sorted(set(tubes) - {video.name for video in videos}):
        raise ValueError(f"tubes of videos that were not given: {unknown}")
    # ASCII with escapes: file names need not be valid Unicode
    lines = [
        json.dumps(
            {"name": video.name, "tubes": [_tube(tube, video.edges.tolist()) for tube in tubes.get(video.name, ())]},
            allow_nan=False,
        )
        for video in videos
    ]
    head = json.dumps(dict(meta or {}), allow_nan=False)
    body = ",\n".join(lines)
    write_text(path, f'{{"format": "{FORMAT}",\n"meta": {head},\n"videos": [\n{body}\n]}}\n')


def _tube(tube: Tube, edges: Sequence[int]) -> dict[str, Any]:
    boxes = [
        [edges[box.snippet], edges[box.snippet + 1], *(round(float(side), 1) for side in box.box), box.score]
        for box in tube.boxes
    ]
    return {"number": tube.number, "score": tube.score, "start": boxes[0][0], "end": boxes[-1][1], "boxes": boxes}


def read_boxes(path: Path) -> BoxFile:
    """Read a box file. UserError: not such a file, or every unusable or doubled video at once."""
    mend = "find them again with scripts/localise.py"
    content = read_versioned_json(path, "the boxes", FORMAT, mend, limit=LIST_BYTES, takes_nan=True)
    videos = read_videos(
        path,
        "the boxes",
        content.get("videos"),
        "a name and tubes",
        lambda _, entry: tuple(_read_tube(tube) for tube in entry["tubes"]),
    )
    meta = content.get("meta")
    return BoxFile(videos, meta if isinstance(meta, dict) else {})


def _read_tube(entry: Mapping[str, Any]) -> FrameTube:
    boxes = tuple(_read_box(values) for values in entry["boxes"])
    if not boxes:
        raise ValueError(f"tube {entry['number']} has no box")
    if any(first.end > second.start for first, second in pairwise(boxes)):
        raise ValueError(f"the boxes of tube {entry['number']} are not in the order of their frames")
    check(entry["number"], whole(0))
    return FrameTube(entry["number"], _finite(entry["score"]), boxes)


def _read_box(values: Sequence[Any]) -> FrameBox:
    check(values, sequence(number(), 7, 7))
    start, end = values[:2]
    x1, y1, x2, y2, score = (_finite(value) for value in values[2:])
    if not (isinstance(start, int) and isinstance(end, int) and 0 <= start < end and x1 < x2 and y1 < y2):
        raise ValueError(f"{list(values)} is not start < end in whole frames, x1, y1, x2 > x1, y2 > y1, score")
    return FrameBox(start, end, PixelBox(x1, y1, x2, y2), score)


def _finite(value: Any) -> float:
    check(value, number())
    return float(value)
