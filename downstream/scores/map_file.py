"""The file that score maps are kept in: everything a detector said of every cell, to find boxes again without it.

One .safetensors file. Video N has the float64 tensor `scores-N` (snippets, rows, columns) and, where its snippets are
not all equally long from frame 0 on, the int64 tensor `edges-N`. The metadata holds, as JSON, `content`:

    {"format": "anomaly-pretext/score-maps/1", "meta": {...},
     "videos": [{"name": "d0004", "size": [320, 240], "seen": [40, 0, 280, 240], "snippet_frames": 16}]}

Names stand in the JSON, not in the keys of tensors: they may be any text.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from downstream.scores.score_file import ScoreFile
from downstream.scores.score_map import ScoreMap
from downstream.scores.video_scores import VideoScores
from pretrain.errors import UserError, problem_list
from pretrain.files import replacing
from pretrain.json_shapes import check, fixed, mapping, number, optional, record, text, whole
from pretrain.versioned_json import of_format, parse_json, read_videos
from pretrain.weight_files import check_safetensors

FORMAT = "anomaly-pretext/score-maps/1"
_MEND = "score the videos again"
_CONTENT = record({"meta": record({}, {"unscored": optional(mapping(text))})})
_SIDE = whole(1, 1 << 16)
_VIDEO = record(
    {"name": text, "size": fixed(_SIDE, _SIDE), "seen": fixed(*[number()] * 4)}, {"snippet_frames": whole(0, 1 << 24)}
)


def write_maps(path: Path, videos: Iterable[VideoScores], meta: Mapping[str, Any] | None = None) -> None:
    """Write the maps of videos atomically; scores keep all their digits.

    UserError: a name stands twice. ValueError: a video has no map, or its scores are not the map's highest cells.
    """
    listed = list(videos)
    _refuse_doubled(path, [video.name for video in listed])
    tensors: dict[str, Any] = {}
    entries = []
    for index, video in enumerate(listed):
        # looked at here, because reading makes the scores out of the map
        if video.map is None or not np.array_equal(video.map.frame_scores(), video.scores):
            raise ValueError(f"'{video.name}' needs a map whose highest cells are its scores")
        tensors[f"scores-{index}"] = np.ascontiguousarray(video.map.scores, np.float64)
        entry: dict[str, Any] = {"name": video.name, "size": list(video.map.size), "seen": list(video.map.seen)}
        length = int(video.edges[1])
        if np.array_equal(video.edges, np.arange(len(video.edges)) * length):
            entry["snippet_frames"] = length
        else:
            tensors[f"edges-{index}"] = np.ascontiguousarray(video.edges, np.int64)
        entries.append(entry)
    # one key: safetensors writes several in any order, and a run must write the same bytes twice
    content = json.dumps({"format": FORMAT, "meta": dict(meta or {}), "videos": entries}, allow_nan=False)
    with replacing(path) as temporary:
        save_file(tensors, temporary, {"content": content})


def read_maps(path: Path) -> ScoreFile:
    """Videos with `map`, and with the highest cells as `scores`.

    UserError: missing, damaged or another format, or every unusable or doubled video at once.
    """
    try:
        check_safetensors(path)
        with safe_open(path, framework="numpy") as file:
            content = of_format(parse_json((file.metadata() or {}).get("content", "{}")), path, FORMAT, _MEND)
            check(content, _CONTENT)
            meta = dict(content["meta"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except UserError:
        raise
    except Exception as error:  # the library's own, and those of Python for types that it does not know
        raise UserError(f"cannot read the score maps {path} ({error}); {_MEND}") from error
    fields = "a name, size, part seen and scores"
    entries = content.get("videos")
    videos = read_videos(path, "the score maps", entries, fields, lambda index, entry: _video(index, entry, tensors))
    return ScoreFile(list(videos.values()), meta)


def _video(index: int, entry: Mapping[str, Any], tensors: Mapping[str, Any]) -> VideoScores:
    check(entry, _VIDEO)
    scores = tensors[f"scores-{index}"]
    if scores.dtype != np.float64:
        raise ValueError(f"scores are {scores.dtype}, not float64")
    width, height = entry["size"]
    x1, y1, x2, y2 = map(float, entry["seen"])
    score_map = ScoreMap(scores, (width, height), (x1, y1, x2, y2))
    if "snippet_frames" in entry:
        edges = np.arange(len(scores) + 1) * entry["snippet_frames"]
    else:
        edges = tensors[f"edges-{index}"]
        if edges.dtype != np.int64:
            raise ValueError(f"edges are {edges.dtype}, not int64")
    return VideoScores(entry["name"], score_map.frame_scores(), edges.astype(np.int64), score_map)


def _refuse_doubled(path: Path, names: Sequence[str]) -> None:
    if doubled := sorted(name for name, times in Counter(names).items() if times > 1):
        problems = [f"'{name}' stands twice; keep one" for name in doubled]
        raise UserError(f"{len(doubled)} problem(s) in the score maps {path}:\n{problem_list(problems)}")
