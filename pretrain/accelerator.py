"""Accelerate, configured in one place for pretraining and everything downstream."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs, InitProcessGroupKwargs
from accelerate.utils import DistributedType, GradientAccumulationPlugin

from pretrain.environment import PRECISION_VARIABLE, Precision, check_environment
from pretrain.errors import UserError
from pretrain.launch import MEETING


def make_accelerator(device: str, precision: str, timeout: timedelta = timedelta(hours=2)) -> Accelerator:
    """The process's accelerator; `device` is auto, cpu or cuda, `precision` fp32, bf16 or fp16.

    `timeout`: how long processes wait for one another; the first call that does comes after every process has opened
    its share of the videos.

    UserError for distributed set-ups other than DDP.
    """
    accelerator = Accelerator(
        cpu=device == "cpu",
        mixed_precision="no" if precision == "fp32" else precision,
        # said here, so that no variable says otherwise: see environment.py
        gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),
        dynamo_backend="no",
        kwargs_handlers=[
            InitProcessGroupKwargs(init_method=os.environ.get(MEETING), timeout=timeout),
            DistributedDataParallelKwargs(gradient_as_bucket_view=True),
        ],
    )
    known = (DistributedType.NO, DistributedType.MULTI_GPU, DistributedType.MULTI_CPU)
    if accelerator.distributed_type not in known:
        raise UserError(f"training runs on one process or with DDP, not with {accelerator.distributed_type.value}")
    return accelerator


def check_device(device: str, precision: Precision = "fp32", accumulate: int = 1, *, compiled: bool = False) -> None:
    """To be called before anything starts. UserError where CUDA is asked for and there is none, or where the
    environment says otherwise than these settings of the run.
    """
    check_environment(os.environ, device=device, precision=precision, accumulate=accumulate, compiled=compiled)
    on_cpu = device == "cpu" or os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true")
    if precision == "fp16" and (on_cpu or not torch.cuda.is_available()):
        raise UserError(
            "precision is fp16 (--precision, or mixed_precision of accelerate's launcher or its configuration file), "
            "which needs a GPU, and none is used here: say bf16, or fp32 (no)"
        )
    if torch.cuda.is_available():
        return
    if device == "cuda":
        raise UserError("device is cuda, but no CUDA device is available here: use --device auto or cpu")
    if device == "auto" and started_for_gpus(os.environ):
        raise UserError(
            "accelerate launch was asked for several GPUs (--multi_gpu, distributed_type MULTI_GPU), and there is no "
            "CUDA device here: give it --cpu (distributed_type MULTI_CPU, use_cpu true), or the command --device cpu"
        )


def started_for_gpus(environment: Mapping[str, str]) -> bool:
    """Did `accelerate launch` start this process as one of several on GPUs? Plain torchrun does not say for what."""
    by_accelerate = PRECISION_VARIABLE in environment and "ACCELERATE_DYNAMO_BACKEND" in environment
    return by_accelerate and "TORCHELASTIC_RUN_ID" in environment and "ACCELERATE_USE_CPU" not in environment


def check_batch_size(batch_size: int, accumulate: int, accelerator: Accelerator) -> None:
    """UserError where a step's batch cannot be shared out evenly over processes and rounds."""
    if batch_size % (accelerator.num_processes * accumulate):
        raise UserError(
            f"optim.batch_size is {batch_size}; it must be a multiple of {accelerator.num_processes} "
            f"process(es) times optim.accumulate = {accumulate}"
        )
