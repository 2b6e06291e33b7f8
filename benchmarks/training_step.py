"""Clips per second of a training step for each backbone, and what share of the device's matrix rate that is.

    python -m benchmarks.training_step [--quick] [--backbones r3d_18 swin3d_t ...] [--compile]

The step is pretraining's own (four tasks, AdamW) on clips that lie on the device already: the share of a real run that
waits for data is not in it, a run logs that as `speed/data_wait_share`. The matrix rate is measured in the same run, as
a large product in the same precision. Ends with one line `RESULT {json}`.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from pretext_tasks import PretextTasks
from pretrain.backbones import BackboneConfig, build_backbone
from pretrain.cli import parse, run_command
from pretrain.config import PretrainConfig
from pretrain.cpu import keep_freed_memory
from pretrain.model import PretextModel, objective
from pretrain.train import make_optimizer


@dataclass(frozen=True)
class TrainingStepConfig:
    """Measure training steps on this machine's GPU, or on its CPU where there is none."""

    backbones: tuple[str, ...] = ("small3d", "r3d_18", "mc3_18", "r2plus1d_18", "s3d", "mvit_v2_s", "swin3d_t")
    """Backbones, as in backbone.name."""
    windows: int = 8
    """Windows per step; each gives five clips."""
    seconds: float = 10.0
    """Time measured for each backbone."""
    compile: bool = False
    """With torch.compile."""
    quick: bool = False
    """Only small3d, two seconds."""


def synchronize(device: torch.device) -> None:
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def matrix_rate(device: torch.device) -> float:
    """FLOP/s of a large matrix product in bf16 (float32 on a CPU)."""
    size = 8192 if device.type == "cuda" else 1536
    factor = torch.randn(size, size, device=device, dtype=torch.bfloat16 if device.type == "cuda" else torch.float32)
    for repeats in (2, 10):  # the first round warms up
        synchronize(device)
        started = time.perf_counter()
        for _ in range(repeats):
            factor @ factor
        synchronize(device)
    return 2 * size**3 * 10 / (time.perf_counter() - started)


def measure(name: str, options: TrainingStepConfig, device: torch.device, rate: float) -> dict[str, float]:
    """Clips per second and the share of `rate`, of one backbone."""
    tasks = PretextTasks()
    torch.manual_seed(0)
    model = PretextModel(build_backbone(BackboneConfig(name=name)), tasks).to(device)
    spec = model.backbone.spec
    optimizer = make_optimizer(model, PretrainConfig())
    count = options.windows * tasks.clips_per_window
    clips = torch.randn(count, 3, spec.clip.frames, spec.clip.height, spec.clip.width, device=device)
    clips = clips.contiguous(memory_format=torch.channels_last_3d)
    labels = torch.zeros(options.windows, tasks.clips_per_window, dtype=torch.long, device=device)
    valid = torch.ones(options.windows, device=device)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            outputs = model(clips)
        objective(tasks, outputs, labels, valid)[0].backward()
        optimizer.step()
        optimizer.zero_grad()

    with FlopCounterMode(display=False) as counter:
        step()
    if options.compile:
        model.backbone.compile()
    step()
    synchronize(device)
    steps, started = 0, time.perf_counter()
    while time.perf_counter() - started < options.seconds:
        step()
        synchronize(device)
        steps += 1
    seconds = time.perf_counter() - started
    return {
        "clips_per_second": round(steps * count / seconds, 1),
        "matrix_rate_share": round(counter.get_total_flops() * steps / seconds / rate, 3),
    }


def main() -> None:
    """Measure and print."""
    options = parse(TrainingStepConfig, sys.argv[1:], "training_step")
    if options.quick:
        options = TrainingStepConfig(backbones=("small3d",), windows=4, seconds=2.0, compile=options.compile)
    keep_freed_memory()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    rate = matrix_rate(device)
    print(f"{name}: {rate / 1e12:.2f} TFLOP/s in a matrix product; compile {'on' if options.compile else 'off'}")
    print(f"{'backbone':<16}{'clips/s':>10}{'share of matrix rate':>24}")
    result: dict[str, dict[str, float]] = {}
    for backbone in options.backbones:
        result[backbone] = measure(backbone, options, device, rate)
        entry = result[backbone]
        print(f"{backbone:<16}{entry['clips_per_second']:>10.1f}{entry['matrix_rate_share']:>24.3f}", flush=True)
    print("RESULT " + json.dumps({"device": name, "compile": options.compile, "backbones": result}))


if __name__ == "__main__":
    run_command(main)
