"""`accelerate launch --cpu --num_processes N` starts one process without saying so; here the N are started."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

import psutil

from pretrain.errors import UserError


def start_cpu_processes(script: str, arguments: Sequence[str]) -> None:
    """Replace this process by torchrun with the number of processes that `accelerate launch --cpu` was asked for.

    Accelerate (seen in 1.2 to 1.15) spawns several CPU processes through MPI only; without MPI it runs a single one and
    drops `--num_processes`. It leaves a trace: MASTER_PORT is set, WORLD_SIZE is not. The number itself is only on its
    own command line. Returns when there is nothing to do.
    """
    if not dropped_processes(os.environ):
        return
    launcher = psutil.Process(os.getppid()).cmdline()
    count = asked_processes(launcher)
    if count is None:
        raise UserError(
            "accelerate launch was asked for several CPU processes and started one; it does not say how many: give "
            "--num_processes on its command line, or start with torchrun --nproc-per-node N pretrain.py ..."
        )
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(count)),
        *("--master-addr", os.environ["MASTER_ADDR"], "--master-port", os.environ["MASTER_PORT"], script, *arguments),
    ]
    sys.stdout.flush()
    os.execv(sys.executable, command)


def dropped_processes(environment: Mapping[str, str]) -> bool:
    """Did Accelerate drop a `--num_processes` above 1?"""
    on_cpu = environment.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true")
    alone = not any(
        name in environment for name in ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
    )
    return on_cpu and alone and "MASTER_PORT" in environment and "ACCELERATE_MIXED_PRECISION" in environment


def asked_processes(command_line: Sequence[str]) -> int | None:
    """The value of `--num_processes` in a launcher's command line."""
    for index, argument in enumerate(command_line):
        name, _, value = argument.replace("-", "_").partition("=")
        if name == "__num_processes":
            value = value or (command_line[index + 1] if index + 1 < len(command_line) else "")
            return int(value) if value.isdigit() else None
    return None
