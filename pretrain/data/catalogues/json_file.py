"""Our own ground truth: one JSON file with everything known of each video. The rendered demo set writes it.

    {"format": "anomaly-pretext/ground-truth/1",
     "videos": {NAME: {"path": ..., "label": 0 | 1 | null, "split": "train" | "test", "class_name": ..., "group": ...,
                       "num_frames": ..., "fps": ..., "spans": [[start, end), ...],
                       "boxes": [[frame, x1, y1, x2, y2, track], ...], "width": ..., "height": ...}}}

Only `path` is required. Frames count from 0, `end`, `x2` and `y2` are exclusive, boxes are in pixels and, where `width`
and `height` stand, within them. Spans and boxes must agree: every box lies in a span. Where there are boxes and no
spans, the frames with boxes are the spans.
"""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrain.data.catalogue import SPLITS, Box, Catalogue, CatalogueConfig, Video, merge_spans
from pretrain.data.catalogues.boxes import fit_corners, in_spans
from pretrain.data.catalogues.disk import at_places, check_listed
from pretrain.data.catalogues.listed_paths import listed_path
from pretrain.data.catalogues.lists import read_text
from pretrain.data.catalogues.problems import Problems
from pretrain.data.catalogues.spans import is_number, length_problems, span_problems
from pretrain.data.remote.address import root_text
from pretrain.errors import UserError, nearest
from pretrain.versioned_json import parse_json

if TYPE_CHECKING:
    from pretrain.data.video import VideoInfo

FORMAT = "anomaly-pretext/ground-truth/1"
KEYS = ("path", "label", "split", "class_name", "group", "num_frames", "fps", "spans", "boxes", "width", "height")
_KEY_SET = frozenset(KEYS)


def open_json(config: CatalogueConfig) -> Catalogue:
    """The videos of `config.annotations` (default ROOT/annotations/ground_truth.json), paths relative to the root.

    UserError lists every bad value and missing file at once.
    """
    path = config.annotations or config.root / "annotations" / "ground_truth.json"
    if not path.is_file():
        raise UserError(f"there is no ground truth file {path}; set annotations to it")
    problems = Problems(str(path), config.allow_missing)
    videos = []
    for name, entry in _entries(path, problems).items():
        wrong = entry_problems(entry)
        for text in wrong:
            problems.add(f"'{name}': {text}")
        if not wrong:
            videos.append(video_of_entry(name, entry, listed_path(root_text(config.root), entry["path"])))
    if config.check_files:
        paths = [video.path for video in videos]
        places = check_listed(paths, lambda i: f"'{videos[i].name}'", problems, config.root)
        problems.stop_if_any()
        videos = at_places(videos, places)
    problems.stop_if_any()
    if not videos:
        raise UserError(
            f"{path} lists no video that is there; give the folder that its paths start from (--catalogue.root)"
        )
    return Catalogue(videos, str(path))


def read_json(path: Path, problems: Problems) -> Any:
    """The file's content; UserError if it is no JSON. A key that stands twice in one object is a problem: plain JSON
    readers keep the last in silence."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            repeated = sorted(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
            named = ", ".join(map(repr, repeated))
            problems.add(f"{path.name}: standing twice in one object: {named}; keep one")
        return result

    try:
        return parse_json(read_text(path), unique, takes_nan=True)  # a number that is none is named below
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}); write it again") from error


def _entries(path: Path, problems: Problems) -> dict[str, Any]:
    """The file's `videos`."""
    content = read_json(path, problems)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise UserError(f"{path} has the format {found!r}, not '{FORMAT}'; a CSV list opens with kind csv")
    videos = content.get("videos")
    if not isinstance(videos, dict):
        raise UserError(f"{path}: 'videos' must be an object with one entry per video name")
    return videos


