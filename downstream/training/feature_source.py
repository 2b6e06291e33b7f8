"""Fine-tuning on stored features, of whole pictures or of cells: what is checked before it, bags, scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from downstream.detector.config import DetectorConfig
from downstream.detector.frame_bce import frame_bce
from downstream.detector.inference import as_bags, score_videos, video_evidence
from downstream.detector.loss_config import ObjectiveConfig
from downstream.detector.model import Detector, check_detector
from downstream.detector.objective import DetectorTraining, build_detector, check_objective
from downstream.detector.storage import StoredWith, load_trained, save_detector
from downstream.detector.terms import terms_on
from downstream.evaluation.choose_videos import has_ground_truth, open_listed, rehearse_evaluation
from downstream.features.fusion import FusedFeatures
from downstream.features.store import read_manifest
from downstream.scores.video_scores import VideoScores
from downstream.training.bag_dataset import BagDataset
from downstream.training.config import BagsConfig, FeaturesConfig, FinetuneConfig
from downstream.training.frame_labels import check_frame_labels, describe_frame_labels
from downstream.training.segment_cache import SegmentCache
from downstream.training.source import Batch, Details, TrainingVideos
from downstream.training.split import split_training
from downstream.training.video_classes import class_names, describe_classes
from pretrain.data.catalogue import Catalogue, Video
from pretrain.errors import UserError


@dataclass(frozen=True, kw_only=True)
class FeatureSource:
    """Features and lists that fit each other (`downstream.training.source.TrainingSource`)."""

    features: FusedFeatures
    videos: TrainingVideos
    bags: BagsConfig
    detector: DetectorConfig
    objective: ObjectiveConfig
    batch_size: int
    segments: Path
    """Folder of the segment cache."""
    ceiling: bool = False
    """Train on labels of frames; see `FinetuneConfig`."""

    wants_one_thread = True

    @staticmethod
    def open(config: FinetuneConfig) -> FeatureSource:
        """Open features and lists, check that they fit, hold videos out. UserError for all that is wrong."""
        features = open_features(config.features)
        check_objective(config.objective, features.grid)
        check_detector(config.detector, features.grid)
        return FeatureSource.of_features(features, config)

    @staticmethod
    def of_features(features: FusedFeatures, config: FinetuneConfig) -> FeatureSource:
        """As `open`, but for the objective and the detector: whether these fit the features is not asked."""
        catalogue = open_listed(config.catalogue)
        missing = [video.name for video in catalogue if video.name not in features.videos]
        scorable = catalogue.without(set(missing)) if config.features.allow_missing else catalogue
        test = scorable.subset("test")
        train, validation = split_training(
            scorable.subset("train"), config.validation_fraction, config.split_seed, config.validation_by
        )
        for what, part in (("training", train), ("validation", validation), ("test", test)):
            features.require([video.name for video in part], what)
        if config.ceiling:
            check_frame_labels(features.videos, scorable.subset("train"), features.grid)
        check_bags(config.bags, features)
        check_values(features, config.bags, train, [*validation, *(test if config.score_test else ())])
        if config.score_test and has_ground_truth(test):
            rehearse_evaluation(features.videos, list(test), config.evaluation.tail)
        return FeatureSource(
            features=features,
            videos=TrainingVideos(
                train=train,
                validation=validation,
                test=catalogue.subset("test")
                if len(test)
                else test,  # with none scored, there are no scores to explain
                left_out=tuple(missing),
            ),
            bags=config.bags,
            detector=config.detector,
            objective=config.objective,
            batch_size=config.optim.batch_size,
            segments=config.bags.cache or config.output.parent / "segments",
            ceiling=config.ceiling,
        )

    def describe(self) -> str:
        """Encoders, numbers, crops or cells."""
        grid = self.features.grid
        places = f"{self.features.crops_or_cells} crop(s)" if grid is None else f"{grid[0]}x{grid[1]} cells"
        encoders = " + ".join(spec.encoder for spec in self.features.specs)
        return f"features of {encoders}, {self.features.dim} numbers, {places}"

    def describe_bags(self) -> str:
        """`32 segments`."""
        told = f" ({describe_classes(self.classes)})" if self.classes else ""
        return f"{self.bags.segments} segments{told}"

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes of the training videos, where a term of the objective tells them apart."""
        if self.ceiling or not any(term.needs_classes for term in terms_on(self.objective).values()):
            return ()
        return class_names(self.videos.train)

    def fingerprint(self) -> dict[str, str]:
        """The hash of each set's array; of a ceiling, of the spans that it is trained on too."""
        digests = [str(read_manifest(part.folder).get("array_sha256")) for part in self.features.sets]
        found = {
            f"feature set {number}": f"{digest[:16]} (hash of the array)"
            for number, digest in enumerate(digests, start=1)
        }
        if self.ceiling:
            found["frame labels"] = describe_frame_labels([*self.videos.train, *self.videos.validation])
        return found

    def build_segments(self) -> None:
        """Make the segment cache, where bags are made of one and it is not there yet."""
        if self.bags.sampling == "mean":
            names = [video.name for video in self.videos.train]
            SegmentCache.build(self.features, names, self.bags.segments, self.segments)

    def seed_training(self, seed: int, accelerator: Accelerator) -> FeatureTraining:
        """A detector with weights of the seed, standardised by the training bags."""
        return FeatureTraining(self, seed, accelerator)


