"""What accelerate's command line and configuration files ask for: it is done, or refused in one message."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from accelerate.commands import launch as commands
from accelerate.commands.config import config_args
from accelerate.utils.launch import prepare_multi_gpu_env, prepare_simple_launcher_cmd_env

from pretrain.accelerator import check_device, started_for_gpus
from pretrain.environment import check_environment, precision_of
from pretrain.errors import UserError
from pretrain.launch import MEETING, environment, start_cpu_processes
from pretrain.launcher import Asked, asked_processes, dropped_processes

FILE: dict[str, Any] = {
    "compute_environment": "LOCAL_MACHINE", "distributed_type": "NO", "mixed_precision": "no", "num_processes": 1,
    "num_machines": 1, "machine_rank": 0, "main_training_function": "main", "use_cpu": False, "debug": False,
    "rdzv_backend": "static", "same_network": True, "downcast_bf16": "no", "enable_cpu_affinity": False,
    "tpu_use_cluster": False, "tpu_use_sudo": False, "tpu_env": [],
}  # fmt: skip
"""What `accelerate config` writes for one process on one machine."""
OF_CPUS = {"distributed_type": "MULTI_CPU", "use_cpu": True, "num_processes": 2}
OF_GPUS = {"distributed_type": "MULTI_GPU", "num_processes": 2, "gpu_ids": "all"}
FSDP = {"fsdp_version": 2, "fsdp_reshard_after_forward": True, "fsdp_state_dict_type": "FULL_STATE_DICT"}


@pytest.fixture(autouse=True)
def no_files_of_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (commands, config_args):
        monkeypatch.setattr(module, "default_config_file", str(tmp_path / "none.yaml"))


def command_line(tmp_path: Path, settings: dict[str, Any], *flags: str) -> list[str]:
    """`accelerate launch` with a configuration file of these settings, as a process's command line."""
    file = tmp_path / "launcher.yaml"
    file.write_text(yaml.safe_dump(FILE | settings))
    return [
        "python",
        "/venv/bin/accelerate",
        "launch",
        "--config_file",
        str(file),
        *flags,
        "pretrain.py",
        "--seed",
        "3",
    ]


