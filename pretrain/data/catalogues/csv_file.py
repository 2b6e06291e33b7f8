"""A CSV of videos, a million lines in seconds: `path` and, where known, more.

    path,name,label,split,class_name,group,num_frames,fps,spans
    cam3/0412.mp4,,abnormal,test,Fall,cam3,450,30,120:180 300:330

Only `path` is needed. Cells may be parted by semicolons or tabs, and whole numbers may stand as `450.0`. Spans are
`start:end` in frames, counted from 0, the end outside, separated by spaces.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pretrain.data.catalogue import SPLITS, Catalogue, CatalogueConfig, Video, merge_spans
from pretrain.data.catalogues.disk import at_places, check_listed, video_name
from pretrain.data.catalogues.listed_paths import listed_path
from pretrain.data.catalogues.problems import Problems
from pretrain.data.catalogues.spans import length_problems, span_problems
from pretrain.data.remote.address import base_name, root_text
from pretrain.errors import UserError, nearest
from pretrain.tables import Table, cell_text, open_table, whole_number

COLUMNS = ("path", "name", "label", "split", "class_name", "group", "num_frames", "fps", "spans")
_LABELS: dict[str, int | None] = {"": None, "0": 0, "1": 1, "0.0": 0, "1.0": 1, "normal": 0, "abnormal": 1}

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
        with open_table(path) as file:
            videos, lines = _read(Table(file, path), root_text(config.root), problems)
    except OSError as error:
        raise UserError(f"cannot read the list {path}: {error.strerror}; set annotations to the CSV file") from error
    _report_repeats(videos, lines, path, problems)
    if config.check_files:
        videos = at_places(
            videos,
            check_listed([v.path for v in videos], lambda i: f"{path.name}:{lines[i]}", problems, config.root),
        )
    problems.stop_if_any()
    if not videos:
        raise UserError(f"{path} lists no video that is there; give it one line a video under the header 'path,...'")
    return Catalogue(videos, str(path))


def _read(table: Table, root: str, problems: Problems) -> tuple[list[Video], list[int]]:
    """The good rows as videos, and the line each stands on."""
    header, path = table.header, table.path
    _check_header(header, path)
    # An absent column is read from an empty cell that each row gets at its end.
    at = {column: header.index(column) if column in header else len(header) for column in COLUMNS}
    at_path, at_name, *at_known = (at[column] for column in COLUMNS[:6])
    at_extent = [at[column] for column in COLUMNS[6:]] if set(COLUMNS[6:]) & set(header) else []
    known: dict[tuple[str, ...], _Known | str] = {}
    videos: list[Video] = []
    lines: list[int] = []
    for row in table.rows():
        if not row:
            continue
        if len(row) != len(header):
            problems.add(f"{path.name}:{table.line}: {len(row)} cells, the header has {len(header)}")
            continue
        row.append("")
        # Labels, splits, classes and groups repeat: each combination is checked once and its strings are shared.
        cells = tuple([row[column] for column in at_known])
        of_row = known.get(cells)
        if of_row is None:
            of_row = _known(*cells)
            if len(known) < _MAX_KNOWN:
                known[cells] = of_row
        listed = cell_text(row[at_path])
        if isinstance(of_row, str) or not listed.strip():
            problems.add(f"{path.name}:{table.line}: {of_row if listed.strip() else 'the path is empty'}")
            continue
        extent = _extent(of_row[0], table, *(row[column].strip() for column in at_extent)) if at_extent else _NO_EXTENT
        if isinstance(extent, str):
            problems.add(f"{path.name}:{table.line}: {extent}")
            continue
        whole = listed_path(root, listed)
        name = cell_text(row[at_name].strip()) or video_name(_file_name(whole))
        spans, num_frames, fps = extent
        videos.append(Video(name, whole, *of_row, spans, (), num_frames, fps))
        lines.append(table.line)
    return videos, lines


def _file_name(path: str) -> str:
    name = path.rpartition("/")[2]
    return base_name(path) if "#" in name else name


def _known(label: str, split: str, class_name: str, group: str) -> _Known | str:
    """The cells of one row as the fields of a `Video`, or what is wrong with them."""
    label, split = label.strip().lower(), split.strip().lower() or "train"
    if label not in _LABELS:
        return f"label '{label}' is none of 0, 1, normal, abnormal or empty"
    if split not in SPLITS:
        return f"split '{split}' is neither train nor test"
    return _LABELS[label], split, class_name.strip() or None, group.strip() or None


def _extent(label: int | None, table: Table, num_frames: str, fps: str, spans: str) -> _Extent | str:
    """The cells of one row as spans, frame count and rate, or what is wrong with them."""
    frames, rate = _number(num_frames, whole_number), _number(fps, table.number)
    pairs = [[_number(edge, whole_number) for edge in span.split(":")] for span in spans.split()]
    odd = [span for span, pair in zip(spans.split(), pairs, strict=True) if [*map(type, pair)] != [int, int]]
    if odd:
        return f"span '{odd[0]}' is not start:end in whole frames, such as 120:180"
    wrong = length_problems(frames, rate) or span_problems(pairs, frames, label)
    return "; ".join(wrong) if wrong else (merge_spans((start, end) for start, end in pairs), frames, rate)


def _number(text: str, of: Callable[[str], float]) -> Any:
    """The number that a cell holds; None where it is empty, the text itself where it is none."""
    try:
        return of(text) if text else None
    except (ValueError, OverflowError):
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
