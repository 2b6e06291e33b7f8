"""Scores meet ground truth: by video name, with every length checked and a stated rule for the tail.

A snippet grid seldom ends where the video does. The rule here, for every video whose length is annotated:

    fewer than one snippet too short   `hold`: the last frames take the last snippet's score; `drop`: they do not count
    fewer than one snippet too long    the last snippet is cut at the last frame
    a whole snippet or more            an error: features and annotation are not of the same video

Where the length is not annotated (UCF-Crime's and XD-Violence's own lists) the frames covered by snippets count, as in
most public evaluations; the evaluation says for how many videos that was so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from downstream.scores.video_scores import VideoScores
from pretrain.data.catalogue import Video
from pretrain.data.video import Clock, FrameClock, VideoError, clock_of, has_times, video_clock
from pretrain.errors import UserError, nearest, problem_list
from pretrain.names import KnownNames

TAIL_RULES = ("hold", "drop")
Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class LabelledVideo:
    """One video, scored and labelled; snippet i stands for `positive[i]` anomalous and `negative[i]` normal frames."""

    name: str
    label: int
    class_name: str | None
    clock: Clock | None
    """When its frames are shown: by its file where that is there, else by its annotated frame rate; None: not known."""
    scores: NDArray[np.float64]
    """(S,)"""
    edges: NDArray[np.int64]
    """(S + 1,): after the tail rule; the last is the number of frames that count."""
    positive: NDArray[np.int64]
    """(S,): anomalous frames of each snippet."""
    negative: NDArray[np.int64]
    """(S,): normal frames of each snippet."""
    spans: Spans
    """Anomalous frames, half-open, within the frames that count."""

    @property
    def frames(self) -> int:
        """Frames that count."""
        return int(self.edges[-1])


class Aligned(NamedTuple):
    """Scored and labelled videos in the catalogue's order, and what a reader of the metrics should know."""

    videos: tuple[LabelledVideo, ...]
    notes: tuple[str, ...]


def clocks_of(videos: Sequence[Video]) -> dict[str, Clock]:
    """The clocks of videos whose files are there to tell their frames' times, by name."""
    clocks: dict[str, Clock] = {}
    for video in videos:
        if video.measured is not None and video.measured.is_constant_rate:
            clocks[video.name] = FrameClock.steady(video.measured.fps)
        elif has_times(video.path):
            with suppress(VideoError):  # what cannot be read was scored elsewhere: its annotated rate has to do
                clocks[video.name] = video_clock(video.path)
    return clocks


def align(
    scores: Sequence[VideoScores],
    videos: Sequence[Video],
    tail: str = "hold",
    clocks: Mapping[str, Clock] | None = None,
) -> Aligned:
    """Bring scores and the videos to be evaluated together, by name.

    Raises UserError with all of these at once: scores of unknown videos, videos without scores, lengths that differ by
    a snippet or more, anomalies beyond the end, labels that contradict the spans; and where one class is missing.
    """
    if tail not in TAIL_RULES:
        raise UserError(f"tail rule '{tail}'{nearest(tail, TAIL_RULES)}; it is one of {', '.join(TAIL_RULES)}")
    by_name = {entry.name: entry for entry in scores}
    problems = _name_problems(by_name, len(scores), videos)
    notes: list[str] = []
    aligned = []
    unknown_lengths = 0
    for video in videos:
        if video.name not in by_name:
            continue
        wrong, said = _video_problems(video, by_name[video.name])
        problems += wrong
        notes += said
        unknown_lengths += video.num_frames is None
        if not wrong:
            aligned.append(label_snippets(by_name[video.name], video, tail, (clocks or {}).get(video.name)))
    problems = problems or _class_problems(aligned)
    if problems:
        raise UserError(f"{len(problems)} problem(s) between scores and ground truth:\n{problem_list(problems)}")
    if unknown_lengths:
        notes.append(f"{unknown_lengths} of {len(aligned)} videos: length not annotated, the frames covered count")
    return Aligned(tuple(aligned), tuple(notes))


