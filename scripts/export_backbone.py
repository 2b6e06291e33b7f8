"""Hand a pretrained backbone on: its weights and card, and on request ONNX and torch.export programs."""

from __future__ import annotations

from collections.abc import Sequence

from pretrain.cli import run_script
from pretrain.export_command import ExportConfig, export_backbone, output_folder


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    run_script("export_backbone.py", ExportConfig, export_backbone, arguments, writes=output_folder)


if __name__ == "__main__":
    main()
