"""Where the public names live; `anomaly_pretext` imports this when the first of them is used."""

from anomaly_pretext.backbones import list_backbones, load_backbone
from anomaly_pretext.configuration import settings
from anomaly_pretext.detector import Detector, Scores, first_look, load_detector
from anomaly_pretext.evaluation import EvaluatedRuns, evaluate
from anomaly_pretext.footage import open_catalogue, read_frames, render_videos
from anomaly_pretext.training import PretrainingRun, extract_features, finetune, fit_normal, pretrain
from downstream.detection.records import EventRecord
from downstream.features.store import FeatureSet
from pretrain.backbones import Backbone
from pretrain.data.catalogue import Catalogue, Video
from pretrain.errors import UserError

__all__ = [
    "Backbone",
    "Catalogue",
    "Detector",
    "EvaluatedRuns",
    "EventRecord",
    "FeatureSet",
    "PretrainingRun",
    "Scores",
    "UserError",
    "Video",
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
