"""Which videos are evaluated, and whether they can be: lists, groups that training did not see, ground truth."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from downstream.evaluation.ground_truth import align
from downstream.features.feature_spec import VideoEntry
from downstream.scores.video_scores import make_scores
from pretrain.data.catalogue import Catalogue, CatalogueConfig, Video
from pretrain.data.catalogues import open_catalogue
from pretrain.errors import UserError


def open_listed(config: CatalogueConfig) -> Catalogue:
    """The catalogue from its lists alone: for features the videos need not be there. Folders are their own list."""
    return open_catalogue(config if config.kind == "folder" else dataclasses.replace(config, check_files=False))


def exclude_training_groups(catalogue: Catalogue, videos: Catalogue) -> Catalogue:
    """The videos whose group no training video has; UserError where that leaves none, or groups are unknown."""
    if unknown := sum(video.group is None for video in videos):
        raise UserError(f"--unseen-groups: the catalogue says no group of {unknown} of the {len(videos)} videos")
    seen = {video.group for video in catalogue.subset("train")}
    left = videos.without({video.name for video in videos if video.group in seen})
    if not left:
        raise UserError(f"--unseen-groups: training videos come from all {len(seen)} groups, none is new")
    print(f"{len(left)} of {len(videos)} videos are of groups that no training video is of; the others are left out\n")
    return left


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


def rehearse_evaluation(snippets: Mapping[str, VideoEntry], test: Sequence[Video], tail: str) -> None:
    """Whether scores of these snippets could be evaluated; UserError as `align` where not."""
    blank = []
    for video in test:
        edges = snippets[video.name].edges_with(video.num_frames)
        blank.append(make_scores(video.name, np.zeros(snippets[video.name].snippets), edges))
    align(blank, test, tail)
