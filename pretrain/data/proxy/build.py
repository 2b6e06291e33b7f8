"""Making the proxies of many videos: parallel, to be gone on with after any kill, and honest about what failed."""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field

from pretrain.data.catalogue import Video
from pretrain.data.proxy.cache import ProxyCache
from pretrain.data.proxy.manifest import Manifest
from pretrain.data.proxy.settings import ProxySettings
from pretrain.data.video import VideoError
from pretrain.data.worker_pool import begin_worker, worker_processes

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(kw_only=True)
class BuildReport:
    """What a build did."""

    manifests: dict[str, Manifest] = field(default_factory=dict)
    """Of every video that now has a valid proxy, by name."""
    built: int = 0
    """How many of these were made now."""
    failures: dict[str, str] = field(default_factory=dict)
    """Videos left out, by name, and why."""
    not_tried: int = 0
    """Videos left when the disk was full."""


@dataclass(frozen=True)
class _Failure:
    reason: str
    is_disk_full: bool = False


def build_proxies(
    cache: ProxyCache,
    videos: Sequence[Video],
    settings: ProxySettings,
    *,
    workers: int = 1,
    rebuild: bool = False,
    on_done: Callable[[str], None] = lambda name: None,
) -> BuildReport:
    """Make what is missing or stale, `workers` videos at a time; `on_done` is told each video's name.

    A video that fails is named in the report and has no proxy, not half of one. A full disk ends the build. A build
    that was killed is gone on with by the same call. One build at a time may run on a folder.
    Raises UserError where the folder holds proxies of other settings, unless `rebuild`.
    """
    cache.adopt(settings, rebuild=rebuild)
    report = BuildReport()
    waiting: deque[Video] = deque()
    for video in videos:
        manifest = None if rebuild else cache.manifest(video)
        if manifest is None:
            waiting.append(video)
        else:
            report.manifests[video.name] = manifest
            on_done(video.name)
    suspects = _build_all(cache, settings, waiting, workers, report, on_done)
    for video in suspects:  # one of them took a process down: each gets a process of its own
        if _build_all(cache, settings, deque([video]), 1, report, on_done):
            report.failures[video.name] = (
                f"{video.path}: the process that read it died (out of memory, or FFmpeg crashed)"
            )
            on_done(video.name)
    _build_all(cache, settings, waiting, workers, report, on_done)
    return report


def _build_all(
    cache: ProxyCache,
    settings: ProxySettings,
    waiting: deque[Video],
    workers: int,
    report: BuildReport,
    on_done: Callable[[str], None],
) -> list[Video]:
    """Work through `waiting`; stops early when a worker dies and returns the videos that were in work then."""
    running: dict[Future[Manifest | _Failure], Video] = {}
    if not waiting:
        return []
    with worker_processes(min(workers, len(waiting)), _begin_worker) as pool:
        while waiting or running:
            while waiting and len(running) < 2 * workers:
                video = waiting.popleft()
                running[pool.submit(_build_one, cache, video, settings)] = video
            for future in pool.first_done(running):
                try:
                    result = future.result()
                except BrokenProcessPool:
                    return list(running.values())
                video = running.pop(future)
                _note(report, video, result)
                on_done(video.name)
                if isinstance(result, _Failure) and result.is_disk_full:
                    report.not_tried += len(waiting)
                    waiting.clear()
    return []


def _note(report: BuildReport, video: Video, result: Manifest | _Failure) -> None:
    if isinstance(result, _Failure):
        report.failures[video.name] = result.reason
    else:
        report.manifests[video.name] = result
        report.built += 1


def _build_one(cache: ProxyCache, video: Video, settings: ProxySettings) -> Manifest | _Failure:
    try:
        return cache.build(video, settings)
    except VideoError as error:
        return _Failure(str(error))
    except OSError as error:  # PyAV's errors carry errno too
        reason = f"{video.path}: its proxy cannot be written to {cache.folder} ({error.strerror or error})"
        return _Failure(reason, error.errno in NO_ROOM)


def _begin_worker() -> None:
    begin_worker()
