"""What a detector costs: time and memory of a training step, size of its weights, speed of scoring; each alone."""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from downstream.detector.inference import score_videos
from downstream.training.config import FinetuneConfig
from downstream.training.feature_source import FeatureSource, FeatureTraining
from downstream.training.loop import make_optimizer
from pretrain.accelerator import make_accelerator
from pretrain.cpu import keep_freed_memory, one_thread
from pretrain.data.worker_pool import worker_processes
from pretrain.environment import precision_of

SNIPPETS = 20_000
"""About so many are scored at most, of the shortest test videos."""
SECONDS = 60.0
"""After so long no further step is measured; one at least is."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one detector on one feature set, alone in a process of its own."""

    steps_per_second: float
    """Training, bags and all; the median of the steps. On a CPU by the time that it worked, whoever else did."""
    peak_megabytes: float
    """1e6 bytes: of the GPU, or of the process above what it had before features were opened."""
    weight_megabytes: float
    """1e6 bytes of the detector's file."""
    snippets_per_second: float
    """Scoring whole videos, all crops of a snippet; time as above."""
    batch_size: int
    segments: int
    device: str


def measure_cost(config: FinetuneConfig, steps: int) -> Cost:
    """Train so many steps and score test videos, in a fresh process: a parent's peak would count too."""
    with worker_processes(1) as workers:
        return Cost(**workers.submit(cost_here, config, steps).result())


def cost_here(config: FinetuneConfig, steps: int) -> dict[str, Any]:
    """`Cost`, measured in this process."""
    before = bytes_before()
    return asdict(cost_of(FeatureSource.open(config), config, steps, before))


def cost_of(source: FeatureSource, config: FinetuneConfig, steps: int, before: int, snippets: int = SNIPPETS) -> Cost:
    """Of opened features; `before`: what the process had until then, `bytes_before`."""
    keep_freed_memory()
    accelerator = make_accelerator(config.device, precision_of(config.precision, os.environ))
    device = accelerator.device.type
    with one_thread() if device == "cpu" else nullcontext():
        training = source.seed_training(config.seeds[0], accelerator)
        model = training.model.to(accelerator.device).train()
        optimizer = make_optimizer(training.lr_shares(), config.optim)
        seconds = sorted(timed_steps(training, optimizer, config, accelerator, steps))
        peak = peak_bytes(device) - (before if device == "cpu" else 0)
        speed = scoring_speed(source, training, accelerator.device, snippets)
    return Cost(
        steps_per_second=1 / seconds[len(seconds) // 2],
        peak_megabytes=peak / 1e6,
        weight_megabytes=state_bytes(model.detector) / 1e6,
        snippets_per_second=speed,
        batch_size=config.optim.batch_size,
        segments=config.bags.segments,
        device=torch.cuda.get_device_name() if device == "cuda" else f"{device}, one thread",
    )


def clock_of(device: str) -> Callable[[], float]:
    """Seconds: of a GPU by the wall, of a CPU by the time that this process worked."""
    return time.perf_counter if device == "cuda" else time.process_time


def timed_steps(
    training: FeatureTraining, optimizer: torch.optim.Optimizer, config: FinetuneConfig, accelerator: Any, steps: int
) -> Iterator[float]:
    """Seconds of each step, but for a first that warms up."""
    clock = clock_of(accelerator.device.type)
    began = time.perf_counter()
    for step in itertools.count():
        started = clock()
        batch = training.batch(step)
        with accelerator.autocast():
            loss, _ = training.model(batch.inputs, batch.mask, batch.labels, step, **batch.more())
        accelerator.backward(loss)
        nn.utils.clip_grad_norm_(training.model.parameters(), config.optim.clip_norm)
        optimizer.step()
        optimizer.zero_grad()
        training.after_step(step)
        if accelerator.device.type == "cuda":
            torch.cuda.synchronize()
        if step:
            yield clock() - started
        if step >= steps or (step and time.perf_counter() - began > SECONDS):
            return


def scoring_speed(source: FeatureSource, training: FeatureTraining, device: torch.device, most: int) -> float:
    """Snippets a second, `most` of them, of the shortest test videos (without any: of training videos)."""
    entries = source.features.videos
    videos = source.videos.test if len(source.videos.test) else source.videos.train
    by_length = sorted((video.name for video in videos), key=lambda name: entries[name].snippets)
    totals = itertools.accumulate(entries[name].snippets for name in by_length)
    names = [name for name, total in zip(by_length, totals, strict=True) if total <= most] or by_length[:1]
    frames = {video.name: video.num_frames for video in videos}
    score_videos(training.model.detector, source.features, names[:1], device, frames, placed=False)  # warm
    clock = clock_of(device.type)
    started = clock()
    score_videos(training.model.detector, source.features, names, device, frames, placed=False)
    return sum(entries[name].snippets for name in names) / max(clock() - started, 1e-9)


def state_bytes(module: nn.Module) -> int:
    """Of all that its file holds."""
    return sum(value.numel() * value.element_size() for value in module.state_dict().values())


STATUS = Path("/proc/self/status")
"""What Linux tells of this process."""


def bytes_before() -> int:
    """What this process holds now; its peak is counted anew from here, where the system can: importing has one of its
    own, that small trainings stay below."""
    if not STATUS.exists():
        return peak_bytes("cpu")
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _told("VmRSS")


def _told(name: str) -> int:
    lines: Sequence[str] = STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def peak_bytes(device: str) -> int:
    """The most memory that was in use so far: of the GPU by tensors, or of this process."""
    if device == "cuda":
        return int(torch.cuda.max_memory_allocated())
    if STATUS.exists():  # the peak that `resource` gives begins with that of the process we came from
        return _told("VmHWM")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
