"""The default reader: PyAV and a packet index. Exact frames at the price of the frames that must be decoded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from pretrain.data.video.build_index import orientation
from pretrain.data.video.container import open_stream
from pretrain.data.video.decode import StreamDamaged, StreamMismatch, decode_frames, plane_rows
from pretrain.data.video.index_cache import IndexCache
from pretrain.data.video.info import VideoError, VideoInfo, displayed_size
from pretrain.data.video.packet_index import PacketIndex

MIN_SEEK_PACKETS = 4
"""Fewer packets than this are decoded on rather than seeked over: a seek flushes the decoder. (Assumption.)"""
SHARED_INDEXES = IndexCache(None)
"""Those of this process, for callers that keep none."""


class PyAVReader:
    """Reads any file that FFmpeg reads."""

    def probe(self, path: str, cache: IndexCache | None) -> VideoInfo:
        return (cache or SHARED_INDEXES).get(path).info

    def frame_times(self, path: str, cache: IndexCache | None) -> np.ndarray:
        return (cache or SHARED_INDEXES).get(path).frame_times()

    def read(self, path: str, frames: np.ndarray, size: tuple[int, int] | None, cache: IndexCache | None) -> np.ndarray:
        """`frames`: increasing, within the video. Returns uint8 RGB (frames, height, width, 3)."""
        indexes = cache or SHARED_INDEXES
        index = indexes.get(path)
        try:
            return _read_with(path, index, frames, size)
        except StreamDamaged:
            if index.facts.is_counted:
                raise VideoError(f"{path}: its packets are not those of its index; was it replaced just now?") from None
        recounted = indexes.get(path, count=True)
        if recounted.num_frames != index.num_frames:
            raise VideoError(
                f"{path}: damaged: its packets promise {index.num_frames} frames, {recounted.num_frames} decode; "
                "run scripts/check_videos.py and leave out what it lists"
            )
        return _read_with(path, recounted, frames, size)


def plan_runs(index: PacketIndex, frames: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Split increasing frame numbers into `(entry packet, frames)`: each run is decoded without a break from its entry.

    A new run begins where seeking to a later entry point leaves out at least `MIN_SEEK_PACKETS` packets.
    """
    entries = index.entry_before(frames)
    if not index.facts.can_seek:
        return [(0, frames)]
    runs: list[tuple[int, np.ndarray]] = []
    begin, fed = 0, int(index.frame_packet[frames[0]])
    for place in range(1, len(frames)):
        if entries[place] >= fed + MIN_SEEK_PACKETS:
            runs.append((int(entries[begin]), frames[begin:place]))
            begin = place
        fed = max(fed, int(index.frame_packet[frames[place]]))
    runs.append((int(entries[begin]), frames[begin:]))
    return runs


def _read_with(path: str, index: PacketIndex, frames: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    picture = Picture(index, size)
    out = np.empty((len(frames), *picture.shape), np.uint8)
    found = 0
    for number, frame in exact_frames(path, index, frames):
        out[np.searchsorted(frames, number)] = picture.rgb(frame)
        found += 1
    if found < len(frames):
        if not index.facts.is_counted:
            raise StreamDamaged
        raise VideoError(f"{path}: {len(frames) - found} of the frames asked for do not decode (damaged); leave it out")
    return out


def exact_frames(path: str, index: PacketIndex, frames: np.ndarray) -> Iterator[tuple[int, Any]]:
    """Every run in turn; a run that does not come back as the index says is decoded from the beginning instead.

    A frame may then come twice, the later one counts; so frames are yielded with their numbers.
    """
    with ExitStack() as stack:
        container, stream = stack.enter_context(open_stream(path))
        is_fresh = True
        for entry, wanted in plan_runs(index, frames):
            if entry:
                try:
                    is_fresh = False
                    yield from decode_frames(container, stream, index, entry, wanted)
                    continue
                except StreamMismatch:
                    pass
            if not is_fresh:
                stack.close()
                container, stream = stack.enter_context(open_stream(path))
            is_fresh = False
            yield from decode_frames(container, stream, index, 0, wanted)


class StoredPicture(NamedTuple):
    """The picture as it is stored, and what is done to display it: all that `Picture` must know of a stream."""

    width: int
    """Pixels, before it is turned."""
    height: int
    quarter_turns: int
    """Clockwise, by 90 degrees: 0 to 3."""
    mirrored: bool
    """Flipped left to right, before turning."""
    pixel_aspect: float = 1.0
    """Width of a stored pixel over its height."""

    @property
    def displayed(self) -> tuple[int, int]:
        """`(height, width)` in square pixels, after turning."""
        return displayed_size(self.width, self.height, self.quarter_turns, self.pixel_aspect)

    @classmethod
    def of_index(cls, index: PacketIndex) -> StoredPicture:
        """What the index of a file says."""
        facts = index.facts
        return cls(facts.width, facts.height, facts.quarter_turns, facts.mirrored, facts.pixel_aspect)

    @classmethod
    def of_frame(cls, frame: Any, pixel_aspect: float) -> StoredPicture:
        """What the first decoded frame says, as the index of a file would: for streams, which have none."""
        return cls(frame.width, frame.height, *orientation(frame), pixel_aspect)


class Picture:
    """Turns decoded frames into RGB arrays of one shape: scale and colours by swscale, then the rotation.

    Pixels come out square, whatever shape they are stored in.

    The usual kind of frame (8 bits, 4:2:0) is scaled first and gets its colours after: swscale has fast code for each
    but not for both at once. Measured, 320x240 to 172x130: 43 us instead of 93, and as near as one step to the picture
    that is made RGB in full size and scaled then (mean error 1.7-2.5 grey levels in both; flat colours come out exact).
    """

    def __init__(self, source: PacketIndex | StoredPicture, size: tuple[int, int] | None) -> None:
        """`size`: (height, width) as displayed; None keeps the video's own."""
        stored = source if isinstance(source, StoredPicture) else StoredPicture.of_index(source)
        height, width = size or stored.displayed
        self.shape = (height, width, 3)
        self._turns, self._mirrored = stored.quarter_turns, stored.mirrored
        self._height, self._width = (width, height) if self._turns % 2 else (height, width)
        is_scaled = (self._height, self._width) != (stored.height, stored.width)
        shrinks = self._height <= stored.height and self._width <= stored.width and (is_scaled or size is not None)
        self._interpolation = Interpolation.AREA if shrinks else Interpolation.BILINEAR
        # half a colour sample does not exist: odd sizes take one step
        self._may_split = is_scaled and self._height % 2 == self._width % 2 == 0
        self._scaler, self._colours = VideoReformatter(), VideoReformatter()  # kept: they hold swscale's tables

    def rgb(self, frame: Any) -> np.ndarray:
        if self._may_split and frame.format.name == "yuv420p" and frame.color_range != ColorRange.JPEG:
            frame = self._to(self._scaler, frame, "yuv422p")
        image = self._to(self._colours, frame, "rgb24")
        pixels = plane_rows(image.planes[0])[:, : 3 * self._width].reshape(self._height, self._width, 3)
        if self._mirrored:
            pixels = pixels[:, ::-1]
        return np.rot90(pixels, -self._turns) if self._turns else pixels

    def _to(self, reformatter: VideoReformatter, frame: Any, pixel_format: str) -> Any:
        return reformatter.reformat(
            frame, self._width, self._height, pixel_format, interpolation=self._interpolation, threads=1
        )
