"""From folders and list files, and what the user says of them, to the plan of an import."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from downstream.features.find_files import find_files
from downstream.features.importing import ImportOptions, ImportPlan, Progress, plan_import
from downstream.features.timing import Timing, read_grid
from downstream.features.video_features import Streams, common_step, read_streams


@dataclass(frozen=True, kw_only=True)
class LayoutFlags:
    """What the files cannot say of themselves."""

    snippet_frames: int | None = None
    """Video frames a snippet stands for; default 16."""
    segments: bool = False
    """Every video was divided evenly into its rows, whatever its length (C3D: 32)."""
    grid: Path | None = None
    """CSV with the columns name, snippet_frames[, frames, fps], where snippets differ from video to video."""
    axes: Literal["snippets,crops,dim", "crops,snippets,dim"] | None = None
    """Order of the axes, where it cannot be told: the crop axis is the one of length 1, 5 or 10 in all files."""
    crop_files: Literal["auto", "yes", "no"] = "auto"
    """Whether each file is one crop; auto: yes, if all file names end in __N."""
    crop_names: tuple[str, ...] = ()
    """Names of the crops in stored order. Default: centre, corners (and their mirrors) for 1, 5 or 10."""
    strip: str = ""
    """An ending of file names that is no part of the video's name, e.g. _i3d."""
    key: str = ""
    """Which array of files that hold several (.npz, .pt, .h5, .mat). Of one .h5 with a group a video: the array's name
    in each group."""
    stream: str = ""
    """Which stream of a folder of video_features (NAME_rgb.npy, NAME_flow.npy, NAME_fps.npy, ...), e.g. rgb."""
    root: Path | None = None
    """The folder that paths in list files are relative to. Default: the list's own."""

    def options(self, encoder: str, dtype: str) -> ImportOptions:
        """As `plan_import` takes it."""
        return ImportOptions(
            encoder=encoder,
            dtype=dtype,
            axes=self.axes,
            crop_files={"auto": None, "yes": True, "no": False}[self.crop_files],
            crop_names=self.crop_names,
            strip=self.strip,
            key=self.key,
            snippet_frames=self.snippet_frames,
            segments=self.segments,
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
    options = flags.options(encoder, dtype)
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
