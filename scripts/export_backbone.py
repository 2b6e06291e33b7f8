"""Hand a pretrained backbone on: its weights and card, and on request ONNX and torch.export programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pretrain.cli import run_script
from pretrain.export_config import ExportConfig, output_folder


def written_folder(config: ExportConfig) -> Path | None:
    """Where everything goes; None where there is no run, which the command says."""
    return output_folder(config) if config.run.is_dir() else None


def run(config: ExportConfig) -> None:
    """The work itself, loaded once the arguments are known."""
    from pretrain.export_command import export_backbone

    export_backbone(config)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    run_script("export_backbone.py", ExportConfig, run, arguments, writes=written_folder)


if __name__ == "__main__":
    main()
