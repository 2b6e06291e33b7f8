"""Settings that are chosen for people who said none: a run that finishes on the machine that there is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pretrain.cli import parse
from pretrain.config import PretrainConfig
from pretrain.launch import has_gpu

CPU_FILE = Path(__file__).parent / "cpu.yaml"
"""Flags in a file, as any other configuration."""


def with_preset(parsed: PretrainConfig, arguments: Sequence[str], prog: str) -> PretrainConfig:
    """What was parsed, with the CPU preset below the arguments where that is asked for, or nothing was said.

    `--preset auto` takes it where no GPU is to be used and no configuration file was given; going on with a run, where
    that run has it. Whatever stands in `arguments` wins over the preset.
    """
    if parsed.preset == "auto":
        parsed = replace(parsed, preset=_chosen(parsed, arguments))
    if parsed.preset != "cpu":
        return parsed
    return parse(PretrainConfig, [str(CPU_FILE), *arguments, "--preset", "cpu"], prog)


def cpu_settings() -> PretrainConfig:
    """The CPU preset with nothing over it, for those who call `pretrain` themselves."""
    return parse(PretrainConfig, [str(CPU_FILE)], "preset")


def preset_words(config: PretrainConfig) -> str:
    """One line on the CPU preset, naming what it chose; nothing for other settings."""
    if config.preset != "cpu":
        return ""
    network, optim = config.backbone, config.optim
    why = "no CUDA device is used" if not has_gpu() or config.device == "cpu" else "asked for"
    return (
        f"preset cpu ({why}): {network.name}, {optim.steps} steps of {optim.batch_size} windows, peak learning rate "
        f"{optim.lr:g}; a flag changes each, --preset gpu takes the other: {_other()}\n"
    )


def _other() -> str:
    other = PretrainConfig()
    return f"{other.optim.steps} steps of {other.optim.batch_size}"


def _chosen(parsed: PretrainConfig, arguments: Sequence[str]) -> Literal["cpu", "gpu"]:
    """`cpu` or `gpu`, where neither was asked for."""
    if parsed.resume:
        from pretrain.run_folder import CONFIG_FILE, read_saved  # loads PyTorch, which `--help` does without

        saved = parsed.output / CONFIG_FILE
        if saved.is_file():
            return "cpu" if read_saved(saved).get("preset") == "cpu" else "gpu"
    by_file = bool(arguments) and arguments[0].endswith((".yaml", ".yml"))
    on_cpu = parsed.device == "cpu" or os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true")
    return "cpu" if not by_file and (on_cpu or not has_gpu()) else "gpu"
