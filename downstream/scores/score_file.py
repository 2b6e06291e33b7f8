"""What a detector says of videos, and the files it is kept in.

A score file is JSON. A video says which frames its snippets stand for by `snippet_frames` (equal snippets from frame 0
on) or by `edges` (one more than it has scores):

    {"format": "anomaly-pretext/scores/1", "meta": {...},
     "videos": [{"name": "Abuse028_x264", "snippet_frames": 16, "scores": [0.01, 0.73, ...]},
                {"name": "d0004", "edges": [0, 100, 210], "scores": [0.2, 0.4]}]}

Whoever has scores of another program gives CSV instead: `name,start,end,score`, a line a snippet, frames half-open.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from downstream.scores.score_map import ScoreMap
from pretrain.errors import UserError, problem_list
from pretrain.files import write_text

FORMAT = "anomaly-pretext/scores/1"
CSV_COLUMNS = ("name", "start", "end", "score")


@dataclass(frozen=True, slots=True, eq=False)
class VideoScores:
    """One video's scores; higher is more anomalous. Raises UserError where they cannot be used."""

    name: str
    scores: NDArray[np.float64]
    """(S,), finite, S >= 1."""
    edges: NDArray[np.int64]
    """(S + 1,): snippet i stands for frames `[edges[i], edges[i + 1])`; begins at 0, strictly increasing."""
    map: ScoreMap | None = None
    """Where in the picture, of a detector that scores cells: `scores` are then the highest cell's. Score files leave it
    out; see `downstream.scores.map_file`."""

    def __post_init__(self) -> None:
        if wrong := problem_of(self.scores, self.edges):
            raise UserError(f"scores of '{self.name}': {wrong}")

    @property
    def covered_frames(self) -> int:
        """Frames that have a score."""
        return int(self.edges[-1])


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


def make_scores(name: str, scores: ArrayLike, edges: ArrayLike) -> VideoScores:
    """A `VideoScores` out of anything array-like (a list, float32)."""
    try:
        return VideoScores(name, np.asarray(scores, np.float64), np.asarray(edges, np.int64))
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"scores of '{name}' are not numbers with whole-numbered edges ({error})") from error


def problem_of(scores: NDArray[Any], edges: NDArray[Any]) -> str:
    """What is wrong with scores and their edges, in words; an empty string where nothing is."""
    if scores.ndim != 1 or not len(scores):
        return f"an array of shape {scores.shape}; expected (snippets >= 1,)"
    if edges.shape != (len(scores) + 1,):
        return f"{len(scores)} scores need {len(scores) + 1} edges, there are {edges.shape}"
    if edges[0] != 0:
        return f"the first snippet begins at frame {edges[0]}, not 0; give the frames before it a score"
    if not (np.diff(edges) > 0).all():
        return f"edges do not increase after snippet {int(np.argmin(np.diff(edges) > 0))}"
    if not np.isfinite(scores).all():
        bad = np.flatnonzero(~np.isfinite(scores))
        return f"{len(bad)} of {len(scores)} are not finite, the first is snippet {bad[0]}"
    return ""


def write_scores(path: Path, videos: Iterable[VideoScores], meta: Mapping[str, Any] | None = None) -> None:
    """Write a score file atomically; scores keep all their digits. One line a video."""
    lines = [json.dumps(_entry(video), ensure_ascii=False, allow_nan=False) for video in videos]
    head = json.dumps(dict(meta or {}), ensure_ascii=False, allow_nan=False)
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
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the scores {path} ({error})") from error
    if path.suffix.lower() == ".csv":
        return _checked(path, _from_csv(path, text), {})
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is neither JSON ({error}) nor named .csv") from error
    found = content.get("format") if isinstance(content, dict) else type(content).__name__
    if found != FORMAT or not isinstance(content.get("videos"), list):
        raise UserError(f"{path} has the format {found!r}, not '{FORMAT}' with a list of videos")
    meta = content.get("meta")
    return _checked(path, content["videos"], meta if isinstance(meta, dict) else {})


def _checked(path: Path, entries: Sequence[Any], meta: dict[str, Any]) -> ScoreFile:
    problems: list[str] = []
    videos: dict[str, VideoScores] = {}
    for number, entry in enumerate(entries):
        try:
            name, scores = str(entry["name"]), entry["scores"]
            edges = entry["edges"] if "edges" in entry else np.arange(len(scores) + 1) * int(entry["snippet_frames"])
            if name in videos:
                problems.append(f"'{name}' stands twice; keep one")
            videos[name] = make_scores(name, scores, edges)
        except UserError as error:
            problems.append(str(error))
        except (KeyError, TypeError, ValueError) as error:
            problems.append(f"entry {number} is not a name, scores and edges or snippet_frames ({error!r})")
    if not entries:
        problems.append("there is no video in it")
    if problems:
        raise UserError(f"{len(problems)} problem(s) in the scores {path}:\n{problem_list(problems)}")
    return ScoreFile(list(videos.values()), meta)


def _from_csv(path: Path, text: str) -> list[dict[str, Any]]:
    """The rows by video, in the order of their frames, as entries of a score file."""
    reader = csv.DictReader(text.splitlines(), strict=True)
    header = [column.strip() for column in reader.fieldnames or ()]
    if missing := [column for column in CSV_COLUMNS if column not in header]:
        raise UserError(f"the first line of {path} must be {','.join(CSV_COLUMNS)}; missing: {', '.join(missing)}")
    reader.fieldnames = header
    problems: list[str] = []
    rows: dict[str, list[tuple[int, int, float]]] = {}
    try:
        for row in reader:
            try:
                snippet = int(row["start"]), int(row["end"]), float(row["score"])
                rows.setdefault(row["name"], []).append(snippet)
            except (TypeError, ValueError):
                problems.append(f"line {reader.line_num}: {list(row.values())} is not name, two frames and a number")
    except csv.Error as error:
        raise UserError(f"{path} is not CSV ({error})") from error
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
