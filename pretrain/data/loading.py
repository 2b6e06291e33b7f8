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
import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from multiprocessing.connection import wait
from typing import Any, Generic, NoReturn, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from pretrain import stalls
from pretrain.errors import OwnError
from pretrain.interrupts import note_progress
from pretrain.parent import end_with_parent
from pretrain.process_failure import FULL_SHARED_MEMORY, dead_reader
from pretrain.stalls import StallWatch, stuck

Batch = TypeVar("Batch")


def load_batches(dataset: Dataset[Batch], keys: Sequence[Any], workers: int, pin_memory: bool) -> Iterator[Batch]:
    """Batches by key, in the keys' order, read ahead by `workers` processes (0: in this one).

    The iterator raises OwnError where a reading process died, or where none of them moves for `stalls.STALL_SECONDS`.
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
        timeout=stalls.POLL_SECONDS if workers else 0,
    )
    return _Watched(loader) if workers else iter(loader)


class _Watched(Iterator[Batch], Generic[Batch]):
    """The batches of a loader with reading processes, which are looked at where a batch does not come."""

    def __init__(self, loader: DataLoader[Batch]) -> None:
        before = set(multiprocessing.active_children())
        self._batches = iter(loader)
        self._readers = sorted(set(multiprocessing.active_children()) - before, key=lambda child: child.pid or 0)
        if threading.current_thread() is threading.main_thread():
            # PyTorch raises from this signal's handler, wherever the training is; here it is asked at a wait
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def __next__(self) -> Batch:
        watch: StallWatch | None = None
        while True:
            try:
                batch = next(self._batches)
            except (RuntimeError, OSError, EOFError) as error:  # the last two: it died before its batch was fetched
                if "timed out after" not in str(error):
                    self._tell_of_the_dead(error)
            else:
                note_progress()
                return batch
            if watch is None:
                watch = StallWatch([child.pid for child in self._readers if child.pid is not None])
            if watch.is_stuck():
                self._end()
                raise stuck("batch", [])

    def _tell_of_the_dead(self, error: Exception) -> NoReturn:
        """OwnError where a reading process died, else the error itself."""
        broken = isinstance(error, (ConnectionError, EOFError))  # its other end is going, however long that takes
        dying = wait([child.sentinel for child in self._readers], 10.0 if broken else 1.0)
        for child in self._readers:
            if child.sentinel in dying:
                child.join()  # its files are closed before it can be waited for: without this it has no exit code yet
        statuses = [child.exitcode for child in self._readers if child.exitcode]
        if not statuses:
            raise error
        self._end()
        raise OwnError(dead_reader(statuses[0])) from error

    def _end(self) -> None:
        for child in self._readers:
            child.kill()


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
