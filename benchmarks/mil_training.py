"""What a step of training on bags costs: ours from the segment cache, and as public code reads its features.

    python -m benchmarks.mil_training [--quick]

Three parts: steps per second and bytes read, on simulated ten-crop features of UCF-Crime's lengths; evaluation
(benchmarks/evaluation_speed.py); peak memory of training on 1610 such videos, in a process of its own. Ends with one
line `RESULT {json}`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.evaluation_speed import compare
from benchmarks.mil_memory import peak_of_training
from benchmarks.mil_ways import (
    check_space,
    disk_bytes_read,
    make_videos,
    plain_bags,
    train_step,
    ucf_lengths,
    write_features,
    write_sparse_features,
)
from downstream.detector.objective import DetectorTraining, build_detector
from downstream.features.fusion import FusedFeatures
from downstream.features.scratch import drop_pages
from downstream.training.bag_dataset import BagDataset
from downstream.training.config import BagsConfig, FinetuneConfig
from downstream.training.loop import make_optimizer
from downstream.training.source import Batch
from pretrain.cli import parse, run_command
from pretrain.cpu import keep_freed_memory
from pretrain.errors import UserError

OUR_STEPS = 5
"""Steps of ours between two of the plain ways."""


@dataclass(frozen=True, kw_only=True)
class MilTrainingConfig:
    """Time training steps of the default detector, 64 bags of 32 segments: the same bags to the same model.

    plain: each step loads every video's .npy file (float32, all crops, from the system's cache: no disk is waited for)
    and averages it in a Python loop. plain, careful: averages only the crop that is used. ours: `BagDataset`. Of both
    everything runs in one process.
    """

    quick: bool = False
    """Half as many videos of half the length, and 200 short videos for the memory: under a minute."""
    dim: int = 2048
    """Numbers per snippet."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.dim < 1:
            raise UserError(f"dim is {self.dim}; it must be at least 1")


@dataclass(frozen=True)
class Cost:
    """A step of one way."""

    input_seconds: float
    model_seconds: float
    read_bytes: int
    """Of feature files, counted: rows times their bytes."""
    disk_bytes: int | None
    """Fetched from disk for one step with cold files, as the system counts; None where it does not."""

    @property
    def seconds(self) -> float:
        return self.input_seconds + self.model_seconds