def length_verdict(video: Video, covered_frames: int, snippet_frames: int) -> tuple[bool, str]:
    """Whether the annotated length and the frames that features or scores cover are of one video, and a sentence.

    `snippet_frames`: frames of the last snippet; a difference as large as that, or larger, is wrong.
    """
    if video.num_frames is None:
        return True, f"'{video.name}': length not annotated, the {covered_frames} frames covered by features count"
    said = f"'{video.name}': {video.num_frames} frames annotated, {covered_frames} covered by features"
    off = abs(video.num_frames - covered_frames)
    if off >= snippet_frames:
        return False, f"{said}: {off} frames off: wrong"
    return True, f"{said}: tail rule applies" if off else said


def label_snippets(entry: VideoScores, video: Video, tail: str = "hold", clock: Clock | None = None) -> LabelledVideo:
    """Anomalous and normal frames of each snippet, after the tail rule. Checks nothing: `align` does.

    `clock`: the video's own; None: by the frame rate of the catalogue.
    """
    frames = entry.covered_frames if video.num_frames is None else video.num_frames
    edges = np.minimum(entry.edges, frames)
    if tail == "hold":
        edges[-1] = frames
    last = int(edges[-1])
    spans = tuple((start, min(end, last)) for start, end in video.spans if start < last)
    before = np.zeros(len(edges), np.int64)
    for start, end in spans:
        before += np.minimum(np.maximum(edges - start, 0), end - start)  # anomalous frames before each edge
    positive = before[1:] - before[:-1]
    negative = edges[1:] - edges[:-1] - positive
    label = int(bool(video.spans)) if video.label is None else video.label
    if clock is None and video.fps:
        clock = clock_of(video.fps)
    return LabelledVideo(entry.name, label, video.class_name, clock, entry.scores, edges, positive, negative, spans)


def _name_problems(by_name: dict[str, VideoScores], num_scores: int, videos: Sequence[Video]) -> list[str]:
    known = [video.name for video in videos]
    without = [name for name in known if name not in by_name]
    unknown = sorted(by_name.keys() - set(known))
    problems = [f"{num_scores - len(by_name)} video(s) have scores twice; keep one of each"] * (
        num_scores > len(by_name)
    )
    near = KnownNames(without or known)
    for name in unknown:
        problems.append(f"'{name}': scores, but it is none of the {len(known)} videos to evaluate{near.hint(name)}")
    return problems + [f"'{name}': a video to evaluate without scores" for name in without]


def _video_problems(video: Video, entry: VideoScores) -> tuple[list[str], list[str]]:
    """What is wrong with one scored video, and what is worth a note."""
    wrong, notes = [], []
    snippet = int(entry.edges[-1] - entry.edges[-2])
    fine, sentence = length_verdict(video, entry.covered_frames, snippet)
    if not fine:
        wrong.append(sentence)
    last = entry.covered_frames if video.num_frames is None else video.num_frames
    for start, end in video.spans:
        if start >= last or end - last >= snippet:
            wrong.append(f"'{video.name}': anomaly in frames [{start}, {end}), but there are {last}")
        elif end > last and fine:
            notes.append(f"'{video.name}': anomaly to frame {end} cut at the last of {last}")
    if video.label == 1 and not video.spans:
        wrong.append(f"'{video.name}': label 1 (abnormal), but its anomalous frames are not annotated")
    if video.label == 0 and video.spans:
        wrong.append(f"'{video.name}': label 0 (normal), but frames {video.spans[0]} are annotated as anomalous")
    if video.label is None and not video.spans:
        wrong.append(f"'{video.name}': neither a label nor anomalous frames; give it label 0 if it is normal")
    return wrong, notes


def _class_problems(videos: Sequence[LabelledVideo]) -> list[str]:
    positive = sum(int(video.positive.sum()) for video in videos)
    negative = sum(int(video.negative.sum()) for video in videos)
    if positive and negative:
        return []
    return [
        f"{len(videos)} videos hold {positive} anomalous and {negative} normal frames; a curve needs both: give the "
        "whole test split, and the annotation of its anomalies"
    ]
