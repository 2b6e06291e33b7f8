"""From the score maps of a fine-tuning run to boxes, tubes, figures and pictures.

    RUN/seed-0/validation_maps.safetensors  ->  the threshold: normal validation videos alone say how high it is
    RUN/seed-0/test_maps.safetensors        ->  OUT/seed-0/boxes.json: boxes of every snippet, linked to tubes
    the catalogue's boxes                   ->  OUT/localisation.json, table.md: figures with intervals
    the videos                              ->  OUT/strips/*.png, OUT/films/*.mp4: what was found, beside the truth

Annotated boxes are read here alone, after training; a threshold never sees a test video.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from downstream.analysis.localise_config import LocaliseConfig
from downstream.evaluation.choose_videos import exclude_training_groups, open_listed
from downstream.evaluation.spatial_evaluation import SpatialEvaluation
from downstream.evaluation.spatial_report import Boxes, evaluate, frame_scores, show, write_localisation
from downstream.events.box_file import write_boxes
from downstream.events.box_threshold import box_threshold
from downstream.events.boxes import Tube, find_boxes, link
from downstream.report.run_contents import run_levels
from downstream.runs.localisation_folder import LocalisationFolder
from downstream.runs.run_folder import RunFolder, scores_by_seed
from downstream.scores.ensemble import ensemble
from downstream.scores.score_file import ScoreFile, unscored_in
from downstream.scores.supervision import supervision_in
from downstream.scores.video_scores import VideoScores
from downstream.visualisation.gallery import draw
from pretrain.data.catalogue import Catalogue
from pretrain.errors import UserError, problem_list
from pretrain.tracking import clock


class FoundBoxes(NamedTuple):
    """What one seed's detector found."""

    videos: list[VideoScores]
    """Test videos, with maps."""
    threshold: float
    boxes: dict[str, Boxes]
    tubes: dict[str, list[Tube]]


def localise(config: LocaliseConfig) -> None:
    """Run all of it; UserError for what does not fit."""
    began = time.monotonic()
    run = RunFolder(config.run)
    trained_with = run.catalogue()
    files = run.score_maps()
    labels = known_labels(open_listed(trained_with), next(iter(files.values()))[0])
    if config.ensemble:
        validation, test = (ensemble(list(part)) for part in zip(*files.values(), strict=True))
        files = {"ensemble": (validation, test)}
    # a calibration is of all detectors together: it says nothing of the scores of one among several
    draws = config.strips > 0 or config.films > 0
    levels = run_levels(config.run) if draws and (config.ensemble or len(files) == 1) else None
    whole = {} if config.whole_frame is None else scores_by_seed(config.whole_frame)
    videos, left_out = chosen_videos(config, [test for _, test in files.values()], list(whole.values()))
    found = {
        seed: find(validation.videos, test.videos, labels, videos, config) for seed, (validation, test) in files.items()
    }
    # before anything is written: boxes and runs that do not fit are found here
    evaluations = measured(config, found, whole, videos) if any(video.boxes for video in videos) else []
    evaluations = [dataclasses.replace(evaluation, left_out=left_out) for evaluation in evaluations]
    out = output_folder(config)
    for seed, one in found.items():
        meta = {"threshold": one.threshold, "seed": seed}
        name = seed if config.ensemble else f"seed-{seed}"
        write_boxes(out.boxes(name), one.tubes, one.videos, meta)
        print(f"{name.replace('-', ' ')}: {describe_found(one, videos)}")
    print(f"thresholds: at most {100 * config.alarm_share:g} % of the frames of normal validation videos show a box\n")
    if evaluations:
        write_localisation(out, evaluations, videos.source, {seed: one.threshold for seed, one in found.items()})
        show(evaluations, str(config.whole_frame) if config.whole_frame else "")
    else:
        for stale in (out.document, out.table):  # of an earlier call, with boxes
            stale.unlink(missing_ok=True)
        print(f"{videos.source} holds no boxes: what was found is written, not evaluated\n")
    first = next(iter(found.values()))
    drawn = [entry for entry in first.videos if not config.abnormal_only or videos.by_name(entry.name).label == 1]
    draw(
        *(drawn, first.boxes, first.threshold, videos, out),
        strips=config.strips,
        films=config.films,
        levels=levels,
    )
    print(f"written to {out.path} in {clock(time.monotonic() - began)}")


def known_labels(catalogue: Catalogue, validation: ScoreFile) -> dict[str, int]:
    """Of each video; one without a label counts as normal where the detector took it for that: in label-free runs."""
    unlabelled = 0 if supervision_in(validation.meta) == "none" else None
    found = {video.name: unlabelled if video.label is None else video.label for video in catalogue}
    return {name: label for name, label in found.items() if label is not None}


