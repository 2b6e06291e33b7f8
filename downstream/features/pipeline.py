"""Many videos through one encoder: threads decode ahead, the device works on full batches, memory stays bounded.

Clips of different videos, snippets and crops share a batch; in evaluation mode no clip's features depend on the
others. The features of a long video lie in a scratch file until somebody has used them.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from downstream.features.config import SnippetSettings
from downstream.features.encoders import Encoder
from downstream.features.encoding import add_means, crop_clips, inside_alone
from downstream.features.scratch import drop_pages, scratch_array
from downstream.features.snippets import SnippetStream
from downstream.features.zones import PictureMask
from pretrain import stalls
from pretrain.data.video import IndexCache, VideoError, VideoInfo
from pretrain.stalls import StallWatch, stuck

STOP_SECONDS = 8.0
"""How long decoding threads are waited for at the end."""
DROP_BYTES = 16 << 20
"""Features of a video that are written before their memory is given back."""


MaskOf = Callable[[SnippetStream], PictureMask | None]
"""Which part of a video's picture counts; None: all of it."""


class Encoded(NamedTuple):
    """One video, done or failed."""

    name: str
    features: NDArray[np.float32] | None
    """(snippets, crops or cells, dim); None where it failed. Of a long video a `scratch_array`: read it in blocks."""
    info: VideoInfo | None
    problem: VideoError | None


@dataclass
class _Job:
    """A video on its way through the encoder."""

    name: str
    info: VideoInfo
    snippets: int
    clips_each: int
    """Clips of a snippet, whose features are averaged."""
    sums: NDArray[np.float32]
    """(snippets * crops, dim), or (snippets, cells, dim); a `scratch_array`."""
    snippet_frames: int
    motion_mask: PictureMask | None = None
    """Motion is counted inside it alone; None: everywhere, or nowhere."""
    filled: int = 0
    undropped: int = 0
    """Bytes written since the last `drop_pages`."""
    snippets_seen: int = 0
    frames_seen: int = 0
    failed: bool = False

    def add(self, features: Tensor) -> bool:
        """Take the next clips' features; whether these were the last. Clips come by snippet, crop, clip."""
        if self.motion_mask is not None:
            features = inside_alone(features, self.filled, self.clips_each, self.motion_mask)
        add_means(self.sums, self.filled, features, self.clips_each)
        self.filled += len(features)
        self.undropped += features.nbytes
        if self.undropped > DROP_BYTES:
            drop_pages(self.sums)
            self.undropped = 0
        return self.filled == len(self.sums) * self.clips_each

    def frames_of(self, snippets: int) -> tuple[int, int]:
        """Video frames that the next snippets stand for, and all of the video; the last snippet takes the tail."""
        before, total = self.frames_seen, self.info.num_frames
        self.snippets_seen += snippets
        is_last = self.snippets_seen == self.snippets
        self.frames_seen = total if is_last else self.snippets_seen * self.snippet_frames
        return self.frames_seen - before, total


class _Chunk(NamedTuple):
    job: _Job
    pixels: NDArray[np.uint8]


class _Failed(NamedTuple):
    name: str
    job: _Job | None
    problem: BaseException


class _Ended(NamedTuple):
    """A decoding thread has nothing left to do."""


_Event = _Chunk | _Failed | _Ended


def extract_video(
    path: str | Path,
    encoder: Encoder,
    settings: SnippetSettings,
    device: torch.device,
    *,
    batch_clips: int = 32,
    cache: Path | None = None,
) -> tuple[NDArray[np.float32], VideoInfo]:
    """Features float32 (snippets, crops or cells, dim) of one video, and what it is. VideoError where it fails."""
    videos = [(str(path), str(path))]
    results = encode_videos(videos, encoder, settings, device, batch_clips=batch_clips, decoders=1, cache=cache)
    with closing(results):
        done = next(results)
    if done.problem is not None:
        raise done.problem
    assert done.features is not None
    assert done.info is not None
    return done.features, done.info


def encode_videos(
    videos: Iterable[tuple[str, str]],
    encoder: Encoder,
    settings: SnippetSettings,
    device: torch.device,
    *,
    batch_clips: int,
    decoders: int,
    cache: Path | None = None,
    on_frames: Callable[[str, int, int], None] = lambda name, frames, of: None,
    mask_of: MaskOf = lambda stream: None,
) -> Generator[Encoded, None, None]:
    """Encode `(name, path)` videos; each comes when it is done, so not always in order.

    `decoders` videos are decoded at a time. `on_frames(name, count, total)` hears of `count` frames more, of
    `total`. A video that fails comes with its problem. `mask_of`: which part of each picture counts; whole pictures
    alone have one. Closing the iterator ends the threads.
    """
    encoder.to(device)
    decoding = _Decoding(videos, encoder, settings, decoders, cache, mask_of)
    batcher = _Batcher(encoder, settings, device, batch_clips)
    try:
        for event in decoding.events():
            if isinstance(event, _Failed):
                if event.job is not None:
                    event.job.failed = True
                if not isinstance(event.problem, VideoError):
                    raise event.problem
                yield Encoded(event.name, None, None, event.problem)
            elif isinstance(event, _Chunk):
                for job in batcher.put(event.job, event.pixels):
                    yield _result(job, settings)
                on_frames(event.job.name, *event.job.frames_of(len(event.pixels)))
        for job in batcher.flush():
            yield _result(job, settings)
    finally:
        decoding.stop()


