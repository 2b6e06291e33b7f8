"""Score maps meet annotated boxes: for every cell and snippet, how many pixels were anomalous and how many normal.

    a frame with boxes                              annotated: pixels in at least one box are anomalous, others normal
    outside all spans of its video, without boxes   normal, every pixel of it
    inside a span, without boxes                    unknown (out of sight, or only every n-th frame annotated): left out
    a frame of a normal video                       normal

Boxes are clipped to the picture. Frames belong to snippets by the tail rule of `evaluation.ground_truth`; boxes of
frames that the rule leaves out are left out with them. Pixels outside `ScoreMap.seen` were never looked at; they are
counted by themselves, for metrics to rank below every score.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from downstream.evaluation.ground_truth import LabelledVideo, align
from downstream.scores.cell_geometry import covered, union_pixels
from downstream.scores.score_map import ScoreMap
from downstream.scores.video_scores import VideoScores
from pretrain.data.catalogue import Box, Video
from pretrain.errors import UserError, problem_list

_CHUNK = 4096  # frames whose cells are counted together: bounded memory
_DUST = 1e-6  # pixels: what is left of a cell that a box covers whole, by rounding

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Sides = tuple[float, float, float, float]


class Annotated(NamedTuple):
    """One frame with boxes."""

    frame: int
    snippet: int
    boxes: Floats
    """(n, 4), n >= 1: x1, y1, x2, y2 in pixels, clipped to the picture."""


@dataclass(frozen=True, slots=True, eq=False)
class LocatedVideo:
    """One video's score map, and what each cell of each snippet held; frames that are unknown count nowhere."""

    name: str
    label: int
    map: ScoreMap
    edges: Ints
    """(S + 1,): frames of the snippets after the tail rule."""
    positive: Floats
    """(S, rows, columns): anomalous pixels of the cell, summed over the snippet's frames."""
    negative: Floats
    """(S, rows, columns): its normal pixels."""
    unseen_positive: Floats
    """(S,): anomalous pixels outside the part seen."""
    unseen_negative: Floats
    """(S,): normal pixels there."""
    cell_positive: Ints
    """(S, rows, columns): frames in which a box touches the cell."""
    cell_negative: Ints
    """(S, rows, columns): frames in which none does."""
    annotated: list[Annotated]
    """In the order of frames."""

    @property
    def scores(self) -> NDArray[np.float64]:
        """(S, rows, columns)"""
        return self.map.scores

    @property
    def frames(self) -> int:
        """Frames of the video, unknown ones too."""
        return int(self.edges[-1])

    @property
    def unknown_frames(self) -> int:
        """Frames that count nowhere."""
        return self.frames - int((self.cell_positive + self.cell_negative)[:, 0, 0].sum())


def locate(scores: Sequence[VideoScores], videos: Sequence[Video], tail: str = "hold") -> tuple[LocatedVideo, ...]:
    """Bring score maps and boxes together, in the order of `videos`.

    Raises UserError as `align`; then with all of these at once: a video without a map, boxes beyond the picture,
    without area or beyond the video's end, boxes of a normal video, and a set without any annotated frame.
    """
    labelled = align(scores, videos, tail).videos
    by_name = {entry.name: entry for entry in scores}
    problems = [problem for video in videos for problem in _problems(video, by_name[video.name])]
    located = () if problems else tuple(map(_located, [by_name[v.name] for v in videos], videos, labelled))
    if not problems and not any(video.annotated for video in located):
        problems = [f"none of the {len(videos)} videos has a box in a frame that counts; give a catalogue with boxes"]
    if problems:
        raise UserError(f"{len(problems)} problem(s) between score maps and boxes:\n{problem_list(problems)}")
    return located


def _problems(video: Video, entry: VideoScores) -> list[str]:
    """What is wrong with one video, a line a kind: a wrong resolution makes every box wrong."""
    if entry.map is None:
        return [f"'{video.name}': scores without a map; only a detector that scores cells can be evaluated on boxes"]
    found = []
    if len(entry.map.scores) != len(entry.scores):
        found.append(f"'{video.name}': a map of {len(entry.map.scores)} snippets for {len(entry.scores)} scores")
    if video.label == 0 and video.boxes:
        found.append(f"'{video.name}': label 0 (normal), but a box in frame {video.boxes[0].frame}")
    width, height = entry.map.size
    # align cuts a span by less than a snippet where the length is not annotated; its boxes go with it
    snippet = int(entry.edges[-1] - entry.edges[-2])
    last = entry.covered_frames + snippet - 1 if video.num_frames is None else video.num_frames
    there = f"; there are {video.num_frames or entry.covered_frames} frames"
    late = [box for box in video.boxes if not 0 <= box.frame < last]
    within = [box for box in video.boxes if box.x2 <= width + 1 and box.y2 <= height + 1]
    beyond = [box for box in video.boxes if not (box.x2 <= width + 1 and box.y2 <= height + 1)]
    empty = [box for box in within if not _has_area(_clipped(box, width, height))]
    picture = f"of a picture of {width}x{height} pixels"
    found += _first_of(video, late, f"is not within the video{there}")
    found += _first_of(video, beyond, f"reaches out {picture}; are boxes and video of one resolution?")
    return found + _first_of(video, empty, f"has no area within {picture.removeprefix('of ')}")


