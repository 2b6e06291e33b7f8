"""Cameras for tests: a small rendered MPEG-TS, and real servers on loopback that play it over HTTP and RTSP."""

from __future__ import annotations

import io
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import av
import numpy as np

PACKET = 188
"""Bytes of a packet of MPEG-TS."""


def render_ts(num_frames: int, fps: int, width: int = 96, height: int = 72, gop: int = 10) -> bytes:
    """A bright square that wanders over noise, H.264 in MPEG-TS."""
    noise = np.random.default_rng(5).integers(40, 90, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    with av.open(file, "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=fps, options={"g": str(gop), "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(num_frames):
            picture = noise.copy()
            x = 3 * number % (width - 12)
            picture[20:32, x : x + 12] = 250 - number % 100
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, handler: type[socketserver.StreamRequestHandler], port: int, data: bytes, seconds: float):
        super().__init__(("127.0.0.1", port), handler)
        self.data, self.seconds = data, seconds
        self.killed = threading.Event()
        self.connections: list[socket.socket] = []

    def pieces(self, size: int) -> Iterator[bytes]:
        """The data piece by piece, spread evenly over its seconds; ends when the server is killed."""
        begun, count = time.monotonic(), -(-len(self.data) // size)
        for number in range(count):
            due = begun + self.seconds * number / count
            if self.killed.wait(max(0.0, due - time.monotonic())):
                return
            yield self.data[number * size : (number + 1) * size]

    def kill(self) -> None:
        """As if the plug were pulled: no answer is finished."""
        self.killed.set()
        self.shutdown()
        self.server_close()
        for connection in self.connections:
            connection.close()


class HttpCamera(socketserver.StreamRequestHandler):
    """`/live`: no length, in real time. `/file`: with its length. `/silent`: half of it, then nothing. `/list`: HLS."""

    server: Server
    disable_nagle_algorithm = True

    def handle(self) -> None:
        path = self.rfile.readline().split()[1].decode()
        while self.rfile.readline().strip():
            pass
        data = self.server.data
        length = f"Content-Length: {len(data)}\r\n" if path == "/file" else ""
        kind = "application/vnd.apple.mpegurl" if path.startswith("/list") else "video/mp2t"
        try:
            self.wfile.write(f"HTTP/1.0 200 OK\r\nContent-Type: {kind}\r\n{length}\r\n".encode())
            for number, piece in enumerate(self.server.pieces(4 * PACKET)):
                if path == "/silent" and number * 8 * PACKET > len(data):
                    self.server.killed.wait(20)
                    return
                self.wfile.write(piece)
        except OSError:
            return


class RtspCamera(socketserver.StreamRequestHandler):
    """As much of RTSP as it takes: one stream, interleaved in the connection, MPEG-TS in RTP (RFC 2250)."""

    server: Server
    disable_nagle_algorithm = True

    def handle(self) -> None:
        self.server.connections.append(self.connection)
        try:
            while request := self.rfile.readline().split():
                fields = dict(line.split(": ", 1) for line in iter(lambda: self.rfile.readline().decode().strip(), ""))
                self._answer(request[0].decode(), request[1].decode(), fields["CSeq"])
                if request[0] == b"PLAY":
                    self._play()
                    return
        except OSError:
            return

    def _answer(self, method: str, url: str, sequence: str) -> None:
        head, body = "", ""
        if method == "DESCRIBE":
            body = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\na=control:one\r\n"
            head = f"Content-Base: {url}/\r\nContent-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
        elif method == "SETUP":
            head = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 7\r\n"
        elif method == "OPTIONS":
            head = "Public: OPTIONS, DESCRIBE, SETUP, PLAY\r\n"
        self.wfile.write(f"RTSP/1.0 200 OK\r\nCSeq: {sequence}\r\n{head}\r\n{body}".encode())

    def _play(self) -> None:
        for number, piece in enumerate(self.server.pieces(7 * PACKET)):
            packet = struct.pack(">BBHII", 0x80, 33, number % 65536, number * 900, 7) + piece
            self.wfile.write(struct.pack(">cBH", b"$", 0, len(packet)) + packet)


@contextmanager
def camera(
    handler: type[socketserver.StreamRequestHandler], data: bytes, seconds: float, port: int = 0
) -> Iterator[Server]:
    """A server that plays `data` within so many seconds to each who asks; 0: as fast as it is taken."""
    server = Server(handler, port, data, seconds)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        if not server.killed.is_set():
            server.kill()


@contextmanager
def mute() -> Iterator[int]:
    """The port of a server that takes calls and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]
