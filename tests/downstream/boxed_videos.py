"""Small videos with boxes and score maps on whole pixels, and their pixels written out one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from downstream.events.boxes import ScoredBox
from downstream.scores.cell_geometry import PixelBox
from downstream.scores.score_map import ScoreMap
from downstream.scores.video_scores import VideoScores
from pretrain.data.catalogue import Box, Video

SIZE = (14, 9)
"""Width and height."""
SEEN = (1.0, 0.0, 13.0, 9.0)
"""Three rows of 3 pixels, four columns of 3."""
EDGES = np.array([0, 4, 8, 12])


class BoxedSet(NamedTuple):
    """A test set, its score maps and its predicted boxes, by the same names."""

    videos: list[Video]
    scores: list[VideoScores]
    predicted: dict[str, list[list[ScoredBox]]]


def scored(name: str, cells: object, edges: NDArray[np.int64] = EDGES, size: tuple[int, int] = SIZE) -> VideoScores:
    """Scores of a video with a map over `SEEN`."""
    score_map = ScoreMap(np.asarray(cells, np.float64), size, SEEN)
    return VideoScores(name, score_map.frame_scores(), edges, score_map)


def boxed_video(name: str, boxes: list[Box], spans: tuple[tuple[int, int], ...] = ((2, 9),)) -> Video:
    """An abnormal video of 13 frames: one more than `EDGES` covers."""
    return Video(name, name, label=1, spans=spans, boxes=tuple(boxes), num_frames=13)


def random_set(rng: np.random.Generator, abnormal: int = 3, normal: int = 2) -> BoxedSet:
    """Boxes in most frames of the spans and in one outside, some beyond the part seen; many tied scores."""
    made = BoxedSet([], [], {})
    for index in range(abnormal + normal):
        name, boxes = f"v{index}", []
        if index < abnormal:
            frames = [*rng.choice(np.arange(2, 9), 4, replace=False).tolist(), int(rng.choice([0, 10, 12]))]
            boxes = [_random_box(rng, frame) for frame in frames for _ in range(rng.integers(1, 4))]
            made.videos.append(boxed_video(name, boxes))
        else:
            made.videos.append(Video(name, name, label=0, num_frames=11))
        made.scores.append(scored(name, rng.integers(0, 5, (3, 3, 4)) / 4))
        drawn = [[_random_box(rng, 0) for _ in range(rng.integers(0, 3))] for _ in range(3)]
        made.predicted[name] = [
            [
                ScoredBox(snippet, PixelBox(max(box.x1, 0), max(box.y1, 0), box.x2, box.y2), 1.0 - i)
                for i, box in enumerate(boxes)
            ]
            for snippet, boxes in enumerate(drawn)
        ]
    return made


def _random_box(rng: np.random.Generator, frame: int) -> Box:
    x1, y1 = int(rng.integers(-1, 12)), int(rng.integers(-1, 7))
    return Box(frame, x1, y1, min(x1 + int(rng.integers(2, 8)), 15), min(y1 + int(rng.integers(2, 6)), 10))


class Frame(NamedTuple):
    """One frame that counts: every pixel's score (-inf: never looked at) and whether it is anomalous."""

    video: Video
    number: int
    snippet: int
    scores: NDArray[np.float64]
    anomalous: NDArray[np.bool_]
    boxes: list[Box]


def frames_of(made: BoxedSet) -> Iterator[Frame]:
    """The rules of `truth`, frame by frame and pixel by pixel; the last snippet is held or cut."""
    for video, entry in zip(made.videos, made.scores, strict=True):
        assert entry.map is not None
        for number in range(video.num_frames or 0):
            boxes = [box for box in video.boxes if box.frame == number]
            if not boxes and any(start <= number < end for start, end in video.spans):
                continue
            snippet = min(number // 4, 2)
            scores = np.full(SIZE[::-1], -np.inf)
            scores[0:9, 1:13] = np.kron(entry.map.scores[snippet], np.ones((3, 3)))
            anomalous = np.zeros(SIZE[::-1], bool)
            for box in boxes:
                x1, y1, x2, y2 = (int(max(side, 0)) for side in (box.x1, box.y1, box.x2, box.y2))
                anomalous[y1:y2, x1:x2] = True
            yield Frame(video, number, snippet, scores, anomalous, boxes)
