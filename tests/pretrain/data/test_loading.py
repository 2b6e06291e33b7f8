"""Reading processes ignore SIGTERM while a run saves; they must still end with it."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest

from pretrain.process_failure import process_failure
from tests.paths import ROOT

SCRIPT = """
from torch.utils.data import Dataset
from pretrain.data.loading import load_batches

class Numbers(Dataset):
    def __getitem__(self, key):
        return key

kept = load_batches(Numbers(), [0, 1, 2], workers=2, pin_memory=False)
itself = [kept]
itself.append(itself)  # as a cycle would: nothing collects it before the interpreter ends
assert [next(kept) for _ in range(3)] == [0, 1, 2]
"""


def test_a_program_ends_though_its_reading_processes_were_never_told_to() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, timeout=60, check=False)
    assert done.returncode == 0


FAILING = """
import os, signal, sys, threading, time
import torch
from torch.utils.data import Dataset
from pretrain.cli import run_command
from pretrain import stalls
from pretrain.data import loading

stalls.STALL_SECONDS = stalls.POLL_SECONDS = 0.5

class Unsendable:
    def __reduce__(self):
        raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1_2>: No space left on device (28)")

def reset():
    time.sleep(0.4)
    raise ConnectionResetError(104, "Connection reset by peer")

class Reset:
    def __reduce__(self):
        return reset, ()

def die_slowly():  # as a process that the system takes down: its files are closed well before it can be waited for
    time.sleep(0.2)
    os.closerange(0, 256)
    time.sleep(0.8)
    os._exit(loading.FULL_SHARED_MEMORY)

class Videos(Dataset):
    def __getitem__(self, key):
        if key == 3:
            if sys.argv[1] == "dying":
                threading.Thread(target=die_slowly).start()
                return Reset()
            if sys.argv[1] == "stop":
                os.kill(os.getpid(), signal.SIGSTOP)
            if sys.argv[1] == "hang":
                os.read(os.pipe()[0], 1)
            if sys.argv[1] == "full":
                return Unsendable()
            os.kill(os.getpid(), getattr(signal, sys.argv[1], 0))
        return torch.zeros(1)

def read():
    for _ in loading.load_batches(Videos(), list(range(8)), workers=2, pin_memory=False):
        time.sleep(0.02)

run_command(read)
"""


@pytest.mark.parametrize(
    ("how", "told"),
    [
        (
            "SIGKILL",
            "a reading process was killed, by the system for lack of memory or by somebody: lower data.workers",
        ),
        ("SIGSEGV", "a reading process crashed (SIGSEGV), perhaps in the decoder: find the video with"),
        ("SIGBUS", "shared memory (/dev/shm) is full; make it larger (docker run --shm-size 8g)"),
        ("full", "shared memory (/dev/shm) is full; make it larger (docker run --shm-size 8g)"),
        ("dying", "shared memory (/dev/shm) is full; make it larger (docker run --shm-size 8g)"),
        ("stop", "no batch for 0 s, and nothing was done meanwhile: the disk or network"),
        ("hang", "no batch for 0 s, and nothing was done meanwhile: the disk or network"),
    ],
)
def test_a_reading_process_that_fails_or_hangs_ends_the_run_with_a_message(how: str, told: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FAILING, how], cwd=ROOT, timeout=60, check=False, capture_output=True, text=True
    )
    lines = [line.strip("\0") for line in done.stderr.splitlines() if "ERROR: Unexpected" not in line and line.strip()]
    assert done.returncode == 2, done.stderr
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    assert told in lines[0]
    assert "--resume" in lines[0]


def test_reading_processes_end_with_a_killed_run() -> None:
    script = SCRIPT + "import multiprocessing, time\n"
    script += "print(*(child.pid for child in multiprocessing.active_children()), flush=True)\ntime.sleep(60)\n"
    script = script.replace("for _ in range(3)] == [0, 1, 2]", "for _ in range(2)] == [0, 1]")
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        pids = [int(pid) for pid in run.stdout.readline().split()]
        assert len(pids) == 2
        run.kill()
        run.wait()
        end = time.monotonic() + 5
        while any(map(is_running, pids)):
            assert time.monotonic() < end
            time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_no_more_threads_is_a_message() -> None:
    told = process_failure("can't start new thread")
    assert told is not None
    assert "ulimit -u" in told


@pytest.mark.parametrize(
    "said",
    [
        "OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB",
        "RuntimeError: [enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: 9 bytes",
        "RuntimeError: could not create a primitive",
        "MemoryError: Unable to allocate 8.00 GiB for an array",
    ],
)
def test_no_more_memory_is_a_message(said: str) -> None:
    told = process_failure(said)
    assert told is not None
    assert "optim.batch_size" in told