def environment_of(command: list[str]) -> dict[str, str]:
    """What accelerate itself hands on to what it starts, by that command line."""
    args = commands.launch_command_parser().parse_args(command[3:])
    args, *_ = commands._validate_launch_command(args)
    if (args.multi_gpu or args.use_fsdp or args.use_megatron_lm) and not args.cpu:
        elastic = {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": str(args.num_processes), "LOCAL_RANK": "0"}
        return dict(prepare_multi_gpu_env(args)) | elastic  # of its torchrun
    return dict(prepare_simple_launcher_cmd_env(args)[1])


@pytest.mark.parametrize(
    ("settings", "flags", "asked"),
    [
        (OF_CPUS, [], Asked(2)),
        (OF_CPUS, ["--num_processes", "4"], Asked(4)),
        (OF_CPUS, ["--num-processes=4"], Asked(4)),
        ({"num_processes": 2}, [], Asked(2)),
        (
            OF_CPUS | {"num_processes": 4, "num_machines": 2, "machine_rank": 1, "main_process_ip": "10.0.0.1"},
            ["--main_process_port", "29700"],
            Asked(4, 2, 1),
        ),
    ],
)
def test_processes_that_accelerate_drops_are_counted(
    tmp_path: Path, settings: dict[str, Any], flags: list[str], asked: Asked
) -> None:
    command = command_line(tmp_path, settings, *flags)
    assert dropped_processes(environment_of(command))
    assert asked_processes(command) == asked


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("num_processes: many\n", "num_processes of .*launcher.yaml is 'many'; it must be a whole number"),
        ("num_processes: [2]\n", r"num_processes of .*launcher.yaml is '\[2\]'; it must be a whole number"),
        ("num_machines: true\n", "num_machines of .*launcher.yaml is 'True'; it must be a whole number"),
        ("num_processes: 2.5\n", "num_processes of .*launcher.yaml is '2.5'; it must be a whole number"),
        (f"num_processes: '{'9' * 5000}'\n", "it must be a whole number"),
        ("num_processes: -3\n", r"asked for -3 process\(es\) on 1 machine\(s\)"),
        ("num_processes: 100000000\n", r"asked for 100000000 process\(es\)"),
        ("num_processes: 4\nnum_machines: 2\nmachine_rank: 2\n", "this is machine 2, and there are 2, counted from 0"),
        ("num_processes: 4\nnum_machines: 2\nmachine_rank: -1\n", "this is machine -1"),
        ("- 1\n", "holds a list"),
        ("a: [\n", "is not YAML"),
        ("a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
            f"{name}: &{name} [{', '.join(f'*{before}' for _ in range(9))}]\n"
            for before, name in zip("abcdefgh", "bcdefghi", strict=True)
        ), "launcher.yaml"),
    ],
)  # fmt: skip
def test_a_configuration_file_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, message: str) -> None:
    command = command_line(tmp_path, {})
    (tmp_path / "launcher.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        asked_processes(command)


def test_numbers_that_a_file_does_not_say_are_those_of_one_process_a_machine(tmp_path: Path) -> None:
    command = command_line(tmp_path, {})
    (tmp_path / "launcher.yaml").write_text("num_machines: '3'\nmachine_rank:\n")
    assert asked_processes(command) == Asked(3, 3, 0)
    (tmp_path / "launcher.json").write_text(json.dumps(FILE | {"num_processes": 2}))
    command[4] = str(tmp_path / "launcher.json")
    assert asked_processes(command) == Asked(2)


def test_one_process_is_what_it_is() -> None:
    asked = {"ACCELERATE_USE_CPU": "True", "MASTER_PORT": "29500", "ACCELERATE_MIXED_PRECISION": "no"}
    assert dropped_processes(asked)
    assert not dropped_processes(asked | {"WORLD_SIZE": "2"})
    assert not dropped_processes({"ACCELERATE_USE_CPU": "True", "ACCELERATE_MIXED_PRECISION": "no"})
    assert not dropped_processes({})
    module = ["python", "-m", "accelerate.commands.launch"]
    assert asked_processes([*module, "--cpu", "--num_processes", "2", "-m", "package", "pretrain"]) == Asked(2)
    assert asked_processes([*module, "pretrain.py", "--num_processes", "9"]) == Asked(1), "that flag is the script's"
    assert asked_processes([*module, "--num_machines", "2", "--machine_rank", "1", "pretrain.py"]) == Asked(2, 2, 1)
    assert asked_processes(["bash", "-c", "pretrain.py"]) is None


def test_the_users_default_file_counts_unless_cpu_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "default.yaml").write_text(yaml.safe_dump(FILE | OF_CPUS | {"num_processes": 3}))
    for module in (commands, config_args):
        monkeypatch.setattr(module, "default_config_file", str(tmp_path / "default.yaml"))
    assert asked_processes(["accelerate", "launch", "pretrain.py"]) == Asked(3)
    assert asked_processes(["accelerate", "launch", "--cpu", "pretrain.py"]) == Asked(1)


def test_machines_with_unlike_numbers_are_refused(tmp_path: Path) -> None:
    command = command_line(tmp_path, OF_CPUS | {"num_processes": 3, "num_machines": 2})
    with pytest.raises(UserError, match=r"3 process\(es\) on 2 machine\(s\); num_processes counts those of all"):
        asked_processes(command)


