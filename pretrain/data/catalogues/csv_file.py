"""A CSV of videos, a million lines in seconds: `path` and, where known, more.

    path,name,label,split,class_name,group,num_frames,fps,spans
    cam3/0412.mp4,,abnormal,test,Fall,cam3,450,30,120:180 300:330

Only `path` is needed. Spans are `start:end` in frames, counted from 0, the end outside, separated by spaces.
"""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any, TextIO

from pretrain.data.catalogue import SPLITS, Catalogue, CatalogueConfig, Video, merge_spans
from pretrain.data.catalogues.disk import check_listed, video_name
from pretrain.data.catalogues.problems import Problems
from pretrain.data.catalogues.spans import length_problems, span_problems
from pretrain.errors import UserError, nearest
from pretrain.reading import LIST_BYTES, Unreadable, open_regular

COLUMNS = ("path", "name", "label", "split", "class_name", "group", "num_frames", "fps", "spans")
_LABELS: dict[str, int | None] = {"": None, "0": 0, "1": 1, "normal": 0, "abnormal": 1}

_Known = tuple[int | None, str, str | None, str | None]
"""label, split, class_name, group"""
_Extent = tuple[tuple[tuple[int, int], ...], int | None, float | None]
"""spans, num_frames, fps"""
_NO_EXTENT: _Extent = ((), None, None)
_MAX_KNOWN = 100_000
"""So many combinations are kept while reading: a list with a group per video must not fill the memory with them."""


def open_csv(config: CatalogueConfig) -> Catalogue:
    """The videos of `config.annotations` (default ROOT/videos.csv), paths relative to `config.root`.

    `label` is 0, 1, normal, abnormal or empty; `split` is train (also when empty) or test; `name` defaults to the file
    name without suffix. UserError lists every bad line, missing file and repeated name at once.
    """
    path = config.annotations or config.root / "videos.csv"
    problems = Problems(str(path), config.allow_missing)
    try:
        with io.TextIOWrapper(open_regular(path, LIST_BYTES), encoding="utf-8-sig", newline="") as file:
            videos, lines = _read(file, path, str(config.root), problems)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is not CSV text in UTF-8 ({error}); save it as one") from error
    except (OSError, Unreadable) as error:
        cause = error.__cause__ or error
        reason = getattr(cause, "strerror", None) or error
        raise UserError(f"cannot read the list {path}: {reason}; set annotations to the CSV file") from error
    _report_repeats(videos, lines, path, problems)
    if config.check_files:
        exists = check_listed([v.path for v in videos], lambda i: f"{path.name}:{lines[i]}", problems)
        videos = videos if all(exists) else [video for video, there in zip(videos, exists, strict=True) if there]
    problems.stop_if_any()
    if not videos:
        raise UserError(f"{path} lists no video that is there; give it one line a video under the header 'path,...'")
    return Catalogue(videos, str(path))


def _read(file: TextIO, path: Path, root: str, problems: Problems) -> tuple[list[Video], list[int]]:
    """The good rows as videos, and the line each stands on."""
    reader = csv.reader(file)
    header = [column.strip() for column in next(reader, [])]
    _check_header(header, path)
    # An absent column is read from an empty cell that each row gets at its end.
    at = {column: header.index(column) if column in header else len(header) for column in COLUMNS}
    at_path, at_name, *at_known = (at[column] for column in COLUMNS[:6])
    at_extent = [at[column] for column in COLUMNS[6:]] if set(COLUMNS[6:]) & set(header) else []
    known: dict[tuple[str, ...], _Known | str] = {}
    videos: list[Video] = []
    lines: list[int] = []
    for row in reader:
        if not row:
            continue
        if len(row) != len(header):
            problems.add(f"{path.name}:{reader.line_num}: {len(row)} cells, the header has {len(header)}")
            continue
        row.append("")
        # Labels, splits, classes and groups repeat: each combination is checked once and its strings are shared.
        cells = tuple([row[column] for column in at_known])
        of_row = known.get(cells)
        if of_row is None:
            of_row = _known(*cells)
            if len(known) < _MAX_KNOWN:
                known[cells] = of_row
        listed = row[at_path].strip().rstrip("/")
        if isinstance(of_row, str) or not listed:
            problems.add(f"{path.name}:{reader.line_num}: {of_row if listed else 'the path is empty'}")
            continue
        extent = _extent(of_row[0], *(row[column].strip() for column in at_extent)) if at_extent else _NO_EXTENT
        if isinstance(extent, str):
            problems.add(f"{path.name}:{reader.line_num}: {extent}")
            continue
        name = row[at_name].strip() or video_name(listed.rpartition("/")[2])
        spans, num_frames, fps = extent
        whole = listed if os.path.isabs(listed) else f"{root}/{listed}"
        videos.append(Video(name, whole, *of_row, spans, (), num_frames, fps))
        lines.append(reader.line_num)
    return videos, lines


def _known(label: str, split: str, class_name: str, group: str) -> _Known | str:
    """The cells of one row as the fields of a `Video`, or what is wrong with them."""
    label, split = label.strip().lower(), split.strip().lower() or "train"
    if label not in _LABELS:
        return f"label '{label}' is none of 0, 1, normal, abnormal or empty"
    if split not in SPLITS:
        return f"split '{split}' is neither train nor test"
    return _LABELS[label], split, class_name.strip() or None, group.strip() or None


def _extent(label: int | None, num_frames: str, fps: str, spans: str) -> _Extent | str:
    """The cells of one row as spans, frame count and rate, or what is wrong with them."""
    frames, rate = _number(num_frames, int), _number(fps, float)
    pairs = [[_number(edge, int) for edge in span.split(":")] for span in spans.split()]
    odd = [span for span, pair in zip(spans.split(), pairs, strict=True) if [*map(type, pair)] != [int, int]]
    if odd:
        return f"span '{odd[0]}' is not start:end in whole frames, such as 120:180"
    wrong = length_problems(frames, rate) or span_problems(pairs, frames, label)
    return "; ".join(wrong) if wrong else (merge_spans((start, end) for start, end in pairs), frames, rate)


def _number(text: str, of: type[int] | type[float]) -> Any:
    """The number that a cell holds; None where it is empty, the text itself where it is none."""
    try:
        return of(text) if text else None
    except ValueError:
        return text


def _check_header(header: list[str], path: Path) -> None:
    wrong = [f"unknown column '{column}'{nearest(column, COLUMNS)}" for column in header if column not in COLUMNS]
    wrong += [f"column '{column}' stands twice" for column in COLUMNS if header.count(column) > 1]
    wrong += [] if "path" in header else ["there is no column 'path'"]
    if wrong:
        known = ", ".join(COLUMNS)
        raise UserError(f"the first line of {path} must name columns out of {known}: {'; '.join(wrong)}")


def _report_repeats(videos: list[Video], lines: list[int], path: Path, problems: Problems) -> None:
    if len({video.name for video in videos}) == len(videos):
        return
    first: dict[str, int] = {}
    for index, video in enumerate(videos):
        other = first.setdefault(video.name, index)
        if other != index:
            problems.add(
                f"{path.name}:{lines[index]}: two videos named '{video.name}': {videos[other].path}"
                f" (line {lines[other]}) and {video.path}; give one another name in the column 'name'"
            )
