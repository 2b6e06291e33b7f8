"""Other code bases' feature files become a feature set, all of them or none.

Everything is checked before the first file is written: names, shapes, crops, lengths, then every value. What is wrong
is told at once. Memory holds one video at a time.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from downstream.features.checking import odd_shape, wrong_files, wrong_values
from downstream.features.config import CROPS
from downstream.features.feature_spec import FeatureSpec
from downstream.features.layouts import (
    FeatureFile,
    SetShape,
    decide_crop_files,
    decide_shape,
    load_video,
    read_shape,
    split_name,
    squeeze,
)
from downstream.features.set_writer import FeatureWriter
from downstream.features.store import FeatureSet
from downstream.features.timing import Timing, timing_of
from pretrain.errors import UserError, problem_list
from pretrain.names import KnownNames, shown

SHOWN_PROBLEMS = 200
C3D_SEGMENTS = 32
SNIPPET_FRAMES = 16
Progress = Callable[[Iterable["VideoFiles"], str], Iterable["VideoFiles"]]


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """What the files cannot say of themselves."""

    encoder: str
    """What made them (`i3d_rgb`)."""
    dtype: str = "float16"
    axes: str | None = None
    """One of `layouts.AXES`; None: decided by the rule of `layouts.decide_shape`."""
    crop_files: bool | None = None
    """Whether each file is one crop; None: yes, if all names end in `__N`."""
    crop_names: tuple[str, ...] = ()
    """Names of the crops in stored order; empty: `crops.CROPS` of their number."""
    strip: str = ""
    """An ending of the files' names that is no part of the video's (`_i3d`)."""
    snippet_frames: int | None = None
    """Frames a snippet stands for; None: 16."""
    key: str = ""
    """Of files that hold several arrays, the name of the one that is meant; empty: they hold one."""
    segments: bool = False
    """Each video was divided evenly into its rows, whatever its length."""


class VideoFiles(NamedTuple):
    """One video to import: its files, one or one a crop in order."""

    name: str
    paths: tuple[str, ...]
    timing: Timing


@dataclass(frozen=True)
class ImportPlan:
    """A set of files that passed every check."""

    spec: FeatureSpec
    dtype: str
    shape: SetShape
    videos: tuple[VideoFiles, ...]
    notes: tuple[str, ...]
    """What was decided and how, one line each, for the user to read."""


def plan_import(
    paths: Sequence[str],
    options: ImportOptions,
    *,
    grid: Mapping[str, Timing] | None = None,
    known: Mapping[str, Timing] | None = None,
    progress: Progress = lambda videos, _: videos,
) -> ImportPlan:
    """Check the files and say how they will be read. Writes nothing.

    `grid` (of `--grid`, for every video) and `known` (of a catalogue, for some) by name.
    UserError with all problems: unreadable files, other numbers of axes, widths or crops than most, missing crop files,
    names met twice, crops of different length, videos without grid, values that are not finite in the stored type.
    """
    _check_flags(options, grid is not None)
    crop_files = decide_crop_files(paths, options.crop_files, options.key)
    files, problems = _read_headers(paths, crop_files, options)
    if not files:
        raise _refusal(problems, len(paths))
    files, squeezed = squeeze(files)
    by_name = _group(files)
    try:
        shape, numbers, crops, (snippet_frames, how) = _decide(by_name, options, crop_files, grid is not None)
    except UserError as error:
        raise _refusal([str(error), *problems], len(paths)) from None
    shape = shape._replace(squeezed=squeezed, key=options.key)
    problems += [text for file in files if (text := odd_shape(file, shape))]
    problems += [text for name, held in by_name.items() for text in wrong_files(name, held, numbers, shape)]
    if grid is not None:
        lines = KnownNames(grid)
        problems += [f"'{n}': --grid has no line for it{lines.hint(n)}" for n in by_name if n not in grid]
    videos = [
        VideoFiles(name, tuple(file.path for file in held), timing_of(name, grid or {}, known or {}))
        for name, held in by_name.items()
    ]
    for video in progress(videos, "checking values"):
        problems += wrong_values(video.paths, shape, options.dtype)
    if problems:
        raise _refusal(problems, len(paths))
    spec = FeatureSpec(
        encoder=options.encoder, weights_sha256=None, dim=shape.dim, crops=crops, snippet_frames=snippet_frames
    )
    notes = [
        f"axes: {'one file a crop, (snippets, dim)' if crop_files else shape.rule}{_without(squeezed)}",
        f"crops: {len(crops)}, in this order: {', '.join(crops)}{' (files counted from 1)' * (numbers[0] == 1)}",
        f"snippets: {how}",
        *([] if grid is None else _unmatched(by_name, grid, "grid lines")),
        *([] if known is None else _unmatched(by_name, known, "catalogue's videos")),
    ]
    return ImportPlan(spec, options.dtype, shape, tuple(videos), tuple(notes))


def _without(squeezed: Sequence[int]) -> str:
    """What is said of axes that were left out."""
    numbers = ", ".join(str(axis + 1) for axis in squeezed)
    return f"; axis {numbers} of each array has length 1 and is left out" if squeezed else ""


class _Decided(NamedTuple):
    shape: SetShape
    numbers: tuple[int | None, ...]
    crops: tuple[str, ...]
    snippet_frames: tuple[int | None, str]


def _decide(
    by_name: Mapping[str, Sequence[FeatureFile]], options: ImportOptions, crop_files: bool, has_grid: bool
) -> _Decided:
    """What holds of the whole set; UserError where it cannot be told."""
    files = [file for held in by_name.values() for file in held]
    counts = (len(options.crop_names),) if options.crop_names and not crop_files else tuple(CROPS)
    shape = decide_shape(files, options.axes, counts)
    numbers = _crop_numbers(files, crop_files)
    crops = _crop_names(len(numbers) if crop_files else shape.crops, options.crop_names)
    lengths = Counter(held[0].shape[shape.snippet_axis] for held in by_name.values())
    return _Decided(shape, numbers, crops, _snippet_frames(options, has_grid, lengths))


def _unmatched(names: Mapping[str, object], timings: Mapping[str, Timing], what: str) -> list[str]:
    """How many names on either side the other has not."""
    here, there = [name for name in names if name not in timings], [name for name in timings if name not in names]
    lines = []
    if here:
        hint = KnownNames(there or timings).hint(here[0])
        lines.append(f"{len(here)} video(s) are none of the {what}, e.g. '{shown(here[0])}'{hint}")
    if there:
        lines.append(f"{len(there)} of the {what} have no features here, e.g. '{shown(there[0])}'")
    return lines


def _check_flags(options: ImportOptions, has_grid: bool) -> None:
    flags = {
        "--grid": has_grid,
        "--segments": options.segments,
        "--snippet-frames": options.snippet_frames is not None,
    }
    given = [flag for flag, is_given in flags.items() if is_given]
    if len(given) > 1:
        raise UserError(f"{' and '.join(given)} contradict each other; give one of them")
    if options.snippet_frames is not None and options.snippet_frames < 1:
        raise UserError(f"--snippet-frames is {options.snippet_frames}; it must be at least 1")


def import_features(plan: ImportPlan, out: Path, progress: Progress = lambda videos, _: videos) -> FeatureSet:
    """Write the videos of a plan into the set at `out` (new, or of the same kind: then they are added or replaced)."""
    writer = FeatureWriter(out, plan.spec, plan.dtype)
    for video in progress(plan.videos, "importing"):
        timing = video.timing
        writer.add(
            video.name,
            load_video(video.paths, plan.shape.axes, plan.shape.squeezed, plan.shape.key),
            frames=timing.frames,
            fps=timing.fps,
            snippet_frames=timing.snippet_frames,
        )
    return writer.finish()


def _refusal(problems: Sequence[str], files: int) -> UserError:
    listed = problem_list(problems, SHOWN_PROBLEMS)
    return UserError(f"{len(problems)} problem(s) in {files} feature file(s), nothing was written:\n{listed}")


def _read_headers(
    paths: Sequence[str], crop_files: bool, options: ImportOptions
) -> tuple[list[FeatureFile], list[str]]:
    files, problems = [], []
    for path in paths:
        try:
            name, crop = split_name(path, crop_files, options.strip, options.key)
            files.append(FeatureFile(path, name, crop, read_shape(path, options.key)))
        except UserError as error:
            problems.append(str(error))
    return files, problems


def _crop_numbers(files: Sequence[FeatureFile], crop_files: bool) -> tuple[int | None, ...]:
    """The numbers that every video should have a file of, from 0 or from 1; (None,) for one file a video."""
    if not crop_files:
        return (None,)
    last = max(file.crop or 0 for file in files)
    first = int(last > 1 and all(file.crop for file in files))  # `__1` alone may as well have lost its `__0`
    return tuple(range(first, 1 + last))


def _crop_names(count: int, given: tuple[str, ...]) -> tuple[str, ...]:
    if given:
        if len(given) != count or len(set(given)) != count:
            raise UserError(
                f"--crop-names gives {len(given)} name(s) ({', '.join(given)}) for {count} different crop(s)"
            )
        return given
    if count not in CROPS:
        raise UserError(f"{count} crops: names are known for {', '.join(map(str, CROPS))}; name them with --crop-names")
    return CROPS[count]


def _group(files: Sequence[FeatureFile]) -> dict[str, list[FeatureFile]]:
    """Files by video in the order of crops, videos by name."""
    by_name: dict[str, list[FeatureFile]] = defaultdict(list)
    for file in files:
        by_name[file.name].append(file)
    return {name: sorted(by_name[name], key=lambda file: file.crop or 0) for name in sorted(by_name)}


def _snippet_frames(options: ImportOptions, has_grid: bool, lengths: Counter[int]) -> tuple[int | None, str]:
    """Frames a snippet of the set stands for, and how that was decided."""
    if options.snippet_frames is not None:
        return options.snippet_frames, f"{options.snippet_frames} frames each (--snippet-frames)"
    if options.segments:
        return None, "each video divided evenly into its snippets (--segments)"
    if has_grid:
        return None, "each video's own length (--grid)"
    if len(lengths) == 1 and lengths[C3D_SEGMENTS] > 1:
        raise UserError(
            f"all {lengths[C3D_SEGMENTS]} videos have exactly {C3D_SEGMENTS} rows, as where every video was divided "
            f"evenly into that many; say --segments if so, or --snippet-frames {SNIPPET_FRAMES}"
        )
    alike = sum(lengths.values()) > 1 and len(lengths) == 1
    hint = f"; all videos have {next(iter(lengths))}: if they were divided evenly, say --segments" if alike else ""
    return SNIPPET_FRAMES, f"{SNIPPET_FRAMES} frames each (the default){hint}"
