"""What a step of each named detector costs at UCF-Crime's full size: `python -m benchmarks.detector_costs`.

Simulated features of 1610 videos of UCF-Crime's lengths, ten crops (a sparse file: zeros cost what numbers do), in the
published batches and lengths of bags, one snippet of each part, so that no segment cache has to be built. Each detector
alone in a fresh process. I3D's 2048 numbers, for VadCLIP CLIP's 512. Ends with one line `RESULT {json}`.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.mil_ways import make_videos, source_of, ucf_lengths, write_sparse_features
from downstream.comparison.cost import bytes_before, cost_of
from downstream.comparison.named import DETECTORS, choose
from downstream.comparison.tables import Table, aligned, three_digits
from downstream.features.fusion import FusedFeatures
from downstream.training.config import FinetuneConfig
from pretrain.cli import flags_of, parse, run_command
from pretrain.errors import UserError

CLIP_DIM = 512
"""Of the features that VadCLIP is made for."""
PLAIN = ("--bags.sampling", "sample", "--detector.standardise", "none", "--detector.composition", "none")
"""No pass over all features before the first step: it is the same for all, and no step's."""


@dataclass(frozen=True, kw_only=True)
class CostConfig:
    """Time a step of each named detector on simulated features of UCF-Crime's training part."""

    detectors: tuple[str, ...] = tuple(DETECTORS)
    """Which."""
    steps: int = 3
    """Of which the median counts, after one to warm up."""
    videos: int = 1610
    """UCF-Crime's training part has 1610."""
    dim: int = 2048
    """Numbers a snippet."""
    snippets: int = 500
    """About so many are scored."""
    precision: str = "fp32"
    """Of the forward pass."""

    def __post_init__(self) -> None:
        for name in ("steps", "videos", "dim", "snippets"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; it must be at least 1")


def measure(name: str, folder: Path, options: CostConfig) -> dict[str, Any]:
    """One detector, in this process."""
    before = bytes_before()
    flags = [*flags_of(choose(name).settings), *PLAIN, "--output", str(folder / "run")]
    config = parse(FinetuneConfig, [*flags, "--precision", options.precision], "detector_costs")
    features = FusedFeatures.open([folder / "features"])
    source = source_of(features, config, folder / "segments")
    return asdict(cost_of(source, config, options.steps, before, options.snippets))


def run(options: CostConfig) -> None:
    """A table, and the RESULT line."""
    lengths = ucf_lengths(options.videos)
    found: dict[str, dict[str, Any]] = {}
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as work:
        for dim in (options.dim, CLIP_DIM):
            folder = Path(work) / str(dim)
            if not folder.exists():
                folder.mkdir()
                write_sparse_features(folder / "features", make_videos(lengths), lengths, dim, np.random.default_rng(0))
        for name in options.detectors:
            dim = CLIP_DIM if name.startswith("vadclip") else options.dim
            with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
                found[name] = pool.submit(measure, name, Path(work) / str(dim), options).result() | {"dim": dim}
            print(f"{name}: {1 / found[name]['steps_per_second']:.3g} s a step", flush=True)
    print("\n" + aligned(table(found)))
    print("RESULT " + json.dumps(found))


def table(found: dict[str, dict[str, Any]]) -> Table:
    """A row a detector."""
    header = ["detector", "numbers", "bags x snippets", "s a step", "peak MB", "weights MB", "snippets/s scored"]
    rows = []
    for name, cost in found.items():
        numbers = (1 / cost["steps_per_second"], *(cost[key] for key in ("peak_megabytes", "weight_megabytes")))
        bags = f"{cost['batch_size']} x {cost['segments']}"
        values = map(three_digits, (*numbers, cost["snippets_per_second"]))
        rows.append([name, str(cost["dim"]), bags, *values])
    return Table(header, rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    run_command(lambda: run(parse(CostConfig, sys.argv[1:] if arguments is None else arguments, "detector_costs")))


if __name__ == "__main__":
    main()
