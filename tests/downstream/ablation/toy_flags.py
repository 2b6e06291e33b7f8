"""The flags of a small grid on toy videos, less what is tried on it."""

from __future__ import annotations

from pathlib import Path


def toy_flags(world: Path, output: Path) -> list[str]:
    """Two seeds of five steps; bases and terms are the caller's."""
    return [
        *("--output", str(output), "--device", "cpu", "--seeds", "0", "1", "--feature-sets", f"toy={world / 'toy'}"),
        *("--catalogue.kind", "json", "--catalogue.annotations", str(world / "truth.json")),
        *("--optim.steps", "5", "--optim.batch-size", "8", "--bags.segments", "4"),
        *("--evaluation.resamples", "50", "--workers", "2"),
    ]
