"""What scripts/export_backbone.py can be told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


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
