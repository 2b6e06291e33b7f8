"""Real encoded files: a textured picture that moves, with a block that jumps, so that no two frames are alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.paths import REAL

Encode = Callable[..., Path]
Decode = Callable[[Path], list[np.ndarray]]


def pictures(count: int, height: int, width: int, seed: int = 0) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(seed)
    texture = rng.integers(0, 256, (height // 8 + 20, width // 8 + 20, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    for number in range(count):
        y, x = 2 * number % 100, 3 * number % 100
        picture = texture[y : y + height, x : x + width].copy()
        y, x = 5 * number % (height - 8), 7 * number % (width - 8)
        picture[y : y + 8, x : x + 8] = 9 * number % 256
        yield picture


@pytest.fixture(scope="session")
def encode(tmp_path_factory: pytest.TempPathFactory) -> Encode:
    """`encode("name.mp4", ...)` writes a video into a folder of its own and returns its path."""

    def write(
        name: str,
        *,
        codec: str = "libx264",
        options: dict[str, str] | None = None,
        frames: int = 60,
        size: tuple[int, int] = (48, 64),
        rate: int = 25,
        ticks: list[int] | None = None,
        pix_fmt: str = "yuv420p",
        prepare: Callable[[Any], None] | None = None,
    ) -> Path:
        path = tmp_path_factory.mktemp("video") / name
        height, width = size
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=rate, options=options or {})
            stream.height, stream.width, stream.pix_fmt = height, width, pix_fmt
            stream.codec_context.thread_count = 1
            if prepare is not None:
                prepare(stream)
            for number, picture in enumerate(pictures(frames, height, width)):
                frame = av.VideoFrame.from_ndarray(picture)
                frame.pts = ticks[number] if ticks is not None else number
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path

    return write


@pytest.fixture(scope="session")
def decode_all() -> Decode:
    """Every frame that a decode from beginning to end gives, as uint8 RGB, unrotated: written without our code."""

    def decode(path: Path) -> list[np.ndarray]:
        frames = []
        with av.open(str(path), metadata_errors="ignore") as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            packets = container.demux(stream)
            while True:
                try:
                    packet = next(packets)
                except StopIteration:
                    return frames
                try:
                    frames += [frame.to_ndarray(format="rgb24") for frame in packet.decode()]
                except av.error.FFmpegError:
                    continue

    return decode


@pytest.fixture(scope="session")
def real() -> Path:
    if not REAL.is_dir():
        pytest.skip("needs the real videos in ../shared/real, which are not here")
    return REAL
