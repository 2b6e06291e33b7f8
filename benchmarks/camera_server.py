"""A simulated camera: H.264 in MPEG-TS over HTTP, in real time and without end, in a process that can be killed.

    python -m benchmarks.camera_server FOOTAGE.mp4 PORT

The footage is played over and over with time stamps that go on; nothing is encoded again.
"""

from __future__ import annotations

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import av
import numpy as np

HEIGHT, WIDTH, FPS = 240, 320, 15
LOUD_SECONDS = 4
"""Of the footage, two thirds through: unlike the rest."""


def write_footage(path: Path, seconds: int, seed: int) -> None:
    """A still street of noise where something small moves; for four seconds everything does."""
    rng = np.random.default_rng(seed)
    ground = np.kron(rng.integers(60, 150, (HEIGHT // 8, WIDTH // 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    with av.open(str(path), "w") as container:
        options = {"g": str(2 * FPS), "bf": "0", "preset": "veryfast", "x264-params": "log-level=none"}
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        stream.codec_context.thread_count = 1
        for number in range(seconds * FPS):
            picture = ground.copy()
            is_loud = 0 <= number / FPS - 2 / 3 * seconds < LOUD_SECONDS
            for patch in range(12 if is_loud else 1):
                speed = 23 if is_loud else 1
                x, y = (41 * patch + speed * number) % (WIDTH - 30), (67 * patch + (speed - 1) * number) % (HEIGHT - 50)
                picture[y : y + 50, x : x + 30] = (40 * patch) % 256 if is_loud else 30
            noise = rng.integers(-4, 5, picture.shape, dtype=np.int16)
            noisy = np.clip(picture.astype(np.int16) + noise, 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, "rgb24")))
        container.mux(stream.encode(None))


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, footage: Path) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.footage = footage

    def handle_error(self, *_: Any) -> None:
        """A client that goes away is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "video/mp2t")
        self.end_headers()
        play(self.server.footage, self.wfile)

    def log_message(self, *_: object) -> None:
        """A call is no news."""


def play(footage: Path, target: Any) -> None:
    """Write it to a socket's file, at its pace, until nobody takes it any more."""
    with av.open(str(footage)) as source, av.open(target, "w", format="mpegts") as output:
        own = source.streams.video[0]
        stream = output.add_stream_from_template(own)
        packets = [(bytes(each), each.pts, each.dts, each.is_keyframe) for each in source.demux(own) if each.size]
        tick, begun = own.time_base, time.monotonic()
        assert tick is not None
        step = round(1 / (FPS * tick))
        for number in count():
            data, pts, dts, is_keyframe = packets[number % len(packets)]
            lap = number // len(packets) * len(packets) * step
            packet = av.Packet(data)
            packet.pts, packet.dts, packet.time_base = pts + lap, dts + lap, tick
            packet.is_keyframe, packet.stream = is_keyframe, stream
            time.sleep(max(0.0, begun + number / FPS - time.monotonic()))
            output.mux(packet)


if __name__ == "__main__":
    _Server(int(sys.argv[2]), Path(sys.argv[1])).serve_forever()
