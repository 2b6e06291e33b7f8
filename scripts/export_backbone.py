"""Hand a pretrained backbone on: its weights and card, and on request ONNX and torch.export programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from pretrain.backbones import load_backbone
from pretrain.backbones.storage import copy_backbone
from pretrain.cli import run_command
from pretrain.export import export_onnx, export_program

DESCRIPTION = """\
Copy a run's backbone to a folder of its own: backbone.safetensors and the card backbone.json (for timm models also
temporal_mixing.safetensors). The keys are the native model's, so these two lines load it without our code:

    net = torchvision.models.video.r3d_18()      # or timm.create_model('convnext_atto')
    net.load_state_dict(safetensors.torch.load_file('backbone.safetensors'))

The card names the network, its arguments, the clip and the normalisation: input = (RGB / 255 - mean) / std.
"""


@dataclass(frozen=True)
class Options:
    """What to export, and how."""

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """A run's folder, or a folder that holds backbone.safetensors and backbone.json."""
    out: Path | None = None
    """Where to write. Default: RUN/export."""
    onnx: bool = False
    """Also backbone.onnx (clips -> features, any batch size), checked against onnxruntime to 1e-4."""
    torch_export: bool = False
    """Also backbone.pt2 (torch.export, any batch size), checked in a fresh process to 1e-4."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    options = tyro.cli(
        Options,
        args=arguments,
        prog="export_backbone.py",
        description=DESCRIPTION,
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    run_command(lambda: export(options))


def export(options: Options) -> None:
    """Write what is asked for and print each path with its size; UserError where the run holds no whole backbone."""
    backbone, card = load_backbone(options.run)
    folder = options.out or options.run / "export"
    paths = copy_backbone(options.run, folder)
    if options.onnx:
        paths.append(folder / "backbone.onnx")
        print(f"ONNX: largest difference to PyTorch {export_onnx(backbone, paths[-1]):.1e}")
    if options.torch_export:
        paths.append(folder / "backbone.pt2")
        print(f"torch.export: largest difference to PyTorch {export_program(backbone, paths[-1]):.1e}")
    for path in paths:
        print(f"{path}  {path.stat().st_size / 1000:,.0f} kB")
    print(f"{card['architecture']}, {card['feature_dim']} features, clip {json.dumps(card['clip'])}. To load it:")
    print("\n".join(f"    {line}" for line in card["how_to_load"]))


if __name__ == "__main__":
    main(sys.argv[1:])
