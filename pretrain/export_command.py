"""The command `export_backbone`: weights and card in a folder of their own, on request ONNX and torch.export."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from pretrain.backbones import load_backbone
from pretrain.backbones.storage import card_of, copy_backbone, save_backbone
from pretrain.export import export_onnx, export_program
from pretrain.reading import refuse_link_out


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """Copy a run's backbone to a folder of its own, and on request make ONNX and torch.export programs of it.

    That is backbone.safetensors and the card backbone.json (for timm models also temporal_mixing.safetensors). The keys
    are the native model's, so these two lines load it without our code:

        net = torchvision.models.video.r3d_18()      # or timm.create_model('convnext_atto')
        net.load_state_dict(safetensors.torch.load_file('backbone.safetensors'))

    The card names the network, its arguments, the clip and the normalisation: input = (RGB / 255 - mean) / std.
    """

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """A run's folder, or a folder that holds backbone.safetensors and backbone.json."""
    out: Path | None = None
    """Where to write. Default: RUN/export."""
    half: bool = False
    """Store the weights in half precision: half the size, and features that differ in the fourth digit."""
    onnx: bool = False
    """Also backbone.onnx (clips -> features, any batch size), checked against onnxruntime to 1e-4."""
    torch_export: bool = False
    """Also backbone.pt2 (torch.export, any batch size), checked in a fresh process to 1e-4."""


def output_folder(config: ExportConfig) -> Path:
    """Where everything goes."""
    return config.out or config.run / "export"


def export_backbone(config: ExportConfig) -> None:
    """Write what is asked for and print each path with its size; UserError where the run holds no whole backbone."""
    backbone, card = load_backbone(config.run)
    folder = output_folder(config)
    if config.out is None:
        refuse_link_out(config.run, folder, "the folder of exports")
    if config.half:
        own = {key: value for key, value in card.items() if key not in card_of(backbone, {}, {})}
        paths = save_backbone(backbone, folder, own, half=True)
    else:
        paths = copy_backbone(config.run, folder)
    if config.onnx:
        paths.append(folder / "backbone.onnx")
        print(f"ONNX: largest difference to PyTorch {export_onnx(backbone, paths[-1]):.1e}")
    if config.torch_export:
        paths.append(folder / "backbone.pt2")
        print(f"torch.export: largest difference to PyTorch {export_program(backbone, paths[-1]):.1e}")
    for path in paths:
        print(f"{path}  {path.stat().st_size / 1000:,.0f} kB")
    print(f"{card['architecture']}, {card['feature_dim']} features, clip {json.dumps(card['clip'])}. To load it:")
    print("\n".join(f"    {line}" for line in card["how_to_load"]))
