"""A trained model at work: encoders make features of a video, detectors score them, together.

    model = open_model(Path("runs/detector"))           # or a package, or one detector
    for scored in score_files(model, [("street", "street.mp4")]):
        scored.scores, scored.info, scored.problem

The features go through the code that stored ones go through, and a video of any length takes no more memory than a
short one: its features lie in a scratch file, and are scored part by part.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from downstream.detection.records import DetectionFacts
from downstream.detection.unfitted import UNFITTED_FOLDER
from downstream.detector.inference import score_videos
from downstream.detector.snippet_detector import SnippetDetector
from downstream.events.alarm_level import LevelScale
from downstream.events.rule import AlarmRule
from downstream.features.config import SnippetSettings
from downstream.features.crops import Region
from downstream.features.encoders import Encoder
from downstream.features.feature_spec import Grid
from downstream.features.fusion import FusedFeatures
from downstream.features.in_memory_set import in_memory_set
from downstream.features.normalising import Normalise
from downstream.features.pipeline import Encoded, encode_videos
from downstream.features.snippets import SnippetStream
from downstream.features.store import FeatureSet
from downstream.features.zones import PictureMask, Zones, nothing_counts, picture_mask
from downstream.scores.cell_mask import cell_mask, with_cells
from downstream.scores.ensemble import ensemble, identity_of, weights_of_runs
from downstream.scores.score_file import ScoreFile
from downstream.scores.video_scores import VideoScores
from pretrain.data.video import FrameClock, IndexCache, VideoError, VideoInfo, video_clock
from pretrain.errors import UserError
from pretrain.names import shown

BATCH_CLIPS = 32


@dataclass(frozen=True, eq=False, kw_only=True)
class EncoderSource:
    """One encoder, and how its features were taken and stored."""

    encoder: Encoder
    settings: SnippetSettings
    dtype: str

    def set_of(self, encoded: Encoded) -> FeatureSet:
        """The features of one video as a set; VideoError where they are not finite."""
        return in_memory_set(encoded, self.encoder, self.settings, self.dtype)


@dataclass(frozen=True, eq=False, kw_only=True)
class DetectorGroup:
    """Detectors that were trained on the same features, and what makes these."""

    sources: tuple[EncoderSource, ...]
    """Several: their features are fused."""
    normalise: Normalise
    pool_cells: Grid | None
    detectors: tuple[SnippetDetector, ...]
    names: tuple[str, ...]
    """Of the detectors: SHA-256 of their weights."""
    runs: tuple[int, ...]
    """Which run each detector is of, where a package holds several."""

    def fused(self, sets: Sequence[FeatureSet]) -> FusedFeatures:
        """What the detectors see of a video, from the sets of the sources."""
        return FusedFeatures(sets, self.normalise, self.pool_cells)


@dataclass(frozen=True, eq=False, kw_only=True)
class Model:
    """Everything that turns a video into scores and events."""

    path: Path
    """What it was opened from."""
    groups: tuple[DetectorGroup, ...]
    """One for each kind of features: several where backbones were tuned with a detector each, or a package holds runs
    on others. Scores are averaged in log odds; runs count alike."""
    rule: AlarmRule
    rule_from: str
    """Where the rule comes from, in words."""
    device: torch.device
    zones: Zones | None = None
    """Which parts of the picture count; None: all of it. Of cells their scores, of whole pictures what is seen."""

    def picture_mask(self, info: VideoInfo, region: Region, source: EncoderSource) -> PictureMask | None:
        """What a network of whole pictures sees of such a video; None: all of it, or the detector scores cells.

        The colour outside is the mean colour of the first encoder. VideoError where nothing counts.
        """
        if self.zones is None or self.grid is not None:
            return None
        clip = source.encoder.clip
        mean = self.sources[0].encoder.clip.mean
        return picture_mask(self.zones, info, region, source.settings.crops, (clip.height, clip.width), mean)

    def cells_inside(self, info: VideoInfo, seen: tuple[float, float, float, float]) -> NDArray[np.bool_] | None:
        """bool (rows, columns) of a detector of cells: which count; None: all. VideoError where none does."""
        if self.zones is None or self.grid is None:
            return None
        inside = cell_mask(self.zones, self.grid, (info.width, info.height), seen)
        if not inside.any():
            raise nothing_counts(info)
        return inside

    camera: str | None = None
    """Whose videos it scores, by what is usual there; None: those of any."""
    levels: LevelScale | None = None
    """What the calibration makes of scores; None: every video is its own scale."""

    @property
    def sources(self) -> list[EncoderSource]:
        """Of all groups, in order."""
        return [source for group in self.groups for source in group.sources]

    @property
    def detectors(self) -> list[SnippetDetector]:
        """Of all groups, in order."""
        return [detector for group in self.groups for detector in group.detectors]

    @property
    def names(self) -> list[str]:
        """SHA-256 of the detectors' weights, in order."""
        return [name for group in self.groups for name in group.names]

    @property
    def weights(self) -> list[float]:
        """How much each of the detectors counts, in order."""
        return weights_of_runs(self.runs)

    @property
    def runs(self) -> list[int]:
        """Which run each of the detectors is of, in order."""
        return [run for group in self.groups for run in group.runs]

    @property
    def identity(self) -> dict[str, Any]:
        """What scores of this model are told from others' by: its detectors, and how they count where not alike."""
        return identity_of(self.names, self.weights)

    @property
    def grid(self) -> Grid | None:
        """Rows and columns of the cells that are scored; None: whole pictures are."""
        return self.detectors[0].grid

    @property
    def snippet_frames(self) -> int:
        """Frames that a score stands for."""
        return self.sources[0].settings.snippet_frames

    def origin_of(self, rule: AlarmRule) -> str:
        """Where a rule comes from that is the model's own, or another one, in words."""
        return self.rule_from if rule == self.rule else "given on the command line"

    def facts(self, rule: AlarmRule) -> DetectionFacts:
        """For output formats: what detects, by which rule."""
        return DetectionFacts(
            detector=str(self.path),
            sha256=tuple(self.names),
            encoders=tuple(source.encoder.name for source in self.sources),
            cells=self.grid,
            rule=rule,
            rule_from=self.origin_of(rule),
        )

    def describe(self) -> str:
        """One line for people."""
        encoders = " + ".join(dict.fromkeys(source.encoder.name for source in self.sources))
        if self.path == UNFITTED_FOLDER:
            return f"the label-free detector that comes with the program, on {encoders}"
        count, runs = len(self.detectors), len(set(self.runs))
        where = "" if self.grid is None else f", {self.grid[0]}x{self.grid[1]} cells"
        whose = "" if self.camera is None else f", by what is usual of camera '{shown(self.camera)}'"
        together = f" of {runs} runs, each run counting as one," if runs > 1 else " together" if count > 1 else ""
        return f"{self.path}: {count} detector(s){together} on {encoders}{where}{whose}"


