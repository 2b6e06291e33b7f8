"""Pretraining, features and detectors from Python: each runs (or goes on with) what its command does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anomaly_pretext.arguments import in_python
from anomaly_pretext.configuration import Settings, flags_from, settings
from anomaly_pretext.detector import Detector, load_detector
from downstream.features.extract import ExtractConfig, extract
from downstream.features.store import FeatureSet
from downstream.normality.command import FitNormalConfig, run_fit
from downstream.training.config import FinetuneConfig
from downstream.training.finetune import finetune as run_finetune
from pretrain.backbones import Backbone, load_backbone
from pretrain.config import PretrainConfig
from pretrain.errors import UserError
from pretrain.json_shapes import mapping
from pretrain.presets import with_preset
from pretrain.train import pretrain as run_pretrain
from pretrain.versioned_json import read_json


@dataclass(frozen=True, kw_only=True)
class PretrainingRun:
    """A pretraining run that is done."""

    path: Path
    """Its folder; wherever a backbone is asked for, this is one."""

    @property
    def summary(self) -> dict[str, Any]:
        """What summary.json holds: steps, seconds, each task's validation accuracy with its interval."""
        summary: dict[str, Any] = read_json(self.path / "summary.json", "the summary", "finish the run", mapping())
        return summary

    def backbone(self) -> Backbone:
        """The pretrained backbone, in evaluation mode."""
        return load_backbone(self.path)[0]


@in_python
def pretrain(*config: PretrainConfig | Settings) -> PretrainingRun:
    """Train a backbone on the pretext tasks: `pretrain({"catalogue.root": "videos", "output": "runs/pretrain"})`.

    `config`: YAML files and values, see `settings`, or one `PretrainConfig`. On several GPUs, start a script that calls
    this with `accelerate launch`. UserError: wrong settings, no videos, a run that was stopped by a signal.
    """
    chosen = settings(PretrainConfig, *config)
    said = [part for part in config if isinstance(part, Mapping)]
    if len(said) == len(config):  # no file: a machine without a GPU gets a run that it finishes
        chosen = with_preset(
            chosen, [flag for part in said for flag in flags_from(part, PretrainConfig)], PretrainConfig.__name__
        )
    _finished("pretraining", run_pretrain(chosen))
    return PretrainingRun(path=chosen.output)


@in_python
def extract_features(*config: ExtractConfig | Settings) -> FeatureSet:
    """Make the feature set of a catalogue: `extract_features({"catalogue.root": "videos", "backbone": run.path, "out":
    "features/own"})`. Videos that cannot be read are left out and named in `failed.txt` beside it.
    """
    chosen = settings(ExtractConfig, *config)
    extract(chosen)  # its status only says whether videos were left out, which it has told
    return FeatureSet.open(chosen.out)


@in_python
def finetune(*config: FinetuneConfig | Settings) -> Detector:
    """Train a detector on labels of videos, for each seed, and open all seeds together."""
    chosen = settings(FinetuneConfig, *config)
    _finished("fine-tuning", run_finetune(chosen))
    return load_detector(chosen.output)


@in_python
def fit_normal(*config: FitNormalConfig | Settings) -> Detector:
    """Fit a detector to what is ordinary, without any label, and open it."""
    chosen = settings(FitNormalConfig, *config)
    _finished("fitting", run_fit(chosen))
    return load_detector(chosen.output)


def _finished(what: str, status: int) -> None:
    if status:
        raise UserError(f"{what} was stopped by a signal; call it again with `resume` to go on")
