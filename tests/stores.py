"""Stores that tests read from: an S3 server, and a web server that counts, cuts off and refuses."""

from __future__ import annotations

import atexit
import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

BUCKET = "footage"


class Web:
    """A folder behind http://127.0.0.1, with ranges. What was sent of which file is counted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sent: list[tuple[str, int]] = []
        """File and bytes of each answer."""
        self.cut = 0
        """So many of the next answers end in their middle."""
        self.status = 0
        """Where not 0, every answer is this refusal."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def bytes_of(self, name: str) -> int:
        """Bytes sent of a file."""
        return sum(count for file, count in self.sent if file == name)

    def _handler(web: Web) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.do_GET(head=True)

            def do_GET(self, head: bool = False) -> None:
                file = web.folder / self.path.lstrip("/")
                if web.status or not file.is_file():
                    self.send_error(web.status or 404)
                    return
                content, status = file.read_bytes(), 200
                tag = f'"{file.stat().st_mtime_ns}"'
                if match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
                    content = content[int(match[1]) : int(match[2]) + 1 if match[2] else None]
                    status = 206
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("ETag", tag)
                self.end_headers()
                if head:
                    return
                if web.cut:
                    web.cut -= 1
                    content = content[: len(content) // 2]
                    self.close_connection = True
                web.sent.append((file.name, len(content)))
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler

    @contextmanager
    def running(self) -> Iterator[Web]:
        """Answers while this lasts."""
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()


@lru_cache(maxsize=1)
def _server() -> str:
    """Start the one S3 server of this process; its address."""
    moto = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line a request
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    atexit.register(server.stop)
    host, port = server.get_host_and_port()
    return f"http://{host}:{port}"


@contextmanager
def s3_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An S3 server with one empty bucket; its file system. Commands started meanwhile find it by their environment."""
    pytest.importorskip("s3fs", reason="the extra 'remote' is not installed")
    import fsspec

    address = _server()
    urlopen(Request(f"{address}/moto-api/reset", method="POST")).close()
    settings = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in (settings | {"AWS_ENDPOINT_URL": address}).items():
        monkeypatch.setenv(name, value)
    system = fsspec.filesystem("s3", use_listings_cache=False)
    system.mkdir(BUCKET)
    yield system
