"""`accelerate launch --cpu` as users start it: its end is ours, and what happens to one process is told in a line."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from pretrain.launch import told_end
from pretrain.process_failure import LOST_STATUS
from tests.paths import ROOT

SCRIPT = """
import os, sys, time
from dataclasses import dataclass
from pretrain.cli import run_script
from pretrain.errors import UserError

@dataclass(frozen=True)
class Config:
    fail: int = -1

def command(config):
    from pretrain.accelerator import make_accelerator
    from pretrain.stopping import StopRequest
    accelerator = make_accelerator("cpu", "fp32")
    stop = StopRequest(accelerator.device)
    rank = accelerator.process_index
    print("ready", rank, os.getpid(), flush=True)
    if config.fail == 2:
        raise UserError("the limit is 3")
    while not (number := stop.agreed(accelerator)):
        if rank == config.fail:
            raise ZeroDivisionError
        time.sleep(0.05)
    print("saved", rank, flush=True)
    return 128 + number

run_script("script.py", Config, command, several_processes=True)
"""
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}


CONFIG_FILE = """
compute_environment: LOCAL_MACHINE
distributed_type: MULTI_CPU
use_cpu: true
mixed_precision: 'no'
num_processes: 2
num_machines: 1
"""
"""As `accelerate config` writes it for two CPU processes, in short."""


@contextmanager
def launched(
    folder: Path, *flags: str, processes: int = 2, by_file: bool = False
) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A launcher and the process ids of its ranks, once all are at work; everything is gone afterwards.

    `by_file`: it is asked by a configuration file, for a module.
    """
    (folder / "script.py").write_text(SCRIPT)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    (folder / "launcher.yaml").write_text(CONFIG_FILE)
    asked = ("--cpu", "--num_processes", str(processes), "--num_machines", "1", "--mixed_precision", "no")
    command = [
        *(sys.executable, "-m", "accelerate.commands.launch", "--main_process_port", port, "--dynamo_backend", "no"),
        *(("--config_file", str(folder / "launcher.yaml"), "-m", "script") if by_file else asked),
        *(() if by_file else (str(folder / "script.py"),)),
        *flags,
    ]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    here = {"cwd": folder, "env": ENVIRONMENT, "text": True, "start_new_session": True}
    with subprocess.Popen(command, **here, **pipes) as launcher:
        assert launcher.stdout is not None
        pids: dict[int, int] = {}
        try:
            while len(pids) < processes and (words := launcher.stdout.readline().split()):
                if words[0] == "ready":
                    pids[int(words[1])] = int(words[2])
            yield launcher, [pids[rank] for rank in sorted(pids)]
        finally:
            for process in psutil.process_iter(["cmdline"]):
                if process.pid in pids.values() or str(folder / "script.py") in (process.info["cmdline"] or []):
                    process.kill()


def wait_until_gone(pids: list[int], seconds: float) -> None:
    end = time.monotonic() + seconds
    while any(map(psutil.pid_exists, pids)):
        assert time.monotonic() < end, f"{[pid for pid in pids if psutil.pid_exists(pid)]} work on"
        time.sleep(0.1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_stopping_the_launcher_stops_the_run_which_saves(tmp_path: Path, number: signal.Signals) -> None:
    with launched(tmp_path) as (launcher, pids):
        parents = [psutil.Process(pid).ppid() for pid in pids]
        launcher.send_signal(number)
        wait_until_gone([*pids, *parents], 15)
        assert launcher.stdout is not None
        assert sorted(launcher.stdout.read().split()) == ["0", "1", "saved", "saved"]


def test_a_killed_process_is_told_in_one_line(tmp_path: Path) -> None:
    with launched(tmp_path) as (launcher, pids):
        os.kill(pids[1], signal.SIGKILL)
        _, err = launcher.communicate(timeout=20)
        assert launcher.returncode != 0
        assert len(err.splitlines()) == 1, err
        assert err.startswith("error: process 2 of 2 was killed by SIGKILL (for lack of memory, or by somebody)")
        wait_until_gone(pids, 5)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="gloo is told the loopback's name on Linux alone")
def test_nothing_listens_beyond_this_machine(tmp_path: Path) -> None:
    with launched(tmp_path) as (_, pids):
        family = [*pids, *(psutil.Process(pid).ppid() for pid in pids)]
        open_to = {
            connection.laddr.ip
            for pid in family
            for connection in psutil.Process(pid).net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        }
        assert open_to == {"127.0.0.1"}  # gloo's own; no store of torch's listens


def test_a_users_mistake_is_told_once(tmp_path: Path) -> None:
    with launched(tmp_path, "--fail", "2") as (launcher, _):
        _, err = launcher.communicate(timeout=20)
        assert (launcher.returncode != 0, err) == (True, "error: the limit is 3\n")


def test_a_fault_of_one_process_has_its_own_traceback_and_a_line(tmp_path: Path) -> None:
    """Asked by a configuration file, for a module: as an installed package is started."""
    with launched(tmp_path, "--fail", "1", by_file=True) as (launcher, _):
        _, err = launcher.communicate(timeout=20)
        assert err.count("Traceback") == 1
        assert "ZeroDivisionError" in err
        assert (
            err.splitlines()[-1] == "error: process 2 of 2 failed (exit status 1), see above; the others were stopped"
        )


@pytest.mark.parametrize(
    ("ended", "asked", "status", "told"),
    [
        ({0: 0, 1: 0}, None, 0, ""),
        ({0: 1, 1: 1}, None, 1, ""),
        ({1: 2, 0: 2}, None, 2, ""),
        ({0: LOST_STATUS, 1: -9}, None, 137, "process 2 of 2 was killed by SIGKILL"),
        ({1: -11, 0: LOST_STATUS}, None, 139, "process 2 of 2 was killed by SIGSEGV"),
        ({1: 1, 0: LOST_STATUS}, None, 2, "process 2 of 2 failed (exit status 1)"),
        ({0: 143, 1: 143}, signal.SIGTERM, 143, ""),
        ({0: -15, 1: -15}, signal.SIGTERM, 143, "stopped by SIGTERM"),
        ({0: 0, 1: 0}, signal.SIGTERM, 0, ""),
    ],
)
def test_how_the_whole_ended(
    ended: dict[int, int], asked: int | None, status: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told_end(ended, asked) == status
    err = capsys.readouterr().err
    assert told in err
    assert len(err.splitlines()) == bool(told)
