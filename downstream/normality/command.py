"""The command `fit_normal`: its settings, what is fitted to what, and the run's folder that it leaves."""

from __future__ import annotations

from typing import Any

import torch

from downstream.detector.inference import score_by_camera
from downstream.detector.normal_detector import default_parts
from downstream.detector.storage import StoredWith, save_detector
from downstream.evaluation.choose_videos import has_ground_truth, open_listed, rehearse_evaluation
from downstream.features.fusion import FusedFeatures
from downstream.normality.config import FitNormalConfig
from downstream.normality.fit import ALARM_SHARE, fit_normal
from downstream.references.of_features import write_feature_references
from downstream.runs.run_folder import RunFolder
from downstream.runs.seed_folder import Part
from downstream.scores.supervision import KEY
from downstream.training.feature_source import open_features, without_features
from downstream.training.run_summary import summarise
from pretrain.accelerator import check_device, make_accelerator
from pretrain.cpu import keep_freed_memory
from pretrain.data.catalogue import Catalogue, cameras_of
from pretrain.data.validation_split import split_validation
from pretrain.errors import UserError
from pretrain.names import shown_list
from pretrain.run_folder import refuse_changed_settings, refuse_run_of_another_kind


def run_fit(config: FitNormalConfig) -> int:
    """Fit, score the test videos, evaluate. Returns the exit status."""
    keep_freed_memory()
    check_device(config.device)
    run = RunFolder(config.output)
    if is_done(config, run):
        print(f"{config.output} is done")
        return 0
    device = make_accelerator(config.device, "fp32").device
    features = open_features(config.features)
    fitted_to, held_out, listed = footage_of(config, features)
    missing = without_features(features, [video.name for video in listed if video.name not in features.videos])
    test = listed.without(set(missing))
    names, others = ([video.name for video in part] for part in (fitted_to, held_out))
    parts = config.normal.parts or default_parts(features.motion)
    print(
        f"{' + '.join(parts)} of {features.dim} numbers, relative to the {config.normal.relative_to}; "
        f"{len(fitted_to)} videos to fit to, {len(held_out)} held out, {len(test)} to score",
        flush=True,
    )
    cameras = cameras_of([*fitted_to, *held_out])
    generator = torch.Generator().manual_seed(config.seed)
    detector = fit_normal(config.normal, features, names, others, device, generator, cameras)
    seed = run.seed(0)
    if note := note_of_little_footage(sum(features.videos[name].snippets for name in others)):
        print(note, flush=True)
    if detector.cameras:
        print(
            f"what is usual is known of {len(detector.cameras)} camera(s): {shown_list(detector.cameras)}", flush=True
        )
    card = {"threshold": 0.5, "seed": config.seed, KEY: "none", "trained_on": sorted(names + others)}
    encoders = [StoredWith.of(part) for part in features.sets]
    run.write_config(config)
    save_detector(detector, seed.detector, features.specs, features.normalise, card, features.pool_cells, encoders)
    scored_parts: dict[Part, Catalogue] = {"validation": held_out}
    if config.score_test and len(test):
        scored_parts["test"] = test
    meta: dict[str, Any] = {"seed": 0, KEY: "none", "threshold": 0.5, "unscored": {}}
    for part, videos in scored_parts.items():
        meta["unscored"] = missing if part == "test" else {}
        frames = {video.name: video.num_frames for video in videos}
        whose = cameras_of(videos)
        scored = score_by_camera(
            detector, features, [video.name for video in videos], whose, device, frames, placed=part == "test"
        )
        seed.write_scores(part, scored, meta)
    if "test" in scored_parts and config.references:
        write_feature_references([run], features, [*fitted_to, *held_out], list(test))
    told = {"seed": 0, "detector": str(seed.detector), "fitted_to": len(fitted_to), "validation": {"threshold": 0.5}}
    seed.write_summary(told)
    summarise(config, run, listed if len(test) else test)
    return 0


def note_of_little_footage(snippets: int) -> str:
    """What a threshold is worth that so many held-out snippets say; nothing where they are enough."""
    if snippets * ALARM_SHARE >= 1:
        return ""
    return (
        f"note: {snippets} held-out snippet(s) say how far the ordinary goes, and one in {1 / ALARM_SHARE:g} is to "
        "score above one half: scores rank moments, and their threshold means little. Give more footage, or calibrate "
        "it on more (scripts/calibrate.py)"
    )


FREE_TO_CHANGE = {"output", "resume", "device", "plots", "references"}
"""What may differ between a run and the same run asked for again."""


def is_done(config: FitNormalConfig, run: RunFolder) -> bool:
    """Whether the run is there and may stay. UserError: it was not to be resumed, is of another command or settings."""
    refuse_run_of_another_kind(config, config.output)
    if not config.resume and run.is_summarised:
        raise UserError(f"{config.output} holds a run already: choose another --output, --resume, or delete it")
    saved = run.read_config()
    if saved is not None:
        refuse_changed_settings(saved, config, FREE_TO_CHANGE, config.output, f"those in {run.config_file}")
    return run.is_summarised


def footage_of(config: FitNormalConfig, features: FusedFeatures) -> tuple[Catalogue, Catalogue, Catalogue]:
    """(to fit to, held out, all listed test videos). UserError: no footage, features that are missing."""
    listed = catalogue = open_listed(config.catalogue)
    if config.features.allow_missing:
        catalogue = catalogue.without({video.name for video in catalogue if video.name not in features.videos})
    training = catalogue.subset("train")
    abnormal = {video.name for video in training if video.label == 1} if config.footage == "normal" else set()
    footage = training.without(abnormal)
    if len(footage) < 2:
        raise UserError(
            f"{catalogue.source}: {len(footage)} of {len(training)} training videos to fit to; it takes two at "
            "least, one to be held out. With --footage all, abnormal ones take part too"
        )
    fitted_to, held_out = split_validation(footage, config.held_out, config.seed, by="auto")
    test = catalogue.subset("test")
    for what, part in (("training", footage), ("test", test)):
        features.require([video.name for video in part], what)
    if config.score_test and has_ground_truth(test):
        rehearse_evaluation(features.videos, list(test), config.evaluation.tail)
    return fitted_to, held_out, listed.subset("test")
