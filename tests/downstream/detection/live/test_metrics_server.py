"""The server on loopback: two pages, several cameras, who may ask, ports that are taken."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from downstream.detection.live.figures import CameraFigures
from downstream.detection.live.metrics_server import MetricsServer
from pretrain.errors import UserError


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[MetricsServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = MetricsServer(0, silent_limit=30.0)
    yield server
    server.close()


def ask(server: MetricsServer, path: str, method: str = "GET") -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_each_camera_is_in_one_page(server: MetricsServer) -> None:
    figures = {"frames": 0}
    server.watch("door", lambda: CameraFigures(frames=figures["frames"]))
    server.watch("yard", CameraFigures)
    for frames in (5, 7):
        figures["frames"] = frames
        status, text = ask(server, "/metrics")
        (family,) = [each for each in text_string_to_metric_families(text) if each.name == "anomaly_frames"]
        assert status == 200
        assert {sample.labels["camera"]: sample.value for sample in family.samples} == {"door": frames, "yard": 0}


def test_health_is_503_until_every_camera_is_scored(server: MetricsServer) -> None:
    assert ask(server, "/healthz")[0] == 503
    server.watch("door", CameraFigures)
    assert ask(server, "/healthz")[0] == 503
    scored_at = time.monotonic()
    server.watch("door", lambda: CameraFigures(state="connected", scored_at=scored_at))
    assert ask(server, "/healthz") == (200, '{"status": "ok", "cameras": {"door": "ok"}}\n')
    server.watch("yard", lambda: CameraFigures(state="lost", scored_at=scored_at))
    status, text = ask(server, "/healthz")
    assert (status, json.loads(text)["cameras"]) == (503, {"door": "ok", "yard": "no connection"})
    scored_at -= 31
    assert "nothing scored for 31 s" in ask(server, "/healthz")[1]


def test_other_pages_and_silent_callers(server: MetricsServer) -> None:
    assert ask(server, "/") == (404, "there are /metrics and /healthz\n")
    assert ask(server, "/metrics?x=1", "HEAD") == (200, "")
    with socket.create_connection(("127.0.0.1", server.port)):  # says nothing: others are answered all the same
        assert ask(server, "/metrics")[0] == 200


def test_only_this_machine_may_ask_and_a_port_has_one_owner(server: MetricsServer) -> None:
    assert server._server.server_address[0] == "127.0.0.1"
    with pytest.raises(UserError, match=rf"no metrics on 127.0.0.1:{server.port}: .*; give another metrics_port"):
        MetricsServer(server.port)
    with pytest.raises(UserError, match=r"no metrics on 192\.0\.2\.1:0: "):
        MetricsServer(0, "192.0.2.1")
