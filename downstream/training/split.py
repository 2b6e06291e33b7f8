"""Training videos cut in two: those to train on, and those held out to select the detector."""

from __future__ import annotations

from typing import Literal

from pretrain.data.catalogue import Catalogue
from pretrain.data.validation_split import split_validation
from pretrain.errors import UserError, problem_list


def split_training(
    training: Catalogue, fraction: float, seed: int, by: Literal["auto", "group", "video"]
) -> tuple[Catalogue, Catalogue]:
    """(train, validation): stratified by label, a function of the seed. UserError where labels are missing."""
    check_labels(training)
    for label, what in enumerate(("normal", "abnormal")):
        if sum(video.label == label for video in training) < 2:
            raise UserError(
                f"one of the {len(training)} training videos is {what}; each class needs at least two, one to train on "
                "and one held out to select the detector: add some"
            )
    train, validation = split_validation(training, fraction, seed, by=by)
    for what, part in (("left for training", train), ("held out", validation)):
        if len({video.label for video in part}) < 2:
            raise UserError(
                f"the {len(part)} videos {what} are all of one class: change validation_fraction or split_seed, or set "
                "validation_by to video"
            )
    return train, validation


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
