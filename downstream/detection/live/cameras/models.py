"""The detectors of all cameras: each opened once, and one network for all that have its weights."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import torch

from downstream.detection.live.cameras.settings import Camera
from downstream.detection.live.scorer import region_for
from downstream.detection.model import DetectorGroup, EncoderSource, Model
from downstream.detection.open_model import of_camera, open_model
from downstream.detection.unfitted import or_unfitted
from downstream.detector.normal_detector import NormalDetector
from downstream.detector.snippet_detector import SnippetDetector
from downstream.events.alarm_level import calibrated_scale
from downstream.events.calibration_file import Calibration
from downstream.events.rule import AlarmRule
from downstream.features.encoders import Encoder
from pretrain.errors import UserError, problem_list


@dataclasses.dataclass(frozen=True, kw_only=True)
class CameraModel:
    """What watches one camera."""

    model: Model
    rule: AlarmRule
    """By which an event is one, with all that was said of it."""


class Models:
    """Opens detectors for cameras."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._opened: dict[tuple[Path, tuple[Path, ...]], Model] = {}
        self._encoders: dict[str, Encoder] = {}

    @property
    def networks(self) -> int:
        """Different ones in memory."""
        return len(self._encoders)

    def open(self, camera: Camera) -> CameraModel:
        """Its detector, with zones and rule. UserError as `open_model`, and where a stream cannot be watched by it."""
        key = (or_unfitted(camera.detector), camera.backbones)
        if key not in self._opened:
            self._opened[key] = self._shared(open_model(*key, self._device))
        model = of_camera(self._opened[key], camera.name)
        region_for(model)
        if camera.zones is not None:
            model = dataclasses.replace(model, zones=camera.zones)
        if camera.calibration is not None:
            model = calibrated(model, *camera.calibration)
        if camera.keys.keeps_learning:
            model = learning(model)
        return CameraModel(model=model, rule=camera.changes.applied_to(model.rule))

    def _shared(self, model: Model) -> Model:
        """The same with encoders of other models in place of equal ones: in weights and in what they look at."""
        groups = []
        for group in model.groups:
            sources = tuple(dataclasses.replace(source, encoder=self._encoder(source)) for source in group.sources)
            groups.append(dataclasses.replace(group, sources=sources))
        return dataclasses.replace(model, groups=tuple(groups))

    def _encoder(self, source: EncoderSource) -> Encoder:
        content = source.encoder.spec(source.settings).as_json() | {"precision": source.encoder.precision}
        return self._encoders.setdefault(json.dumps(content, sort_keys=True), source.encoder)


def open_models(cameras: Sequence[Camera], device: torch.device) -> tuple[dict[str, CameraModel], Models]:
    """The detector of each camera by its name. UserError: which cannot be opened, all at once."""
    models, opened, problems = Models(device), {}, []
    for camera in cameras:
        try:
            opened[camera.name] = models.open(camera)
        except UserError as error:
            problems.append(f"camera '{camera.name}': {error}")
    if problems:
        raise UserError(f"{len(problems)} camera(s) cannot be watched like this:\n{problem_list(problems)}")
    return opened, models


def calibrated(model: Model, file: Path, calibration: Calibration) -> Model:
    """The same with the rule, and the alarm levels, of a camera's own calibration. UserError: it is of others."""
    if not calibration.is_of(model.identity):
        raise UserError(
            f"its calibration {file} is of another detector: its threshold means nothing for this one. Name the "
            "detector that it is of, or make one of this detector with scripts/calibrate.py"
        )
    words = f"{calibration.events} event(s) in {calibration.hours:.3g} hours of normal footage"
    return dataclasses.replace(
        model,
        rule=calibration.rule,
        rule_from=f"calibrated for this camera: {words}",
        levels=calibrated_scale(calibration),
    )


def learning(model: Model) -> Model:
    """The same whose detectors without labels standardise by what the camera has shown, not by their footage."""
    groups: list[DetectorGroup] = [
        dataclasses.replace(group, detectors=tuple(_learning(detector) for detector in group.detectors))
        for group in model.groups
    ]
    return dataclasses.replace(model, groups=tuple(groups))


def _learning(detector: SnippetDetector) -> SnippetDetector:
    if not isinstance(detector, NormalDetector) or detector.config.keeps_learning:
        return detector
    own = copy.copy(detector)  # the numbers are shared
    own.config = dataclasses.replace(detector.config, keeps_learning=True)
    return own
