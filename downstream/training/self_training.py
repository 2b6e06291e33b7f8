"""Labels of snippets that a finished run suggests for its own training videos.

    RUN/seed-*/validation_scores.json   each training video by the detectors that had held it out
      -> log odds on the student's snippets, their mean over those detectors
      -> of an abnormal video the highest are called anomalous, the next are doubtful, the rest is normal
      -> of a normal video all are normal

The pseudo labels of MIST (Feng, Hong and Zheng, CVPR 2021), which trains the encoder of features with them. Where we
differ [ours]: they come from detectors that did not learn the video's label, so what was learnt by heart teaches
nothing; they are hard, with a doubtful part between; and no attention is trained beside.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from downstream.features.feature_spec import VideoEntry
from downstream.runs.run_folder import RunFolder, supervision_of
from downstream.scores.log_odds import log_odds
from downstream.scores.score_file import ScoreFile
from downstream.scores.video_scores import VideoScores
from downstream.training.config import SelfTrainingConfig
from pretrain.data.catalogue import Catalogue
from pretrain.errors import UserError, problem_list
from pretrain.names import shown
from pretrain.path_words import what_is_at

SnippetLabels = dict[str, NDArray[np.float32]]
"""Video -> (S,): the share of each snippet that is anomalous, in [0, 1]; NaN where nothing is said of it."""
HeldOut = Mapping[str, Sequence[VideoScores]]
"""Video -> its scores by each of a run's detectors that had held it out."""


def suggested_labels(
    config: SelfTrainingConfig, held_out: HeldOut, training: Catalogue, entries: Mapping[str, VideoEntry]
) -> SnippetLabels:
    """Of the training videos that the teacher says something of: all normal ones, the abnormal ones that it held out.

    `held_out`: its scores; `entries`: which frames the student's snippets stand for. UserError where it held out none
    of the abnormal videos, or scored another cut of one.
    """
    refuse_other_cuts(config, held_out, training, entries)
    labels: SnippetLabels = {}
    for video in training:
        edges = entries[video.name].edges_with(None)
        if video.label == 0:
            labels[video.name] = np.zeros(len(edges) - 1, np.float32)
        elif found := held_out.get(video.name):
            odds = np.mean([odds_on(each, edges) for each in found], axis=0)
            labels[video.name] = called(odds, config.share, config.doubtful)
    abnormal = [video for video in training if video.label == 1]
    if not any(video.name in labels for video in abnormal):
        raise UserError(
            f"self_training.teacher {config.teacher} says nothing of the {len(abnormal)} abnormal training videos: its "
            "detectors had held out none of them. Train it on the same videos, with rotate_validation and several seeds"
        )
    return labels


def held_out_scores(run: Path) -> HeldOut:
    """What a teacher says. UserError where it is no finished run, or was told labels of frames."""
    folder = RunFolder(run)
    if not run.is_dir():
        raise UserError(f"self_training.teacher: {what_is_at(run)}: give a finished run of scripts/finetune.py")
    files: dict[str, ScoreFile] = {
        seed.seed: seed.read_scores("validation") for seed in folder.seeds() if seed.has_scores("validation")
    }
    if not files:
        raise UserError(
            f"self_training.teacher {run} has no scores of validation videos: give a finished run of "
            "scripts/finetune.py, or finish it with --resume"
        )
    if supervision_of(run, files.values()) == "frames":
        raise UserError(
            f"self_training.teacher {run} is a ceiling: it was told labels of frames, and what learns from it would be "
            "no weakly supervised detector. Give a run that was told labels of videos (for a ceiling: --ceiling)"
        )
    found: dict[str, list[VideoScores]] = {}
    for file in files.values():
        for video in file.videos:
            found.setdefault(video.name, []).append(video)
    return found


def refuse_other_cuts(
    config: SelfTrainingConfig, held_out: HeldOut, training: Catalogue, entries: Mapping[str, VideoEntry]
) -> None:
    """UserError listing the abnormal videos whose scores end a snippet or more from where the student's snippets do."""
    problems = []
    for video in training:
        edges = entries[video.name].edges_with(None)
        for scores in held_out.get(video.name, ()) if video.label == 1 else ():
            longest = max(int(np.diff(each).max()) for each in (edges, scores.edges))
            if abs(int(scores.edges[-1]) - int(edges[-1])) >= longest:
                problems.append(
                    f"'{shown(video.name)}': scores up to frame {scores.edges[-1]}, snippets up to frame {edges[-1]}"
                )
                break
    if problems:
        raise UserError(
            f"self_training.teacher {config.teacher} scored other cuts of {len(problems)} training video(s), a snippet "
            f"or more longer or shorter than these; train it on the same videos:\n{problem_list(problems)}"
        )


def odds_on(scores: VideoScores, edges: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean log odds over the frames of other snippets, half-open between `edges`; past its end the last is held."""
    own = np.append(scores.edges[:-1], max(scores.edges[-1], edges[-1]))
    sums = np.append(0.0, np.cumsum(log_odds(scores.scores) * np.diff(own)))
    means: NDArray[np.float64] = np.diff(np.interp(edges, own, sums)) / np.diff(edges)
    return means


def called(odds: NDArray[np.float64], share: float, doubtful: float) -> NDArray[np.float32]:
    """The highest `share` of the snippets of an abnormal video 1, at least one; the next `doubtful` NaN; others 0."""
    # rounded: of snippets that the teacher calls alike the earlier comes first, not the one with the larger last bit
    order = np.argsort(-odds.round(9), kind="stable")
    anomalous = max(1, round(share * len(odds)))
    labels = np.zeros(len(odds), np.float32)
    labels[order[:anomalous]] = 1
    labels[order[anomalous : anomalous + round(doubtful * len(odds))]] = np.nan
    return labels


def describe_labels(labels: Mapping[str, NDArray[np.float32]]) -> str:
    """For a run's notes of what it is trained on: their hash."""
    digest = hashlib.sha256()
    for name, own in labels.items():
        digest.update(name.encode() + b"\0" + np.nan_to_num(own, nan=-1).tobytes())
    return f"{digest.hexdigest()[:16]} (hash of the labels of all snippets)"
