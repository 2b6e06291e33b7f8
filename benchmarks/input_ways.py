"""The ways to read one window's four clips that are compared, and the limit none of them can beat."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np

from pretext_tasks import ClipGeometry, PretextTasks
from pretrain.data.video import IndexCache, PacketIndex, probe
from pretrain.data.video.pyav_reader import plan_runs
from pretrain.data.windows import Source, WindowReader

HEIGHT, WIDTH, CLIP_FRAMES = 128, 171, 16


@dataclass(frozen=True)
class Window:
    """What is asked of one video: one sample of each of the four tasks."""

    path: str
    proxy: str
    samples: tuple[np.ndarray, ...]
    """Of each task int64 (clips, frames), counted from the start of the video. (A task may need two clips.)"""

    @property
    def frames(self) -> np.ndarray:
        """int64 (clips, frames) of all samples."""
        return np.concatenate(self.samples)


def window_reader(index_cache: Path) -> WindowReader:
    """The reader of a pretraining run with default tasks, at the size that input_pipeline.py times."""
    tasks = PretextTasks()
    window_frames = tasks.min_window(CLIP_FRAMES, 1)
    return WindowReader(
        tasks=tasks,
        geometry=ClipGeometry(
            window_frames=window_frames + window_frames // 8, clip_frames=CLIP_FRAMES, stride_frames=1
        ),
        height=HEIGHT,
        width=WIDTH,
        border_crop=(0.0, 0.0, 0.0, 0.0),
        motion_floor=1.0,
        reader="pyav",
        index_cache=IndexCache(index_cache),
    )


def draw_windows(
    paths: Sequence[str], proxies: Sequence[str], reader: WindowReader, count: int, rng: np.random.Generator
) -> list[Window]:
    """`count` windows, videos in turn, starts even over each video."""
    windows = []
    lengths = [probe(path, cache=IndexCache(None)).num_frames for path in paths]
    for number in range(count):
        place = number % len(paths)
        start = rng.integers(max(1, lengths[place] - reader.geometry.window_frames + 1))
        samples = reader.tasks.sample(reader.geometry, rng).values()
        frames = tuple(np.minimum(start + sample.frames, lengths[place] - 1) for sample in samples)
        windows.append(Window(paths[place], proxies[place], frames))
    return windows


class Ours:
    """One window for all tasks, from the video or from its proxy."""

    def __init__(self, reader: WindowReader, use_proxy: bool) -> None:
        self._reader, self._use_proxy = reader, use_proxy
        self._index_folder = reader.index_cache.folder if reader.index_cache else None
        self._sources: dict[str, Source] = {}

    def read(self, window: Window) -> np.ndarray:
        """uint8 (clips, frames, height, width, 3)."""
        path = window.proxy if self._use_proxy else window.path
        if path not in self._sources:  # a run knows each video's facts from its start
            info = probe(path, cache=self._reader.index_cache)
            self._sources[path] = Source(name=path, path=path, info=info, motion=np.zeros(1, np.float32))
        # a set has more videos than a worker keeps indexes in memory: each read loads its own from disk
        fresh = replace(self._reader, index_cache=IndexCache(self._index_folder))
        return fresh.read(self._sources[path], window.frames)


class Plain:
    """Four datasets, each of which opens the video with decord and reads its own sample at the size wanted."""

    def __init__(self, threads: int) -> None:
        self._threads = threads

    def read(self, window: Window) -> list[np.ndarray]:
        """Of each task uint8 (clips, frames, height, width, 3)."""
        return [self._sample(window.path, frames) for frames in window.samples]

    def _sample(self, path: str, frames: np.ndarray) -> np.ndarray:
        import decord

        video = decord.VideoReader(path, ctx=decord.cpu(0), width=WIDTH, height=HEIGHT, num_threads=self._threads)
        pictures = np.asarray(video.get_batch(frames.ravel().tolist()).asnumpy())
        return pictures.reshape(*frames.shape, HEIGHT, WIDTH, 3)


def cost(read: Callable[[Window], Any]) -> Callable[[Window], tuple[float, float]]:
    """A way as `window -> (CPU seconds of all threads, wall seconds)`."""

    def timed(window: Window) -> tuple[float, float]:
        cpu, wall = time.process_time(), time.perf_counter()
        read(window)
        return time.process_time() - cpu, time.perf_counter() - wall

    return timed


def decode_limit(index_cache: Path, *, with_file: bool) -> Callable[[Window], tuple[float, float]]:
    """Decoding alone: the packets from the keyframe on to the last frame needed, PyAV, one thread, nothing kept.

    Packets that nothing refers to and nobody asked for are skipped, as the reader does: they need not be decoded.
    `with_file` counts opening the file and reading the packets in; without it they lie in memory.
    """

    def timed(window: Window) -> tuple[float, float]:
        index = IndexCache(index_cache).get(window.path)
        cpu = wall = 0.0
        for entry, frames in plan_runs(index, np.unique(window.frames)):
            began = time.process_time(), time.perf_counter()
            with av.open(window.path) as container:
                context = container.streams.video[0].codec_context
                context.thread_count = 1
                packets = _packets(container, index, entry, int(index.frame_packet[frames].max()))
                if not with_file:
                    began = time.process_time(), time.perf_counter()
                _decode(context, packets, {int(packet) - entry for packet in index.frame_packet[frames]})
                cpu, wall = cpu + time.process_time() - began[0], wall + time.perf_counter() - began[1]
        return cpu, wall

    return timed


def _packets(container: Any, index: PacketIndex, entry: int, last: int) -> list[Any]:
    stream = container.streams.video[0]
    if entry:
        container.seek(int(index.pts[entry]), stream=stream)
    packets: list[Any] = []
    for packet in container.demux(stream):
        if packets or packet.pts == index.pts[entry]:
            packets.append(packet)
        if len(packets) > last - entry:
            break
    return packets


def _decode(context: Any, packets: list[Any], wanted: set[int]) -> None:
    for number, packet in enumerate(packets):
        context.skip_frame = "DEFAULT" if number in wanted else "NONREF"
        context.decode(packet)
    context.decode(None)
