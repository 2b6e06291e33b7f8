"""Readers of networks of other programs: ONNX with its card, Hugging Face folders, a detector's way to its network,
and what a launcher was asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from benchmarks.faults_reader import Reader, sha
from downstream.detection.open_model import open_model
from downstream.features.encoders import EncoderConfig, open_encoder
from pretrain.backbones import BackboneConfig, build_backbone
from pretrain.files import write_json, write_text
from pretrain.launcher import asked_processes
from tests.pretrain.backbones.tiny_hugging_face import write_model
from tests.pretrain.tiny_onnx import write_net

LAUNCHER = """compute_environment: LOCAL_MACHINE
distributed_type: MULTI_CPU
mixed_precision: 'no'
num_processes: 4
num_machines: 2
machine_rank: 1
use_cpu: true
debug: false
"""


def write_onnx() -> None:
    """A network of clips with weights of its own, one of frames with weights beside it; a card each."""
    kinds: tuple[tuple[str, tuple[int | str, ...], str | None], ...] = (
        ("clips", ("b", 3, 4, 16, 24), None),
        ("frames", ("b", 3, 16, 24), "w.bin"),
    )
    for name, shape, external in kinds:
        path = Path(f"onnx_{name}/net.onnx")
        path.parent.mkdir()
        write_net(path, shape, external=external)
        write_json(path.with_suffix(".json"), {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.2, 0.3]})


def read_onnx() -> str:
    """Features of one clip by each."""
    found: list[Any] = []
    for name in ("clips", "frames"):
        encoder = open_encoder(EncoderConfig(backbone=f"onnx/onnx_{name}/net.onnx"))
        clip = encoder.clip
        pixels = torch.arange(clip.frames * clip.height * clip.width * 3) % 251
        found.append(encoder.features(pixels.to(torch.uint8).reshape(1, clip.frames, clip.height, clip.width, 3)))
        found.append(repr(clip))
    return sha(*found)


def write_hugging_face() -> None:
    """A video model of a few thousand weights, which stand in a file that a list names, as those of large models."""
    folder = Path("hugging_face")
    write_model("videomae", folder)
    part = folder / "model-00001-of-00001.safetensors"
    (folder / "model.safetensors").rename(part)
    with safe_open(part, framework="pt") as file:
        names = dict.fromkeys(file.keys(), part.name)
    write_json(folder / "model.safetensors.index.json", {"metadata": {"total_size": 1}, "weight_map": names})


def read_hugging_face() -> str:
    """The network and how pixels are normalised."""
    backbone = build_backbone(BackboneConfig(name="hf/hugging_face"))
    return sha(*backbone.state_dict().values(), repr(backbone.spec))


def read_by_place() -> str:
    """A run's detectors with the network that their cards say the way to."""
    model = open_model(Path("run"))
    return sha(model.names, [source.encoder.weights_sha256 for source in model.sources])


ENCODERS = (
    Reader(
        name="ONNX",
        files=("onnx_*/*.onnx", "onnx_*/*.json", "onnx_*/w.bin"),
        run=read_onnx,
        prepare=write_onnx,
        needs=("onnx", "onnxruntime"),
    ),
    Reader(
        name="Hugging Face",
        files=(
            *("hugging_face/config.json", "hugging_face/preprocessor_config.json", "hugging_face/*.safetensors"),
            "hugging_face/*.index.json",
        ),
        run=read_hugging_face,
        prepare=write_hugging_face,
        needs=("transformers",),
    ),
    Reader(name="place of a network", files=("run/seed-*/detector/detector.json",), run=read_by_place),
    Reader(
        name="launcher's settings",
        files=("launcher.yaml",),
        run=lambda: sha(asked_processes(["accelerate", "launch", "--config_file", "launcher.yaml", "pretrain.py"])),
        prepare=lambda: write_text(Path("launcher.yaml"), LAUNCHER),
    ),
)
