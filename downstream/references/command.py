"""Reference scores of a finished run's test videos: from its features, and from the pixels of the videos."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from downstream.features.fusion import FusedFeatures
from downstream.features.normalising import Normalise
from downstream.references.config import ReferencesConfig
from downstream.references.measures import position
from downstream.references.motion import motion_energy
from downstream.references.of_features import MEANING, write_feature_references
from downstream.runs.run_folder import RunFolder
from downstream.scores.score_file import ScoreFile
from downstream.scores.video_scores import VideoScores
from pretrain.cli import parse
from pretrain.data.catalogue import Catalogue, CatalogueConfig, Video
from pretrain.data.catalogues import open_catalogue
from pretrain.data.geometry import BorderCrop
from pretrain.data.video import IndexCache, VideoError
from pretrain.errors import UserError, problem_list
from pretrain.names import KnownNames

MOTION = "motion_energy"
_SEEN = ("features.sets", "features.normalise", "features.pool_cells")
MOTION_MEANING = "mean absolute difference of successive grey frames of at most 160 pixels in width"


def write_references(config: ReferencesConfig) -> int:
    """Write all that can be made, and say what there is now. Exit status: 1 where a video could not be read."""
    run = RunFolder(config.run)
    scored = next(iter(run.test_scores().values()))
    catalogue = _open(run.catalogue_unless(config.catalogue), config.motion)
    test = test_videos(catalogue, scored)
    features = _features(config, run)
    if features is None:
        _write_position(run, scored)
    else:
        features.require([video.name for video in test], "test")
        write_feature_references([run], features, catalogue.subset("train"), test)
    unreadable = _write_motion(run, test, scored, config) if config.motion else {}
    names = ", ".join(name.replace("_", " ") for name in run.read_references())
    print(f"{run.references} holds for {len(test)} test videos: {names}")
    if unreadable:
        print(f"{len(unreadable)} video(s) could not be read:\n{problem_list(list(unreadable.values()))}")
    if features is None:
        print("the run was trained from videos: what needs stored features is made with --features")
    if not run.has_references([MOTION]):
        print("motion energy needs the videos: --motion")
    print(f"next: python scripts/evaluate.py {config.run}")
    return int(bool(unreadable))


def test_videos(catalogue: Catalogue, scored: ScoreFile) -> list[Video]:
    """The videos that the run's detectors scored, in their order; UserError where the catalogue knows some not."""
    known = {video.name: video for video in catalogue}
    if unknown := [video.name for video in scored.videos if video.name not in known]:
        near = KnownNames(known)
        lines = [f"{name}{near.hint(name)}" for name in unknown]
        raise UserError(
            f"{len(unknown)} of the {len(scored.videos)} test videos of the run are not in {catalogue.source}; give "
            f"the catalogue that it was trained with:\n{problem_list(lines)}"
        )
    return [known[video.name] for video in scored.videos]


def score_motion(
    test: Sequence[Video], scored: ScoreFile, border: BorderCrop, decoders: int
) -> tuple[list[VideoScores], dict[str, str]]:
    """Motion energy on the snippets of the scores, so many videos at a time; and why some could not be read."""

    def one(video: Video, edges: NDArray[np.int64]) -> VideoScores | VideoError:
        try:
            # a cache of its own: what one thread drops from memory, another may be using
            return VideoScores(video.name, motion_energy(video.path, edges, border, IndexCache(None)), edges)
        except VideoError as error:
            return error

    grids = [video.edges for video in scored.videos]
    with ThreadPoolExecutor(decoders) as pool:  # FFmpeg works without the interpreter lock
        results = pool.map(one, test, grids)
        found = list(tqdm(results, desc="motion energy", total=len(test), unit="video", disable=None))
    pairs = list(zip(test, found, strict=True))
    unreadable = {video.name: str(result) for video, result in pairs if isinstance(result, VideoError)}
    return [result for _, result in pairs if not isinstance(result, VideoError)], unreadable


def _write_motion(run: RunFolder, test: Sequence[Video], scored: ScoreFile, config: ReferencesConfig) -> dict[str, str]:
    videos, unreadable = score_motion(test, scored, config.border_crop, config.decoders)
    if not videos:
        reasons = problem_list(list(unreadable.values()))
        raise UserError(f"motion energy: none of the {len(test)} test videos can be read:\n{reasons}")
    meta = {"reference": MOTION, "meaning": MOTION_MEANING, "border_crop": list(config.border_crop)}
    run.write_reference(MOTION, videos, meta | {"unscored": unreadable})
    return unreadable


def _write_position(run: RunFolder, scored: ScoreFile) -> None:
    videos = [VideoScores(video.name, position(len(video.scores)), video.edges) for video in scored.videos]
    run.write_reference("position", videos, {"reference": "position", "meaning": MEANING["position"]})


def _open(config: CatalogueConfig, reads_videos: bool) -> Catalogue:
    """Features need the lists alone."""
    if reads_videos or config.kind == "folder":
        return open_catalogue(config)
    return open_catalogue(dataclasses.replace(config, check_files=False))


@dataclass(frozen=True)
class _Features:
    sets: tuple[Path, ...] = ()
    normalise: Normalise = "none"
    pool_cells: tuple[int, int] | None = None


@dataclass(frozen=True)
class _Trained:
    """The part of a run's settings that says what it sees."""

    features: _Features = field(default_factory=_Features)


def _features(config: ReferencesConfig, run: RunFolder) -> FusedFeatures | None:
    """Those that were given, or the run's own as it sees them; None where it was trained from videos."""
    if config.features:
        return FusedFeatures.open(config.features)
    own = parse(_Trained, run.settings_flags(_SEEN), run.config_file.name).features
    return FusedFeatures.open(own.sets, own.normalise, own.pool_cells) if own.sets else None
