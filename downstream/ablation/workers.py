"""Worker processes: started once, given one run after another, stopped in order."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import torch

STOP_SECONDS = 60.0
"""How long a run has to save its state after it was asked to stop."""


class Stopped(Exception):
    """SIGINT or SIGTERM reached this process."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Job(NamedTuple):
    """One run: a fine-tuning configuration with a single seed."""

    cell: str
    seed: int
    settings: dict[str, Any]
    log: Path


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Inside, SIGINT and SIGTERM raise `Stopped`."""

    def raise_it(number: int, _frame: FrameType | None) -> None:
        raise Stopped(number)

    before = {number: signal.signal(number, raise_it) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def environments(device: str, per_gpu: int, workers: int | None, jobs: int) -> list[dict[str, str]]:
    """What each worker's environment adds: one thread on a CPU; its share of the threads, and its GPU, on GPUs."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    gpus = visible_gpus() if device != "cpu" else []
    count = max(1, min(workers or (len(gpus) * per_gpu if gpus else cores), jobs))
    if not gpus:
        return [{"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}] * count
    threads = str(max(1, cores // count))
    return [{"OMP_NUM_THREADS": threads, "CUDA_VISIBLE_DEVICES": gpus[i % len(gpus)]} for i in range(count)]


def visible_gpus() -> list[str]:
    """Names of the GPUs as CUDA_VISIBLE_DEVICES has them; empty without CUDA."""
    if not torch.cuda.is_available():
        return []
    listed = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return listed or [str(index) for index in range(torch.cuda.device_count())]


class Worker:
    """One process and the run it is at."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.job: Job | None = None
        root = str(Path(__file__).resolve().parents[__name__.count(".")])  # what our packages are imported from
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | environment,
            start_new_session=True,  # Ctrl-C reaches us alone: we ask the workers, once
        )

    def give(self, job: Job) -> None:
        """Begin a run; a worker that is gone is found out when its answer is read."""
        self.job = job
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps({"config": job.settings, "log": str(job.log)}) + "\n")
            self.process.stdin.flush()

    def answer(self) -> tuple[int, str | None]:
        """(status, error) of the run; also where the process died without a word."""
        assert self.process.stdout is not None
        assert self.job is not None
        line = self.process.stdout.readline()
        if line:
            reply = json.loads(line)
            return reply["status"], reply["error"]
        return 1, f"the process ended with status {self.process.wait()}:\n{last_lines(self.job.log)}"

    def close(self) -> None:
        """No more runs: the process leaves after the one that it is at."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()


def run_jobs(
    jobs: Sequence[Job], environments: Sequence[dict[str, str]]
) -> Generator[tuple[Job, int, str | None], None, None]:
    """Every run with its exit status and error, as they end. When left early, by `Stopped` too, runs are stopped."""
    waiting = list(jobs)[::-1]
    workers: list[Worker] = []
    with selectors.DefaultSelector() as selector:

        def start(environment: dict[str, str]) -> None:
            worker = Worker(environment)
            workers.append(worker)
            selector.register(worker.process.stdout, selectors.EVENT_READ, worker)  # type: ignore[arg-type]
            worker.give(waiting.pop())

        try:
            for environment in environments[: len(jobs)]:
                start(environment)
            while any(worker.job for worker in workers):
                for key, _ in selector.select():
                    worker: Worker = key.data
                    job = worker.job
                    status, error = worker.answer()
                    assert job is not None
                    worker.job = None
                    alive = worker.process.poll() is None
                    if not alive or not waiting:
                        selector.unregister(key.fileobj)
                        worker.close()
                    if waiting:
                        worker.give(waiting.pop()) if alive else start(worker.environment)
                    yield job, status, error
        finally:
            stop(workers)


def stop(workers: Sequence[Worker]) -> None:
    """Ask runs to save their state and leave; after `STOP_SECONDS`, or a second signal, they are killed."""
    for worker in workers:
        if worker.job is not None and worker.process.poll() is None:
            worker.process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    try:
        for worker in workers:
            worker.close()
            worker.process.wait(max(0.1, deadline - time.monotonic()))
    except (subprocess.TimeoutExpired, Stopped):
        for worker in workers:
            worker.process.kill()
            worker.process.wait()
    for worker in workers:
        assert worker.process.stdout is not None
        worker.process.stdout.close()


def last_lines(file: Path, count: int = 5) -> str:
    """The last lines of a run's output; empty where it wrote none."""
    if not file.exists():
        return ""
    return "\n".join(file.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-count:])
