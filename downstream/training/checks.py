"""Everything that can be known to be wrong before a detector trains: lists, labels, features, lengths."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from downstream.detector.inference import snippet_edges
from downstream.detector.objective import build_detector
from downstream.evaluation.ground_truth import align
from downstream.features.feature_spec import VideoEntry
from downstream.features.fusion import FusedFeatures
from downstream.scores.video_scores import make_scores
from downstream.training.config import FinetuneConfig
from pretrain.data.catalogue import Catalogue, CatalogueConfig, Video
from pretrain.data.catalogues import open_catalogue
from pretrain.data.held_out import split_held_out
from pretrain.errors import UserError, problem_list


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The features and videos of a run."""

    source: FusedFeatures
    train: Catalogue
    held_out: Catalogue
    test: Catalogue
    without_features: list[str]


def prepare(config: FinetuneConfig) -> Prepared:
    """Open features and lists, check that they fit, carve the held-out part. UserError for all that is wrong."""
    if not config.features.sets:
        raise UserError(
            "no features were given: set features.sets to a folder (scripts/extract_features.py makes one), or "
            "videos.backbone to train from videos"
        )
    if doubled := [str(folder) for folder in config.features.sets if _times(folder, config.features.sets) > 1]:
        raise UserError(f"features.sets names {doubled[0]} twice: fusing a set with itself adds nothing; give it once")
    source = FusedFeatures.open(config.features.sets, config.features.normalise, config.features.pool_cells)
    with torch.random.fork_rng(devices=[]):  # says what of the detector does not go with these features
        build_detector(config.detector, config.objective, source.dim, source.grid)
    catalogue = open_listed(config.catalogue)
    missing = [video.name for video in catalogue if video.name not in source.videos]
    if config.features.allow_missing:
        catalogue = catalogue.without(set(missing))
    train, held_out = split_training(catalogue.subset("train"), config)
    test = catalogue.subset("test")
    for what, part in (("training", train), ("held-out", held_out), ("test", test)):
        source.require([video.name for video in part], what)
    if source.grid is not None and config.bags.crops == "all":
        raise UserError("bags.crops is all, but features of cells have a single crop, the whole picture: leave it out")
    check_contents(source, config, train, [*held_out, *(test if config.score_test else ())])
    if config.score_test and has_ground_truth(test):
        rehearse_evaluation(source.videos, list(test), config.evaluation.tail)
    return Prepared(source=source, train=train, held_out=held_out, test=test, without_features=missing)


def _times(folder: Path, folders: Sequence[Path]) -> int:
    return [other.resolve() for other in folders].count(folder.resolve())


def check_contents(source: FusedFeatures, config: FinetuneConfig, train: Catalogue, scored: Sequence[Video]) -> None:
    """UserError naming every video to be scored with values that are not finite; reads all of them once.

    Training videos too where they are sampled; otherwise their segment cache looks at them when it is built.
    """
    names = [video.name for video in scored]
    names += [video.name for video in train] if config.bags.sampling == "sample" else []
    for part in source.sets:
        part.check_finite(names)


def rehearse_evaluation(entries: Mapping[str, VideoEntry], test: Sequence[Video], tail: str) -> None:
    """Whether scores of these snippets could be evaluated; UserError as `align` where not."""
    blank = []
    for video in test:
        entry = entries[video.name]
        edges = snippet_edges(entry, video.num_frames)
        blank.append(make_scores(video.name, np.zeros(entry.snippets), edges))
    align(blank, test, tail)


def open_listed(config: CatalogueConfig) -> Catalogue:
    """The catalogue from its lists alone: for features the videos need not be there. Folders are their own list."""
    return open_catalogue(config if config.kind == "folder" else dataclasses.replace(config, check_files=False))


def of_new_groups(catalogue: Catalogue, videos: Catalogue) -> Catalogue:
    """The videos whose group no training video has; UserError where that leaves none, or groups are unknown."""
    if unknown := sum(video.group is None for video in videos):
        raise UserError(f"--new-groups: the catalogue says no group of {unknown} of the {len(videos)} videos")
    seen = {video.group for video in catalogue.subset("train")}
    left = videos.without({video.name for video in videos if video.group in seen})
    if not left:
        raise UserError(f"--new-groups: training videos come from all {len(seen)} groups, none is new")
    print(f"{len(left)} of {len(videos)} videos are of groups that no training video is of; the others are left out\n")
    return left


def split_training(training: Catalogue, config: FinetuneConfig) -> tuple[Catalogue, Catalogue]:
    """(train, held out): stratified by label, a function of `split_seed`. UserError where labels are missing."""
    check_labels(training)
    for label, what in enumerate(("normal", "abnormal")):
        if sum(video.label == label for video in training) < 2:
            raise UserError(
                f"one of the {len(training)} training videos is {what}; each class needs at least two, one to train on "
                "and one held out to select the detector: add some"
            )
    train, held_out = split_held_out(training, config.held_out_fraction, config.split_seed, by=config.held_out_by)
    for what, part in (("left for training", train), ("held out", held_out)):
        if len({video.label for video in part}) < 2:
            raise UserError(
                f"the {len(part)} videos {what} are all of one class: change held_out_fraction or split_seed, or set "
                "held_out_by to video"
            )
    return train, held_out


def check_labels(training: Catalogue) -> None:
    """UserError where a training video has no label, or all have the same."""
    if not len(training):
        raise UserError(f"{training.source}: no training video; their split must be 'train'")
    unknown = [video.name for video in training if video.label is None]
    if unknown:
        raise UserError(
            f"{len(unknown)} of {len(training)} training videos have no label:\n{problem_list(unknown)}\n"
            "Say 0 (normal) or 1 (abnormal) for each, or take them out of the list"
        )
    if len({video.label for video in training}) < 2:
        kind = "abnormal" if training[0].label else "normal"
        raise UserError(
            f"all {len(training)} training videos are {kind}; weak supervision needs both classes: check the labels"
        )


def has_ground_truth(videos: Catalogue) -> bool:
    """Whether frames can be scored: there are abnormal videos, all with spans, and every video has a label."""
    return not missing_ground_truth(videos)


def missing_ground_truth(videos: Catalogue) -> str:
    """Why the scores of these videos cannot be evaluated, in words; an empty string where they can."""
    unknown = [video.name for video in videos if video.label is None]
    if unknown:
        return f"{len(unknown)} of {len(videos)} have no label, the first is '{unknown[0]}'"
    abnormal = [video for video in videos if video.label == 1]
    bare = [video.name for video in abnormal if not video.spans]
    if bare:
        return (
            f"the catalogue does not say which frames are abnormal in {len(bare)} of {len(abnormal)} abnormal videos, "
            f"the first is '{bare[0]}'"
        )
    return "" if abnormal else f"none of the {len(videos)} is abnormal"
