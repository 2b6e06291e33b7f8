"""Several detectors as one: the mean of what they say, in log odds.

Detectors of several seeds differ more on videos like none they were trained on than on others, and their mean is
steadier than any of them (measured on the rendered sets, docs/results.md). The mean is taken over log odds, the numbers
a detector makes before the sigmoid: scores of detectors that are sure lie at 0 and 1, and a mean of those is a vote.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downstream.scores.log_odds import log_odds
from downstream.scores.score_file import ScoreFile
from downstream.scores.video_scores import VideoScores
from pretrain.errors import UserError, problem_list


def mean_scores(scores: Sequence[NDArray[np.float64]], weights: Sequence[float] | None = None) -> NDArray[np.float64]:
    """Scores of one shape, within [0, 1] -> their mean in log odds, as scores. Of one detector: its own, to the bit.

    `weights`: above 0, one for each; None: they count alike.
    """
    if len(scores) == 1:
        return scores[0]
    counts = [1.0] * len(scores) if weights is None else weights
    total = np.zeros_like(scores[0])
    for each, weight in zip(scores, counts, strict=True):
        total += weight * log_odds(each)
    mean: NDArray[np.float64] = 1 / (1 + np.exp(-total / sum(counts)))
    return mean


def weights_of_runs(runs: Sequence[Hashable]) -> list[float]:
    """Of detectors, by the run that each is of: every run counts as one, and its detectors alike.

    One run of twelve detectors would outvote another of one, which knows what they do not.
    """
    counts = [runs.count(run) for run in runs]
    return [max(counts) / count for count in counts]


def identity_of(names: Sequence[str], weights: Sequence[float] | None = None) -> dict[str, Any]:
    """What the scores of these detectors together are told from others' by: JSON; `weights` as in `mean_scores`.

    `names`: SHA-256 of the detectors. Those that count alike are what they were before there were weights.
    """
    uneven = weights is not None and len(set(weights)) > 1
    return {"sha256": list(names)} | ({"weights": list(weights or ())} if uneven else {})


def ensemble(files: Sequence[ScoreFile], weights: Sequence[float] | None = None) -> ScoreFile:
    """The scores of several detectors on the same videos as those of one; of cells, map by map.

    `weights` as in `mean_scores`. What one could not score is `unscored` here. UserError: other videos, snippets or
    cells, scores outside [0, 1].
    """
    first = files[0]
    if len(files) == 1:
        return first
    unscored = {name: reason for file in files for name, reason in file.unscored.items()}
    by_name = [{video.name: video for video in file.videos} for file in files]
    names = [video.name for video in first.videos if video.name not in unscored]
    problems = [
        f"'{name}' is not in all of them"
        for name in sorted({name for each in by_name for name in each} - set(unscored))
        if any(name not in each for each in by_name)
    ]
    if not problems:
        problems = [text for name in names if (text := _apart([each[name] for each in by_name]))]
    if problems:
        raise UserError(f"{len(files)} score files are not of the same videos:\n{problem_list(problems)}")
    videos = [_mean([each[name] for each in by_name], weights) for name in names]
    meta = {"detectors": len(files), "unscored": unscored} | {
        "threshold": float(mean_scores([np.array([file.meta.get("threshold", 0.5)]) for file in files], weights)[0])
    }
    return ScoreFile(videos, meta)


def _mean(videos: Sequence[VideoScores], weights: Sequence[float] | None) -> VideoScores:
    first = videos[0]
    maps = [video.map for video in videos if video.map is not None]
    if len(maps) < len(videos):
        return dataclasses.replace(first, scores=mean_scores([video.scores for video in videos], weights), map=None)
    found = dataclasses.replace(maps[0], scores=mean_scores([each.scores for each in maps], weights))
    return dataclasses.replace(first, scores=found.frame_scores(), map=found)


def _apart(videos: Sequence[VideoScores]) -> str:
    """Why scores of one video cannot be averaged, in words; an empty string where they can."""
    first = videos[0]
    for video in videos[1:]:
        if not np.array_equal(video.edges, first.edges):
            return (
                f"'{video.name}': {len(first.scores)} snippets to frame {first.edges[-1]}, {len(video.scores)} to "
                f"frame {video.edges[-1]}"
            )
        if (video.map is None) != (first.map is None):
            return f"'{video.name}': cells in one, none in the other"
        if video.map is not None and first.map is not None:
            places = [(each.grid, each.size, each.seen) for each in (first.map, video.map)]
            if places[0] != places[1]:
                return f"'{video.name}': cells of {places[0]} against {places[1]}"
    if any(video.scores.min() < 0 or video.scores.max() > 1 for video in videos):
        return f"'{first.name}': scores outside [0, 1] have no log odds"
    return ""
