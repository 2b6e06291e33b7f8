"""One long array of 0 and 1 for the frames of all test videos, one after the other as a list has them (`gt-ucf.npy`).

It does not say where a video ends. Each has as many frames as the features that it was made for: their snippets times
16. So features, list and array must be of one kind; whether they are is told by the total, and by what the names of the
videos say of them: no frame of a normal video is abnormal, some of every abnormal one are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from downstream.features.peer_lists import Listed
from downstream.features.truth_config import FRAMES
from pretrain.arrays import array_for
from pretrain.errors import UserError, problem_list
from pretrain.names import KnownNames

Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Length:
    """What is known of how long a video is."""

    snippets: int | None = None
    frames: int | None = None


def read_flat_truth(file: Path) -> NDArray[np.bool_]:
    """The array; UserError where it is no vector of 0 and 1."""
    mend = "give the flat gt*.npy, one number a frame (lists of segments are pickles, and are not read)"
    values = array_for(file, "the ground truth", mend)
    flat = values.reshape(-1) if values.size == max(values.shape, default=0) else values
    if flat.ndim != 1 or not flat.size:
        raise UserError(f"{file}: shape {values.shape}; {mend}")
    if not np.isin(flat, (0, 1)).all():
        odd = flat[~np.isin(flat, (0, 1))][0]
        raise UserError(f"{file}: holds {odd}, where every number is 0 (normal) or 1 (abnormal); {mend}")
    return flat.astype(bool)


def split_truth(
    truth: NDArray[np.bool_], videos: Sequence[Listed], lengths: Mapping[str, Length], frames: int = FRAMES
) -> tuple[dict[str, Spans], str]:
    """Name -> its abnormal frames, half-open; and how long each video was taken to be, in words.

    `frames`: of a snippet. UserError: videos of unknown length, a total that is not the array's, explained; names that
    contradict what the array says of them.
    """
    _require_lengths(videos, lengths)
    own = [lengths[video.name] for video in videos]
    rules = _rules(own, frames)
    fitting = [(how, counts) for how, counts in rules.items() if sum(counts) == len(truth)]
    if not fitting:
        raise UserError(_difference(len(truth), own, rules, frames))
    how, counts = fitting[0]
    edges = np.concatenate([[0], np.cumsum(counts)])
    spans = {
        video.name: _runs(truth[start:end])
        for video, start, end in zip(videos, edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    }
    _refuse_contradictions(videos, spans)
    return spans, how


def _require_lengths(videos: Sequence[Listed], lengths: Mapping[str, Length]) -> None:
    near = KnownNames(lengths)
    unknown = [f"{video.where}: '{video.name}'{near.hint(video.name)}" for video in videos if video.name not in lengths]
    if unknown:
        raise UserError(
            f"the length of {len(unknown)} of {len(videos)} listed videos is not known, and all that come after one "
            f"would be misplaced:\n{problem_list(unknown, limit=10)}\nGive features of all of them, or their frames: "
            "--grid FILE.csv with the columns name,snippet_frames,frames (snippet_frames may be empty)"
        )


def _rules(own: Sequence[Length], frames: int) -> dict[str, list[int]]:
    """In words -> frames of every video, for each way of counting that is known of all of them."""
    rules: dict[str, list[int]] = {}
    snippets = [length.snippets for length in own]
    if None not in snippets:
        rules[f"the snippets of its features times {frames}"] = [frames * (count or 0) for count in snippets]
    lengths = [length.frames for length in own]
    if None not in lengths:
        known = [length or 0 for length in lengths]
        rules[f"its frames, rounded up to whole snippets of {frames}"] = [-(-n // frames) * frames for n in known]
        rules[f"its frames, rounded down to whole snippets of {frames}"] = [n // frames * frames for n in known]
        rules["its frames"] = known
    if not rules:
        mixed = [(length.snippets or -(-(length.frames or 0) // frames)) * frames for length in own]
        rules[f"its snippets, or its frames rounded up, times {frames}"] = mixed
    return rules


def _difference(truth: int, own: Sequence[Length], rules: Mapping[str, Sequence[int]], frames: int) -> str:
    """Why the total is not the array's, as far as that can be told."""
    totals = "; ".join(f"{how}: {sum(counts):,}" for how, counts in rules.items())
    first = sum(next(iter(rules.values())))
    off = truth - first
    text = f"the ground truth has {truth:,} frames, the {len(own)} listed videos have other numbers ({totals}): "
    text += f"{abs(off):,} frames {'more' if off > 0 else 'fewer'} in the ground truth. "
    snippets = sum(length.snippets or 0 for length in own)
    if snippets and all(length.snippets for length in own) and truth % snippets == 0:
        return text + f"That is {truth // snippets} frames a snippet: give --frames-per-snippet {truth // snippets}"
    if 0 < abs(off) <= frames * len(own):
        return text + (
            f"That is less than a snippet of {frames} a video: one of the two leaves out (or fills up) the frames "
            "after the last whole snippet. Give the features that the ground truth was made for, or the videos' frames "
            "(--grid)"
        )
    if off % frames:
        return text + f"It is no whole number of snippets of {frames}: the ground truth is of another list or dataset"
    return text + "Whole videos seem to be missing or too many: give the list that the ground truth was made with"


def _refuse_contradictions(videos: Sequence[Listed], spans: Mapping[str, Spans]) -> None:
    wrong = [
        f"{video.where}: '{video.name}' is {'abnormal' if video.label else 'normal'}, and "
        f"{'no frame of it is' if video.label else 'frames of it are'} abnormal in the ground truth"
        for video in videos
        if video.label is not None and video.label != bool(spans[video.name])
    ]
    if wrong:
        raise UserError(
            f"the ground truth contradicts the names of {len(wrong)} of {len(videos)} videos: it is of another list, "
            f"or of this one in another order:\n{problem_list(wrong, limit=10)}"
        )


def _runs(values: NDArray[np.bool_]) -> Spans:
    """Where a vector is true, as half-open spans."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], values, [False]]).astype(np.int8)))
    return tuple(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
