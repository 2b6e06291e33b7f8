"""One connection to a live input: opened with time limits, decoded frame by frame, its end told from its breaking."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import av
import av.error
import av.stream
from av.format import Flags
from av.stream import Disposition

from downstream.detection.live.address import Address
from pretrain.data.video import FFMPEG_ERRORS, VideoError, open_stream, pixel_aspect_of

RATES = (0.1, 240.0)
"""Frame rates outside are none: some cameras announce the ticks of their clock (90 000) instead."""
_DISCARD = getattr(av.stream, "Discard", None)  # PyAV 18 and later


class StreamBroken(Exception):
    """The connection broke or fell silent; the text says how, without the address."""


class NotThere(VideoError):
    """Nobody answers, or not to the end: that may pass. What the server refuses, or is no video, does not."""


_LASTING = (
    *(av.error.HTTPClientError, av.error.InvalidDataError, av.error.ProtocolNotFoundError),
    *(av.error.DemuxerNotFoundError, av.error.DecoderNotFoundError, av.error.OptionNotFoundError),
    *(av.error.ArgumentError, PermissionError, FileNotFoundError, ValueError),
)
"""Errors that are the same at the next call."""


class Connection:
    """An input that answers: made by `connect`."""

    def __init__(self, address: Address, container: Any, stream: Any, timeout: float, begun: float) -> None:
        self.address, self.timeout = address, timeout
        self.damaged = 0
        """Packets and frames that did not decode cleanly; such frames are given all the same."""
        self.begun = begun
        """`time.monotonic()` when it was called."""
        self._container, self._stream = container, stream

    @property
    def codec(self) -> str:
        """FFmpeg's name of it."""
        return str(self._stream.codec_context.codec.canonical_name)

    @property
    def pixel_aspect(self) -> float:
        """Width of a pixel over its height."""
        return pixel_aspect_of(self._stream)

    @property
    def is_finite(self) -> bool:
        """Whether it has an end that is known: a file, here or on a server. A playlist's own size says nothing."""
        if self.address.kind != "http":
            return self.address.kind == "file"
        if self._container.format.name in ("hls", "dash"):
            return self._container.duration is not None
        return int(self._container.size) > 0

    @property
    def stated_fps(self) -> tuple[float, str] | None:
        """What the stream says of its frame rate, and where it says so; None where it says nothing of use."""
        rates = ((self._stream.average_rate, "the stream's average"), (self._stream.guessed_rate, "FFmpeg's guess"))
        for rate, source in rates:
            if rate and RATES[0] <= rate <= RATES[1]:
                return float(rate), source
        return None

    @property
    def states_times(self) -> bool:
        """Whether frames carry their times. Where the format has none FFmpeg makes some up, at a rate it guesses: that
        is good enough for a file alone."""
        return self.is_finite or not self._container.format.flags & Flags.no_timestamps.value

    def seconds_of(self, frame: Any) -> float | None:
        """The stream's own time of a frame, where it carries one."""
        if not self.states_times:
            return None
        return None if frame.pts is None or frame.time_base is None else float(frame.pts * frame.time_base)

    def frames(self, stopped: threading.Event) -> Generator[Any, None, None]:
        """Decoded frames in order, until the stream ends. StreamBroken: it broke, or no frame came in time.

        What the decoder still holds comes before either. The frames of a file are those that reading it by index
        gives (`pretrain.data.video`), as long as it is sound.
        """
        broken: StreamBroken | None = None
        is_live = self.address.kind != "file"
        heard = time.monotonic()
        with closing(self._container.demux(self._stream)) as packets:
            while not stopped.is_set():
                try:
                    packet = next(packets, None)
                except FFMPEG_ERRORS as error:
                    broken = StreamBroken(reason_of(error, self.timeout, time.monotonic() - heard))
                    break
                if packet is None or not packet.size:
                    break
                self.damaged += packet.is_corrupt
                for frame in self._decode(packet):
                    yield frame
                    heard = time.monotonic()
                if is_live and time.monotonic() - heard > self.timeout:
                    broken = StreamBroken(f"no frame for {self.timeout:g} s (timeout), though data comes")
                    break
        yield from self._decode(None)
        if broken is not None and is_live:  # a read error ends a file, as it does when it is read by index
            raise broken

    def _decode(self, packet: Any | None) -> list[Any]:
        try:
            frames = list(self._stream.codec_context.decode(packet))
        except FFMPEG_ERRORS:
            self.damaged += 1
            return []
        self.damaged += sum(frame.is_corrupt for frame in frames)
        return frames


@contextmanager
def connect(address: Address, timeout: float) -> Iterator[Connection]:
    """Open an input; it may take `timeout` seconds to answer, and as long for each thing that is read later.

    One decoder thread: more would hold back a frame each. VideoError, whose text begins with the masked address.
    """
    begun = time.monotonic()
    with ExitStack() as stack:
        if address.kind == "file":
            container, stream = stack.enter_context(open_stream(address.url))
        else:
            container = stack.enter_context(_open(address, timeout))
            stream = _footage(address, container)
        yield Connection(address, container, stream, timeout, begun)


def _open(address: Address, timeout: float) -> Any:
    begun = time.monotonic()
    try:
        return av.open(
            address.url,
            format=address.format,
            options=address.options,
            timeout=(timeout, timeout),
            metadata_errors="ignore",
        )
    except (*FFMPEG_ERRORS, OSError, ValueError) as error:
        reason = reason_of(error, timeout, time.monotonic() - begun)
        kind = VideoError if isinstance(error, _LASTING) else NotThere
    # not chained: the text of FFmpeg's error holds the address with its password
    raise kind(f"{address.label}: not opened: {reason}; is it switched on, and are address and password right?")


def _footage(address: Address, container: Any) -> Any:
    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not streams or streams[0].codec_context is None:
        raise VideoError(f"{address.label}: no video that can be decoded comes from it; give it a stream of H.264")
    for other in container.streams:
        if other.index != streams[0].index and _DISCARD is not None:
            other.discard = _DISCARD.all
    streams[0].codec_context.thread_count = 1
    return streams[0]


def reason_of(error: BaseException, timeout: float, waited: float) -> str:
    """What went wrong, without the address: what FFmpeg or the system calls it, never the text of the error.

    RTSP gives its own error where the time limit struck.
    """
    if isinstance(error, av.error.ExitError) or waited >= 0.98 * timeout:
        return f"no answer within {timeout:g} s (timeout)"
    return str(getattr(error, "strerror", None) or f"the address cannot be used ({type(error).__name__})")
