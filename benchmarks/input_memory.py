"""What one reading worker holds in memory, measured in processes of their own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import psutil

from benchmarks.input_ways import Ours, Plain, draw_windows, window_reader


def own_process(function, *arguments):  # type: ignore[no-untyped-def]  # a ParamSpec would say less
    """`function(*arguments)` in a fresh process, which imports what a worker imports."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def plain_memory(paths: Sequence[str], count: int) -> float:
    """MB above the bare process after `count` windows read with decord."""
    import decord  # noqa: F401 (its import is not the reader's memory)

    reader = window_reader(Path())
    windows = draw_windows(paths, paths, reader, count, np.random.default_rng(1))
    before, peak = _rss_mb(), 0.0
    for window in windows:
        Plain(threads=1).read(window)
        peak = max(peak, _rss_mb())
    return peak - before


def our_memory(
    paths: Sequence[str], proxies: Sequence[str], index_cache: Path, count: int, source_every: int
) -> tuple[float, float]:
    """`(MB above the bare process, growth in MB)` over `count` windows.

    Every `source_every`-th window is read from the video, the others from the proxies. Growth: the last tenth's mean
    less the second tenth's; the first is warming up.
    """
    reader = window_reader(index_cache)
    rng = np.random.default_rng(1)
    windows = draw_windows(paths, proxies, reader, min(count, 64 * len(paths)), rng)
    ways = [Ours(reader, use_proxy=True), Ours(reader, use_proxy=False)]
    before = _rss_mb()
    held = np.empty(count)
    for number in range(count):
        ways[number % source_every == 0].read(windows[number % len(windows)])
        held[number] = _rss_mb()
    tenth = count // 10
    return float(held.max() - before), float(held[-tenth:].mean() - held[tenth : 2 * tenth].mean())


def _rss_mb() -> float:
    return float(psutil.Process().memory_info().rss) / 1e6
