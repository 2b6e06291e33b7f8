"""The folders that v-iashin's `video_features` writes: features of a video, and beside them what is known of time.

    NAME_rgb.npy, NAME_flow.npy     (stacks, dim), a file for each stream of I3D; NAME_r21d.npy, NAME_clip.npy, ...
    NAME_fps.npy                    one number: frames per second of the video as it was read
    NAME_timestamps_ms.npy          a time for each row of the features, in milliseconds

A stream is a feature set; the others are imported as sets of their own and fused. Frames a row stands for follow from
the times, which lie one step of the network apart.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from downstream.features.timing import Timing
from pretrain.arrays import read_array
from pretrain.data.catalogues.disk import video_name
from pretrain.errors import UserError, problem_list
from pretrain.reading import Unreadable

FPS, TIMES = "_fps", "_timestamps_ms"
MOST_OFF = 0.05
"""So much of a frame may the step between two rows be off a whole number of frames, and of its length differ."""


class Streams(NamedTuple):
    """The files of one stream, and what lies beside them."""

    paths: list[str]
    ending: str
    """Of their names, to be stripped: `_rgb`."""
    times: dict[str, Timing]
    """By video: frames a row stands for (None where one row says nothing), frames per second."""
    notes: list[str]


def read_streams(paths: Sequence[str], stream: str = "") -> Streams | None:
    """One stream of such a folder; None where no file beside the features tells their time.

    UserError: several streams and none asked for, one that is not there, unreadable companions.
    """
    stems = {os.path.splitext(path)[0]: path for path in paths}
    companions = {stem for stem in stems if stem.endswith((FPS, TIMES))}
    videos = {stem.removesuffix(FPS).removesuffix(TIMES) for stem in companions}
    by_stream: dict[str, list[str]] = defaultdict(list)
    for stem, path in stems.items():
        video, _, name = stem.rpartition("_")
        if stem not in companions and video in videos:
            by_stream[name].append(path)
    if not by_stream:
        if stream:
            raise UserError(
                f"--stream is '{stream}', but no file has a NAME{FPS}.npy or NAME{TIMES}.npy beside it: these are not "
                f"of video_features; leave it out, and say --strip _{stream} where names end so"
            )
        return None
    name = _chosen(by_stream, stream)
    others = len(stems) - len(companions) - len(by_stream[name])
    times = _times(stems, sorted(by_stream[name]), len(name) + 1)
    notes = [f"video_features: {len(by_stream[name])} files NAME_{name}, {len(companions)} files of their times"]
    notes += [f"{others} file(s) of other streams or none are left alone"] if others else []
    return Streams(by_stream[name], f"_{name}", times, notes)


def _chosen(by_stream: Mapping[str, Sequence[str]], stream: str) -> str:
    there = ", ".join(f"{name} ({len(paths)} files)" for name, paths in sorted(by_stream.items()))
    if stream and stream not in by_stream:
        raise UserError(f"--stream '{stream}': no files NAME_{stream}; there are {there}")
    if not stream and len(by_stream) > 1:
        raise UserError(
            f"features of several streams: {there}. Say which with --stream NAME; the others are sets of their own, "
            "fused by giving all of them to scripts/finetune.py"
        )
    return stream or next(iter(by_stream))


def _times(stems: Mapping[str, str], paths: Sequence[str], ending: int) -> dict[str, Timing]:
    """By video; UserError with all companions that cannot be read."""
    times, problems = {}, []
    for path in paths:
        stem = os.path.splitext(path)[0][:-ending]
        try:
            fps, rows = _numbers(stems.get(stem + FPS)), _numbers(stems.get(stem + TIMES))
            if len(fps) and not (len(fps) == 1 and 0 < fps[0] < 1e5):
                raise Unreadable(f"{stem}{FPS}.npy is not one number of frames per second")
            rate = float(fps[0]) if len(fps) else None
            times[video_name(os.path.basename(stem))] = Timing(_step(stem, rows, rate), None, rate)
        except Unreadable as error:
            problems.append(str(error))
    if problems:
        raise UserError(f"{len(problems)} video(s) with times that cannot be read:\n{problem_list(problems)}")
    return times


def _step(stem: str, rows: NDArray[np.float64], rate: float | None) -> int | None:
    """Frames between two rows; None where that cannot be told. Unreadable where rows lie differently far apart."""
    if rate is None or len(rows) < 2:
        return None
    steps = np.diff(rows) * rate / 1000
    step = float(np.median(steps))
    inner = steps[:-1] if len(steps) > 2 else steps  # the last stack may be cut short
    if not np.isfinite(steps).all() or step < 1 - MOST_OFF or (np.abs(inner - step) > 1 + MOST_OFF * step).any():
        raise Unreadable(
            f"{stem}{TIMES}.npy: rows lie {steps.min():.2f} to {steps.max():.2f} frames apart at {rate:g} frames per "
            "second; give --snippet-frames or --segments, and leave these files out"
        )
    return max(1, round(step))


def _numbers(path: str | None) -> NDArray[np.float64]:
    """The numbers of a small file, in one row; none where there is no file. Unreadable."""
    if path is None:
        return np.zeros(0)
    try:
        values: NDArray[Any] = read_array(path)
    except Unreadable as error:
        raise Unreadable(f"{path}: {error}") from error
    return np.atleast_1d(values.astype(np.float64)).reshape(-1)


def common_step(times: Mapping[str, Timing]) -> int | None:
    """The frames that a row stands for in all videos of which it is known; None where they differ or none is."""
    steps = Counter(timing.snippet_frames for timing in times.values() if timing.snippet_frames is not None)
    return next(iter(steps)) if len(steps) == 1 else None
