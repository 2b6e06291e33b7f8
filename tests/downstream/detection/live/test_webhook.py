"""The webhook against real servers: one that takes events, one that refuses, one that hangs, one that is not there."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from email import policy
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from downstream.detection.live.outlet import AlarmFiles, AlarmOutlet, ToldAlarm
from downstream.detection.live.webhook import MAX_WAITING, Webhook
from downstream.detection.writers.events_jsonl import event_line
from pretrain.addresses import address_label
from pretrain.errors import UserError
from tests.downstream.detection.made import stream_event

Answer = Callable[[int], int]


class Receiver(ThreadingHTTPServer):
    """Notes what is posted; `answer(n)` is the status of the n-th request."""

    daemon_threads = True

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.posted: list[tuple[dict[str, object], str]] = []
        self.raw: list[tuple[str, bytes]] = []

    def address(self, login: str = "") -> str:
        return f"http://{login}127.0.0.1:{self.server_port}/alarm"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.raw.append((self.headers["Content-Type"], content))
        body = json.loads(content) if self.headers["Content-Type"] == "application/json" else {}
        self.server.posted.append((body, self.headers.get("Authorization", "")))
        status = self.server.answer(len(self.server.posted))
        self.send_response(status, f"no {self.path} here" if status == 404 else None)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Not in the tests' output."""


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Answer], Receiver]]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    servers: list[Receiver] = []

    def start(answer: Answer) -> Receiver:
        servers.append(Receiver(answer))
        threading.Thread(target=servers[-1].serve_forever, args=(0.02,), daemon=True).start()
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_events_arrive_in_order_and_the_login_is_a_header(serve: Callable[[Answer], Receiver]) -> None:
    server, said = serve(lambda n: 204), []
    hook = Webhook(server.address("me:p%40ss@"), said.append)
    assert all(hook.post({"number": n, "camera": "Tür"}) for n in range(5))
    hook.close()
    assert [body for body, _ in server.posted] == [{"number": n, "camera": "Tür"} for n in range(5)]
    assert {login for _, login in server.posted} == {"Basic bWU6cEBzcw=="}
    assert (hook.sent, hook.failed, said) == (5, 0, [])
    assert "p%40ss" not in hook.label


def test_a_server_that_comes_round_is_tried_three_times(serve: Callable[[Answer], Receiver]) -> None:
    server, said = serve(lambda n: 500 if n < 3 else 200), []
    hook = Webhook(server.address(), said.append, first_delay=0.01)
    hook.post({})
    hook.close()
    assert (len(server.posted), hook.sent, hook.failed, said) == (3, 1, 0, [])


@pytest.mark.parametrize(("status", "text"), [(404, "HTTP Error 404: Not Found"), (302, "HTTP Error 302: Found")])
def test_refusals_are_counted_and_said(serve: Callable[[Answer], Receiver], status: int, text: str) -> None:
    server, said = serve(lambda n: status), []
    hook = Webhook(server.address("me:secret@") + "/secret", said.append, first_delay=0.01)
    hook.post({})
    hook.close()
    label = address_label(server.address() + "/secret")
    assert said == [f"webhook {label}: not delivered after 3 tries: {text}"]
    assert (hook.sent, hook.failed, len(server.posted)) == (0, 1, 3)


def test_a_server_that_hangs_holds_nobody_up(serve: Callable[[Answer], Receiver]) -> None:
    release = threading.Event()
    asked = threading.Event()

    def hang(_: int) -> int:
        asked.set()
        release.wait(10)
        return 200

    server, said = serve(hang), []
    hook = Webhook(server.address(), said.append, timeout=30)
    hook.post({"number": 0})
    assert asked.wait(5)
    taken = [hook.post({"number": n}) for n in range(MAX_WAITING + 2)]
    assert taken == [True] * MAX_WAITING + [False] * 2
    hook.close(timeout=0.05)
    release.set()
    assert said[0].endswith("100 events are waiting already; one is left out")
    assert said[-1].endswith("101 events not delivered within 0.05 s; given up")
    assert (hook.sent, hook.failed) == (0, MAX_WAITING + 3)


