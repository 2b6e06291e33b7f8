"""What proxies save: the CPU time of a training window, read from the sources and from the proxies."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pretext_tasks import ClipGeometry, PretextTasks
from pretrain.data.catalogue import Video
from pretrain.data.video import IndexCache, VideoError, probe, read_frames


@dataclass(frozen=True, kw_only=True)
class Savings:
    """CPU seconds of one window, mean over the windows measured."""

    source_seconds: float
    proxy_seconds: float
    windows: int

    def break_even_epochs(self, build_cpu_seconds: float, windows_per_epoch: int) -> float | None:
        """After how many epochs the build has paid for itself; None where proxies save nothing."""
        saved = (self.source_seconds - self.proxy_seconds) * windows_per_epoch
        return build_cpu_seconds / saved if saved > 0 else None


def measure_savings(
    videos: Sequence[Video], proxies: dict[str, str], rng: np.random.Generator, *, windows: int = 8
) -> Savings | None:
    """Read random windows (the default tasks' frames, clips of 16 frames) of random videos both ways, at proxy size.

    None where no video is long enough. Each way reads once unmeasured first: packet indexes are made once in a run.
    """
    tasks = PretextTasks()
    window_frames = tasks.min_window(16, 1) * 9 // 8
    geometry = ClipGeometry(window_frames=window_frames, clip_frames=16, stride_frames=1)
    cache = IndexCache(None)
    spent = np.zeros(2)
    measured = 0
    for place in rng.permutation(len(videos)):
        if measured == windows:
            break
        video = videos[int(place)]
        ways = (video.path, proxies[video.name])
        info = probe(ways[1], cache=cache)
        room = info.num_frames - window_frames
        if room < 0:
            continue
        samples = tasks.sample(geometry, rng).values()
        frames = np.unique(np.concatenate([sample.frames for sample in samples])) + int(rng.integers(room + 1))
        try:
            spent += [_cpu_seconds(path, frames, (info.height, info.width), cache) for path in ways]
        except VideoError:  # gone since its proxy was made
            continue
        measured += 1
    if not measured:
        return None
    return Savings(source_seconds=spent[0] / measured, proxy_seconds=spent[1] / measured, windows=measured)


def _cpu_seconds(path: str, frames: np.ndarray, size: tuple[int, int], cache: IndexCache) -> float:
    read_frames(path, frames, size=size, cache=cache)
    started = time.process_time()
    read_frames(path, frames, size=size, cache=cache)
    return time.process_time() - started
