"""Looking at every video before a run: what cannot be used goes on a quarantine list, by name and with the reason.

A check decodes each video once from beginning to end (unless `quick`), so that the packet index it leaves in the cache
is counted, not derived, and its entry points are verified: see `pretrain.data.video.packet_index`.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from pretrain.data.bad_videos import quarantine_lines
from pretrain.data.catalogue import Catalogue, CatalogueConfig, Video
from pretrain.data.catalogues import open_catalogue
from pretrain.data.catalogues.left_alone import series_of
from pretrain.data.remote import plain_addresses
from pretrain.data.video import (
    CORRUPT,
    DISCARD,
    IndexCache,
    PacketIndex,
    VideoError,
    VideoInfo,
    image_names,
    probe,
    read_frames,
)
from pretrain.data.worker_pool import map_unordered
from pretrain.errors import UserError
from pretrain.files import write_text
from pretrain.names import name_bytes, read_back, shown
from pretrain.reading import LIST_BYTES, Unreadable, read_utf8

COMPARED_FRAMES = 8
MAX_READER_DIFFERENCE = 12.0
"""Mean grey levels between two readers' pictures of one frame; conversions to RGB differ by up to 4 (measured)."""
FRAMES_OFF = 2
"""A header may be wrong by this many frames, or one in a hundred, without being called so: AVI headers often are."""


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """What to ask of every video."""

    min_frames: int = 1
    """Shorter videos are quarantined; pretraining's window needs about 64."""
    compare_readers: bool = False
    """Compare random frames read by PyAV and by decord; needed if you want to use decord."""
    quick: bool = False
    """Read the packets but do not decode everything: damage inside the pictures stays unseen."""


@dataclass(frozen=True)
class VideoReport:
    """What one video's check found."""

    name: str
    path: str
    problems: tuple[str, ...]
    """Why it cannot be used, each `kind: details`; empty = fine."""
    notes: tuple[str, ...] = ()
    """Worth knowing, no reason to leave it out."""
    num_frames: int = 0
    duration_seconds: float = 0.0


def check_videos(
    videos: Iterable[Video], options: CheckOptions, index_cache: Path | None, workers: int
) -> Iterator[VideoReport]:
    """Check videos in `workers` processes; reports come as they are done. The index cache is filled on the way."""
    check = partial(check_video, options=options, index_cache=index_cache)
    return map_unordered(check, videos, workers, _crashed)


def check_video(video: Video, options: CheckOptions, index_cache: Path | None) -> VideoReport:
    """Check one video; never raises for what is wrong with it."""
    cache = IndexCache(index_cache)
    path = plain_addresses(video.path)
    try:
        info, problems, notes = _look_at(video.path, options, cache)
        if options.compare_readers and not Path(video.path).is_dir():
            # seeded by the name: the same frames each time, on any number of processes
            difference = readers_differ(video.path, np.random.default_rng(zlib.crc32(name_bytes(video.name))), cache)
            problems += [difference] if difference else []
    except VideoError as error:
        reason = str(error).removeprefix(f"{shown(path)}: ")
        return VideoReport(video.name, path, (f"unreadable: {reason}",))
    if info.num_frames < options.min_frames:
        problems.append(f"too short: {info.num_frames} frames, at least {options.min_frames} are asked for")
    return VideoReport(
        video.name, path, tuple(problems), tuple(notes), info.num_frames, round(info.duration_seconds, 3)
    )