def entry_problems(entry: Any) -> list[str]:
    """What is wrong with one video's entry."""
    if not isinstance(entry, dict):
        return ["the entry is not an object"]
    wrong = []
    if not entry.keys() <= _KEY_SET:
        wrong += [f"unknown key '{key}'{nearest(key, KEYS)}" for key in entry if key not in KEYS]
    if not isinstance(entry.get("path"), str) or not entry["path"] or "\0" in entry["path"]:
        wrong.append("'path' is missing or not text")
    if not _is_label(entry.get("label")):
        wrong.append(f"label {entry['label']!r} is none of 0, 1 or null")
    if not isinstance(entry.get("split", "train"), str) or entry.get("split", "train") not in SPLITS:
        wrong.append(f"split {entry['split']!r} is neither 'train' nor 'test'")
    for key in ("class_name", "group"):
        if key in entry and not isinstance(entry[key], str | None):
            wrong.append(f"'{key}' is not text")
    frames = entry.get("num_frames")
    bad_length = length_problems(frames, entry.get("fps"))
    if bad_length:
        return wrong + bad_length
    bad_spans = []
    if entry.get("spans") not in (None, []):
        bad_spans = span_problems(entry["spans"], frames, entry.get("label"))
    wrong += bad_spans + _size_problems(entry)
    if entry.get("boxes") not in (None, []):
        bad_boxes = _box_problems(entry, frames)
        wrong += bad_boxes or ([] if bad_spans else _disagreements(entry))
    return wrong


def _size_problems(entry: dict[str, Any]) -> list[str]:
    size = entry.get("width"), entry.get("height")
    if size == (None, None) or all(type(value) is int and value > 0 for value in size):
        return []
    return [f"width {size[0]!r} and height {size[1]!r} are not two whole numbers above 0 (or neither)"]


def _box_problems(entry: dict[str, Any], num_frames: int | None) -> list[str]:
    """What is wrong with single boxes."""
    boxes, last = entry["boxes"], math.inf if num_frames is None else num_frames
    if not isinstance(boxes, list):
        return ["'boxes' is not a list"]
    size = (entry["width"], entry["height"]) if entry.get("width") and not _size_problems(entry) else None
    wrong = []
    for box in boxes:
        if not (isinstance(box, list) and len(box) == 6 and all(is_number(value) for value in box)):
            wrong.append(f"box {box!r} is not [frame, x1, y1, x2, y2, track]")
        elif type(box[0]) is not int or type(box[5]) is not int or not 0 <= box[0] < last:
            wrong.append(f"box {box}: frame and track must be whole numbers, 0 <= frame < {last}")
        elif isinstance(fitted := fit_corners((box[1], box[2], box[3], box[4]), size, slack=0), str):
            wrong.append(f"box {box} {fitted}")
    return wrong


def _disagreements(entry: dict[str, Any]) -> list[str]:
    """Boxes against label and spans, each of which is right in itself."""
    boxes = entry["boxes"]
    if entry.get("label") == 0:
        return [f"label 0 (normal), yet it has {len(boxes)} box(es)"]
    spans = merge_spans((start, end) for start, end in entry.get("spans") or ())
    outside = [box for box in boxes if not in_spans(box[0], spans)] if spans else []
    if not outside:
        return []
    return [f"{len(outside)} box(es) in frames outside of its spans, first {outside[0]}; add the frames or drop them"]


def _is_label(value: Any) -> bool:
    return value is None or (type(value) is int and value in (0, 1))


def video_of_entry(name: str, entry: dict[str, Any], path: str, measured: VideoInfo | None = None) -> Video:
    """The video that an entry without problems describes."""
    boxes = tuple(Box(*box) for box in entry.get("boxes") or ())
    spans = entry.get("spans") or [(box.frame, box.frame + 1) for box in boxes]
    return Video(
        name=name,
        path=path,
        label=entry.get("label"),
        split=entry.get("split", "train"),
        class_name=entry.get("class_name"),
        group=entry.get("group"),
        spans=merge_spans((start, end) for start, end in spans),
        boxes=boxes,
        num_frames=entry.get("num_frames"),
        fps=entry.get("fps"),
        measured=measured,
    )