@pytest.mark.parametrize(
    ("settings", "flags", "precision"),
    [
        ({}, [], "fp32"),
        ({"mixed_precision": "bf16"}, [], "bf16"),
        (OF_CPUS | {"mixed_precision": "fp16"}, [], "fp16"),
        (OF_GPUS | {"mixed_precision": "fp16"}, [], "fp16"),
        ({"mixed_precision": "bf16"}, ["--mixed_precision", "no"], "fp32"),
    ],
)
def test_the_launcher_decides_the_precision(
    tmp_path: Path, settings: dict[str, Any], flags: list[str], precision: str
) -> None:
    environment = environment_of(command_line(tmp_path, settings, *flags))
    decided = precision_of(None, environment)
    assert decided == precision
    check_environment(environment, precision=decided)
    other = precision_of("bf16" if precision == "fp16" else "fp16", environment)
    assert other != precision
    if precision == "fp32":  # `no` is what it says where nobody asked
        check_environment(environment, precision=other)
    else:
        with pytest.raises(UserError, match=r"--mixed_precision no.*own holds; or, training, leave --precision out"):
            check_environment(environment, precision=other)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"distributed_type": "FSDP", "num_processes": 2, "fsdp_config": FSDP}, "not with FSDP: choose that in"),
        ({"distributed_type": "FSDP", "num_processes": 2, "fsdp_config": FSDP, "use_cpu": True}, "is 0.5 GB here"),
        (
            {"distributed_type": "MEGATRON_LM", "num_processes": 2, "megatron_lm_config": {"megatron_lm_tp_degree": 1}},
            "not with Megatron-LM",
        ),
        ({"dynamo_config": {"dynamo_backend": "INDUCTOR"}}, "launch --dynamo_backend no; pretraining compiles with"),
        ({"mixed_precision": "fp8"}, "the launcher may say no, bf16 or fp16"),
    ],
)
def test_what_this_program_has_not_is_refused(
    tmp_path: Path, settings: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accelerate.utils.launch.is_fp8_available", lambda: True)
    environment = environment_of(command_line(tmp_path, settings))
    with pytest.raises(UserError) as error:
        check_environment(environment, precision=precision_of(None, environment))
    assert told in str(error.value)
    assert len(str(error.value).splitlines()) == 2


def test_compiling_that_both_want_is_no_disagreement(tmp_path: Path) -> None:
    command = command_line(tmp_path, {"dynamo_config": {"dynamo_backend": "INDUCTOR"}})
    check_environment(environment_of(command), compiled=True)


def test_gpus_that_are_not_there_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(os, "environ", environment_of(command_line(tmp_path, OF_GPUS)))
    with pytest.raises(UserError, match=r"several GPUs \(--multi_gpu.* no CUDA device here: give it --cpu"):
        check_device("auto")
    check_device("cpu")
    monkeypatch.setattr(os, "environ", environment_of(command_line(tmp_path, OF_CPUS | {"mixed_precision": "fp16"})))
    with pytest.raises(UserError, match=r"precision is fp16 .*needs a GPU, and none is used here: say bf16, or fp32"):
        check_device("auto", precision_of(None, os.environ))


def test_processes_that_would_share_a_gpu_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = command_line(tmp_path, {"num_processes": 2})
    monkeypatch.setattr(os, "environ", environment_of(command))
    monkeypatch.setattr("psutil.Process.cmdline", lambda _: command)
    monkeypatch.setattr("pretrain.launch.has_gpu", lambda: True)
    with pytest.raises(UserError, match="asked for 2 processes and started one: give it --multi_gpu"):
        start_cpu_processes()


def test_every_machine_starts_its_own_ranks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    machines = [
        [environment(local, Asked(4, 2, machine), tmp_path / "meeting") for local in (0, 1)] for machine in (0, 1)
    ]
    ranks = [[(one["RANK"], one["LOCAL_RANK"], one["WORLD_SIZE"]) for one in machine] for machine in machines]
    assert ranks == [[("0", "0", "4"), ("1", "1", "4")], [("2", "0", "4"), ("3", "1", "4")]]
    assert not any(MEETING in one for machine in machines for one in machine), "a file is of one machine"
    assert environment(1, Asked(2), tmp_path / "meeting")[MEETING].startswith("file://")


def test_processes_for_gpus_are_told_from_others(tmp_path: Path) -> None:
    assert started_for_gpus(environment_of(command_line(tmp_path, OF_GPUS)))
    assert not started_for_gpus(environment_of(command_line(tmp_path, OF_CPUS)))
    assert not started_for_gpus({"TORCHELASTIC_RUN_ID": "none", "LOCAL_RANK": "0"}), "torchrun"
    assert not started_for_gpus(dict(os.environ))
