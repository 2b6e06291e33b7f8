"""No variable changes the arithmetic without a word."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from accelerate.state import AcceleratorState, GradientState

from pretrain.accelerator import make_accelerator
from pretrain.environment import ENGINES, REDUCED, check_environment
from pretrain.errors import UserError
from tests.paths import ROOT

LAUNCHED = {
    "ACCELERATE_MIXED_PRECISION": "no", "ACCELERATE_DYNAMO_BACKEND": "NO", "ACCELERATE_DYNAMO_MODE": "default",
    "ACCELERATE_USE_CPU": "False", "ACCELERATE_DYNAMO_USE_FULLGRAPH": "False", "OMP_NUM_THREADS": "1",
}  # fmt: skip
"""What `accelerate launch` sets where nobody asked for anything."""


def test_what_agrees_is_no_error() -> None:
    check_environment({})
    check_environment(LAUNCHED, precision="bf16", device="cuda", accumulate=4)
    same = {"ACCELERATE_MIXED_PRECISION": "bf16", "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "4"}
    check_environment(LAUNCHED | same, precision="bf16", accumulate=4)
    check_environment(LAUNCHED | {"ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "1"}, accumulate=4)
    check_environment(LAUNCHED | {"ACCELERATE_USE_CPU": "true"}, device="cpu")
    check_environment({"ONEDNN_DEFAULT_FPMATH_MODE": "STRICT", "ACCELERATE_TORCH_DEVICE": "cuda:1"}, device="cuda")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4", "is 4, but a step here has 2 round(s)"),
        ("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "many", "is many, but a step here has 2 round(s)"),
        ("ACCELERATE_MIXED_PRECISION", "bf16", "is bf16, but precision is fp32"),
        ("ACCELERATE_MIXED_PRECISION", "FP8", "is fp8, but precision is fp32"),
        ("ACCELERATE_DYNAMO_BACKEND", "INDUCTOR", "is INDUCTOR: leave out --dynamo_backend"),
        ("ACCELERATE_TORCH_DEVICE", "cuda:1", "is cuda:1, but device is auto"),
        ("NVIDIA_TF32_OVERRIDE", "0", "is 0: it computes float32 in reduced precision on GPUs, or never; unset it"),
        *((name, "true", "is true, but this program trains on one process or with DDP") for name in ENGINES),
        *((name, "1", "is 1: it computes float32") for name in REDUCED),
    ],
)
def test_each_disagreement_is_an_error_that_names_the_variable(name: str, value: str, told: str) -> None:
    with pytest.raises(UserError) as error:
        check_environment(LAUNCHED | {name: value}, accumulate=2)
    assert f"{name} {told}" in str(error.value)


def test_all_are_named_at_once() -> None:
    with pytest.raises(UserError, match=r"USE_CPU is set .*device is cuda") as error:
        check_environment({"ACCELERATE_USE_CPU": "1", "ACCELERATE_USE_FSDP": "1"}, device="cuda")
    assert "ACCELERATE_USE_FSDP" in str(error.value)


def test_the_accelerator_follows_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    monkeypatch.setenv("ACCELERATE_DYNAMO_BACKEND", "INDUCTOR")
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    accelerator = make_accelerator("cpu", "fp32")
    model = accelerator.prepare(torch.nn.Linear(1, 1))
    assert type(model) is torch.nn.Linear
    accelerator.backward(model(torch.ones(1, 1)).sum())
    assert model.weight.grad.item() == 1
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


@pytest.mark.parametrize(
    "command", [["pretrain.py"], ["scripts/finetune.py"], ["scripts/extract_features.py", "--out", "never"]]
)
def test_commands_say_it_before_anything_starts(command: list[str]) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "4"}
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "ACCELERATE_GRADIENT_ACCUMULATION_STEPS is 4, but a step here has 1 round(s)" in done.stderr
    assert "Traceback" not in done.stderr
