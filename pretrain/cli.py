"""Command lines: our own dataclasses as flags, a YAML file as flags in a file, errors as one message."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import tyro

from pretrain.errors import UserError
from pretrain.launch import start_cpu_processes
from pretrain.renamed import refuse_renamed
from pretrain.yaml_file import read_yaml

Config = TypeVar("Config")

_OTHER_FOLDER = "choose another folder, or mend its permissions"
DISK_PROBLEMS = {
    errno.ENOSPC: "free some space and run the same command again",
    errno.EFBIG: "the file would be larger than the disk's format or a limit (ulimit -f) allows: choose another disk",
    errno.EDQUOT: "free some space and run the same command again",
    errno.EROFS: _OTHER_FOLDER,
    errno.EACCES: _OTHER_FOLDER,
    errno.EPERM: _OTHER_FOLDER,
    errno.ENOTDIR: "a file is where a folder should be: choose another path",
    errno.EEXIST: "a file is where a folder should be: choose another path",
    errno.EISDIR: "a folder is where a file should be: choose another path",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EIO: "the disk, or the way to it, has a fault: check it and run the same command again",
}
"""Errors of the user's disk and paths, not of the program -> the mend."""


def parse(config: type[Config], arguments: Sequence[str], prog: str, default: Config | None = None) -> Config:
    """Build `config` from `[FILE.yaml ...] [--flag value ...]`; what comes later wins.

    A YAML file holds the same keys as the flags, nested (`optim: {lr: 0.001}`); an unknown key is an error with a
    suggestion, like an unknown flag. Wrong flags leave with exit status 2; a wrong value, or a name that was changed
    (`renamed.py`), is a UserError.
    """
    flags: list[str] = []
    rest = list(arguments)
    while rest and rest[0].endswith((".yaml", ".yml")):
        flags += yaml_flags(Path(rest.pop(0)))
    flags += rest
    refuse_renamed(flags, config)
    usage = f"{prog} [CONFIG.yaml ...]"
    if default is None:
        return tyro.cli(config, prog=usage, args=flags)
    return tyro.cli(config, prog=usage, args=flags, default=default)


def yaml_flags(path: Path) -> list[str]:
    """The flags that a YAML file stands for."""
    return flags_of(read_yaml(path))


def flags_of(values: dict[str, Any], prefix: str = "") -> list[str]:
    """Nested (or dotted) keys and their values as flags."""
    flags: list[str] = []
    for key, value in values.items():
        name = f"{prefix}{key}".replace("_", "-")
        if isinstance(value, dict):
            flags += flags_of(value, f"{name}.")
        elif isinstance(value, bool):
            group, _, last = name.rpartition(".")
            flags.append(f"--{group}{'.' if group else ''}{'' if value else 'no-'}{last}")
        else:
            flags += [f"--{name}", *map(str, value if isinstance(value, list) else [value])]
    return flags


def run_script(
    prog: str,
    config: type[Config],
    command: Callable[[Config], int | None],
    arguments: Sequence[str] | None = None,
    *,
    several_processes: bool = False,
) -> NoReturn:
    """What every script does: parse, call `command`, leave with its exit status (None is 0).

    `arguments` default to those of the command line. `several_processes`: the script may be started with
    `accelerate launch --num_processes`, also on a CPU.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)

    def parse_and_run() -> int | None:
        parsed = parse(config, given, prog)
        if several_processes:
            start_cpu_processes(sys.argv[0], given)
        return command(parsed)

    run_command(parse_and_run)


def run_command(command: Callable[[], int | None]) -> NoReturn:
    """Run a command and leave with its exit status; a UserError becomes one message and exit status 2."""
    try:
        status = command() or 0
    except UserError as error:
        # several processes of one launch would all say the same
        if os.environ.get("LOCAL_RANK", "0") == "0":
            print(f"error: {error}", file=sys.stderr, flush=True)
        status = 2
    except BrokenPipeError:  # `... | head`: whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 128 + signal.SIGPIPE
    except OSError as error:
        if error.errno not in DISK_PROBLEMS:
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}{error.strerror}; {DISK_PROBLEMS[error.errno]}", file=sys.stderr, flush=True)
        status = 2
    sys.exit(status)
