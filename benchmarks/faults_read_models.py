"""Readers of networks: backbones, weights, detectors, packages, calibrations."""

from __future__ import annotations

from pathlib import Path

import torch

from benchmarks.faults_reader import Reader, sha
from downstream.detection.open_model import open_model
from downstream.detector.storage import load_detector
from downstream.events.calibration_file import read_calibration
from pretrain.backbones import load_backbone
from pretrain.backbones.weights import read_weights


def read_backbone() -> str:
    """A folder of somebody else's backbone."""
    backbone, _ = load_backbone(Path("backbone"))
    return sha(*backbone.state_dict().values(), repr(backbone.spec))


def write_torch_weights() -> None:
    """Weights as torch saves them, a zip file."""
    weights = read_weights(Path("backbone/backbone.safetensors"))
    torch.save(dict(weights.state), "weights.pth")


def read_model() -> str:
    """A package: card, encoders, detectors, calibration."""
    return sha(open_model(Path("packaged/model")).names)


def read_detectors() -> str:
    """Both kinds of detector."""
    loaded = [load_detector(Path(name)) for name in ("run/seed-0", "run/seed-1", "normal/seed-0")]
    return sha(*(tensor for detector, _ in loaded for tensor in detector.state_dict().values()))


MODELS = (
    Reader(name="backbone", files=("backbone/*",), run=read_backbone),
    Reader(
        name="weights",
        files=("backbone/*.safetensors", "weights.pth"),
        run=lambda: sha(
            *(
                tensor
                for path in ("backbone/backbone.safetensors", "weights.pth")
                for tensor in read_weights(Path(path)).state.values()
            )
        ),
        prepare=write_torch_weights,
    ),
    Reader(name="package", files=("packaged/model/**/*",), run=read_model),
    Reader(name="detectors", files=("*/seed-*/detector/*",), run=read_detectors),
    Reader(
        name="calibration",
        files=("calibrated/calibration.json",),
        run=lambda: sha(repr(read_calibration(Path("calibrated/calibration.json")))),
    ),
)
