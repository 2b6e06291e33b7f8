"""Opening one video stream of one file with FFmpeg, and what to say when that fails."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import av
import av.error
import av.stream
from av.stream import Disposition

from pretrain.data.remote import RemoteError, opened
from pretrain.data.video.info import VideoError
from pretrain.data.video.limits import check_picture

FFMPEG_ERRORS = (av.error.FFmpegError, EOFError)
"""What PyAV raises when demuxing or decoding fails. (EOFError: some of its errors are the built-in ones.)"""

NEARLY_SQUARE = 0.01
"""Real pixels that are not square differ by 6 % and more (16:15, 12:11, 8:9)."""
_NOT_FOOTAGE = Disposition.attached_pic | Disposition.still_image | Disposition.timed_thumbnails
_DISCARD = getattr(av.stream, "Discard", None)  # PyAV 18 and later
_OPEN_OPTIONS = {"protocol_whitelist": "file"}  # a playlist file must not make us open the network
_ENCRYPTION_MARKS = (b"encv", b"enca", b"pssh", b"sinf")


@contextmanager
def local_file(path: str) -> Iterator[str]:
    """A file of this machine with the video's bytes, for as long as this lasts: itself, or a copy. Raises VideoError.

    Everything that opens a video file opens what this gives, and names `path` in its messages.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(opened(path))
        except RemoteError as error:
            raise VideoError(str(error)) from error
        yield file


def check_file(path: str, file: str | None = None) -> None:
    """Raise VideoError unless `path` is a file with something in it that can be opened; `file`: its copy."""
    file = file or path
    if not os.path.exists(file):
        raise VideoError(f"{path}: no such file; check the path, or the folder that the list's paths are relative to")
    if not os.path.isfile(file):
        raise VideoError(f"{path}: not a regular file; give a video file or a folder of images")
    if os.path.getsize(file) == 0:
        raise VideoError(f"{path}: the file is empty (0 bytes); copy or download it again")
    if not os.access(file, os.R_OK):
        raise VideoError(f"{path}: may not be read (permission denied); change its permissions")


@contextmanager
def open_stream(path: str) -> Iterator[tuple[Any, Any]]:
    """Yield `(container, stream)`: the first video stream that is footage, not cover art; one decoder thread.

    One thread: loaders run many processes, and then each packet is decoded inside the call that feeds it, which is
    what lets the reader decide packet by packet what the decoder may skip. Raises VideoError.
    """
    with local_file(path) as file:
        yield from _opened(path, file)


def _opened(path: str, file: str) -> Iterator[tuple[Any, Any]]:
    check_file(path, file)
    try:  # absolute: FFmpeg takes `name:rest` for a protocol
        container = av.open(os.path.abspath(file), options=_OPEN_OPTIONS, metadata_errors="ignore")
    except (*FFMPEG_ERRORS, OSError, ValueError) as error:
        raise VideoError(f"{path}: {_reason_not_opened(file, error)}") from error
    with container:
        streams = [stream for stream in container.streams.video if not stream.disposition & _NOT_FOOTAGE]
        if not streams:
            raise VideoError(f"{path}: {_reason_no_video(container)}")
        stream = streams[0]
        for other in container.streams:
            if other.index != stream.index and _DISCARD is not None:
                other.discard = _DISCARD.all  # the demuxer need not read the audio
        if stream.codec_context is None:  # a codec unknown to the FFmpeg at hand, or a damaged header
            raise VideoError(f"{path}: no decoder for its video stream (unknown codec or damaged); convert it to H.264")
        stream.codec_context.thread_count = 1
        if stream.width and stream.height:  # what the header says; the decoder says it again
            check_picture(path, stream.width, stream.height)
        yield container, stream


def pixel_aspect_of(stream: Any) -> float:
    """Width of the stream's pixels over their height, by its container, else by its codec; 1 where neither says.

    So it is for ratios nearly 1, which scaling to whole pixels leaves behind (640:639): nobody filmed them.
    """
    ratio = float(stream.sample_aspect_ratio or 0)
    return ratio if ratio > 0 and abs(ratio - 1) > NEARLY_SQUARE else 1.0


def looks_encrypted(path: str) -> bool:
    """Whether the file carries the boxes of MP4 common encryption near its start or its end."""
    with local_file(path) as own, open(own, "rb") as file:
        head = file.read(1 << 18)
        file.seek(max(0, os.path.getsize(own) - (1 << 18)))
        tail = file.read()
    return any(mark in head or mark in tail for mark in _ENCRYPTION_MARKS)


def _reason_not_opened(path: str, error: Exception) -> str:
    if looks_encrypted(path):
        return "encrypted (it carries MP4 encryption boxes) and its header is unreadable; decrypt it first"
    text = getattr(error, "strerror", None) or str(error)
    return f"not a video, or cut off before its header is complete (FFmpeg: {text}); convert or download it again"


def _reason_no_video(container: Any) -> str:
    kinds = sorted({stream.type for stream in container.streams})
    if "video" in kinds:
        return "holds cover art but no moving picture; take it off the list"
    if kinds == ["audio"]:
        return "audio only, no video stream; take it off the list"
    return f"no video stream (it holds: {', '.join(kinds) or 'nothing'}); take it off the list"