class FeatureTraining:
    """One seed's detector on stored features (`downstream.training.source.SeedTraining`)."""

    def __init__(self, source: FeatureSource, seed: int, accelerator: Accelerator) -> None:
        self._features, self._accelerator = source.features, accelerator
        self.unreadable: Mapping[str, str] = without_features(source.features, source.videos.left_out)
        """Those that were left out; features that are there and cannot be read stop the run before it begins."""
        with accelerator.local_main_process_first():  # one process of a machine builds the cache, the others read it
            self.bags = BagDataset(
                *(source.features, list(source.videos.train), source.bags, source.batch_size),
                *(seed, source.segments, accelerator.device),
                frame_labels=source.ceiling,
                classes=source.classes,
            )
        torch.manual_seed(seed)
        # no term of the objective is on in a ceiling, nor is a branch that such a term would train
        objective, base = (ObjectiveConfig(), frame_bce) if source.ceiling else (source.objective, None)
        detector = build_detector(
            *(source.detector, objective, source.features.dim, source.features.grid, source.features.motion),
            num_classes=len(source.classes) or 2,
        )
        if source.detector.standardise != "none" or source.detector.composition != "none":
            detector.standardise(self.bags.statistics())
        self.model = DetectorTraining(detector, objective, base)

    def lr_shares(self) -> list[tuple[nn.Module, float]]:
        """All of it alike."""
        return [(self.model, 1.0)]

    def batch(self, step: int) -> Batch:
        """This process's bags of a step."""
        return self.bags.batch(step, self._accelerator.process_index, self._accelerator.num_processes)

    def after_step(self, step: int) -> None:
        """Move the teacher."""
        self.model.update_teacher(step)

    def score(self, videos: Catalogue) -> list[VideoScores]:
        """Scores of whole videos by the detector as it is."""
        return self._score(self.model.detector, videos)

    def save(self, folder: Path, details: Mapping[str, Any]) -> None:
        """The detector and its card."""
        self._save(self.model.detector, folder, details)

    def compose(self, folder: Path, videos: Catalogue, details: Details) -> None:
        """Fit how the detector saved in `folder` composes scores to these videos, and save it again."""
        device = self._accelerator.device
        detector = load_trained(folder)[0].to(device)
        evidence = [
            as_bags(detector, video_evidence(detector, self._features, video.name, device).to(device))
            for video in videos
        ]
        detector.fit_composition(evidence, [int(video.label or 0) for video in videos])
        self._save(detector, folder, details(self._score(detector, videos)))

    def score_saved(self, folder: Path, videos: Catalogue) -> list[VideoScores]:
        """Scores of whole videos by the detector that was saved in `folder`."""
        return self._score(load_trained(folder)[0].to(self._accelerator.device), videos)

    def _save(self, detector: Detector, folder: Path, details: Mapping[str, Any]) -> None:
        features = self._features
        encoders = [StoredWith.of(part) for part in features.sets]
        save_detector(detector, folder, features.specs, features.normalise, details, features.pool_cells, encoders)

    def _score(self, detector: Detector, videos: Catalogue) -> list[VideoScores]:
        frames = {video.name: video.num_frames for video in videos}
        placed = any(video.split == "test" for video in videos)
        names = [video.name for video in videos if video.name not in self.unreadable]
        return score_videos(detector, self._features, names, self._accelerator.device, frames, placed)


def without_features(features: FusedFeatures, names: Sequence[str]) -> dict[str, str]:
    """Why these videos have no scores, by name."""
    return dict.fromkeys(names, f"it has no features in {features.sets[0].folder}")


def open_features(config: FeaturesConfig) -> FusedFeatures:
    """The sets, fused; UserError where none is named, or one twice."""
    if not config.sets:
        raise UserError(
            "no features were given: set features.sets to a folder (scripts/extract_features.py makes one), or "
            "videos.backbone to train from videos"
        )
    resolved = [folder.resolve() for folder in config.sets]
    if doubled := [folder for folder in config.sets if resolved.count(folder.resolve()) > 1]:
        raise UserError(f"features.sets names {doubled[0]} twice: fusing a set with itself adds nothing; give it once")
    return FusedFeatures.open(config.sets, config.normalise, config.pool_cells)


def check_bags(config: BagsConfig, features: FusedFeatures) -> None:
    """UserError where bags cannot be made of such features."""
    if features.grid is not None and config.crops == "all":
        raise UserError("bags.crops is all, but features of cells have a single crop, the whole picture: leave it out")


def check_values(features: FusedFeatures, bags: BagsConfig, train: Catalogue, scored: Sequence[Video]) -> None:
    """UserError naming every video to be scored with values that are not finite; reads all of them once.

    Training videos too where they are sampled; otherwise their segment cache looks at them when it is built.
    """
    names = [video.name for video in scored]
    names += [video.name for video in train] if bags.sampling == "sample" else []
    for part in features.sets:
        part.check_finite(names)
