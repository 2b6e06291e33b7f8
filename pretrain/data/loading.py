"""Batches read ahead by processes of their own, which end with the run whatever ends it.

A reading process that dies, cannot hand over what it read, or does not move any more ends the run with a message: it
never hangs it.
"""

from __future__ import annotations

import atexit
import multiprocessing
import multiprocessing.queues
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, Generic, TypeVar

import psutil
import torch
from torch.utils.data import DataLoader, Dataset

from pretrain.errors import OwnError
from pretrain.interrupts import end_within, note_progress
from pretrain.parent import end_with_parent
from pretrain.process_failure import FULL_SHARED_MEMORY

Batch = TypeVar("Batch")

POLL_SECONDS = 2.0
"""How often a wait for a batch looks around."""
STALL_SECONDS = 120.0
"""The run ends where no batch came for so long and the reading processes did nothing meanwhile."""
STALL_CPU_SECONDS, STALL_BYTES = 0.5, 1 << 16
"""Doing less than both, by all reading processes together, is nothing: waiting takes a little too."""
LEAVE_SECONDS = 20.0
"""How long the end may take then: a process that hangs in a disk cannot be killed."""


def load_batches(dataset: Dataset[Batch], keys: Sequence[Any], workers: int, pin_memory: bool) -> Iterator[Batch]:
    """Batches by key, in the keys' order, read ahead by `workers` processes (0: in this one).

    The iterator raises RuntimeError where a reading process died (`process_failure` says what it means), OwnError
    where none of them moves for `STALL_SECONDS`.
    """
    _end_workers_at_exit()
    loader: DataLoader[Batch] = DataLoader(
        dataset,
        sampler=keys,
        batch_size=None,
        num_workers=workers,
        pin_memory=pin_memory,
        prefetch_factor=3 if workers else None,
        worker_init_fn=_start_worker,
        timeout=POLL_SECONDS if workers else 0,
    )
    return _Watched(loader) if workers else iter(loader)


class _Watched(Iterator[Batch], Generic[Batch]):
    """The batches of a loader with reading processes, which are looked at where a batch does not come."""

    def __init__(self, loader: DataLoader[Batch]) -> None:
        before = {child.pid for child in multiprocessing.active_children()}
        self._batches = iter(loader)
        after = {child.pid for child in multiprocessing.active_children()}
        self._readers = [pid for pid in after - before if pid is not None]

    def __next__(self) -> Batch:
        since, done = time.monotonic(), self._work_done()
        while True:
            try:
                batch = next(self._batches)
            except RuntimeError as error:
                if "timed out after" not in str(error):
                    raise
            else:
                note_progress()
                return batch
            now = self._work_done()
            if now[0] - done[0] >= STALL_CPU_SECONDS or now[1] - done[1] >= STALL_BYTES:
                since, done = time.monotonic(), now
            if time.monotonic() - since >= STALL_SECONDS:
                self._give_up()

    def _work_done(self) -> tuple[float, int]:
        """CPU seconds and bytes read, of all reading processes together, so far."""
        seconds, read = 0.0, 0
        for pid in self._readers:
            with suppress(psutil.Error):
                process = psutil.Process(pid)
                times = process.cpu_times()
                seconds += times.user + times.system
                if hasattr(process, "io_counters"):
                    counters = process.io_counters()
                    read += getattr(counters, "read_chars", counters.read_bytes)
        return seconds, read

    def _give_up(self) -> None:
        for pid in self._readers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        end_within(LEAVE_SECONDS, 2, "")
        raise OwnError(
            f"no batch came for {STALL_SECONDS:.0f} s and the {len(self._readers)} reading processes did nothing "
            "meanwhile: the disk or network that holds the videos does not answer, or these processes were stopped; "
            "look at it (ls there, dmesg), then go on with --resume"
        )


def _start_worker(_worker: int) -> None:
    """A reading process uses one thread, and leaves when the training process does, not by a signal of its own.

    Clusters and terminals signal the whole process group: a worker that died of it would turn an orderly stop into an
    error of the loader.
    """
    torch.set_num_threads(1)
    signal.set_wakeup_fd(-1)  # the training process's, by which it would think itself signalled
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    end_with_parent(signal.SIGKILL)
    # what cannot be sent is lost otherwise, and waited for without end
    queue: Any = multiprocessing.queues.Queue
    queue._on_queue_feeder_error = staticmethod(_leave_with_reason)


def _leave_with_reason(error: BaseException, _batch: object) -> None:
    """The thread that hands batches over failed: the process ends in a way that the run can name."""
    text = str(error)
    full = "shared memory" in text or "No space left" in text or "unable to write to file" in text
    if not full:
        os.write(2, f"a batch cannot be handed over: {' '.join(text.split())}\n".encode())
    os._exit(FULL_SHARED_MEMORY if full else 1)


@lru_cache(maxsize=1)
def _end_workers_at_exit() -> None:
    """Reading processes that still wait when the interpreter ends would wait for ever.

    multiprocessing ends them by SIGTERM, which they ignore, and then waits for them. It happens when the loader's
    iterator is part of a reference cycle that nobody collected. This runs before multiprocessing's own exit function,
    because it is registered after it.
    """

    def end() -> None:
        for child in multiprocessing.active_children():
            if child.daemon:
                child.kill()

    atexit.register(end)