def _result(job: _Job, settings: SnippetSettings) -> Encoded:
    places = settings.crops if job.sums.ndim == 2 else job.sums.shape[1]
    drop_pages(job.sums)
    return Encoded(job.name, job.sums.reshape(-1, places, job.sums.shape[-1]), job.info, None)


class _Batcher:
    """Collects clips on the device until a batch is full; hands features back to the videos in the clips' order."""

    def __init__(self, encoder: Encoder, settings: SnippetSettings, device: torch.device, batch_clips: int) -> None:
        self._encoder, self._settings, self._device, self._size = encoder, settings, device, batch_clips
        self._waiting: deque[tuple[_Job, Tensor]] = deque()
        self._count = 0

    def put(self, job: _Job, pixels: NDArray[np.uint8]) -> Iterator[_Job]:
        """Take a chunk (snippets, clips, frames, height, width, 3); yield the videos that this completes."""
        clips = crop_clips(pixels, self._encoder, self._settings.crops, self._device)
        self._waiting.append((job, clips))
        self._count += len(clips)
        while self._count >= self._size:
            yield from self._encode(self._size)

    def flush(self) -> Iterator[_Job]:
        """Encode what is left."""
        if self._count:
            yield from self._encode(self._count)

    def _encode(self, count: int) -> Iterator[_Job]:
        parts: list[tuple[_Job, Tensor]] = []
        self._count -= count
        while count:
            job, clips = self._waiting.popleft()
            if len(clips) > count:
                self._waiting.appendleft((job, clips[count:]))
            parts.append((job, clips[:count]))
            count -= len(parts[-1][1])
        parts = [part for part in parts if not part[0].failed]
        if not parts:
            return
        features = self._encoder.features(torch.cat([clips for _, clips in parts])).cpu()
        for (job, _), own in zip(parts, features.split([len(clips) for _, clips in parts]), strict=True):
            if job.add(own):
                yield job


class _Decoding:
    """Threads that decode one video each, and the queue between them and the encoder.

    Threads, not processes: FFmpeg works without the interpreter lock, and pixels need not be copied between processes.
    """

    def __init__(
        self,
        videos: Iterable[tuple[str, str]],
        encoder: Encoder,
        settings: SnippetSettings,
        decoders: int,
        cache: Path | None,
        mask_of: MaskOf,
    ) -> None:
        self._videos, self._lock = iter(videos), threading.Lock()
        self._encoder, self._settings, self._cache, self._mask_of = encoder, settings, cache, mask_of
        self._queue: queue.Queue[_Event] = queue.Queue(maxsize=decoders + 2)
        self._stopped = threading.Event()
        self._at: dict[int, str] = {}
        """Thread -> the video that it decodes."""
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(decoders)]

    def events(self) -> Iterator[_Event]:
        """Everything that happens, until all threads have ended."""
        for thread in self._threads:
            thread.start()
        running = len(self._threads)
        while running:
            event = self._next_event()
            running -= isinstance(event, _Ended)
            yield event

    def _next_event(self) -> _Event:
        """Wait for it; OwnError naming the videos in work where nothing moves any more."""
        watch = None
        while True:
            try:
                return self._queue.get(timeout=stalls.POLL_SECONDS)
            except queue.Empty:
                watch = watch or StallWatch()
                if watch.is_stuck():
                    raise stuck("frame was decoded", self._at.values()) from None

    def stop(self) -> None:
        """End the threads, wherever they are; one that hangs in a read is left to itself."""
        self._stopped.set()
        end = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, end - time.monotonic()))

    def _work(self) -> None:
        name = ""
        try:
            while not self._stopped.is_set():
                with self._lock:
                    video = next(self._videos, None)
                if video is None:
                    break
                name = self._at[threading.get_ident()] = video[0]
                self._decode(*video)
        except BaseException as problem:  # a thread that died in silence would be waited for without end
            self._put(_Failed(name, None, problem))
        finally:
            self._at.pop(threading.get_ident(), None)
            self._put(_Ended())

    def _decode(self, name: str, path: str) -> None:
        job = None
        try:
            view = self._encoder.view(self._settings.snippet_frames)
            # a cache of its own: what one thread drops from memory, another may be using
            stream = SnippetStream(path, self._settings, view, IndexCache(self._cache))
            snippets, clips, _ = stream.frames.shape
            grid = self._encoder.grid
            cells = () if grid is None else (grid[0] * grid[1],)
            sums = scratch_array((snippets * self._settings.crops, *cells, self._encoder.dim), np.float32)
            mask = self._mask_of(stream)
            job = _Job(name, stream.info, snippets, clips, sums, self._settings.snippet_frames)
            job.motion_mask = mask if self._encoder.motion else None
            with closing(stream.chunks()) as chunks:
                for pixels in chunks:
                    seen = pixels if mask is None else mask.hidden(pixels)
                    if not self._put(_Chunk(job, seen)):
                        return
        except Exception as problem:  # every kind crosses to the thread that can tell them apart
            self._put(_Failed(name, job, problem))

    def _put(self, event: _Event) -> bool:
        """Whether the event was taken; not once the encoder has stopped listening."""
        while not self._stopped.is_set():
            try:
                self._queue.put(event, timeout=0.2)
            except queue.Full:
                continue
            return True
        return False
