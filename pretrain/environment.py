"""What the environment and the launcher say about the arithmetic: read here alone, and refused where it disagrees.

`accelerate launch` hands its flags, and those of its configuration file, on as variables. Accelerate would follow some
of them without a word: four rounds of accumulation from there make a quarter of the gradient. Here the launcher decides
where a run's settings say nothing (precision, number of processes and machines, CPU or GPU); where both speak they
must say the same, and an error names both and the mend.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pretrain.errors import UserError, problem_list

Precision = Literal["fp32", "bf16", "fp16"]
"""Of the forward pass."""
PRECISION_VARIABLE = "ACCELERATE_MIXED_PRECISION"
_OF_LAUNCHER: dict[str, Precision] = {"bf16": "bf16", "fp16": "fp16"}

ENGINES = {
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "tensor, context or sequence parallelism",
    "ACCELERATE_USE_TPU": "TPUs",
    "ACCELERATE_USE_XPU": "XPUs",
    "ACCELERATE_USE_SAGEMAKER": "SageMaker",
}
"""Ways to train that this program has not."""
_SHARDING = (
    "what it shards, weights and moments, is 0.5 GB here for r3d_18; where memory is short, activations fill it: "
    "--optim.accumulate, --backbone.activation-checkpointing, --precision bf16"
)
_WHY = {"ACCELERATE_USE_FSDP": _SHARDING, "ACCELERATE_USE_DEEPSPEED": _SHARDING}
REDUCED = {
    "ACCELERATE_DOWNCAST_BF16": "",
    "XLA_USE_BF16": "",
    "XLA_DOWNCAST_BF16": "",
    "NVIDIA_TF32_OVERRIDE": "float32 in reduced precision on GPUs, or never",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "float32 in reduced precision on GPUs",
    "TORCH_ALLOW_TF32_CUBLAS": "float32 in reduced precision on GPUs",
    "ONEDNN_DEFAULT_FPMATH_MODE": "float32 in reduced precision on CPUs",
    "DNNL_DEFAULT_FPMATH_MODE": "float32 in reduced precision on CPUs",
}
"""Variables that make float32 something else, and what."""
_NOTHING = ("", "0", "no", "none", "false", "off", "n", "f", "strict")


def precision_of(given: Precision | None, environment: Mapping[str, str]) -> Precision:
    """A run's precision: as its settings say, else as the launcher says, else fp32."""
    return given or _OF_LAUNCHER.get(environment.get(PRECISION_VARIABLE, "").lower(), "fp32")


def check_environment(
    environment: Mapping[str, str],
    *,
    device: str = "auto",
    precision: Precision = "fp32",
    accumulate: int = 1,
    compiled: bool = False,
) -> None:
    """UserError naming every variable that disagrees with the settings of the run."""
    problems = [
        *_precision(environment, precision),
        *_accumulation(environment, accumulate),
        *_engines(environment),
        *_dynamo(environment, compiled),
        *_device(environment, device),
        *_reduced(environment),
    ]
    if problems:
        raise UserError(
            f"the environment (or accelerate launch, which sets it) says otherwise than the run's settings:\n"
            f"{problem_list(problems)}"
        )


def _precision(environment: Mapping[str, str], precision: Precision) -> list[str]:
    value = environment.get(PRECISION_VARIABLE, "").lower()
    if value in (*_NOTHING, precision):  # `no` is what the launcher sets where nobody asked
        return []
    if value not in _OF_LAUNCHER:
        return [f"{PRECISION_VARIABLE} is {value}, but precision is {precision}: the launcher may say no, bf16 or fp16"]
    return [
        f"{PRECISION_VARIABLE} is {value}, but precision is {precision}: give accelerate launch --mixed_precision no, "
        "which wins over its configuration file, and the command's own holds; or, training, leave --precision out, and "
        "the launcher's does"
    ]


def _accumulation(environment: Mapping[str, str], accumulate: int) -> list[str]:
    name = "ACCELERATE_GRADIENT_ACCUMULATION_STEPS"
    value = environment.get(name, "").strip()
    if value in ("", "1", str(accumulate)):
        return []
    return [
        f"{name} is {value}, but a step here has {accumulate} round(s): leave out --gradient_accumulation_steps "
        f"(deepspeed_config of a configuration file), and pretrain with --optim.accumulate {value}"
    ]


def _engines(environment: Mapping[str, str]) -> list[str]:
    return [
        f"{name} is {environment[name]}, but this program trains on one process or with DDP, not with {engine}: choose "
        "that in accelerate config (MULTI_GPU, MULTI_CPU), or leave out the flag"
        f"{f' ({_WHY[name]})' if name in _WHY else ''}"
        for name, engine in ENGINES.items()
        if _is_on(environment, name)
    ]


def _dynamo(environment: Mapping[str, str], compiled: bool) -> list[str]:
    name = "ACCELERATE_DYNAMO_BACKEND"
    value = environment.get(name, "")
    if not _is_on(environment, name) or (compiled and value.upper() == "INDUCTOR"):
        return []
    return [
        f"{name} is {value}: leave out --dynamo_backend (dynamo_config of a configuration file), or give accelerate "
        "launch --dynamo_backend no; pretraining compiles with --compile"
    ]


def _device(environment: Mapping[str, str], device: str) -> list[str]:
    found = []
    if _is_on(environment, "ACCELERATE_USE_CPU") and device == "cuda":
        found.append("ACCELERATE_USE_CPU is set (accelerate launch --cpu), but device is cuda: leave out one of them")
    chosen = environment.get("ACCELERATE_TORCH_DEVICE", "")
    if chosen and (device == "auto" or not chosen.startswith(device)):
        found.append(f"ACCELERATE_TORCH_DEVICE is {chosen}, but device is {device}: unset it, and set device")
    return found


def _reduced(environment: Mapping[str, str]) -> list[str]:
    found = []
    for name, what in REDUCED.items():
        # that one is obeyed with either value
        if _is_on(environment, name) or (name == "NVIDIA_TF32_OVERRIDE" and environment.get(name)):
            found.append(f"{name} is {environment[name]}: it computes {what or 'float32 as bfloat16'}; unset it")
    return found


def _is_on(environment: Mapping[str, str], name: str) -> bool:
    return environment.get(name, "").strip().lower() not in _NOTHING
