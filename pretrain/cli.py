"""Command lines: our own dataclasses as flags, a YAML file as flags in a file, errors as one message."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pretrain.addresses import GIVEN, print_redacted, redacted_threads
from pretrain.elastic import tell_agent
from pretrain.errors import OwnError, UserError
from pretrain.file_keys import check_keys
from pretrain.folder_lock import only_writer_in
from pretrain.interrupts import end_within, heeding_signals, leave_at_once
from pretrain.launch import silence_launcher, start_cpu_processes, started_by_us
from pretrain.parent import end_with_launcher
from pretrain.plain_output import plain_output, untouched_output
from pretrain.process_failure import LOST, LOST_STATUS, process_failure
from pretrain.renamed import refuse_renamed
from pretrain.wrong_flags import from_flags
from pretrain.yaml_file import read_configuration

Config = TypeVar("Config")

LEAVE_SECONDS = 20.0
"""How long a command has to end after a process of its own failed."""
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
    errno.ENOTEMPTY: "something else was written there meanwhile: choose another folder",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EIO: "the disk, or the way to it, has a fault: check it and run the same command again",
}
"""Errors of the user's disk and paths, not of the program -> the mend."""


def parse(config: type[Config], arguments: Sequence[str], prog: str, default: Config | None = None) -> Config:
    """Build `config` from `[FILE.yaml ...] [--flag value ...]`; what comes later wins.

    A YAML file holds the same keys as the flags, nested (`optim: {lr: 0.001}`). Wrong flags leave with exit status 2;
    an unknown key (`file_keys.py`), a wrong value, or a name that was changed (`renamed.py`), is a UserError.
    """
    flags: list[str] = []
    rest = list(arguments)
    while rest and rest[0].endswith((".yaml", ".yml")):
        flags += yaml_flags(Path(rest.pop(0)), config, prog)
    flags = GIVEN.arguments(flags + rest)  # errors of flags repeat them, addresses and passwords too
    refuse_renamed(flags, config)
    usage = f"{prog} [CONFIG.yaml ...]"
    with untouched_output():  # its help has colours
        return GIVEN.restored(from_flags(config, flags, usage, default))


def yaml_flags(path: Path, config: type[Any], prog: str) -> list[str]:
    """The flags that a YAML file stands for. UserError: it cannot be read, or has keys that `config` has not."""
    values = read_configuration(path)
    check_keys(values, config, prog, path)
    return flags_of(values)


def flags_of(values: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Nested (or dotted) keys and their values as flags."""
    flags: list[str] = []
    for key, value in values.items():
        name = f"{prefix}{key}".replace("_", "-")
        if isinstance(value, Mapping):
            flags += flags_of(value, f"{name}.")
        elif isinstance(value, bool):
            group, _, last = name.rpartition(".")
            flags.append(f"--{group}{'.' if group else ''}{'' if value else 'no-'}{last}")
        else:
            flags += [f"--{name}", *map(str, value if isinstance(value, (list, tuple)) else [value])]
    return flags


def run_script(
    prog: str,
    config: type[Config],
    command: Callable[[Config], int | None],
    arguments: Sequence[str] | None = None,
    *,
    several_processes: bool = False,
    writes: Callable[[Config], Path | None] = lambda config: None,
) -> NoReturn:
    """What every script does: parse, call `command`, leave with its exit status (None is 0).

    `arguments` default to those of the command line. `several_processes`: the script may be started with
    `accelerate launch --num_processes`, also on a CPU. `writes`: the folder that it fills, where it works alone in one
    process; nobody else may write there meanwhile (`folder_lock`). None: nothing is written, or it lies in what is not
    there. Commands of several processes see to it themselves.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)

    def parse_and_run() -> int | None:
        parsed = parse(config, given, prog)
        if several_processes and (status := start_cpu_processes()) is not None:
            return status
        folder = writes(parsed)
        with nullcontext() if folder is None else only_writer_in(folder):
            return command(parsed)

    run_command(parse_and_run)


def disk_problem(error: OSError) -> str | None:
    """What is wrong with the user's disk or path, with the mend; None for other errors."""
    if error.errno not in DISK_PROBLEMS:
        return None
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror}; {DISK_PROBLEMS[error.errno]}"


@plain_output()
def run_command(command: Callable[[], int | None]) -> NoReturn:
    """Run a command and leave with its exit status; a UserError becomes one message and exit status 2.

    Ctrl-C is one line and status 130. What a launcher started ends with the launcher. Nothing that is printed here
    repeats an address that the command was given (`pretrain.addresses`).
    """
    GIVEN.forget()
    end_with_launcher()
    with heeding_signals():
        status = _status_of(command)
    if status not in (0, 1):
        silence_launcher()
    if status and _is_connected():
        # the interpreter's own end would find threads of a connection that nobody closed, and abort (SIGABRT), which
        # hides why this process ends
        sys.stdout.flush()
        leave_at_once(status, "")
    sys.exit(status)


def _is_connected() -> bool:
    """Whether this process is connected to others of its run; PyTorch is not imported for it."""
    distributed = sys.modules.get("torch.distributed")
    return distributed is not None and distributed.is_available() and distributed.is_initialized()


def _status_of(command: Callable[[], int | None]) -> int:
    try:
        with redacted_threads():
            status = command() or 0
    except UserError as error:
        # several processes of one launch would all say the same
        _say(f"error: {error}", aloud=os.environ.get("LOCAL_RANK", "0") == "0" or isinstance(error, OwnError))
        if isinstance(error, OwnError):  # what hangs in a disk cannot be killed, and would keep us from ending
            end_within(LEAVE_SECONDS, 2, "")
        status = 2
    except SystemExit as error:  # wrong flags, --help: said by the parser
        if error.code is not None and not isinstance(error.code, int):
            raise
        status = error.code or 0
    except KeyboardInterrupt:
        if os.environ.get("LOCAL_RANK", "0") == "0":
            print("stopped by Ctrl-C", file=sys.stderr, flush=True)
        status = 128 + signal.SIGINT
    except (RuntimeError, MemoryError) as error:
        told = process_failure(f"{type(error).__name__}: {error}")
        if told is None:
            return _program_error(error)
        end_within(LEAVE_SECONDS, 2, "")
        is_lost = told == LOST
        # another one is to blame for a lost connection, which whoever started us tells
        _say(f"error: {told}", aloud=not (is_lost and started_by_us()), to_agent=not is_lost)
        status = LOST_STATUS if is_lost else 2
    except BrokenPipeError:  # `... | head`: whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 128 + signal.SIGPIPE
    except OSError as error:
        told = disk_problem(error)
        if told is None:
            return _program_error(error)
        _say(f"error: {told}")
        status = 2
    except Exception as error:
        status = _program_error(error)
    return status


def _say(text: str, *, aloud: bool = True, to_agent: bool = True) -> None:
    """What went wrong, without addresses: on stderr, and where torchrun's agent looks for it."""
    shown = GIVEN.redacted(text)
    if to_agent:
        tell_agent(shown)
    if aloud:
        print(shown, file=sys.stderr, flush=True)


def _program_error(error: Exception) -> int:
    """An error of the program keeps its traceback, but for addresses; the exit status."""
    _say("".join(traceback.format_exception(error)).rstrip(), aloud=False)
    if GIVEN:
        print_redacted(error)
    elif _is_connected():
        sys.excepthook(type(error), error, error.__traceback__)  # torch's, which names the rank
    else:
        raise error
    return 1