class Bench:
    """The two ways over one simulated set, for bags of one crop or of all."""

    def __init__(self, options: MilTrainingConfig, work: Path, device: torch.device) -> None:
        rng = np.random.default_rng(options.seed)
        # every 25th of the 1610: their mean is that of all but the very longest. At least 32: both ways fill the bag
        lengths = np.maximum(32, ucf_lengths(seed=options.seed)[12 :: 50 if options.quick else 25])
        if options.quick:
            lengths = np.maximum(32, lengths // 2)
        check_space(work, int(lengths.sum()) * 10 * options.dim * 9)
        videos = make_videos(lengths)
        self.work, self.device, self.batch_size = work, device, len(videos)
        self.files = write_features(work, videos, lengths, options.dim, rng)
        source = FusedFeatures.open([work / "features"])
        self.bags = {
            crops: BagDataset(source, videos, BagsConfig(crops=crops), len(videos), 0, work / "segments", device)
            for crops in ("one", "all")
        }
        self.config = FinetuneConfig(output=work / "run")
        torch.manual_seed(options.seed)
        detector = build_detector(self.config.detector, self.config.objective, options.dim)
        detector.standardise(self.bags["one"].statistics())
        self.module = DetectorTraining(detector, self.config.objective).to(device)
        self.optimizer = make_optimizer([(self.module, 1.0)], self.config.optim)
        print(f"{len(videos)} videos, {lengths.mean():.0f} snippets in the mean, 10 crops of {options.dim} numbers")

    def ways(self) -> dict[str, Callable[[int], Batch]]:
        """`name: step -> bags`."""
        one, every = self.bags["one"], self.bags["all"]
        return {
            "ours, one crop": one.batch,
            "plain, one crop": lambda step: plain_bags(self.files, one, step),
            "plain, careful": lambda step: plain_bags(self.files, one, step, "one"),
            "ours, all crops": every.batch,
            "plain, all crops": lambda step: plain_bags(self.files, every, step),
        }

    def difference(self) -> float:
        """The greatest difference between the two ways' bags: ours are rounded to float16."""
        ours, plain = self.bags["one"].batch(0), plain_bags(self.files, self.bags["one"], 0)
        return float((ours.inputs - plain.inputs).abs().max())

    def costs(self, rounds: int) -> dict[str, Cost]:
        """Medians of each way; they take turns."""
        ways = self.ways()
        spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for name, way in ways.items():
            if name.startswith("ours"):
                train_step(self.module, self.optimizer, self.config, way(0), 0)  # warm
        for number in range(rounds):
            for name, way in ways.items():
                for repeat in range(OUR_STEPS if name.startswith("ours") else 1):
                    spent[name].append(self._one_step(way, 1 + number * OUR_STEPS + repeat))
        found = {}
        for name, way in ways.items():
            parts = np.median(np.array(spent[name]), axis=0)
            found[name] = Cost(float(parts[0]), float(parts[1]), self._counted(name), self._from_disk(way))
        return found

    def _one_step(self, way: Callable[[int], Batch], step: int) -> tuple[float, float]:
        started = time.perf_counter()
        batch = way(step)
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        made = time.perf_counter()
        train_step(self.module, self.optimizer, self.config, batch, step)
        return made - started, time.perf_counter() - made

    def _counted(self, name: str) -> int:
        if name.startswith("plain"):
            return sum(file.stat().st_size for file in self.files)  # a batch holds every video once
        bags = self.bags[name.split()[1]]
        assert bags.cache is not None
        rows = self.batch_size * (bags.source.crops_or_cells if bags.config.crops == "all" else 1)
        return 0 if bags.resident is not None else rows * bags.cache.array[0, 0].nbytes

    def _from_disk(self, way: Callable[[int], Batch]) -> int | None:
        """Bytes that come from disk for one step when the system holds nothing of the files."""
        if not hasattr(os, "posix_fadvise"):
            return None
        for bags in self.bags.values():
            assert bags.cache is not None
            drop_pages(bags.cache.array)  # pages that are mapped would stay
        for file in [*self.files, *(self.work / "segments").glob("*.npy")]:
            with open(file, "rb") as opened:
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        before = disk_bytes_read()
        way(0)
        after = disk_bytes_read()
        return None if before is None or after is None else after - before


def measure_steps(options: MilTrainingConfig, device: torch.device) -> dict[str, Any]:
    """Part one: prints its table, gives its figures."""
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(options, Path(name), device)
        print(f"bags of the two ways differ by at most {bench.difference():.1e} (ours are stored as float16)\n")
        costs = bench.costs(2 if options.quick else 4)
    print(f"{bench.batch_size} videos a step       input ms   model ms    steps/s   MB read   MB from cold disk")
    for way, cost in costs.items():
        disk = "-" if cost.disk_bytes is None else f"{cost.disk_bytes / 1e6:.1f}"
        print(
            f"  {way:<18}{1000 * cost.input_seconds:>13.1f}{1000 * cost.model_seconds:>11.1f}{1 / cost.seconds:>11.2f}"
            f"{cost.read_bytes / 1e6:>10.1f}{disk:>20}"
        )
    return ratios(costs)


def ratios(costs: dict[str, Cost]) -> dict[str, Any]:
    """`steps_ratio` is of whole steps, model and all, in the default setting (one crop of each video a step)."""
    ours, plain = costs["ours, one crop"], costs["plain, one crop"]
    all_ours, all_plain = costs["ours, all crops"], costs["plain, all crops"]
    return {
        "steps_ratio": round(plain.seconds / ours.seconds, 2),
        "steps_ratio_careful": round(costs["plain, careful"].seconds / ours.seconds, 2),
        "steps_ratio_all_crops": round(all_plain.seconds / all_ours.seconds, 2),
        "input_ratio": round(plain.input_seconds / ours.input_seconds, 2),
        "input_ratio_all_crops": round(all_plain.input_seconds / all_ours.input_seconds, 2),
        "steps_per_second": round(1 / ours.seconds, 2),
        "bytes_per_step": ours.read_bytes,
        "plain_bytes_per_step": plain.read_bytes,
    }


def measure_memory(options: MilTrainingConfig) -> dict[str, Any]:
    """Part three: the figures of `benchmarks.mil_memory`."""
    lengths = ucf_lengths(seed=options.seed)
    if options.quick:
        lengths = lengths[:1600:8]
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        cache = len(lengths) * 10 * 32 * options.dim * 2
        check_space(work, 2 * cache)
        size = write_sparse_features(
            work / "features", make_videos(lengths), lengths, options.dim, np.random.default_rng(options.seed)
        )
        found = peak_of_training(work)
    print(
        f"\nmemory{' (quick: NOT the size of UCF-Crime)' if options.quick else ''}: {len(lengths)} videos, the longest "
        f"of {lengths[-1]} snippets, a feature file of {size / 1e9:.1f} GB\n"
        f"  {found['peak_rss_gb']} GB at most, {found['imports_gb']} of it by imports; segment cache of "
        f"{found['cache_gb']} GB built in {found['cache_build_s']} s, {found['memory_steps']} steps"
    )
    return found | {"memory_videos": len(lengths)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    run_command(lambda: run(parse(MilTrainingConfig, sys.argv[1:] if arguments is None else arguments, "mil_training")))


def run(options: MilTrainingConfig) -> None:
    """The three parts, and the RESULT line."""
    keep_freed_memory()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(f"{device.type}, {torch.get_num_threads()} threads")
    found = measure_steps(options, device)
    evaluated = compare(repeats=2 if options.quick else 5)
    print(
        f"\nevaluation of UCF-Crime's test part: {evaluated['eval_ms']:.1f} ms; lists of frames and "
        f"{evaluated['against']}: {evaluated['eval_plain_ms']:.0f} ms"
    )
    print("RESULT " + json.dumps(found | evaluated | measure_memory(options)))


if __name__ == "__main__":
    main()
