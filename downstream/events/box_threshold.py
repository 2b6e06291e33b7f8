"""From which score on a cell is called anomalous: chosen on normal validation videos, never on test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from downstream.scores.video_scores import VideoScores
from pretrain.errors import UserError, problem_list


def box_threshold(validation: Sequence[VideoScores], labels: Mapping[str, int], alarm_share: float) -> float:
    """The smallest threshold at which at most `alarm_share` of the frames of normal validation videos show a box.

    A frame shows a box where its snippet's highest cell (`VideoScores.scores`) is at least the threshold. Smallest
    among float64 numbers: the one after the highest score that would alarm too often. It is finite also for a share of
    0. `labels`: 0 is normal; abnormal videos are not looked at, since nobody knows which of
    their frames are normal.

    UserError: a share outside [0, 1), videos without a label, no normal video.
    """
    problems = [f"'{video.name}' has no label" for video in validation if video.name not in labels]
    normal = [video for video in validation if labels.get(video.name) == 0]
    if not 0 <= alarm_share < 1:
        problems.append(f"alarm_share is {alarm_share}; it must lie in [0, 1)")
    if not normal:
        problems.append(
            f"none of the {len(validation)} validation video(s) is normal; hold more videos out of training"
        )
    if problems:
        raise UserError(f"no threshold for boxes can be chosen:\n{problem_list(problems)}")
    scores, place = np.unique(np.concatenate([video.scores for video in normal]), return_inverse=True)
    frames = np.zeros(len(scores), np.int64)
    np.add.at(frames, place, np.concatenate([np.diff(video.edges) for video in normal]))
    alarming = frames[::-1].cumsum()[::-1]  # frames that reach each score
    # a division, not share * total: 3 of 30 frames are the share written 0.1, to the last bit
    too_many = np.flatnonzero(alarming / alarming[0] > alarm_share)  # never empty: all frames reach the lowest score
    return float(np.nextafter(scores[too_many[-1]], np.inf))
