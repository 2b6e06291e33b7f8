"""What the index says of a packed video: all that its catalogue knew, in the pixels of what was packed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from pretrain.data.catalogue import Box, Video
from pretrain.data.catalogues.json_file import entry_problems
from pretrain.data.video import VideoInfo
from pretrain.errors import UserError, problem_list


def entry_of(video: Video, member: str, measured: VideoInfo, source_size: tuple[int, int] | None) -> dict[str, Any]:
    """A video's entry less where it lies. `source_size`: width and height that its boxes are in, where it shrank."""
    boxes = [_scaled(box, source_size, measured) for box in video.boxes]
    last = max([end for _, end in video.spans] + [box.frame + 1 for box in video.boxes], default=0)
    num_frames = video.num_frames or measured.num_frames
    entry = {
        "name": video.name,
        "path": member,
        "label": video.label,
        "split": video.split,
        "class_name": video.class_name,
        "group": video.group,
        # UCF-Crime's annotation ends a frame beyond two of its videos: then nothing is claimed
        "num_frames": num_frames if num_frames >= last else None,
        "fps": video.fps or measured.fps,
        "spans": [list(span) for span in video.spans],
        "boxes": [[box.frame, box.x1, box.y1, box.x2, box.y2, box.track] for box in boxes],
        "measured": dataclasses.asdict(measured),
    }
    return {key: value for key, value in entry.items() if value is not None and value != []}


_ANY_SIZE = VideoInfo(1, 25.0, 1, 1, 1.0, "", 0, True)
"""Where only the catalogue is looked at."""


def _scaled(box: Box, source_size: tuple[int, int] | None, measured: VideoInfo) -> Box:
    if source_size is None or source_size == (measured.width, measured.height):
        return box
    across, down = measured.width / source_size[0], measured.height / source_size[1]
    x2, y2 = min(box.x2 * across, measured.width), min(box.y2 * down, measured.height)
    return dataclasses.replace(box, x1=box.x1 * across, y1=box.y1 * down, x2=x2, y2=y2)


def refuse_unreadable(videos: Iterable[Video]) -> None:
    """UserError where an index of these could not be read back: labels, spans and boxes that contradict each other."""
    problems = [f"'{video.name}': {text}" for video in videos for text in _problems(video)]
    if problems:
        raise UserError(f"{len(problems)} problem(s) in the catalogue:\n{problem_list(problems)}")


def _problems(video: Video) -> list[str]:
    entry = entry_of(video, "name.mp4", _ANY_SIZE, None)
    return entry_problems({key: value for key, value in entry.items() if key not in ("name", "measured")})