def test_the_time_limit_ends_a_try(serve: Callable[[Answer], Receiver]) -> None:
    release, said = threading.Event(), []
    server = serve(lambda n: 200 + release.wait(10))
    hook = Webhook(server.address(), said.append, timeout=0.05, first_delay=0.01)
    hook.post({})
    hook.close()
    release.set()
    assert said == [f"{hook.label}: not delivered after 3 tries: timed out"]


def test_nobody_there_is_said(serve: Callable[[Answer], Receiver]) -> None:
    server, said = serve(lambda n: 200), []
    server.server_close()
    hook = Webhook(server.address(), said.append, first_delay=0.01)
    hook.post({})
    hook.close()
    assert len(said) == hook.failed == 1
    assert "Connection refused" in said[0]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://host/x",
        "file:///etc/passwd",
        "http://",
        "http://u:secret@host:port/",
        "alarm",
        "http://u:secret@ho st/",
        "http://[secret",
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(UserError, match="not an address of the web; give one like https://") as refused:
        Webhook(url, print)
    assert "secret" not in str(refused.value)


def test_what_cannot_be_sent_says_nothing_of_its_path(serve: Callable[[Answer], Receiver]) -> None:
    server, said = serve(lambda n: 200), []
    hook = Webhook(server.address() + "/secret geheim ü?token=secret#secret", said.append, first_delay=0.01)
    hook.post({})
    hook.close()
    assert (hook.sent, said) == (1, [])
    assert "secret" not in hook.label
    hook = Webhook(server.address().replace("127.0.0.1", "secret@127.0.0.1.invalid"), said.append, first_delay=0.01)
    hook.post({})
    hook.close()
    assert "secret" not in said[0]


def test_it_is_an_outlet_of_alarms(serve: Callable[[Answer], Receiver]) -> None:
    server = serve(lambda _: 204)
    outlet: AlarmOutlet = Webhook(server.address("me:secret@"), print)
    event = stream_event()
    outlet.alarm(ToldAlarm(camera="door", event=event))
    outlet.close()
    outlet.close()
    assert [body for body, _ in server.posted] == [event_line(event)]
    assert outlet.label == f"webhook {address_label(server.address())}"
    assert outlet.summary() == "1 delivered, 0 not"


def test_pictures_go_along_where_they_are_asked_for(serve: Callable[[Answer], Receiver], tmp_path: Path) -> None:
    server, jpeg = serve(lambda _: 204), b"\xff\xd8\r\n--picture\xff\xd9"
    (tmp_path / "a.jpg").write_bytes(jpeg)
    event = stream_event()
    for pictures in ("base64", "multipart"):
        hook = Webhook(server.address(), print, pictures=pictures)
        for name in ("a.jpg", "gone.jpg"):
            hook.alarm(ToldAlarm(camera="door", event=event, files=AlarmFiles(snapshot=tmp_path / name)))
        hook.close()
        assert hook.summary() == "2 delivered, 0 not"
    encoded, *without, form = [server.raw[n] for n in (0, 1, 3, 2)]
    assert [json.loads(body) for _, body in without] == [
        event_line(event)
    ] * 2  # a picture that is gone: the event alone
    values = json.loads(encoded[1])
    assert base64.b64decode(values.pop("picture")["base64"]) == jpeg
    assert values == event_line(event)
    message = BytesParser(policy=policy.HTTP).parsebytes(f"Content-Type: {form[0]}\r\n\r\n".encode() + form[1])
    parts = {part.get_param("name", header="Content-Disposition"): part for part in message.iter_parts()}
    assert json.loads(parts["event"].get_content().decode()) == event_line(event)
    assert parts["picture"].get_content_type() == "image/jpeg"
    assert parts["picture"].get_payload(decode=True) == jpeg
