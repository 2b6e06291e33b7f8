"""From folders and list files, and what the user says of them, to the plan of an import."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from downstream.features.find_files import find_files
from downstream.features.import_config import LayoutFlags
from downstream.features.importing import ImportOptions, ImportPlan, Progress, plan_import
from downstream.features.timing import Timing, read_grid
from downstream.features.video_features import Streams, common_step, read_streams


def options_of(flags: LayoutFlags, encoder: str, dtype: str) -> ImportOptions:
    """As `plan_import` takes it."""
    return ImportOptions(
        encoder=encoder,
        dtype=dtype,
        axes=flags.axes,
        crop_files={"auto": None, "yes": True, "no": False}[flags.crop_files],
        crop_names=flags.crop_names,
        strip=flags.strip,
        key=flags.key,
        snippet_frames=flags.snippet_frames,
        segments=flags.segments,
    )


def plan_sources(
    sources: Sequence[Path],
    flags: LayoutFlags,
    encoder: str,
    dtype: str,
    *,
    known: Mapping[str, Timing] | None = None,
    progress: Progress = lambda videos, _: videos,
) -> ImportPlan:
    """Find the files and check them; the plan's notes say how both was decided. Writes nothing.

    UserError as `find_files`, `read_streams` and `plan_import`.
    """
    files = find_files(sources, flags.root, flags.key)
    options = options_of(flags, encoder, dtype)
    grid = None if flags.grid is None else read_grid(flags.grid)
    streams = read_streams(files.paths, flags.stream)
    paths, notes = files.paths, files.notes
    if streams is not None:
        paths, notes = streams.paths, [*notes, *streams.notes]
        options = dataclasses.replace(options, strip=options.strip or streams.ending)
        known = {name: _merged(timing, (known or {}).get(name)) for name, timing in streams.times.items()}
        if grid is None and not flags.segments and flags.snippet_frames is None:
            options, grid, more = _of_times(options, streams)
            notes += more
    plan = plan_import(paths, options, grid=grid, known=known, progress=progress)
    return dataclasses.replace(plan, notes=(*notes, *plan.notes))


def _of_times(options: ImportOptions, streams: Streams) -> tuple[ImportOptions, dict[str, Timing] | None, list[str]]:
    """Frames that a row stands for as the times say: one number for all, one for each video, or nothing."""
    if (step := common_step(streams.times)) is not None:
        return dataclasses.replace(options, snippet_frames=step), None, [f"{step} frames a row, by their times"]
    if not any(timing.snippet_frames for timing in streams.times.values()):
        return options, None, []
    return (
        options,
        streams.times,
        ["frames a row stands for: by each video's own times; one row alone: the whole video"],
    )


def _merged(timing: Timing, known: Timing | None) -> Timing:
    """A catalogue knows the video itself, the files what was made of it."""
    return Timing(None, known.frames if known else None, (known.fps if known else None) or timing.fps)
