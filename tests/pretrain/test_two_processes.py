"""Two processes equal one: the same items, the same loss curve, the same gradients."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed
from torch.nn.parallel import DistributedDataParallel

from pretrain.backbones import build_backbone
from pretrain.config import PretrainConfig
from pretrain.data.transforms import ClipTransform
from pretrain.data.windows import Share, TrainWindows
from pretrain.model import PretextModel, objective
from pretrain.prepare import prepare_videos, window_reader
from pretrain.tracking import read_log
from pretrain.train import pretrain
from pretrain.validate import device_clips
from tests.paths import ROOT
from tests.pretrain.conftest import changed
from tests.pretrain.test_train import final_tensors, flags


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def gradients(config: PretrainConfig, rank: int, world_size: int, wrap: bool) -> dict[str, torch.Tensor]:
    """Gradients of the first step's loss as this process sees them."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = PretextModel(build_backbone(config.backbone), config.tasks)
    spec = model.backbone.spec
    reader = window_reader(config, spec)
    videos = prepare_videos(config, reader.geometry.window_frames, 0, 1, lambda: None)
    share = Share(batch_size=4, accumulate=1, rank=rank, world_size=world_size)
    batch = TrainWindows(videos.train, reader, config.augment, share, config.seed)[0, 0]
    network = DistributedDataParallel(model) if wrap else model
    transform = ClipTransform(spec.clip)
    outputs = network(device_clips(batch, transform, torch.device("cpu")))
    objective(config.tasks, outputs, batch.labels, batch.valid)[0].backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def one_of_two(rank: int, port: int, config: PretrainConfig, target: str) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    found = gradients(config, rank, 2, wrap=True)
    torch.save(found, f"{target}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_gradients_of_two_processes_equal_those_of_one(tiny_config: PretrainConfig, tmp_path: Path) -> None:
    alone = gradients(tiny_config, 0, 1, wrap=False)
    torch.multiprocessing.spawn(one_of_two, (free_port(), tiny_config, str(tmp_path)), nprocs=2)
    for rank in (0, 1):
        shared = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert shared.keys() == alone.keys()
        for name, gradient in alone.items():
            # float32 sums over a map of thousands of places, in another order: one part in a thousand of the norm
            assert torch.linalg.vector_norm(shared[name] - gradient) <= 1e-3 * torch.linalg.vector_norm(gradient), name


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_processes_share_the_same_items_out(world_size: int) -> None:
    for step in (0, 7):
        for part in (0, 1):
            shares = [
                Share(batch_size=16, accumulate=2, rank=rank, world_size=world_size).items(step, part)
                for rank in range(world_size)
            ]
            assert sorted(n for share in shares for n in share) == list(
                range(step * 16 + part * 8, step * 16 + part * 8 + 8)
            )


def test_accelerate_launch_with_two_cpu_processes_gives_the_loss_curve_of_one(tiny_config: PretrainConfig) -> None:
    """The command of the README, word for word. Sums in float32 are in another order; steps add to that."""
    one, two = (changed(tiny_config, output=tiny_config.output.with_name(name)) for name in ("one", "two"))
    pretrain(one)
    launched = subprocess.run(
        [
            *(sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2", "--cpu"),
            *("--main_process_port", str(free_port()), "pretrain.py", *flags(two)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert launched.returncode == 0, launched.stdout + launched.stderr
    assert "2 process(es) on cpu" in launched.stdout
    curves = [
        [entry["train/loss"] for entry in read_log(run.output / "log.jsonl") if "train/loss" in entry]
        for run in (one, two)
    ]
    assert len(curves[0]) == 6
    np.testing.assert_allclose(curves[0][:3], curves[1][:3], rtol=2e-4)
    np.testing.assert_allclose(curves[0], curves[1], rtol=5e-3)
    first, second = final_tensors(one.output), final_tensors(two.output)
    for key, value in first.items():
        if key.startswith("model."):
            # Adam steps as far for a gradient of rounding errors as for any other: norms, not single weights
            assert torch.linalg.vector_norm(second[key] - value) <= 0.005 * torch.linalg.vector_norm(value) + 1e-3, key
