"""Alarms by a real broker: what Home Assistant hears, a broker that is killed, wrong passwords, TLS, a will."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from downstream.detection.live.figures import CameraFigures
from downstream.detection.live.mqtt_outlet import MAX_WAITING, MqttOutlet
from downstream.detection.live.outlet import AlarmFiles, ToldAlarm
from downstream.detection.writers.events_jsonl import event_line
from pretrain.errors import UserError
from tests.downstream.detection.live.brokers import PASSWORD, Broker, Listener, wait_for
from tests.downstream.detection.made import stream_event

FIGURES = CameraFigures(state="connected", level="raised", score=0.5, events=2)
JPEG = b"\xff\xd8picture\xff\xd9"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("broker"))
    broker.start()
    yield broker
    broker.kill()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def listen(broker: Broker, stack: ExitStack) -> Listener:
    listener = Listener(broker)
    stack.callback(listener.close)
    return listener


def test_a_camera_is_found_and_its_alarm_and_picture_arrive(broker: Broker, stack: ExitStack, tmp_path: Path) -> None:
    listener, said = listen(broker, stack), list[str]()
    outlet = MqttOutlet(broker.address("/house/cameras/"), said.append)
    stack.callback(outlet.close)
    figures = {"now": FIGURES}
    outlet.watch("Front door", lambda: figures["now"])
    (tmp_path / "a.jpg").write_bytes(JPEG)
    event = stream_event(kind="begun")
    outlet.alarm(ToldAlarm(camera="Front door", event=event, files=AlarmFiles(snapshot=tmp_path / "a.jpg")))
    base = next(iter(outlet.look()))
    wait_for(lambda: any(topic.endswith("/event") for topic, _ in listener.heard))
    topic = next(topic for topic, _ in listener.heard if topic.endswith("/event")).removesuffix("/event")
    assert topic.startswith("house/cameras/Front-door-")
    assert base == "Front door"
    assert json.loads(listener.of(f"{topic}/event")[0]) == {"event_type": "begun", "camera": "Front door"} | event_line(
        event
    )
    assert listener.of(f"{topic}/snapshot") == [JPEG]
    assert listener.of("house/cameras/status") == [b"online"]
    state = {"level": "raised", "score": 0.5, "events": 2, "connected": True}
    assert json.loads(listener.of(f"{topic}/state")[0]) == state
    configs = {name: json.loads(text) for name, text in listener.heard if name.startswith("homeassistant/")}
    assert sorted(name.split("/")[1] for name in configs) == [
        "binary_sensor", "binary_sensor", "camera", "event", "sensor", "sensor", "sensor",
    ]  # fmt: skip
    (camera,) = [config for name, config in configs.items() if "/camera/" in name]
    assert camera["topic"] == f"{topic}/snapshot"
    figures["now"] = CameraFigures(state="lost", level="lost")
    wait_for(lambda: len(listener.of(f"{topic}/state")) > 1)
    assert listener.of(f"{topic}/availability") == [b"online", b"offline"]
    outlet.close()
    wait_for(lambda: listener.of("house/cameras/status") == [b"online", b"offline"])
    assert (outlet.summary(), said) == ("1 delivered, 0 not", [])
    # who comes later is told what there is: it is retained
    late = listen(broker, stack)
    wait_for(lambda: late.of(f"{topic}/snapshot"))
    assert not late.of(f"{topic}/event")


def test_a_crash_is_told_by_the_broker(broker: Broker, stack: ExitStack) -> None:
    listener, said = listen(broker, stack), list[str]()
    outlet = MqttOutlet(broker.address("/crash"), said.append, discovery="")
    stack.callback(outlet.close)
    wait_for(lambda: listener.of("crash/status") == [b"online"])
    outlet._client.socket().shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
    wait_for(lambda: listener.of("crash/status") == [b"online", b"offline", b"online"])
    assert "connection lost" in said[0]
    assert said[-1] == f"{outlet.label}: connected"
    assert not [topic for topic, _ in listener.heard if topic.startswith("homeassistant") and "crash" in topic]


def test_events_wait_for_a_broker_that_is_killed_and_comes_back(tmp_path: Path, stack: ExitStack) -> None:
    broker, said = Broker(tmp_path), list[str]()
    stack.callback(broker.kill)
    broker.start()
    outlet = MqttOutlet(broker.address(), said.append, longest_pause=1)
    stack.callback(outlet.close)
    wait_for(lambda: outlet._is_connected)
    broker.kill()
    wait_for(lambda: not outlet._is_connected)
    for number in range(1, 4):
        outlet.alarm(ToldAlarm(camera="door", event=stream_event(number=number)))
    broker.start()
    listener = listen(broker, stack)
    wait_for(lambda: outlet.sent == 3)
    numbers = [json.loads(text)["number"] for text in listener.of("anomaly-pretext/door/event")]
    assert numbers in ([1, 2, 3], [2, 3], [3], [])  # the listener may have come after the first
    assert outlet.failed == 0
    assert any("connection lost" in line for line in said)


def test_a_wrong_password_is_said_and_never_shown(broker: Broker, stack: ExitStack) -> None:
    said: list[str] = []
    outlet = MqttOutlet(broker.address("/secret-prefix", password="hunter2222"), said.append)
    stack.callback(outlet.close, 0.1)
    wait_for(lambda: said)
    assert said[0].startswith(f"{outlet.label}: refused (")
    assert outlet.label.startswith(f"mqtt mqtt://127.0.0.1:{broker.port}/~")
    for secret in ("hunter2222", PASSWORD, "secret-prefix"):
        assert secret not in "".join([*said, outlet.label, repr(outlet)])


def test_what_waits_is_bounded_and_counted(stack: ExitStack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    said: list[str] = []
    outlet = MqttOutlet(f"mqtt://127.0.0.1:{port}", said.append)
    wait_for(lambda: said)
    for _ in range(MAX_WAITING + 2):
        outlet.alarm(ToldAlarm(camera="door", event=stream_event()))
    outlet.close(0.05)
    outlet.close()
    assert outlet.summary() == f"0 delivered, {MAX_WAITING + 2} not"
    assert said[0] == f"{outlet.label}: not reached (Connection refused); called again, events wait"
    assert said[1:] == [
        *[f"{outlet.label}: {MAX_WAITING} events are waiting already; one is left out"] * 2,
        f"{outlet.label}: {MAX_WAITING} events not delivered within 0.05 s; given up",
    ]


def test_tls_is_checked(tmp_path: Path, stack: ExitStack) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    make += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(make, check=True, capture_output=True)
    broker = Broker(tmp_path, certificate, key)
    stack.callback(broker.kill)
    broker.start()
    said: list[str] = []
    trusting = MqttOutlet(broker.address(scheme="mqtts"), print, authority=certificate)
    doubting = MqttOutlet(broker.address(scheme="mqtts"), said.append)
    for outlet in (trusting, doubting):
        stack.callback(outlet.close, 0.1)
    trusting.alarm(ToldAlarm(camera="door", event=stream_event()))
    wait_for(lambda: trusting.sent == 1)
    wait_for(lambda: said)
    assert said == [
        f"{doubting.label}: not reached (its certificate cannot be trusted (code 18)); called again, events wait"
    ]
    with pytest.raises(UserError, match=r"mqtt_ca .*key\.pem: no certificates in PEM can be read there"):
        MqttOutlet(broker.address(scheme="mqtts"), print, authority=key)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with pytest.raises(UserError, match=r"MQTT needs paho-mqtt 2; install it: pip install 'anomaly-pretext\[mqtt\]'"):
        MqttOutlet("mqtt://127.0.0.1", print)
