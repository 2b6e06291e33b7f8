"""anomaly-pretext from Python: the same code as the commands, in a few typed names.

    import anomaly_pretext as ap

    run = ap.pretrain({"catalogue.root": "videos", "output": "runs/pretrain"})
    features = ap.extract_features({"catalogue.root": "videos", "backbone": run.path, "out": "features/own"})
    detector = ap.finetune({"catalogue.root": "videos", "features.sets": features.folder, "output": "runs/detector"})
    for event in detector.detect("street.mp4"):
        print(event.start_seconds, event.end_seconds, event.peak_score)

Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from anomaly_pretext.lazy import from_modules
from anomaly_pretext.version import __version__

if TYPE_CHECKING:
    from anomaly_pretext.backbones import list_backbones, load_backbone
    from anomaly_pretext.configuration import settings
    from anomaly_pretext.detector import Detector, Scores, first_look, load_detector
    from anomaly_pretext.evaluation import EvaluatedRuns, evaluate
    from anomaly_pretext.footage import open_catalogue, read_frames, render_videos
    from anomaly_pretext.training import PretrainingRun, extract_features, finetune, fit_normal, pretrain
    from downstream.detection.records import EventRecord
    from downstream.features.config import ExtractConfig
    from downstream.features.store import FeatureSet
    from downstream.normality.config import FitNormalConfig
    from downstream.training.config import FinetuneConfig
    from pretrain.backbones import Backbone
    from pretrain.config import PretrainConfig
    from pretrain.data.catalogue import Catalogue, Video
    from pretrain.errors import UserError

__all__ = [
    "Backbone",
    "Catalogue",
    "Detector",
    "EvaluatedRuns",
    "EventRecord",
    "ExtractConfig",
    "FeatureSet",
    "FinetuneConfig",
    "FitNormalConfig",
    "PretrainConfig",
    "PretrainingRun",
    "Scores",
    "UserError",
    "Video",
    "__version__",
    "evaluate",
    "extract_features",
    "finetune",
    "first_look",
    "fit_normal",
    "list_backbones",
    "load_backbone",
    "load_detector",
    "open_catalogue",
    "pretrain",
    "read_frames",
    "render_videos",
    "settings",
]
_MODULES = {
    "anomaly_pretext.backbones": ("list_backbones", "load_backbone"),
    "anomaly_pretext.configuration": ("settings",),
    "anomaly_pretext.detector": ("Detector", "Scores", "first_look", "load_detector"),
    "anomaly_pretext.evaluation": ("EvaluatedRuns", "evaluate"),
    "anomaly_pretext.footage": ("open_catalogue", "read_frames", "render_videos"),
    "anomaly_pretext.training": ("PretrainingRun", "extract_features", "finetune", "fit_normal", "pretrain"),
    "downstream.detection.records": ("EventRecord",),
    "downstream.features.config": ("ExtractConfig",),
    "downstream.features.store": ("FeatureSet",),
    "downstream.normality.config": ("FitNormalConfig",),
    "downstream.training.config": ("FinetuneConfig",),
    "pretrain.backbones": ("Backbone",),
    "pretrain.config": ("PretrainConfig",),
    "pretrain.data.catalogue": ("Catalogue", "Video"),
    "pretrain.errors": ("UserError",),
}
"""Module, as a checkout names it -> what is taken from it."""

__getattr__ = from_modules(__name__, _MODULES)


def __dir__() -> list[str]:
    return sorted(__all__)
