"""Training on a CPU without paying for fresh memory in every step, or for threads that wait for one another."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8


def keep_freed_memory() -> None:
    """Tell glibc to keep freed memory instead of handing it back to the kernel after every tensor.

    Activations are tens of megabytes, and glibc maps and unmaps each of them anew: every step then faults in every page
    again. Measured on two cores with the default backbone: a step is 1.2 to 1.5 times as fast with this. Elsewhere than
    on Linux with glibc nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_TOP_PAD, 256 << 20)


def few_heaps(count: int = 2) -> None:
    """Tell glibc to share so few heaps between all threads; to be called before there are any.

    With a heap for each of many threads that come and go, freed memory lies where nobody takes it again. Measured, four
    cameras with pictures of alarms: 5 to 10 MB more every 40 seconds, and with two heaps level after a minute and a
    half. Elsewhere than on Linux with glibc nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, count)


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch works with one thread meanwhile: operations on small tensors are slower when they are shared out.

    Training a detector on features, two busy cores: 93 steps/s, and 23 to 86 with two threads.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
