"""What `accelerate launch` was asked for, on its command line or in its configuration file, where it does not say so.

It hands most of that on as variables (`environment.py`). The number of processes on a CPU it drops: it spawns several
through MPI only (seen in 1.2 to 1.15), without MPI it runs a single one on each machine. A trace is left: MASTER_PORT
is set, WORLD_SIZE is not.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pretrain.errors import UserError

NAMES = ("accelerate", "accelerate-launch", "accelerate.commands.launch", "accelerate.commands.accelerate_cli")
"""Words of its command line that are followed by its flags: a program, or a module after -m."""


class Asked(NamedTuple):
    """How a run is spread, and which part of it this machine is."""

    processes: int
    """Over all machines."""
    machines: int = 1
    rank: int = 0
    """Of this machine."""

    @property
    def here(self) -> int:
        """Processes on this machine."""
        return self.processes // self.machines


def dropped_processes(environment: Mapping[str, str]) -> bool:
    """Was Accelerate asked for several processes, or machines, and started one without telling it of the others?"""
    alone = not any(
        name in environment for name in ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
    )
    return alone and "MASTER_PORT" in environment and "ACCELERATE_MIXED_PRECISION" in environment


def asked_processes(command_line: Sequence[str]) -> Asked | None:
    """What a launcher's command line asks for, and its configuration file where it says less; one process a machine
    where neither gives a number. None: that is no launcher's command line.

    UserError where machines cannot have the same number of processes.
    """
    from accelerate.commands.config.config_args import default_config_file, load_config_from_file
    from accelerate.commands.launch import launch_command_parser

    parser = launch_command_parser()
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            given, _ = parser.parse_known_args(_flags(command_line))
    except SystemExit:
        return None
    from_file = given.config_file is not None or (os.path.isfile(default_config_file) and not given.cpu)
    settings = load_config_from_file(given.config_file) if from_file else None
    values: list[Any] = [
        getattr(settings, name, None) if (said := getattr(given, name)) is None else said
        for name in ("num_processes", "num_machines", "machine_rank")
    ]
    machines = int(values[1] or 1)
    asked = Asked(machines if values[0] is None else int(values[0]), machines, int(values[2] or 0))
    if asked.machines < 1 or asked.processes % asked.machines:
        raise UserError(
            f"accelerate launch was asked for {asked.processes} process(es) on {asked.machines} machine(s); "
            "num_processes counts those of all machines, and must be a multiple of their number"
        )
    return asked


def _flags(command_line: Sequence[str]) -> list[str]:
    """What follows the launcher's name, and the script with its own flags after that."""
    for index, word in enumerate(command_line):
        if os.path.basename(word).removesuffix(".exe") in NAMES:
            rest = list(command_line[index + 1 :])
            return rest[1:] if rest[:1] == ["launch"] else rest
    return []