def output_folder(config: LocaliseConfig) -> LocalisationFolder:
    """Where everything goes."""
    return RunFolder(config.run).localisation if config.out is None else LocalisationFolder(config.out)


def measured(
    config: LocaliseConfig, found: Mapping[str, FoundBoxes], whole: Mapping[str, ScoreFile], videos: Catalogue
) -> list[SpatialEvaluation]:
    """Figures against the boxes of `videos`: of the cells, then of whole frames."""
    scores = {seed: one.videos for seed, one in found.items()}
    frames = scores
    if config.whole_frame is not None:
        frames = frame_scores(whole, next(iter(scores.values())), config.whole_frame)
    boxes = {seed: one.boxes for seed, one in found.items()}
    return evaluate(config.run.resolve().name, scores, boxes, frames, videos, config.settings)


def chosen_videos(
    config: LocaliseConfig, tests: Sequence[ScoreFile], whole: Sequence[ScoreFile]
) -> tuple[Catalogue, dict[str, str]]:
    """The test videos to look at, each scored by all seeds; and those that could not be scored, and why.

    UserError: none, ones nobody tried to score, ones seen in training.
    """
    catalogue = open_listed(RunFolder(config.run).catalogue_unless(config.catalogue))
    videos = catalogue.subset("test")
    if not videos:
        raise UserError(f"{catalogue.source}: no video of split 'test'")
    for run in filter(None, (config.run, config.whole_frame)):
        RunFolder(run).refuse_seen_in_training(videos)
    videos = exclude_training_groups(catalogue, videos) if config.unseen_groups else videos
    unscored = unscored_in([*tests, *whole])
    left_out = {video.name: unscored[video.name] for video in videos if video.name in unscored}
    if left_out:
        lines = [f"'{name}': {reason}" for name, reason in left_out.items()]
        print(f"{len(left_out)} video(s) could not be scored and are left out:\n{problem_list(lines)}\n")
        videos = videos.without(set(unscored))
    scored = set.intersection(*({entry.name for entry in file.videos} for file in tests))
    if missing := [f"'{video.name}'" for video in videos if video.name not in scored]:
        raise UserError(
            f"{len(missing)} of the {len(videos)} test videos of {catalogue.source} have no scores in {config.run}; "
            f"give the catalogue that it was run with, or score them with it:\n{problem_list(missing, limit=10)}"
        )
    if not config.unseen_groups and (rest := len(scored) - len(videos)):
        print(f"{rest} of the {len(scored)} scored videos are not in {catalogue.source} and are left out\n")
    return videos, left_out


def find(
    validation: Sequence[VideoScores],
    test: Sequence[VideoScores],
    labels: Mapping[str, int],
    videos: Catalogue,
    config: LocaliseConfig,
) -> FoundBoxes:
    """The threshold from validation videos alone, and the boxes of the videos to be looked at."""
    threshold = box_threshold(validation, labels, config.alarm_share)
    names = {video.name for video in videos}
    chosen = [entry for entry in test if entry.name in names]
    boxes = {entry.name: find_boxes(entry.map, threshold) for entry in chosen if entry.map is not None}
    tubes = {name: link(each, config.boxes) for name, each in boxes.items()}
    for name, each in boxes.items():  # figures and pictures are of what is written
        kept = {box for tube in tubes[name] for box in tube.boxes}
        boxes[name] = [[box for box in found if box in kept] for found in each]
    return FoundBoxes(chosen, threshold, boxes, tubes)


def describe_found(found: FoundBoxes, videos: Catalogue) -> str:
    """How much was found, in one line; with how often normal test videos alarm, where there are any."""
    tubes = [tube for each in found.tubes.values() for tube in each]
    boxes, shown = sum(len(tube.boxes) for tube in tubes), sum(bool(each) for each in found.tubes.values())
    normal = [entry for entry in found.videos if videos.by_name(entry.name).label == 0]
    alarming = sum(int(np.diff(entry.edges)[entry.scores >= found.threshold].sum()) for entry in normal)
    share = alarming / max(1, sum(entry.covered_frames for entry in normal))
    return (
        f"boxes from a score of {found.threshold:.4g} on: {boxes} in {len(tubes)} tube(s), in {shown} of "
        f"{len(found.videos)} videos" + (f"; on {100 * share:.1f} % of the frames of normal ones" if normal else "")
    )
