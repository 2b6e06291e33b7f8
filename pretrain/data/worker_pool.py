"""One function over many items in processes, one by one again where a process dies.

The processes leave Ctrl-C to the one that started them, and end with it however it ends.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

from pretrain import stalls
from pretrain.parent import end_with_parent
from pretrain.stalls import StallWatch, stuck

Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers:
    """Spawned processes that take calls."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def submit(self, function: Callable[..., Result], *arguments: Any) -> Future[Result]:
        """Call a picklable function in one of them."""
        # a call may start a process: what is blocked here stays blocked in it, from its first instruction on
        before = _mask(signal.SIG_BLOCK, {signal.SIGINT}) if hasattr(signal, "pthread_sigmask") else None
        try:
            return self._pool.submit(function, *arguments)
        finally:
            if before is not None:
                _mask(signal.SIG_SETMASK, before)

    def first_done(self, running: Mapping[Future[Any], Any]) -> set[Future[Any]]:
        """Wait for the next results. OwnError where the processes are stuck, with what they are at (the values)."""
        watch = None
        while not (done := wait(running, stalls.POLL_SECONDS, FIRST_COMPLETED).done):
            if watch is None:
                watch = StallWatch([child.pid for child in multiprocessing.active_children() if child.pid])
            if watch.is_stuck():
                raise stuck("video was finished", [str(getattr(item, "name", item)) for item in running.values()])
        return done


@contextmanager
def worker_processes(count: int, begin: Callable[[], None] | None = None) -> Iterator[Workers]:
    """`count` processes, each of which calls `begin` first (default: `begin_worker`, which every other one calls too).

    Left by an exception, Ctrl-C among them, they are killed at once.
    """
    # not fork: the parent may hold threads (tqdm, FFmpeg) whose locks a forked child would inherit
    context = multiprocessing.get_context("spawn")
    before = {child.pid for child in multiprocessing.active_children()}
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=begin or begin_worker)
    try:
        yield Workers(pool)
    except BaseException:
        for child in multiprocessing.active_children():
            if child.pid not in before:
                child.kill()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


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
    with worker_processes(workers) as pool:
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
            for future in pool.first_done(running):
                try:
                    result = future.result()
                except BrokenProcessPool:
                    suspects += running.values()
                    return
                del running[future]
                yield result


def _mask(how: int, signals: set[signal.Signals] | set[Any]) -> set[Any]:
    return set(signal.pthread_sigmask(how, signals))


def begin_worker() -> None:
    """Ctrl-C is for the process that started us; its end is ours."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent(signal.SIGKILL)