class ScoredFile(NamedTuple):
    """One video, scored or not."""

    name: str
    path: str
    scores: VideoScores | None
    info: VideoInfo | None
    problem: str
    clock: FrameClock | None = None
    """When its frames are shown; None where it could not be scored."""
    from_cache: bool = False
    """Whether it was scored by an earlier call."""


def score_files(
    model: Model,
    videos: Sequence[tuple[str, str]],
    *,
    cache: Path | None = None,
    decoders: int = 1,
    batch_clips: int = BATCH_CLIPS,
    on_frames: Callable[[str, int, int], None] = lambda name, frames, of: None,
) -> Generator[ScoredFile, None, None]:
    """Score `(name, path)` videos, each as soon as it is done. What cannot be read comes with its problem.

    `decoders` videos are decoded at a time where one encoder does; several encoders read each video in turn.
    `on_frames(name, count, total)` hears of progress in frames.
    """
    paths, indices = dict(videos), IndexCache(cache)
    for name, encoded in _encoded(model, videos, cache, decoders, batch_clips, on_frames):
        problem = next((str(part.problem) for part in encoded if part.problem is not None), "")
        info, scores, clock = encoded[0].info, None, None
        if not problem:
            try:
                clock = video_clock(paths[name], cache=indices)
                scores = _scored(model, name, encoded)
            except VideoError as error:
                problem = str(error)
        yield ScoredFile(name, paths[name], scores, info, problem, clock)


def _encoded(
    model: Model,
    videos: Sequence[tuple[str, str]],
    cache: Path | None,
    decoders: int,
    batch_clips: int,
    on_frames: Callable[[str, int, int], None],
) -> Generator[tuple[str, list[Encoded]], None, None]:
    """Each video with what every source made of it, up to the first that failed."""
    sources = model.sources
    rounds = [list(videos)] if len(sources) == 1 else [[video] for video in videos]
    for in_turn in rounds:
        parts: dict[str, list[Encoded]] = {}
        for number, source in enumerate(sources):
            results = encode_videos(
                [video for video in in_turn if not _failed(parts.get(video[0], ()))],
                source.encoder,
                source.settings,
                model.device,
                batch_clips=batch_clips,
                decoders=min(decoders, len(in_turn)),
                cache=cache,
                on_frames=_shared(on_frames, len(sources)),
                mask_of=lambda stream, source=source: _mask_of(model, source, stream),  # type: ignore[misc]
            )
            with closing(results):
                for result in results:
                    parts.setdefault(result.name, []).append(result)
                    if number == len(sources) - 1 or result.problem is not None:
                        yield result.name, parts.pop(result.name)


def _mask_of(model: Model, source: EncoderSource, stream: SnippetStream) -> PictureMask | None:
    try:
        return model.picture_mask(stream.info, stream.region, source)
    except VideoError as error:
        raise VideoError(f"{stream.path}: {error}") from None


def _failed(parts: Sequence[Encoded]) -> bool:
    return any(part.problem is not None for part in parts)


def _shared(on_frames: Callable[[str, int, int], None], times: int) -> Callable[[str, int, int], None]:
    """Progress of a video that is read several times: each time is a part of the way."""
    return on_frames if times == 1 else lambda name, frames, of: on_frames(name, frames, of * times)


def _scored(model: Model, name: str, encoded: Sequence[Encoded]) -> VideoScores:
    scored: list[ScoreFile] = []
    parts = iter(encoded)
    for group in model.groups:
        features = group.fused([source.set_of(next(parts)) for source in group.sources])
        for detector in group.detectors:
            scored.append(ScoreFile(score_videos(detector, features, [name], model.device), {}))
    try:
        together = ensemble(scored, model.weights).videos[0]
    except UserError as error:
        raise VideoError(f"'{name}': {error}") from error
    info = encoded[0].info
    if info is None or together.map is None:
        return together
    try:
        inside = model.cells_inside(info, together.map.seen)
    except VideoError as error:
        raise VideoError(f"'{name}': {error}") from None
    return together if inside is None else with_cells(together, inside)
