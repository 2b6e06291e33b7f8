"""Real MQTT brokers on loopback: mosquitto where it is installed, else amqtt; started, killed, started again."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

USER, PASSWORD = "camera", "p@ss/wörd"


class Broker:
    """One that knows one user; `certificate` and `key`: it speaks TLS alone."""

    def __init__(self, folder: Path, certificate: Path | None = None, key: Path | None = None) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.port = int(server.getsockname()[1])
        self._passwords = folder / "passwords"
        self._process: subprocess.Popen[bytes] | None = None
        self.is_mosquitto = shutil.which("mosquitto") is not None
        make = self._mosquitto if self.is_mosquitto else self._amqtt
        self._command = make(folder, certificate, key)

    def _mosquitto(self, folder: Path, certificate: Path | None, key: Path | None) -> list[str]:
        self._passwords.touch(0o600)
        subprocess.run(["mosquitto_passwd", "-b", self._passwords, USER, PASSWORD], check=True)
        lines = [f"listener {self.port} 127.0.0.1", "allow_anonymous false", f"password_file {self._passwords}"]
        lines += ["user root", f"certfile {certificate}", f"keyfile {key}"][: 3 if certificate else 1]
        (folder / "broker.conf").write_text("\n".join(lines) + "\n")
        return ["mosquitto", "-c", str(folder / "broker.conf")]

    def _amqtt(self, folder: Path, certificate: Path | None, key: Path | None) -> list[str]:
        hashed = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=64),)).hash(PASSWORD)
        self._passwords.write_text(f"{USER}:{hashed}\n")
        listener: dict[str, Any] = {"type": "tcp", "bind": f"127.0.0.1:{self.port}"}
        if certificate:
            listener |= {"ssl": True, "certfile": str(certificate), "keyfile": str(key)}
        plugins = {"amqtt.plugins.authentication.FileAuthPlugin": {"password_file": str(self._passwords)}}
        content = {"listeners": {"default": listener}, "plugins": plugins}
        (folder / "broker.yaml").write_text(yaml.safe_dump(content))
        return [str(Path(sys.executable).with_name("amqtt")), "-c", str(folder / "broker.yaml")]

    def address(self, prefix: str = "", password: str = "p%40ss%2Fw%C3%B6rd", scheme: str = "mqtt") -> str:
        return f"{scheme}://{USER}:{password}@127.0.0.1:{self.port}{prefix}"

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self._answers)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the broker has ended"
        try:
            socket.create_connection(("127.0.0.1", self.port), 0.2).close()
        except OSError:
            return False
        return True

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Listener:
    """Somebody else at the broker: hears all."""

    def __init__(self, broker: Broker) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._is_there = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.username_pw_set(USER, PASSWORD)
        self._client.on_message = self._on_message
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_subscribe = lambda *_: self._is_there.set()
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        assert self._is_there.wait(10)

    def _on_message(self, client: Client, data: object, message: MQTTMessage) -> None:
        self.heard.append((message.topic, message.payload))

    def of(self, topic: str) -> list[bytes]:
        return [payload for name, payload in list(self.heard) if name == topic]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def wait_for(condition: Callable[[], object], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)
