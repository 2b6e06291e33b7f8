"""The weights that come with the package: small3d, pretrained on rendered footage alone (docs/results.md)."""

from __future__ import annotations

from pathlib import Path

SHIPPED = "shipped"
"""What stands for them wherever weights or a backbone are asked for."""
SHIPPED_FOLDER = Path(__file__).parent / "shipped_small3d"
"""An exported backbone, its weights in half precision."""


def or_shipped(path: Path) -> Path:
    """The shipped folder where that is asked for and nothing of the name lies here; else the path itself."""
    return SHIPPED_FOLDER if str(path) == SHIPPED and not path.exists() else path