def _look_at(path: str, options: CheckOptions, cache: IndexCache) -> tuple[VideoInfo, list[str], list[str]]:
    info = probe(path, cache=cache)
    if Path(path).is_dir():
        asked = np.unique([0, info.num_frames // 2, info.num_frames - 1]) if options.quick else range(info.num_frames)
        return info, damaged_images(path, asked, info.num_frames), series_notes(path)
    index = cache.get(path, count=not options.quick)
    if options.quick:
        read_frames(path, np.unique([0, index.num_frames - 1]), cache=cache)
    return index.info, frame_count_problems(index), _notes(index)


def damaged_images(path: str, frames: Iterable[int], num_frames: int) -> list[str]:
    """A problem where any of these images of a folder does not decode, each looked at by itself."""
    reasons: list[str] = []
    for number in frames:
        try:
            read_frames(path, [number])
        except VideoError as error:
            reasons.append(str(error).removeprefix(f"{path}{os.sep}"))
    return [f"damaged: {len(reasons)} of {num_frames} images do not decode, first {reasons[0]}"] if reasons else []


def series_notes(path: str) -> list[str]:
    """A note where a folder's images are named like those of several videos."""
    starts = series_of(image_names(path))
    return [f"named like the images of {len(starts)} videos: {', '.join(starts[:3])}"] if len(starts) > 1 else []


def frame_count_problems(index: PacketIndex) -> list[str]:
    """Compare what the header announces, what packets there are, and what decodes."""
    shown = int(np.count_nonzero((index.flags & DISCARD) == 0))
    hidden = len(index.flags) - shown
    announced = index.facts.header_frames - hidden
    slack = max(FRAMES_OFF, announced // 100)
    frames = index.num_frames
    problems = []
    if len(index.flags) and index.flags[-1] & CORRUPT:
        problems.append(f"truncated: the file ends within its last frame; {frames} frames decode")
    elif index.facts.header_frames and shown < announced - slack:
        problems.append(f"truncated: the header announces {announced} frames, the file holds {shown}, {frames} decode")
    elif index.facts.duration_seconds < 0.95 * index.facts.header_seconds - 0.2:
        announced_seconds, seconds = index.facts.header_seconds, index.facts.duration_seconds
        problems.append(
            f"truncated: the header announces {announced_seconds:.1f} s, the video ends after {seconds:.1f}"
        )
    elif frames < shown - slack:
        problems.append(f"damaged: {frames} of {shown} frames decode")
    elif index.facts.header_frames and abs(frames - announced) > slack:
        problems.append(f"wrong frame count: the header announces {announced} frames, {frames} decode")
    return problems


def _notes(index: PacketIndex) -> list[str]:
    facts = index.facts
    notes = [index.info.size_note] if facts.other_sizes else []
    if not facts.is_constant_rate:
        notes.append(f"variable frame rate, {facts.fps:.3g} on average")
    if facts.num_errors:
        notes.append(f"{facts.num_errors} places do not decode cleanly")
    if facts.is_counted and not facts.can_seek:
        notes.append("frames are only reached from the beginning: slow to read")
    return notes


def readers_differ(path: str, rng: np.random.Generator, cache: IndexCache) -> str | None:
    """A sentence where decord gives other frames than PyAV for the same numbers, or None.

    Neighbours resemble each other: a frame also counts as another one when a neighbour fits better.
    """
    count, others = probe(path, cache=cache).num_frames, probe(path, reader="decord").num_frames
    if others != count:
        return f"readers disagree: PyAV has {count} frames, decord {others}"
    chosen = np.unique(rng.integers(0, count, COMPARED_FRAMES))
    around = np.unique(np.clip(chosen[:, None] + [-1, 0, 1], 0, count - 1))
    ours = read_frames(path, around, cache=cache)
    theirs = read_frames(path, chosen, reader="decord")
    if ours.shape[1:] != theirs.shape[1:]:
        (height, width), (their_height, their_width) = ours.shape[1:3], theirs.shape[1:3]
        return f"readers disagree: PyAV has {width}x{height} pixels, decord {their_width}x{their_height}"
    wrong = []
    for number, picture in zip(chosen, theirs, strict=True):
        nearby = np.flatnonzero(np.abs(around - number) <= 1)
        distance = np.abs(ours[nearby].astype(np.int16) - picture).mean(axis=(1, 2, 3))
        own = float(distance[around[nearby] == number][0])
        if own > MAX_READER_DIFFERENCE or own > distance.min() + 0.1:
            wrong.append(int(number))
    if not wrong:
        return None
    return f"readers disagree: decord gives another picture for {len(wrong)} of {len(chosen)} frames, first {wrong[0]}"


def write_quarantine(path: Path, reports: Iterable[VideoReport], checked: str) -> None:
    """Write the names that have problems, `NAME<TAB>reason` per line, sorted by name; atomically."""
    reasons = {report.name: "; ".join(report.problems) for report in reports if report.problems}
    head = f"# Videos to leave out, from a check of {shown(checked)}. One per line: name, tab, reason.\n"
    write_text(path, head + quarantine_lines(reasons))


def read_quarantine(path: str | Path) -> dict[str, str]:
    """Name -> reason of a quarantine list. Lines of `#` and empty ones are passed over; the reason may be missing.

    A name in quotes is a JSON string (`pretrain.names.written`). Lines may end as Windows ends them.

    Raises UserError when the file is not there or not text.
    """
    try:
        text = read_utf8(path, LIST_BYTES, errors="surrogateescape")
    except Unreadable as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise UserError(
                f"no quarantine list {path}: write one with scripts/check_videos.py, or leave it unset"
            ) from None
        raise UserError(
            f"{path} is not a readable quarantine list ({error}); it holds `NAME<TAB>reason` lines"
        ) from None
    if "\0" in text:
        raise UserError(f"{path} is not a readable quarantine list (no UTF-8 text); it holds `NAME<TAB>reason` lines")
    entries: dict[str, str] = {}
    for line in text.split("\n"):
        if line.strip() and not line.startswith("#"):
            name, _, reason = line.partition("\t")
            entries.setdefault(read_back(name.strip()), reason.strip())
    return entries


def _crashed(video: Video) -> VideoReport:
    path = plain_addresses(video.path)
    return VideoReport(video.name, path, ("unreadable: the reader crashed on it; convert it or leave it out",))


def without_quarantined(catalogue: Catalogue, quarantine: Path | None) -> Catalogue:
    """The catalogue less the videos on a quarantine list, where one is given. UserError as `read_quarantine`."""
    return catalogue if quarantine is None else catalogue.without(set(read_quarantine(quarantine)))


def listed_videos(config: CatalogueConfig, split: str, quarantine: Path | None, purpose: str) -> list[Video]:
    """A catalogue's videos of a split, or of `all`, less those on the quarantine list; UserError where none is left to
    `purpose`."""
    catalogue = without_quarantined(open_catalogue(config), quarantine)
    videos = [video for video in catalogue if split in ("all", video.split)]
    if not videos:
        raise UserError(f"{catalogue.source}: no video of split '{split}' to {purpose}")
    return videos
