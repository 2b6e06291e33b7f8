"""Put a trained model into one folder: backbone, detectors, calibration, card."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from downstream.detection.package import make_package
from pretrain.cli import parse, run_command

PROG = "package.py"


@dataclass(frozen=True, kw_only=True)
class Options:
    """One folder with everything that detection needs: copy it anywhere, give it to anybody. No pickle.

    The detectors' cards keep the names of the videos that they were trained on, so that nobody scores these as a test.

        python scripts/package.py runs/detector --out models/street
        python scripts/detect.py video.mp4 --detector models/street
    """

    run: Annotated[Path, tyro.conf.Positional]
    """A run of scripts/finetune.py (all its seeds), or one seed's folder."""
    out: Path
    """The new folder."""
    backbone: tuple[Path, ...] = ()
    """Where the backbone lies, if not where it was when features were extracted; one for each fused feature set."""
    title: str = ""
    """Heads the card. Default: the folder's name."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)

    def command() -> None:
        options = parse(Options, given, PROG)
        model = make_package(options.run, options.out, options.backbone, options.title)
        size = sum(path.stat().st_size for path in options.out.rglob("*") if path.is_file())
        print(f"{model.describe()}\n{size / 1e6:.1f} MB; threshold: {model.rule_from}")
        print(f"next: python scripts/detect.py VIDEO --detector {options.out}")

    run_command(command)


if __name__ == "__main__":
    main()
