"""kill -9 at every writer, at chosen writes and at random times; the same command again must end as if nothing was.

A chosen write: the child counts every file that is opened to be written, renamed or removed, every folder made or
removed in the world (`sys.addaudithook`: the product knows nothing of it), and kills itself right before the one that
was chosen. What is compared is everything that the command writes, beyond times (`faults_compare.py`).
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from benchmarks import faults_children as children
from benchmarks.faults_compare import differences, digests, files_below, temporary_files
from benchmarks.faults_folders import remove, sync
from benchmarks.faults_world import Writer
from pretrain.errors import UserError

LIMITS = children.Limits(cpu_seconds=200, wall_seconds=300, memory_mb=None)
WRITES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink"}
"""Audit events that change a disk; each happens before what it is named for."""
ATTEMPTS = 3
"""Times that a command is run again after its kill; one that needs more has not gone on."""
ORPHANS_SECONDS = 15.0
"""Processes of a killed run must have left by then."""


@dataclass(frozen=True, kw_only=True)
class Undisturbed:
    """One run of a writer that nothing disturbed."""

    seconds: float
    writes: tuple[str, ...]
    """Audit event of each."""
    files: dict[str, str]
    """Digests of all that it wrote."""


@dataclass(kw_only=True)
class Kill:
    """One kill and what came of it."""

    writer: str
    number: int
    how: str
    """`write 12 of 40`, or `after 0.31 s`."""
    problems: list[str] = field(default_factory=list)
    """What the run that went on left otherwise than the undisturbed one."""
    temporary: list[str] = field(default_factory=list)
    """Unfinished files that are left."""
    processes: int = 0
    """That outlived the kill."""

    @property
    def key(self) -> str:
        """What `--only` takes."""
        return f"kill:{self.writer}:{self.number}"

    @property
    def fell(self) -> bool:
        """Whether anything is wrong."""
        return bool(self.problems or self.temporary or self.processes)


def undisturbed(writer: Writer, root: Path) -> Undisturbed:
    """Run a writer once, count its writes; UserError where it fails."""
    started = time.monotonic()
    outcome = children.run_child(lambda: count_writes(writer, root), root, LIMITS)
    if outcome.kind != "data":
        raise UserError(f"{writer.name} failed with nothing disturbing it ({outcome.kind}):\n{outcome.said[-3000:]}")
    seconds = time.monotonic() - started
    writes = tuple((root.parent / "writes").read_text().split())
    return Undisturbed(seconds=seconds, writes=writes, files=digests(root, writer.outputs))


def count_writes(writer: Writer, root: Path) -> None:
    """The writer, its writes left in a file beside the world."""
    writes: list[str] = []
    watch_writes(root, writes.append)
    try:
        writer.run()
    finally:
        (root.parent / "writes").write_text("\n".join(writes))


def watch_writes(root: Path, each: Callable[[str], object]) -> None:
    """Call `each` with every change of the disk below `root`, before it happens, as long as this process lives."""
    top, own = str(root), os.getpid()

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in WRITES or not is_write(event, arguments) or os.getpid() != own:
            return  # reading processes that were forked from this one take the hook with them
        if os.path.abspath(place(arguments)).startswith(top):
            each(event)

    sys.addaudithook(look)


def place(arguments: tuple[Any, ...]) -> str:
    """The path that an audit event is about; what is no path is nowhere."""
    path = arguments[0]
    return os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else "/"


def is_write(event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether it changes the disk: files are opened for reading too."""
    flags = arguments[2] if event == "open" and len(arguments) > 2 else os.O_WRONLY
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def kill_at_write(writer: Writer, root: Path, number: int) -> None:
    """The writer, killed before its write of that number (from 1)."""
    left = number

    def count(_: str) -> None:
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    watch_writes(root, count)
    writer.run()


def try_kill(writer: Writer, whole: Undisturbed, root: Path, keep: Path, seed: int, number: int) -> Kill:
    """Kill, go on, compare; then the world is as it was, as `keep` has it."""
    rng = np.random.default_rng([seed, crc32(writer.name.encode()), number])
    for name in writer.outputs:
        remove(root / name)
    before = set(files_below(root))
    kill, work, seconds = plan(writer, whole, root, rng, number)
    kill.processes = run_and_kill(work, root, seconds)
    if number % 3 == 2:  # what goes on is killed as well
        again = float(rng.uniform(0, whole.seconds))
        kill.how += f", again after {again:.2f} s"
        kill.processes += run_and_kill(writer.run, root, again)
    kill.problems = go_on(writer, root)
    kill.problems += differences(whole.files, digests(root, writer.outputs))
    kill.temporary = temporary_files(root, before)
    sync(root, keep)
    return kill


def plan(
    writer: Writer, whole: Undisturbed, root: Path, rng: np.random.Generator, number: int
) -> tuple[Kill, Callable[[], None], float | None]:
    """What to do, and after how many seconds to kill it (None: it kills itself).

    Of four kills one is before a rename, where what was written has a temporary name, one before any write, two are at
    a time.
    """
    renames = [place for place, event in enumerate(whole.writes, start=1) if event == "os.rename"]
    if number % 2 == 0 and whole.writes:
        places = renames if number % 4 == 0 and renames else range(1, len(whole.writes) + 1)
        write = int(rng.choice(places))
        what = f"before write {write} of {len(whole.writes)} ({whole.writes[write - 1]})"
        kill = Kill(writer=writer.name, number=number, how=what)
        return kill, lambda: kill_at_write(writer, root, write), None
    seconds = float(rng.uniform(0, whole.seconds))
    return Kill(writer=writer.name, number=number, how=f"after {seconds:.2f} s"), writer.run, seconds


def run_and_kill(work: Callable[[], None], root: Path, seconds: float | None) -> int:
    """Run `work` in a child, kill -9 it (it alone) after so many seconds; how many of its processes did not leave."""
    log, answer = root.parent / "killed.log", root.parent / "killed.answer"
    child = children.start_child(work, root, LIMITS, log, answer)
    if seconds is not None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not is_over(child):
            time.sleep(children.POLL_SECONDS)
        os.kill(child, signal.SIGKILL)
    children.wait_for(child, LIMITS)
    return processes_left(child)


def is_over(child: int) -> bool:
    """Whether it has ended and nobody has asked for its status yet."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def processes_left(child: int) -> int:
    """Wait for what a child started; how many of it had to be killed."""
    deadline = time.monotonic() + ORPHANS_SECONDS
    while processes_of(child) and time.monotonic() < deadline:
        time.sleep(5 * children.POLL_SECONDS)
    left = processes_of(child)
    for process in left:
        os.kill(process, signal.SIGKILL)
    return len(left)


def processes_of(child: int) -> list[int]:
    """Processes of a child that are not over: of its session, or with its mark where they began one of their own."""
    found = []
    mark = f"{children.MARK}={child}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, _, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                marked = mark in (entry / "environ").read_bytes().split(b"\0")
            except OSError:  # it has just ended, or is somebody else's
                continue
            if state != "Z" and (int(session) == child or marked):
                found.append(int(entry.name))
    return found


def go_on(writer: Writer, root: Path) -> list[str]:
    """The same command until it is done; what went wrong with it."""
    said = ""
    for _ in range(ATTEMPTS):
        outcome = children.run_child(writer.run, root, LIMITS)
        if outcome.kind == "data":
            return []
        said = f"{outcome.kind}: {outcome.last_words}"
        if "is there already" in outcome.said:  # killed after it was done: what is there is compared
            return []
    return [f"does not go on ({said})"]