def _first_of(video: Video, wrong: list[Box], said: str) -> list[str]:
    if not wrong:
        return []
    box = wrong[0]
    sides = f"({box.x1:g}, {box.y1:g}, {box.x2:g}, {box.y2:g})"
    more = f" (and {len(wrong) - 1} more of its {len(video.boxes)} boxes)" if len(wrong) > 1 else ""
    return [f"'{video.name}': in frame {box.frame} the box {sides} {said}{more}"]


def _clipped(box: Box, width: int, height: int) -> Sides:
    return max(box.x1, 0.0), max(box.y1, 0.0), min(box.x2, float(width)), min(box.y2, float(height))


def _has_area(sides: Sides) -> bool:
    return sides[0] < sides[2] and sides[1] < sides[3]


def _located(entry: VideoScores, video: Video, labelled: LabelledVideo) -> LocatedVideo:
    assert entry.map is not None
    edges, (width, height) = labelled.edges, entry.map.size
    boxes: dict[int, list[Sides]] = {}
    for box in video.boxes:
        if box.frame < edges[-1]:
            boxes.setdefault(box.frame, []).append(_clipped(box, width, height))
    frames = np.array(sorted(boxes), np.int64)
    snippets = np.searchsorted(edges, frames, side="right") - 1
    sets = [tuple(boxes[frame]) for frame in frames.tolist()]

    num, (rows, columns) = len(labelled.scores), entry.map.edges()
    spans = np.array(labelled.spans, np.int64).reshape(-1, 2)
    outside = ~((spans[:, 0] <= frames[:, None]) & (frames[:, None] < spans[:, 1])).any(axis=1)
    annotated = np.bincount(snippets, minlength=num)
    # frames of which every pixel is known: those outside the spans, and those with boxes
    known = labelled.negative - np.bincount(snippets[outside], minlength=num) + annotated

    positive, unseen, touched = _counted(entry.map, sets, snippets)
    areas: Floats = np.outer(np.diff(rows), np.diff(columns))
    return LocatedVideo(
        name=video.name,
        label=labelled.label,
        map=entry.map,
        edges=edges,
        positive=positive,
        negative=_left(known[:, None, None] * areas, positive),
        unseen_positive=unseen,
        unseen_negative=_left(known * np.float64(_unseen_area(entry.map)), unseen),
        cell_positive=touched,
        cell_negative=known[:, None, None] - touched,
        annotated=[
            Annotated(int(frame), int(snippet), np.array(sides))
            for frame, snippet, sides in zip(frames, snippets, sets, strict=True)
        ],
    )


def _counted(score_map: ScoreMap, sets: Sequence[tuple[Sides, ...]], snippets: Ints) -> tuple[Floats, Floats, Ints]:
    """Pixels in boxes by cell and outside the part seen, and frames in which a box touches a cell."""
    rows, columns = score_map.edges()
    (width, height), (x1, y1, x2, y2) = score_map.size, score_map.seen
    positive = np.zeros(score_map.scores.shape)
    unseen, touched = np.zeros(len(positive)), np.zeros(positive.shape, np.int64)
    around_rows, around_columns = np.array([0, y1, y2, max(y2, height)]), np.array([0, x1, x2, max(x2, width)])
    for part in _chunks(len(sets)):
        pixels = _unions(sets[part], rows, columns)
        around = _unions(sets[part], around_rows, around_columns)
        around[:, 1, 1] = 0  # the middle of nine is the part seen
        np.add.at(positive, snippets[part], pixels)
        np.add.at(unseen, snippets[part], around.sum(axis=(1, 2)))
        np.add.at(touched, snippets[part], (pixels > 0).astype(np.int64))
    return positive, unseen, touched


def _chunks(count: int) -> Iterator[slice]:
    return (slice(begin, begin + _CHUNK) for begin in range(0, count, _CHUNK))


def _unions(sets: Sequence[tuple[Sides, ...]], rows: Floats, columns: Floats) -> Floats:
    """(sets, rows, columns): pixels of each cell within at least one box of each set."""
    pixels = covered([boxes[0] for boxes in sets], rows, columns)
    several: dict[tuple[Sides, ...], Floats] = {}  # boxes often stand still for many frames
    for index, boxes in enumerate(sets):
        if len(boxes) > 1:
            if boxes not in several:
                several[boxes] = union_pixels(boxes, rows, columns)
            pixels[index] = several[boxes]
    return pixels


def _unseen_area(score_map: ScoreMap) -> float:
    (width, height), (x1, y1, x2, y2) = score_map.size, score_map.seen
    return max(width * height - (x2 - x1) * (y2 - y1), 0.0)


def _left(whole: Floats, part: Floats) -> Floats:
    rest = whole - part
    return np.where(rest > _DUST, rest, 0.0)
