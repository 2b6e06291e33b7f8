"""Carving a validation part from training videos, and refusing to train on what will be scored."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from pretrain.data.catalogue import Catalogue
from pretrain.data.catalogues.disk import video_name
from pretrain.errors import UserError, problem_list
from pretrain.names import name_bytes


def split_validation(
    catalogue: Catalogue, fraction: float, seed: int, by: str = "group"
) -> tuple[Catalogue, Catalogue]:
    """(train, held out): about `fraction` of the videos of each label, by whole groups or by single videos.

    by="group": no group is on both sides; a video without a group is one of its own. by="video": groups are ignored.
    by="auto": by group where the catalogue knows two or more, otherwise by video.
    The choice is a function of seed, names, groups and labels: the same for any order of the catalogue, on any machine.
    Each side has at least one video, and of every label that is in two units or more about its share.
    UserError: fraction outside (0, 1), no groups at all to go by, or everything in one group.
    """
    if not 0 < fraction < 1:
        raise UserError(f"validation fraction {fraction} is not between 0 and 1; 0.1 holds out a tenth")
    if by == "auto":
        by = "group" if len({video.group for video in catalogue if video.group}) > 1 else "video"
    units = _units(catalogue, by)
    index_of = {unit: index for index, unit in enumerate(dict.fromkeys(units))}
    if len(index_of) < 2:
        what = "group" if by == "group" else "video"
        mend = "hold out by video instead (by='video')" if len(catalogue) > 1 else "add videos"
        raise UserError(f"{catalogue.source}: only {len(index_of)} {what}(s), nothing can be held out; {mend}")
    unit_of = [index_of[unit] for unit in units]
    order = sorted(index_of, key=lambda unit: _shuffled(seed, unit))
    held = _choose(_counts(catalogue, unit_of), [index_of[unit] for unit in order], fraction)
    train = [video for video, unit in zip(catalogue, unit_of, strict=True) if unit not in held]
    validation = [video for video, unit in zip(catalogue, unit_of, strict=True) if unit in held]
    return Catalogue(train, f"{catalogue.source} (less held out)"), Catalogue(
        validation, f"{catalogue.source} (held out)"
    )


def _units(catalogue: Catalogue, by: str) -> list[str]:
    """The unit of each video: what goes to one side as a whole. Groups and single videos cannot share a key."""
    if by not in ("group", "video"):
        raise UserError(f"held out by '{by}': it is 'group' or 'video'")
    if by == "video":
        return [video.name for video in catalogue]
    if all(video.group is None for video in catalogue):
        raise UserError(f"{catalogue.source}: no video has a group to hold out by; hold out by video (by='video')")
    return [f"video/{video.name}" if video.group is None else f"group/{video.group}" for video in catalogue]


def _shuffled(seed: int, unit: str) -> bytes:
    """A sort key: a random order that does not depend on the order of the list."""
    return hashlib.blake2b(name_bytes(f"{seed}/{unit}"), digest_size=16).digest()


def _counts(catalogue: Catalogue, unit_of: list[int]) -> NDArray[np.int64]:
    """Videos per unit and label: (units, 3), the labels being unknown, normal, abnormal."""
    counts = np.zeros((max(unit_of) + 1, 3), dtype=np.int64)
    labels = [0 if video.label is None else video.label + 1 for video in catalogue]
    np.add.at(counts, (unit_of, labels), 1)
    return counts


def _choose(counts: NDArray[np.int64], order: list[int], fraction: float) -> set[int]:
    """Units to hold out: each in turn is taken if it brings the counts per label nearer to their targets."""
    targets = _targets(counts, fraction)
    rows = counts.tolist()
    left = list(targets)  # what each label still lacks; below 0 where too much is held
    chosen: set[int] = set()
    for unit in order:
        after = [lack - count for lack, count in zip(left, rows[unit], strict=True)]
        if sum(map(abs, after)) < sum(map(abs, left)) and len(chosen) < len(order) - 1:
            left = after
            chosen.add(unit)
    # Every unit is more than twice the target: take the one that overshoots least.
    return chosen or {min(order, key=lambda unit: sum(abs(t - c) for t, c in zip(targets, rows[unit], strict=True)))}


def _targets(counts: NDArray[np.int64], fraction: float) -> list[float]:
    """Videos to hold out per label. A label that stands in two units or more gets at least one and leaves one."""
    targets = []
    for column in counts.T:
        total, in_units = int(column.sum()), int((column > 0).sum())
        share = fraction * total
        targets.append(min(max(share, 1.0), total - 1.0) if in_units > 1 else share)
    return targets


def refuse_overlap_names(
    trained_on: Collection[str], scored: Catalogue, training: str = "the training list of the detector"
) -> None:
    """UserError if a detector trained on videos of these names would be scored on one of them.

    The abnormal test videos of UCF-Crime2Local are in UCF-Crime's training list, for one. Names are compared without
    a video file's suffix and without the `_x264` that some lists of UCF-Crime leave out. `training` says in the message
    where the names are from.
    """
    known = {_bare_name(name) for name in trained_on}
    both = [video.name for video in scored if _bare_name(video.name) in known]
    if both:
        raise UserError(
            f"{len(both)} of the {len(scored)} video(s) to be scored ({scored.source}) are trained on ({training});"
            f" take them out of the training list and train again:\n{problem_list(both, limit=10)}"
        )


def _bare_name(name: str) -> str:
    """`Arrest003_x264.mp4`, `Arrest003_x264` and `Arrest003` are one video. Folders stay: they may be part of it."""
    return video_name(name).removesuffix("_x264")
