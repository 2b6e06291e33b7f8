"""`/metrics` for Prometheus and `/healthz` for whoever restarts what hangs, over HTTP on this machine alone."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from downstream.detection.live.figures import CameraBoard
from downstream.detection.live.metrics import CONTENT_TYPE, health, metrics_text
from pretrain.errors import UserError
from pretrain.files import json_text

ANSWER_SECONDS = 5.0
"""Who asks and then says nothing is let go."""


class MetricsServer(CameraBoard):
    """Answers from threads of its own; a `CameraMonitor`. `GET /healthz` is 200, or 503 with the reasons as JSON."""

    def __init__(self, port: int, host: str = "127.0.0.1", silent_limit: float = 60.0) -> None:
        """`port` 0: any that is free. `silent_limit`: seconds without a score after which a camera is not well.

        UserError: the port is taken, or not for us.
        """
        super().__init__()
        self.silent_limit = silent_limit
        try:
            self._server = _Server((host, port), self)
        except OSError as error:
            raise UserError(
                f"no metrics on {host}:{port}: {error.strerror or error}; give another metrics_port, or metrics_host"
            ) from error
        self.port = int(self._server.server_address[1])
        self.label = f"http://{f'[{host}]' if ':' in host else host}:{self.port}/metrics"
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", args=(0.2,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> tuple[int, str, str]:
        """Status, content type and text of a page."""
        page = path.split("?", 1)[0].rstrip("/")
        if page == "/metrics":
            return 200, CONTENT_TYPE, metrics_text(self.look())
        if page in ("/healthz", "/health"):
            cameras = self.look()
            problems = health(cameras, self.silent_limit)
            states = {camera: problems.get(camera, "ok") for camera in cameras} or problems
            content = {"status": "unhealthy" if problems else "ok", "cameras": states}
            return 503 if problems else 200, "application/json", json_text(content) + "\n"
        return 404, "text/plain; charset=utf-8", "there are /metrics and /healthz\n"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], owner: MetricsServer) -> None:
        self.owner = owner
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Without the look-up of this machine's name, which takes seconds where no name server answers."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, *_: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = ANSWER_SECONDS

    def do_GET(self) -> None:
        self._answer(has_body=True)

    def do_HEAD(self) -> None:
        self._answer(has_body=False)

    def _answer(self, has_body: bool) -> None:
        status, kind, text = self.server.owner.answer(self.path)
        body = text.encode("utf-8", "backslashreplace")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if has_body:
            self.wfile.write(body)

    def version_string(self) -> str:
        """Not which Python this is."""
        return "anomaly-pretext"

    def log_message(self, *_: object) -> None:
        """A scrape is no news."""
