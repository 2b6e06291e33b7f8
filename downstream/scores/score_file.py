"""The file that scores of videos are kept in: JSON, or a table of another program.

A video says which frames its snippets stand for by `snippet_frames` (equal snippets from frame 0 on) or by `edges` (one
more than it has scores):

    {"format": "anomaly-pretext/scores/1", "meta": {...},
     "videos": [{"name": "Abuse028_x264", "snippet_frames": 16, "scores": [0.01, 0.73, ...]},
                {"name": "d0004", "edges": [0, 100, 210], "scores": [0.2, 0.4]}]}

Whoever has scores of another program gives CSV instead: `name,start,end,score`, a line a snippet, frames half-open.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from downstream.scores.video_scores import VideoScores, make_scores
from pretrain.errors import UserError, problem_list
from pretrain.files import json_text, write_text
from pretrain.json_shapes import WrongShape, check, either, mapping, number, optional, record, sequence, text, whole
from pretrain.reading import LIST_BYTES
from pretrain.tables import Table, cell_text, open_table, whole_number
from pretrain.versioned_json import read_versioned_json, read_videos

FORMAT = "anomaly-pretext/scores/1"
CSV_COLUMNS = ("name", "start", "end", "score")


class ScoreFile(NamedTuple):
    """The content of one score file."""

    videos: list[VideoScores]
    meta: dict[str, Any]

    @property
    def unscored(self) -> dict[str, str]:
        """Videos that were to be scored and could not be read, and why: `unscored` of `meta`."""
        return dict(self.meta.get("unscored") or {})


def unscored_in(files: Iterable[ScoreFile]) -> dict[str, str]:
    """Videos that are `unscored` in any of the files: all are to be evaluated without them."""
    return {name: reason for file in files for name, reason in file.unscored.items()}


def write_scores(path: Path, videos: Iterable[VideoScores], meta: Mapping[str, Any] | None = None) -> None:
    """Write a score file atomically; scores keep all their digits. One line a video."""
    lines = [json_text(_entry(video)) for video in videos]
    head = json_text(dict(meta or {}))
    body = ",\n".join(lines)
    write_text(path, f'{{"format": "{FORMAT}",\n"meta": {head},\n"videos": [\n{body}\n]}}\n')


def _entry(video: VideoScores) -> dict[str, Any]:
    length = int(video.edges[1])
    regular = np.array_equal(video.edges, np.arange(len(video.edges)) * length)
    grid = {"snippet_frames": length} if regular else {"edges": video.edges.tolist()}
    return {"name": video.name, **grid, "scores": video.scores.tolist()}


def read_scores(path: Path) -> ScoreFile:
    """Read a score file (`.json`), or a plain table (`.csv`).

    UserError: not such a file, or every unusable or doubled video at once.
    """
    if path.suffix.lower() == ".csv":
        content: dict[str, Any] = {"videos": _from_csv(path)}
    else:
        mend = "give a score file, or a table named .csv"
        content = read_versioned_json(path, "the scores", FORMAT, mend, _FILE, LIST_BYTES, takes_nan=True)
    fields = "a name, scores and edges or snippet_frames"
    videos = read_videos(path, "the scores", content.get("videos"), fields, lambda _, entry: _video(entry))
    meta = content.get("meta")
    return ScoreFile(list(videos.values()), meta if isinstance(meta, dict) else {})


_FILE = record({}, {"meta": optional(record({}, {"unscored": optional(mapping(text))}))})


def _not_finite(value: Any) -> None:
    """NaN or infinity: which snippet has it is said later."""
    if type(value) is not float:
        number()(value)


def _frame(value: Any) -> None:
    """A whole number, which other programs may write as 16.0."""
    whole(0, 1 << 40)(int(value) if type(value) is float and value.is_integer() else value)


def _video(entry: Mapping[str, Any]) -> VideoScores:
    scores, own_edges = entry["scores"], entry.get("edges")
    try:
        check(scores, sequence(either(number(), _not_finite)))
        check(entry, record({"edges": sequence(_frame)} if "edges" in entry else {"snippet_frames": whole(0, 1 << 24)}))
    except WrongShape as error:
        raise UserError(f"scores of '{entry['name']}' are not numbers with whole-numbered edges ({error})") from error
    edges = own_edges if own_edges is not None else np.arange(len(scores) + 1) * entry["snippet_frames"]
    return make_scores(entry["name"], scores, edges)


def _from_csv(path: Path) -> list[dict[str, Any]]:
    """The rows by video, in the order of their frames, as entries of a score file."""
    problems: list[str] = []
    try:
        with open_table(path) as file:
            rows = _rows(Table(file, path), problems)
    except OSError as error:
        raise UserError(f"cannot read the scores {path} ({error})") from error
    entries = []
    for name, snippets in rows.items():
        snippets.sort()
        gaps = [(a, b) for a, b in pairwise(snippets) if a[1] != b[0]]
        if gaps:
            problems.append(f"'{name}': a snippet ends at frame {gaps[0][0][1]}, the next begins at {gaps[0][1][0]}")
        edges = [snippets[0][0], *(end for _, end, _ in snippets)]
        entries.append({"name": name, "edges": edges, "scores": [score for *_, score in snippets]})
    if problems:
        raise UserError(f"{len(problems)} problem(s) in the scores {path}:\n{problem_list(problems)}")
    return entries


def _rows(table: Table, problems: list[str]) -> dict[str, list[tuple[int, int, float]]]:
    """Start, end and score of each video's snippets; lines that are none of a snippet join the problems."""
    if missing := [column for column in CSV_COLUMNS if column not in table.header]:
        raise UserError(
            f"the first line of {table.path} must be {','.join(CSV_COLUMNS)}; missing: {', '.join(missing)}"
        )
    name, start, end, score = (table.header.index(column) for column in CSV_COLUMNS)
    rows: dict[str, list[tuple[int, int, float]]] = {}
    for row in table.rows():
        if not row:
            continue
        try:
            snippet = whole_number(row[start]), whole_number(row[end]), table.number(row[score])
        except (IndexError, ValueError, OverflowError):
            problems.append(f"line {table.line}: {row} is not name, two frames and a number")
        else:
            rows.setdefault(cell_text(row[name]), []).append(snippet)
    return rows
