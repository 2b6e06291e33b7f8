"""What detection costs: seconds of footage a second of work, and memory, of files and of streams, short and long.

Every figure is that of the command as it is run, in a process of its own. The detector was trained for a few steps:
how fast it works does not depend on what it learnt.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import tyro

from benchmarks.footage import FPS, join_clips, write_clips
from downstream.detector.config import DetectorConfig
from downstream.features.config import EncoderConfig, ExtractConfig
from downstream.features.extract import extract
from downstream.training.config import BagsConfig, DetectorOptimConfig, FeaturesConfig, FinetuneConfig
from downstream.training.finetune import finetune
from pretrain.cli import run_command
from pretrain.data.catalogue import CatalogueConfig
from pretrain.data.video import IndexCache, probe
from pretrain.errors import UserError

ROOT = Path(__file__).parents[1]
SNIPPET = 16
TRAINED_ON = 4
"""Clips for the detector; half of them count as abnormal."""
IN_ROUNDS = ("start", "file", "stream")
POLL_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True)
class DetectBenchmarkConfig:
    """Time scripts/detect.py on footage of 320x240 at 30 frames a second, on two cores.

    file: the footage as a file. stream: the same as a stream that is read as fast as it can be scored. "work" leaves
    out what a process needs to start (imports, opening the models): the time of a video of one snippet.
    """

    quick: bool = False
    """Short footage, each thing once: under a minute."""
    minutes: float = 3.0
    """Of the footage that is timed."""
    long_minutes: float = 20.0
    """Of the footage that shows whether memory grows."""
    hours: float = 0.0
    """Score a file of so many hours too; 0: none."""
    cells: bool = False
    """A detector of cells (8x12, normalised by their place) instead of one of whole pictures."""
    backbone: str = "small3d"
    """As --backbone of scripts/extract_features.py."""
    cores: int = 2
    """Cores of this machine that may be used."""
    rounds: int = 3
    """The start, the file and the stream are timed so often, in turns; the fastest of each counts."""
    seed: int = 0

    def __post_init__(self) -> None:
        problems = [f"{name} is {getattr(self, name)}; it must be at least 1" for name in ("cores", "rounds")
                    if getattr(self, name) < 1]  # fmt: skip
        problems += [f"{name} is {getattr(self, name)}; it must be above 0" for name in ("minutes", "long_minutes")
                     if not getattr(self, name) > 0]  # fmt: skip
        if problems:
            raise UserError("\n".join(problems))


class Cost(NamedTuple):
    """Of one process, from its start to its end."""

    seconds: float
    footage: float
    """Seconds that it scored."""
    peak_mb: float | None
    """Most memory that was resident at once, in 1e6 bytes; None where the system does not tell."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    options = tyro.cli(DetectBenchmarkConfig, args=arguments, prog="detect.py")
    run_command(lambda: run(options))


def run(options: DetectBenchmarkConfig) -> None:
    """Make footage and a detector, time, print the table and the RESULT line."""
    minutes, longer, rounds = options.minutes, options.long_minutes, options.rounds
    if options.quick:
        minutes, longer, rounds = min(minutes, 1.0), min(longer, 3.0), 1
    with on_cores(options.cores), tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        detector = make_detector(root, options)
        lengths = {"start": 1.0, "file": 60 * minutes, "stream": 60 * minutes, "longer file": 60 * longer}
        if options.hours:
            lengths[f"{options.hours:g} h file"] = 3600 * options.hours
        costs = measure(root, detector, lengths, rounds)
    print(table(options, costs))
    print("RESULT " + json.dumps(result(costs)))


