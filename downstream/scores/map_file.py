"""The file that score maps are kept in: everything a detector said of every cell, to find boxes again without it.

One .safetensors file. Video N has the float64 tensor `scores-N` (snippets, rows, columns) and, where its snippets are
not all equally long from frame 0 on, the int64 tensor `edges-N`. The metadata holds, as JSON, `content`:

    {"format": "anomaly-pretext/score-maps/1", "meta": {...},
     "videos": [{"name": "d0004", "size": [320, 240], "seen": [40, 0, 280, 240], "snippet_frames": 16}]}

Names stand in the JSON, not in the keys of tensors: they may be any text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from downstream.scores.score_file import ScoreFile, VideoScores
from downstream.scores.score_map import ScoreMap
from pretrain.errors import UserError, problem_list
from pretrain.files import replacing

FORMAT = "anomaly-pretext/score-maps/1"


def write_maps(path: Path, videos: Iterable[VideoScores], meta: Mapping[str, Any] | None = None) -> None:
    """Write the maps of videos atomically; scores keep all their digits.

    UserError: a name stands twice. ValueError: a video has no map, or its scores are not the map's highest cells.
    """
    listed = list(videos)
    _refuse_doubled(path, [video.name for video in listed])
    tensors: dict[str, Any] = {}
    entries = []
    for number, video in enumerate(listed):
        # looked at here, because reading makes the scores out of the map
        if video.map is None or not np.array_equal(video.map.frame_scores(), video.scores):
            raise ValueError(f"'{video.name}' needs a map whose highest cells are its scores")
        tensors[f"scores-{number}"] = np.ascontiguousarray(video.map.scores, np.float64)
        entry: dict[str, Any] = {"name": video.name, "size": list(video.map.size), "seen": list(video.map.seen)}
        length = int(video.edges[1])
        if np.array_equal(video.edges, np.arange(len(video.edges)) * length):
            entry["snippet_frames"] = length
        else:
            tensors[f"edges-{number}"] = np.ascontiguousarray(video.edges, np.int64)
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
        with safe_open(path, framework="numpy") as file:
            content = json.loads((file.metadata() or {}).get("content", "{}"))
            if content.get("format") != FORMAT:
                raise UserError(f"{path} has the format {content.get('format')!r}, not '{FORMAT}'")
            meta, entries = dict(content["meta"]), list(content["videos"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except UserError:
        raise
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"cannot read the score maps {path} ({error}); score the videos again") from error
    problems: list[str] = []
    videos: list[VideoScores] = []
    for number, entry in enumerate(entries):
        try:
            videos.append(_video(number, entry, tensors))
        except UserError as error:
            problems.append(str(error))
        except (ValueError, KeyError, TypeError) as error:
            problems.append(f"video {number}: {error if isinstance(error, ValueError) else repr(error)}")
    if not entries:
        problems.append("there is no video in it")
    if problems:
        raise UserError(f"{len(problems)} problem(s) in the score maps {path}:\n{problem_list(problems)}")
    _refuse_doubled(path, [video.name for video in videos])
    return ScoreFile(videos, meta)


def _video(number: int, entry: Mapping[str, Any], tensors: Mapping[str, Any]) -> VideoScores:
    scores = tensors[f"scores-{number}"]
    if scores.dtype != np.float64:
        raise ValueError(f"scores are {scores.dtype}, not float64")
    width, height = (int(side) for side in entry["size"])
    x1, y1, x2, y2 = (float(side) for side in entry["seen"])
    score_map = ScoreMap(scores, (width, height), (x1, y1, x2, y2))
    if "snippet_frames" in entry:
        edges = np.arange(len(scores) + 1) * int(entry["snippet_frames"])
    else:
        edges = tensors[f"edges-{number}"]
    return VideoScores(str(entry["name"]), score_map.frame_scores(), edges.astype(np.int64), score_map)


def _refuse_doubled(path: Path, names: Sequence[str]) -> None:
    doubled = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if doubled:
        problems = [f"'{name}' stands twice; keep one" for name in doubled]
        raise UserError(f"{len(doubled)} problem(s) in the score maps {path}:\n{problem_list(problems)}")
