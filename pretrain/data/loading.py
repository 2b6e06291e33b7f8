"""Batches read ahead by processes of their own, which end with the run whatever ends it."""

from __future__ import annotations

import atexit
import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

Batch = TypeVar("Batch")


def load_batches(dataset: Dataset[Batch], keys: Sequence[Any], workers: int, pin_memory: bool) -> Iterator[Batch]:
    """Batches by key, in the keys' order, read ahead by `workers` processes (0: in this one)."""
    _end_workers_at_exit()
    loader: DataLoader[Batch] = DataLoader(
        dataset,
        sampler=keys,
        batch_size=None,
        num_workers=workers,
        pin_memory=pin_memory,
        prefetch_factor=3 if workers else None,
        worker_init_fn=_start_worker,
    )
    return iter(loader)


def _start_worker(_worker: int) -> None:
    """A reading process uses one thread, and leaves when the training process does, not by a signal of its own.

    Clusters and terminals signal the whole process group: a worker that died of it would turn an orderly stop into an
    error of the loader.
    """
    torch.set_num_threads(1)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


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
