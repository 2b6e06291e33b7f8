"""Processes end with the one that started them, however that ends: nothing works on unseen.

A killed launcher tells nobody. On Linux the kernel sends the signal (prctl, PR_SET_PDEATHSIG); elsewhere, and for a
launcher that is not the direct parent, a thread looks once a second.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping

import psutil

PR_SET_PDEATHSIG = 1
LOOK_SECONDS = 1.0
LAUNCHED = ("ACCELERATE_MIXED_PRECISION", "ACCELERATE_DYNAMO_BACKEND", "ACCELERATE_DYNAMO_MODE")
"""What `accelerate launch` always sets; nobody exports all of it by hand."""
ELASTIC = ("TORCHELASTIC_RUN_ID", "LOCAL_RANK")
"""What torchrun always sets."""
LAUNCHERS = ("accelerate", "accelerate-launch", "accelerate.commands.launch", "torchrun", "torch.distributed.run")
"""Words of a launcher's command line: a program, or a module after -m."""
STARTED_BY = "ANOMALY_PRETEXT_STARTED_BY"
"""Variable of processes that `launch.Processes` started: the number of the one that did."""
INIT = ("init", "systemd", "launchd", "tini", "dumb-init", "docker-init", "catatonit")
"""Who takes care of processes whose parent is gone, beside process 1."""


def end_with_parent(number: signal.Signals) -> None:
    """This process gets signal `number` as soon as its parent is gone, also where it went while we were loaded."""
    started_by = multiprocessing.parent_process()
    parent = os.getppid() if started_by is None or started_by.pid is None else started_by.pid
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number))
        if os.getppid() != parent:  # just before
            os.kill(os.getpid(), number)
        return
    try:
        _look_after([psutil.Process(parent)], number)
    except psutil.NoSuchProcess:
        os.kill(os.getpid(), number)


def end_with_launcher() -> None:
    """A command that `accelerate launch` or torchrun started gets SIGTERM when one of these is gone.

    Nothing for other commands: they outlive the shell that started them, as programs do.
    """
    if not was_launched(os.environ):
        return
    line = ancestors()
    numbers = [number for number, process in enumerate(line) if is_launcher(process)]
    if not numbers:
        if line and (line[0].pid == 1 or _name(line[0]) in INIT):  # it died while we were being loaded
            os.kill(os.getpid(), signal.SIGTERM)
        return
    watched = line[: max(numbers) + 1]
    if numbers[0] == 0:
        end_with_parent(signal.SIGTERM)
    if len(watched) > 1:
        _look_after(watched, signal.SIGTERM)


def was_launched(environment: Mapping[str, str]) -> bool:
    """Whether a launcher started this process."""
    return any(all(name in environment for name in names) for names in (LAUNCHED, ELASTIC))


def ancestors() -> list[psutil.Process]:
    """The parent, its parent, and so on."""
    try:
        return list(psutil.Process().parents())
    except psutil.Error:
        return []


def is_launcher(process: psutil.Process) -> bool:
    """Whether that is `accelerate launch`, torchrun, or a command of ours that started several of itself."""
    try:
        words = process.cmdline()[:6]
    except psutil.Error:
        return False
    return any(os.path.basename(word).removesuffix(".exe") in LAUNCHERS for word in words) or _started_several(process)


def _started_several(process: psutil.Process) -> bool:
    """`launch.start_cpu_processes` runs in the process that accelerate started."""
    return os.environ.get(STARTED_BY) == str(process.pid)


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return ""


def _look_after(watched: list[psutil.Process], number: signal.Signals) -> None:
    """Send us the signal when one of them is gone."""

    def look() -> None:
        while all(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in watched):
            time.sleep(LOOK_SECONDS)
        os.kill(os.getpid(), number)

    def look_safely() -> None:
        try:
            look()
        except psutil.Error:  # gone between two questions
            os.kill(os.getpid(), number)

    threading.Thread(target=look_safely, daemon=True).start()
