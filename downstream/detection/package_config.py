"""What scripts/package.py can be told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True, kw_only=True)
class PackageConfig:
    """One folder with everything that detection needs: copy it anywhere, give it to anybody. No pickle.

    The detectors' cards keep the names of the videos that they were trained on, so that nobody scores these as a test.

        python scripts/package.py runs/detector --out models/street
        python scripts/detect.py video.mp4 --detector models/street
        python scripts/package.py runs/detector runs/student --out models/both
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """A run of scripts/finetune.py (all its seeds), or one seed's folder. Of several runs, or packages, the scores are
    taken together: the mean of their log odds, each run counting as one."""
    out: Path
    """The new folder."""
    backbone: tuple[Path, ...] = ()
    """Where the backbone lies, if not where it was when features were extracted; one for each fused feature set of
    one run."""
    onnx: bool = False
    """Also PACKAGE/onnx: clips in, scores out, for programs without our code or PyTorch; checked by onnxruntime to
    1e-4. See docs/detection.md."""
    zones: Path | None = None
    """A file of zones (docs/cameras.md) that travels with it: for one camera, or cameras that look alike."""
    title: str = ""
    """Heads the card. Default: the folder's name."""