@contextmanager
def on_cores(count: int) -> Iterator[None]:
    """Keep to that many cores, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def make_detector(root: Path, options: DetectBenchmarkConfig) -> Path:
    """Clips, their features, and a run of one seed that was trained on these; everything it prints goes to stderr."""
    clips = write_clips(root / "clips", TRAINED_ON, (4, 6) if options.quick else (10, 20), options.seed)
    rows = [f"{clip.name},{number % 2},train" for number, clip in enumerate(clips)]
    (root / "list.csv").write_text("\n".join(["path,label,split", *rows]))
    catalogue = CatalogueConfig(kind="csv", root=root / "clips", annotations=root / "list.csv")
    encoder = EncoderConfig(backbone=options.backbone, grid="map" if options.cells else None)
    features = FeaturesConfig(sets=(root / "features",), normalise="place" if options.cells else "none")
    training = FinetuneConfig(
        output=root / "run",
        device="cpu",
        catalogue=catalogue,
        features=features,
        bags=BagsConfig(segments=8),
        detector=DetectorConfig(temporal="multi_scale"),
        optim=DetectorOptimConfig(steps=2, batch_size=4, warmup_steps=1),
        validation_fraction=0.5,
        score_test=False,
        plots=False,
    )
    with redirect_stdout(sys.stderr):
        extract(ExtractConfig(out=root / "features", encoder=encoder, catalogue=catalogue, device="cpu"))
        finetune(training)
    return root / "run"


def measure(root: Path, detector: Path, lengths: Mapping[str, float], rounds: int) -> dict[str, Cost]:
    """Each way with footage of about its length in seconds; those timed in rounds count with their fastest."""
    clips = sorted((root / "clips").glob("*.mp4"))
    (start,) = write_clips(root / "start", 1, (1, 1), 0)
    best: dict[str, Cost] = {}
    for number in range(rounds):
        for name, seconds in lengths.items():
            if number and name not in IN_ROUNDS:
                continue
            video = start if name == "start" else root / f"{seconds:g}s.mp4"
            if not video.exists():
                join_clips(clips, video, round(seconds))
            cost = detect(video, detector, root / "out", is_stream=name == "stream")
            if name not in best or cost.seconds < best[name].seconds:
                best[name] = cost
    return best


def detect(video: Path, detector: Path, out: Path, is_stream: bool) -> Cost:
    """scripts/detect.py on one video, in a process of its own; RuntimeError where it fails or scores less than all."""
    shutil.rmtree(out, ignore_errors=True)
    flags = ["--detector", str(detector), "--out", str(out), "--device", "cpu"]
    flags += ["--live.play", "--live.status-every", "0"] if is_stream else ["--films", "0", "--no-report"]
    # scripts import our packages from the checkout
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    began, peak = time.perf_counter(), None
    command = [sys.executable, str(ROOT / "scripts" / "detect.py"), str(video), *flags]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
        while process.poll() is None:
            peak = peak_mb(process.pid) or peak
            time.sleep(POLL_SECONDS)
        seconds = time.perf_counter() - began
        said.seek(0)
        if process.returncode:
            raise RuntimeError(f"{command} left with {process.returncode}:\n{said.read().decode()}")
    frames, scored = probe(str(video), cache=IndexCache(None)).num_frames, scored_frames(out)
    if scored != frames // SNIPPET * SNIPPET:
        raise RuntimeError(f"{scored} of {frames} frames were scored: {command}")
    return Cost(seconds, frames / FPS, peak)


def scored_frames(out: Path) -> int:
    """Where the last snippet of scores.csv ends."""
    with open(out / "scores.csv", encoding="utf-8", newline="") as file:
        return max(int(row["end"]) for row in csv.DictReader(file))


def peak_mb(pid: int) -> float | None:
    """What a running process has held at most so far; a child's resource usage would count its parent's too."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:")), None)


def factor(cost: Cost, start: Cost) -> float:
    """Seconds of footage a second of work."""
    return (cost.footage - start.footage) / max(cost.seconds - start.seconds, 1e-9)


def table(options: DetectBenchmarkConfig, costs: Mapping[str, Cost]) -> str:
    """A line each; `whole` takes the start of the process for work too."""
    kind = "cells, by place" if options.cells else "whole pictures"
    lines = [
        f"\n320x240, {FPS} frames/s, {options.backbone}, multi_scale, {kind}, {options.cores} core(s)",
        f"  {'':<14}{'footage s':>10}{'wall s':>9}{'x real time':>13}{'whole':>8}{'peak RSS MB':>13}",
    ]
    for name, cost in costs.items():
        speed = "" if name == "start" else f"{factor(cost, costs['start']):.1f}"
        peak = "?" if cost.peak_mb is None else f"{cost.peak_mb:.0f}"
        whole = cost.footage / cost.seconds
        lines.append(f"  {name:<14}{cost.footage:>10.0f}{cost.seconds:>9.2f}{speed:>13}{whole:>8.1f}{peak:>13}")
    return "\n".join(lines)


def result(costs: Mapping[str, Cost]) -> dict[str, float | None]:
    """For machines: the file's figures, the stream's, and by how much the longer file takes more memory."""
    file, stream, longer = costs["file"], costs["stream"], costs["longer file"]
    known = file.peak_mb is not None and longer.peak_mb is not None
    found = {
        "realtime_factor": factor(file, costs["start"]),
        "peak_rss_mb": file.peak_mb,
        "stream_factor": factor(stream, costs["start"]),
        "stream_peak_rss_mb": stream.peak_mb,
        "growth_mb": longer.peak_mb - file.peak_mb if known else None,  # type: ignore[operator]
    }
    return {name: None if value is None else round(value, 2) for name, value in found.items()}


if __name__ == "__main__":
    main(sys.argv[1:])
