"""Features that somebody has, for detectors that are trained: feature sets of ours, or files in any layout of import.

Files are read one video at a time and never written anywhere. What the detectors were trained on must be what these
features are (`refuse_unfitting`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from downstream.detector.storage import grid_of, refuse_other_features, specs_of
from downstream.features.feature_spec import FeatureSpec, VideoEntry
from downstream.features.fusion import FusedFeatures
from downstream.features.import_config import LayoutFlags
from downstream.features.import_sources import plan_sources
from downstream.features.importing import ImportPlan, VideoFiles
from downstream.features.layouts import load_video
from downstream.features.store import MANIFEST, FeatureSet
from downstream.features.timing import Timing
from pretrain.errors import UserError, problem_list

_SETS = 64
"""Videos of stored sets that are scored together."""


class Part(NamedTuple):
    """Some of the videos, as a detector sees them."""

    features: FusedFeatures
    names: list[str]


@dataclass(frozen=True, eq=False)
class GivenFeatures:
    """What was given, opened and checked; nothing is read yet but what the checks need."""

    card: Mapping[str, Any]
    """Of a detector that takes them: how they are normalised, fused and pooled."""
    sets: tuple[FeatureSet, ...] = ()
    """Empty: `plan` says which files are read."""
    plan: ImportPlan | None = None

    @property
    def specs(self) -> list[FeatureSpec]:
        """One for each fused set."""
        return [part.spec for part in self.sets] if self.plan is None else [self.plan.spec]

    @property
    def names(self) -> list[str]:
        """Of the videos, in order."""
        return list(self.sets[0].videos) if self.plan is None else [video.name for video in self.plan.videos]

    def parts(self) -> Iterator[Part]:
        """All videos, a few at a time."""
        with tqdm(desc="scoring", total=len(self.names), unit="video", disable=None) as bar:
            if self.plan is None:
                fused = self._fused(self.sets)
                names = list(fused.videos)
                for start in range(0, len(names), _SETS):
                    yield Part(fused, names[start : start + _SETS])
                    bar.update(len(names[start : start + _SETS]))
            else:
                for video in self.plan.videos:
                    yield Part(self._fused([self._one(self.plan, video)]), [video.name])
                    bar.update()

    def _fused(self, sets: Sequence[FeatureSet]) -> FusedFeatures:
        features = self.card["features"]
        pooled = features.get("pool_cells")
        return FusedFeatures(sets, features["normalise"], None if pooled is None else (int(pooled[0]), int(pooled[1])))

    def _one(self, plan: ImportPlan, video: VideoFiles) -> FeatureSet:
        """The set of one video, with numbers of the type that a stored one would have."""
        values = load_video(video.paths, plan.shape.axes, plan.shape.squeezed, plan.shape.key).astype(plan.dtype)
        timing = video.timing
        entry = VideoEntry(
            name=video.name,
            offset=0,
            snippets=len(values),
            frames=timing.frames,
            fps=timing.fps,
            snippet_frames=timing.snippet_frames or plan.spec.snippet_frames,
        )
        return FeatureSet(Path(video.paths[0]), plan.spec, [entry], values)


def open_given(
    sources: Sequence[Path],
    cards: Sequence[Mapping[str, Any]],
    encoder: str | None,
    flags: LayoutFlags,
    known: Mapping[str, Timing] | None = None,
) -> tuple[GivenFeatures, list[str]]:
    """What was given, and notes of how files were read. `cards`: of all detectors; the first says what they take.

    UserError: sets and files mixed, files for detectors on several sets, files without the name of their encoder, and
    whatever import refuses.
    """
    card = cards[0]
    stored = [source for source in sources if (source / MANIFEST).is_file()]
    if stored and len(stored) < len(sources):
        raise UserError(f"{stored[0]} is a feature set, others of what was given are not: give sets, or files")
    if stored:
        return GivenFeatures(card, tuple(FeatureSet.open(folder) for folder in sources)), []
    trained = specs_of(card)
    if len(trained) > 1:
        raise UserError(
            f"the detector was trained on {len(trained)} fused sets: make a set of the files of each with "
            "scripts/import_features.py, and give these in the same order"
        )
    if encoder is None:
        raise UserError(
            f"--encoder is missing: say what made these files; the detector was trained on '{trained[0].encoder}'"
        )
    plan = plan_sources(sources, flags, encoder, card["features"]["dtypes"][0], known=known)
    return GivenFeatures(card, plan=plan), list(plan.notes)


def refuse_unfitting(given: GivenFeatures, cards: Sequence[Mapping[str, Any]], same_encoder: bool) -> list[str]:
    """UserError where a detector was trained on other features. Returns what was taken on trust.

    `same_encoder`: the user vouches that the encoder is the detector's, though it goes by another name, or the features
    say less of how they were made. Widths, snippets and cells must fit, and hashes that are known on both sides.
    """
    if not same_encoder:
        for card in cards:
            _refuse(card, given)
        return []
    problems, trusted = [], []
    for card in cards:
        trained = specs_of(card)
        if len(trained) != len(given.specs):
            problems.append(f"the detector was trained on {len(trained)} fused set(s), {len(given.specs)} were given")
        for mine, theirs in zip(trained, given.specs, strict=False):
            hashes = {mine.weights_sha256, theirs.weights_sha256} - {None}
            same = {"weights_sha256": theirs.weights_sha256} if len(hashes) < 2 else {}
            problems += [
                f"{text} (detector, features)"
                for text in _measurable(mine, same).encoding_differences(_measurable(theirs, same))
            ]
            trusted += [f"{text} (detector, features)" for text in mine.encoding_differences(theirs)]
    if problems:
        raise UserError(
            f"--same-encoder cannot make up for what differs otherwise:\n{problem_list(list(dict.fromkeys(problems)))}"
        )
    return list(dict.fromkeys(trusted))


def _measurable(spec: FeatureSpec, same: Mapping[str, Any]) -> FeatureSpec:
    """What the numbers themselves show of a spec, and the hash of weights."""
    bare = FeatureSpec(encoder="", weights_sha256=spec.weights_sha256, dim=spec.dim, snippet_frames=spec.snippet_frames)
    return dataclasses.replace(bare, grid=spec.grid, motion=spec.motion, **same)


def _refuse(card: Mapping[str, Any], given: GivenFeatures) -> None:
    """As `detector.storage.refuse_other_features`, with this command's way out where the rest fits."""
    if given.plan is None:
        fused = given._fused(given.sets)
        try:
            refuse_other_features(card, fused)
        except UserError as error:
            raise UserError(f"{error}{_way_out(card, given)}") from None
        return
    (mine,), theirs = specs_of(card), given.plan.spec
    problems = mine.encoding_differences(theirs)
    if grid_of(card) is not None:
        problems.append(f"cells: {grid_of(card)}, none: files hold crops")
    if problems:
        listed = problem_list([f"{text} (detector, features)" for text in problems])
        raise UserError(f"the detector was trained on other features:\n{listed}{_way_out(card, given)}")


def _way_out(card: Mapping[str, Any], given: GivenFeatures) -> str:
    """A sentence on --same-encoder where nothing else stands in the way; else empty."""
    try:
        refuse_unfitting(given, [card], same_encoder=True)
    except UserError:
        return ""
    return "\nIf they are of the same encoder, and only go by another name or say less of it: --same-encoder"
