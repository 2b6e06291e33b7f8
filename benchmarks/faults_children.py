"""One piece of work in a forked child with bounded time and memory, and what became of it.

Importing the product takes ten seconds of CPU time; a child of a parent that has imported it starts at once. The
parent has no threads (`benchmarks/faults.py` sees to that), so that a fork is whole. Linux alone.
"""

from __future__ import annotations

import atexit
import faulthandler
import json
import os
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pretrain.cli import run_command
from pretrain.process_failure import NO_MEMORY

Kind = Literal["data", "message", "traceback", "silent", "hang", "memory", "crash"]
OUT_OF_MEMORY = ("MemoryError", "bad_alloc", "can't allocate memory", "Cannot allocate memory", "Unable to allocate")
POLL_SECONDS = 0.01
MARK = "FAULTS_CHILD"
"""Environment variable of every child, and of all that it starts: its process number."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a child may take."""

    cpu_seconds: int = 20
    wall_seconds: float = 60.0
    """The machine may be busy with other work; no child of ours is still at it then for a good reason."""
    idle_seconds: float | None = None
    """A child that takes no CPU time for so long waits for what never comes; None: it may wait."""
    memory_mb: int | None = 2048
    """On top of what the parent holds; None: unbounded."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a child."""

    kind: Kind
    """data: exit status 0. message: another one, with words. traceback: a Python exception reached the user. silent:
    another status without a word. hang, memory: a limit was reached. crash: a signal that nobody sent."""
    value: Any = None
    """What the work returned, as JSON."""
    status: int | None = None
    said: str = ""
    """All that was printed."""

    @property
    def last_words(self) -> str:
        """The last line that was printed: of a traceback, the exception."""
        lines = [line for line in self.said.splitlines() if line.strip()]
        return lines[-1].strip()[:300] if lines else ""


def run_child(work: Callable[[], Any], folder: Path, limits: Limits) -> Outcome:
    """Do `work` in a child that stands in `folder`, as a command is run: a UserError is a message and status 2.

    `work` returns an exit status (int or None), or anything else as JSON, which is an `Outcome`'s value.
    """
    log, answer = folder.parent / f"{folder.name}.log", folder.parent / f"{folder.name}.answer"
    answer.unlink(missing_ok=True)
    child = start_child(work, folder, limits, log, answer)
    code = wait_for(child, limits)
    return judge(code, log, answer)


def start_child(work: Callable[[], Any], folder: Path, limits: Limits, log: Path, answer: Path) -> int:
    """Fork; the child never returns. Its process number."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for target, source in ((0, nothing), (1, written), (2, written)):
            os.dup2(source, target)
        _as_at_a_start()
        os.chdir(folder)
        _bound(limits)
        _work(work, answer)
    finally:
        os._exit(70)


def _as_at_a_start() -> None:
    """Streams and signals as a process has them that was just started; a test runner may have changed both."""
    os.environ[MARK] = str(os.getpid())
    sys.excepthook, threading.excepthook = sys.__excepthook__, threading.__excepthook__
    faulthandler.disable()
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", closefd=False)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _bound(limits: Limits) -> None:
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    seconds = int(used) + limits.cpu_seconds + 1
    resource.setrlimit(
        resource.RLIMIT_CPU, (seconds, seconds + 5)
    )  # SIGXCPU first: SIGKILL is the kernel's, for memory
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if limits.memory_mb is not None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + limits.memory_mb * 2**20,) * 2)


def _work(work: Callable[[], Any], answer: Path) -> None:
    """Do it, leave the answer in a file, end the process as the interpreter would."""
    value: Any = None

    def command() -> int:
        nonlocal value
        value = work()
        return value if isinstance(value, int) else 0

    status: int | None = None
    try:
        run_command(command)
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:  # what the interpreter would print
        traceback.print_exc()
    answer.write_text(json.dumps({"status": status, "value": value}, default=str), encoding="utf-8")
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def wait_for(child: int, limits: Limits) -> int | None:
    """The child's status as `os.waitpid` has it; None where it had to be killed, with all of its session."""
    deadline = time.monotonic() + limits.wall_seconds
    busy, used = time.monotonic(), -1
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        if (now := cpu_ticks(child)) != used:
            busy, used = time.monotonic(), now
        elif limits.idle_seconds is not None and time.monotonic() > busy + limits.idle_seconds:
            break
        time.sleep(POLL_SECONDS)
    end_session(child)
    os.waitpid(child, 0)
    return None


def cpu_ticks(process: int) -> int:
    """CPU time that it has taken, all threads and dead children together."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15]))


def end_session(leader: int) -> None:
    """Kill whatever is left of the session that a child began."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


def judge(code: int | None, log: Path, answer: Path) -> Outcome:
    """The outcome of a child that ended with `code` (None: it had to be killed)."""
    said = log.read_text(encoding="utf-8", errors="replace")
    if code is None:
        return Outcome(kind="hang", said=said)
    number = os.WTERMSIG(code) if os.WIFSIGNALED(code) else None
    if number in (signal.SIGXCPU, signal.SIGKILL):
        return Outcome(kind="hang" if number == signal.SIGXCPU else "memory", said=said)
    content: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8")) if answer.exists() else {}
    status, value = content.get("status"), content.get("value")
    return Outcome(kind=_kind(number, status, said), value=value, status=status, said=said)


def _kind(number: int | None, status: int | None, said: str) -> Kind:
    broken = status is None or "Traceback (most recent call last)" in said
    if NO_MEMORY in said or (broken and any(text in said[-4000:] for text in OUT_OF_MEMORY)):
        return "memory"  # said in words or not: a file that asks for so much has to be refused before
    if number is not None:
        return "crash"
    if broken:
        return "traceback"
    if status == 0:
        return "data"
    return "message" if said.strip() else "silent"
