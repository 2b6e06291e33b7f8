"""What imported features do not say: frames a snippet stands for, frames and fps of each video."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from pretrain.data.catalogue import Catalogue, Video
from pretrain.data.catalogues.disk import video_name
from pretrain.data.video import VideoError, probe
from pretrain.errors import UserError, nearest, problem_list
from pretrain.tables import Table, cell_text, open_table, whole_number

COLUMNS = ("name", "snippet_frames", "frames", "fps")


class Timing(NamedTuple):
    """What is known of a video's frames; None: unknown."""

    snippet_frames: int | None = None
    frames: int | None = None
    fps: float | None = None


def read_grid(file: Path, needs_snippets: bool = True) -> dict[str, Timing]:
    """Timings by name, of a CSV with the columns `name, snippet_frames` and, where known, `frames, fps`.

    Cells but the name's may be empty (snippet_frames: that video is divided evenly; of all videos only where it is not
    `needs_snippets`). UserError lists every bad line.
    """
    problems: list[str] = []
    timings: dict[str, Timing] = {}
    try:
        with open_table(file) as opened:
            table = Table(opened, file)
            _check_header(table.header, file)
            for row in table.rows():
                if not row:
                    continue
                where = f"{file.name}:{table.line}"
                try:
                    name, timing = _timing(row, table)
                except ValueError as error:
                    problems.append(f"{where}: {error}")
                    continue
                if name in timings:
                    problems.append(f"{where}: '{name}' for the second time")
                timings[name] = timing
    except OSError as error:
        raise UserError(f"--grid {file} cannot be read as CSV in UTF-8 ({error})") from error
    if problems:
        raise UserError(f"{len(problems)} bad line(s) in {file}:\n{problem_list(problems)}")
    if needs_snippets and not any(timing.snippet_frames for timing in timings.values()):
        raise UserError(f"{file} gives snippet_frames of no video; fill that column, or use --segments without --grid")
    return timings


def _check_header(columns: list[str], file: Path) -> None:
    unknown = [column for column in columns if column not in COLUMNS]
    if "name" not in columns or "snippet_frames" not in columns or unknown:
        hint = nearest(unknown[0], COLUMNS) if unknown else ""
        raise UserError(
            f"{file} has the columns {', '.join(columns) or '(none)'}; "
            f"needed are name, snippet_frames, possible are frames, fps{hint}"
        )


def _timing(row: Sequence[str], table: Table) -> tuple[str, Timing]:
    if len(row) != len(table.header):
        raise ValueError("the line has not as many cells as the header")
    cells = dict.fromkeys(COLUMNS, "") | dict(zip(table.header, map(str.strip, row), strict=True))
    if not cells["name"]:
        raise ValueError("the name is empty")
    snippet_frames, frames = (
        _positive(cells[column], whole_number, column, "integer") for column in ("snippet_frames", "frames")
    )
    fps = _positive(cells["fps"], table.number, "fps", "number")
    return video_name(cell_text(cells["name"])), Timing(snippet_frames, frames, fps)


Number = TypeVar("Number", int, float)


def _positive(cell: str, convert: Callable[[str], Number], column: str, kind: str) -> Number | None:
    if not cell:
        return None
    try:
        value = convert(cell)
    except (ValueError, OverflowError):
        value = convert("0")
    if not 0 < value < float("inf"):
        raise ValueError(f"{column} is '{cell}'; it must be a positive {kind}")
    return value


def timings_of(
    catalogue: Catalogue, progress: Callable[[Iterable[Video]], Iterable[Video]] = lambda videos: videos
) -> dict[str, Timing]:
    """Frames and fps of every video of a catalogue; where its lists do not state the frames, the file is asked.

    UserError lists all files that cannot be read.
    """
    timings: dict[str, Timing] = {}
    problems: list[str] = []
    for video in progress(catalogue):
        frames, fps = video.num_frames, video.fps
        if frames is None:
            try:
                info = probe(video.path)
            except VideoError as error:
                problems.append(str(error))
                continue
            frames, fps = info.num_frames, fps or info.fps
        timings[video.name] = Timing(None, frames, fps)
    if problems:
        raise UserError(f"{len(problems)} video(s) of {catalogue.source} cannot be read:\n{problem_list(problems)}")
    return timings


def timing_of(name: str, grid: Mapping[str, Timing], known: Mapping[str, Timing]) -> Timing:
    """What the grid file says of a video, and from the catalogue what that leaves open."""
    mine, other = grid.get(name, Timing()), known.get(name, Timing())
    return Timing(mine.snippet_frames, mine.frames or other.frames, mine.fps or other.fps)
