"""One function over many items in processes, one by one again where a process dies."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_unordered(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int, on_crash: Callable[[Item], Result]
) -> Iterator[Result]:
    """Yield `function(item)` of every item as they come, computed in `workers` spawned processes.

    A decoder may crash its process on a damaged file, which breaks the whole pool. The items that were under way are
    then tried again, each in a process of its own; for the one that kills that too, `on_crash(item)` is yielded.
    `function` and the items must be picklable; its exceptions come out here.
    """
    rest = iter(items)
    while True:
        suspects: list[Item] = []
        yield from _until_crash(function, rest, workers, suspects)
        if not suspects:
            return
        for item in suspects:
            alone: list[Item] = []
            yield from _until_crash(function, iter([item]), 1, alone)
            if alone:
                yield on_crash(item)


def _until_crash(
    function: Callable[[Item], Result], rest: Iterator[Item], workers: int, suspects: list[Item]
) -> Iterator[Result]:
    """Work through `rest`; when a process dies, put what was under way into `suspects` and stop."""
    # not fork: the parent may hold threads (tqdm, FFmpeg) whose locks a forked child would inherit
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        running: dict[Future[Result], Item] = {}
        while True:
            for item in islice(rest, 2 * workers - len(running)):
                try:
                    running[pool.submit(function, item)] = item
                except BrokenProcessPool:  # since the last result
                    suspects += [*running.values(), item]
                    return
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                try:
                    result = future.result()
                except BrokenProcessPool:
                    suspects += running.values()
                    return
                del running[future]
                yield result
