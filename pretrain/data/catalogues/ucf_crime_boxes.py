"""UCF-Crime in space: boxes of its abnormal test videos, and the frame counts of its test videos, as two JSON files.

    test_boxes.json        {"Abuse028_x264": {"180": [3, 83, 82, 150], "196": [1, 83, 83, 137], ...}, ...}
    test_num_frames.json   {"Abuse028_x264": 1413, ...}

Both are optional and lie beside the lists. A box is x1, y1, x2, y2 in pixels of the 320x240 picture, at most one a
frame, about every 16th frame of an anomaly. Frames count from 1, as in the temporal annotation, and so do pixels; the
last row and column are INSIDE: `"180": [3, 83, 82, 150]` is Box(179, 2, 82, 82, 150) here. Nobody says so; the
published file does (140 videos, 3102 boxes): counted from 1, every box lies in an annotated span, counted from 0 three
lie one frame behind it; and x1 is 1 in 248 boxes and 0 in none, while x2 reaches 320 in 122.

Frames between the boxes are NOT without an anomaly: whoever scores pixels leaves the frames of a span that have no box
out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pretrain.data.catalogue import Box
from pretrain.data.catalogues.boxes import UCF_CRIME_SIZE, fit_corners, in_spans
from pretrain.data.catalogues.json_file import read_json
from pretrain.data.catalogues.problems import Problems
from pretrain.data.catalogues.spans import is_number
from pretrain.errors import UserError

BOX_FILE = "test_boxes.json"
LENGTH_FILE = "test_num_frames.json"

Spans = tuple[tuple[int, int], ...]


def read_num_frames(folder: Path, problems: Problems) -> dict[str, int]:
    """Video name -> frames, from `test_num_frames.json` in `folder`; empty where there is none.

    Videos that no list names are no problem: the file may know more than the lists.
    """
    path = folder / LENGTH_FILE
    counts: dict[str, int] = {}
    for name, count in _videos(path, problems).items():
        if type(count) is int and count > 0:
            counts[name] = count
        else:
            problems.add(f"{path.name}: '{name}': {count!r} is not a number of frames above 0")
    return counts


def read_test_boxes(
    folder: Path, spans: Mapping[str, Spans], num_frames: Mapping[str, int], problems: Problems
) -> dict[str, tuple[Box, ...]]:
    """Video name -> boxes by frame, from `test_boxes.json` in `folder`; empty where there is none.

    `spans` are those of all test videos: half-open, counted from 0, none for a normal video. Problems, each with file,
    video and frame: a video that is no test video or is normal, and what `_box` says.
    """
    path = folder / BOX_FILE
    found: dict[str, tuple[Box, ...]] = {}
    for name, entry in _videos(path, problems).items():
        where = f"{path.name}: '{name}'"
        if name not in spans:
            problems.add(f"{where}: boxes of a video that is not in the list of test videos; remove them")
        elif not spans[name]:
            problems.add(f"{where}: boxes of a normal video; remove them")
        elif not isinstance(entry, dict):
            problems.add(f"{where}: its entry is not an object of FRAME: [x1, y1, x2, y2]")
        else:
            boxes = [_box(frame, corners, spans[name], num_frames.get(name)) for frame, corners in entry.items()]
            for text in boxes:
                if isinstance(text, str):
                    problems.add(f"{where}, {text}")
            found[name] = tuple(sorted((box for box in boxes if isinstance(box, Box)), key=lambda box: box.frame))
    return found


def _box(written_frame: str, corners: Any, spans: Spans, num_frames: int | None) -> Box | str:
    """One box in our counting, or what is wrong with it (from the frame on)."""
    where = f"frame {written_frame}: box {corners}"
    if not (written_frame.isdecimal() and int(written_frame) >= 1):
        return f"frame {written_frame!r} is not a whole number from 1 on"
    if not (isinstance(corners, list) and len(corners) == 4 and all(is_number(value) for value in corners)):
        return f"{where} is not [x1, y1, x2, y2]"
    frame = int(written_frame) - 1
    if num_frames is not None and frame >= num_frames:
        return f"{where} lies beyond the last of {num_frames} frames"
    if not in_spans(frame, spans):
        listed = ", ".join(f"{start + 1} to {end}" for start, end in spans)
        return f"{where} is outside of the annotated anomalies (frames {listed})"
    x1, y1, x2, y2 = corners
    fitted = fit_corners((x1 - 1, y1 - 1, x2, y2), UCF_CRIME_SIZE)
    return f"{where} {fitted}" if isinstance(fitted, str) else Box(frame, *fitted)


def _videos(path: Path, problems: Problems) -> dict[str, Any]:
    if not path.is_file():
        return {}
    content = read_json(path, problems)
    if not isinstance(content, dict):
        raise UserError(f"{path}: it must be an object with one entry per video name")
    return content
