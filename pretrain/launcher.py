"""What `accelerate launch` was asked for, on its command line or in its configuration file, where it does not say so.

It hands most of that on as variables (`environment.py`). The number of processes on a CPU it drops: it spawns several
through MPI only (seen in 1.2 to 1.15), without MPI it runs a single one on each machine. A trace is left: MASTER_PORT
is set, WORLD_SIZE is not.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pretrain.errors import UserError
from pretrain.yaml_file import read_yaml

NAMES = ("accelerate", "accelerate-launch", "accelerate.commands.launch", "accelerate.commands.accelerate_cli")
"""Words of its command line that are followed by its flags: a program, or a module after -m."""

MOST_HERE = 4096
"""Processes of one machine; whoever asks for more mistyped."""
_NUMBERS = ("num_processes", "num_machines", "machine_rank")
_WHOLE = re.compile(r"-?[0-9]{1,9}")


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

    UserError where the file cannot be read, or the numbers cannot be: machines have the same number of processes.
    """
    from accelerate.commands.config.config_args import default_config_file
    from accelerate.commands.launch import launch_command_parser

    parser = launch_command_parser()
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            given, _ = parser.parse_known_args(_flags(command_line))
    except SystemExit:
        return None
    from_file = given.config_file is not None or (os.path.isfile(default_config_file) and not given.cpu)
    settings = _settings(Path(given.config_file or default_config_file)) if from_file else {}
    processes, machines, rank = (
        settings.get(name) if (said := getattr(given, name)) is None else int(said) for name in _NUMBERS
    )
    machines = machines or 1
    asked = Asked(machines if processes is None else processes, machines, rank or 0)
    _check(asked)
    return asked


def _settings(file: Path) -> dict[str, int]:
    """The numbers that a configuration file of Accelerate gives (YAML, of which JSON is a part). UserError."""
    found = {}
    for name, value in read_yaml(file).items():
        if name in _NUMBERS and value is not None:
            text = str(value)
            if isinstance(value, bool) or not _WHOLE.fullmatch(text):
                raise UserError(f"{name} of {file} is {text[:80]!r}; it must be a whole number")
            found[name] = int(text)
    return found


def _check(asked: Asked) -> None:
    if asked.machines < 1 or asked.processes < 1 or asked.processes % asked.machines or asked.here > MOST_HERE:
        raise UserError(
            f"accelerate launch was asked for {asked.processes} process(es) on {asked.machines} machine(s); "
            "num_processes counts those of all machines, and must be a multiple of their number, at most "
            f"{MOST_HERE:,} on each"
        )
    if not 0 <= asked.rank < asked.machines:
        raise UserError(
            f"accelerate launch was told that this is machine {asked.rank}, and there are {asked.machines}, counted "
            "from 0; mend machine_rank"
        )


def _flags(command_line: Sequence[str]) -> list[str]:
    """What follows the launcher's name, and the script with its own flags after that."""
    for index, word in enumerate(command_line):
        if os.path.basename(word).removesuffix(".exe") in NAMES:
            rest = list(command_line[index + 1 :])
            return rest[1:] if rest[:1] == ["launch"] else rest
    return []
