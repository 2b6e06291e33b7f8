"""Footage to time reading on: 320x240 H.264 as recorders write it, made on the spot.

The pictures are real surveillance where `../shared/real` lies beside the checkout, else rendered noise and motion.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path

import av
import numpy as np

from pretrain.data.video import probe, stream_frames
from pretrain.files import replacing

HEIGHT, WIDTH, FPS, GOP = 240, 320, 30, 250
REAL = Path(__file__).resolve().parents[2] / "shared" / "real" / "surveillance"
"""Beside the checkout; absent on most machines."""


def write_clips(folder: Path, count: int, seconds: tuple[int, int], seed: int) -> list[Path]:
    """`count` clips of `seconds` (from, to) length, from different places of the source footage."""
    rng = np.random.default_rng(seed)
    sources = sorted(REAL.glob("*")) if REAL.is_dir() else []
    paths = []
    for number in range(count):
        length = int(rng.integers(seconds[0] * FPS, seconds[1] * FPS + 1))
        # few clips: spread over the sources; many: all of them in turn
        source = sources[number * max(1, len(sources) // count) % len(sources)] if sources else None
        paths.append(folder / f"clip{number:02d}.mp4")
        encode(paths[-1], real_pictures(source, length) if source else rendered_pictures(length, rng))
    return paths


def encode(path: Path, pictures: Iterator[np.ndarray]) -> None:
    """x264's default settings: preset medium, CRF 23, B-frames, scene cuts, a keyframe at least every 250 frames."""
    options = {"g": str(GOP), "x264-params": "log-level=none"}
    with replacing(path) as temporary, av.open(str(temporary), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        stream.codec_context.thread_count = 1
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        container.mux(stream.encode(None))


def real_pictures(source: Path, length: int) -> Iterator[np.ndarray]:
    """`length` pictures of the source at 320x240, forth and back again so that no loop jumps."""
    held: list[np.ndarray] = []
    frames = range(min(length, probe(source).num_frames))
    for _, picture in stream_frames(source, frames, size=(HEIGHT, WIDTH)):
        held.append(picture.copy())
    order = cycle([*range(len(held)), *range(len(held) - 2, 0, -1)])
    return (held[index] for _, index in zip(range(length), order, strict=False))


def rendered_pictures(length: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """A still textured background, patches that cross it, sensor noise."""
    coarse = rng.integers(60, 200, (HEIGHT // 8, WIDTH // 8, 3)).astype(np.float32)
    background = np.clip(np.kron(coarse, np.ones((8, 8, 1))) + rng.normal(0, 12, (HEIGHT, WIDTH, 3)), 0, 255)
    noise = rng.normal(0, 3, (16, HEIGHT, WIDTH, 3)).astype(np.float32)
    patches = [(rng.integers(0, 255, (48, 24, 3)), rng.uniform(-4, 4, 2), rng.uniform(0, 200, 2)) for _ in range(5)]
    for number in range(length):
        picture = background + noise[rng.integers(16)]
        for texture, speed, start in patches:
            y, x = ((start + number * speed) % (HEIGHT - 48, WIDTH - 24)).astype(int)
            picture[y : y + 48, x : x + 24] = texture
        yield np.clip(picture, 0, 255).astype(np.uint8)


def join_clips(paths: Sequence[Path], target: Path, seconds: int) -> None:
    """A long file out of the clips' own packets, over and over; nothing is encoded again."""
    clips = [_packets(path) for path in paths]
    written = 0
    with replacing(target) as temporary, av.open(str(temporary), "w") as output, av.open(str(paths[0])) as first:
        tick = first.streams.video[0].time_base  # one for all clips: they have one encoder
        per_frame = int(1 / tick / FPS)
        stream = output.add_stream_from_template(first.streams.video[0])
        for clip in cycle(clips):
            for data, pts, dts, is_keyframe in clip:
                packet = av.Packet(data)
                packet.pts, packet.dts, packet.duration = (
                    pts + written * per_frame,
                    dts + written * per_frame,
                    per_frame,
                )
                packet.time_base, packet.is_keyframe, packet.stream = tick, is_keyframe, stream
                output.mux(packet)
            written += len(clip)
            if written >= seconds * FPS:
                return


def _packets(path: Path) -> list[tuple[bytes, int, int, bool]]:
    with av.open(str(path)) as container:
        packets = (packet for packet in container.demux(video=0) if packet.size)
        return [(bytes(packet), packet.pts, packet.dts, packet.is_keyframe) for packet in packets]
