"""Several cameras in one process, for hours: memory over time, how late the latest frame was, what an outage costs.

Each simulated camera is a process of its own (`camera_server`); one is killed in the middle and started again later.
What is measured is scripts/watch.py as it is run, in a process of its own on so many cores: alarms go to a webhook with
their pictures, to an MQTT broker where mosquitto is installed, and /metrics is scraped all the while.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import tyro
import yaml

from benchmarks.camera_server import write_footage
from pretrain.cli import run_command
from pretrain.errors import UserError

ROOT = Path(__file__).parents[1]
SCRAPE_SECONDS = 1.0
START_SECONDS, END_SECONDS = 120.0, 60.0
FOOTAGE_SECONDS = 90
"""Played over and over; four seconds of it raise an alarm."""
KILLED_AT, AWAY_SHARE = 0.4, 0.05
"""Shares of the run: when one camera's server is killed, and for how long it stays away."""
WARM_SHARE = 0.3
"""Of the run, before memory counts as settled: rings of pictures and windows fill first."""
JPEG_BASE64 = "/9j/"
"""How every JPEG begins."""
_SAMPLE = re.compile(r'^anomaly_(\w+?)(?:\{camera="([^"]*)"\})? (\S+)$', re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class CamerasBenchmarkConfig:
    """Watch simulated cameras of 320x240 at 15 frames a second, in one process, with the label-free detector."""

    quick: bool = False
    """Two cameras, 18 seconds: whether it works, no more; under a minute."""
    hours: float = 0.1
    """How long they are watched."""
    cameras: int = 4
    cores: int = 2
    """Of the process that watches; the cameras' servers run wherever there is room."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.cameras < 1 or self.cores < 1 or not self.hours > 0:
            raise UserError(f"cameras is {self.cameras}, cores {self.cores}, hours {self.hours}; all must be above 0")


@dataclass
class Seen:
    """What the run looked like from outside."""

    seconds: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    latest_frame: float = 0.0
    scrapes: int = 0
    posted: list[dict[str, Any]] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    """Topics of MQTT messages."""
    totals: dict[str, float] = field(default_factory=dict)
    """Of the last scrape, over all cameras."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    options = tyro.cli(CamerasBenchmarkConfig, args=arguments, prog="cameras.py")
    run_command(lambda: run(options))


def run(options: CamerasBenchmarkConfig) -> None:
    """Serve, watch, kill, measure; print a table and the RESULT line."""
    count, seconds = (2, 18.0) if options.quick else (options.cameras, 3600 * options.hours)
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ports = free_ports(count + 2)
        footage = root / "footage.mp4"
        write_footage(footage, 16 if options.quick else FOOTAGE_SECONDS, options.seed)
        servers = [serve(footage, port) for port in ports[:count]]
        stack.callback(stop_all, servers)
        seen = Seen()
        hook = stack.enter_context(receiver(seen))
        broker = stack.enter_context(mqtt_broker(root, ports[-1], seen))
        file = write_cameras(root, ports[:count], ports[count], hook, broker)
        process = stack.enter_context(watching(file, root / "log.txt", options.cores))
        watch(process, ports[count], seconds, seen, servers, footage, ports)
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            status = -1
        if status:
            print((root / "log.txt").read_text()[-4000:], file=sys.stderr)
        result = results(seen, status, root / "watched", has_broker=broker is not None)
    print(table(count, seconds, options, result))
    print("RESULT " + json.dumps(result))


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens at."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(each.getsockname()[1]) for each in sockets]


def serve(footage: Path, port: int) -> subprocess.Popen[bytes]:
    """A camera of that footage."""
    command = [sys.executable, "-m", "benchmarks.camera_server", str(footage), str(port)]
    return subprocess.Popen(command, cwd=ROOT, env=environment())


def stop_all(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """All that are in the list by now."""
    for process in processes:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """As if the plug were pulled."""
    process.kill()
    process.wait()


def environment() -> dict[str, str]:
    """Of our processes: they import the packages from the checkout, and ask nobody else for addresses here."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return os.environ | {"PYTHONPATH": path, "no_proxy": "127.0.0.1"}


@contextmanager
def receiver(seen: Seen) -> Iterator[str]:
    """A web address that takes alarms; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/alarm"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def mqtt_broker(root: Path, port: int, seen: Seen) -> Iterator[str | None]:
    """mosquitto, and somebody who hears all that is told there; its address, None where it is not installed."""
    program = shutil.which("mosquitto")
    try:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion
    except ImportError:
        program = None
    if program is None:
        yield None
        return
    (root / "broker.conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    process = subprocess.Popen([program, "-c", str(root / "broker.conf")], stderr=subprocess.DEVNULL)
    client = Client(CallbackAPIVersion.VERSION2)
    client.on_connect = lambda own, *_: own.subscribe("#", qos=1)
    client.on_message = lambda _own, _data, message: seen.heard.append(str(message.topic))
    try:
        connect(client, port)
        client.loop_start()
        yield f"mqtt://127.0.0.1:{port}"
    finally:
        client.loop_stop()
        stop(process)


def connect(client: Any, port: int) -> None:
    """As soon as the broker answers; RuntimeError where it does not."""
    for _ in range(100):
        try:
            client.connect("127.0.0.1", port)
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the broker does not answer")


def write_cameras(root: Path, ports: Sequence[int], metrics: int, hook: str, broker: str | None) -> Path:
    """The file of cameras."""
    alarms = {"webhook": hook, "webhook_pictures": "base64", "metrics_port": metrics, "mqtt": broker}
    content = {
        "out": "watched",
        "device": "cpu",
        "alarms": {key: value for key, value in alarms.items() if value is not None},
        "defaults": {"timeout": 5.0, "first_delay": 0.5},
        "cameras": [
            {"name": f"camera {number}", "address": f"http://127.0.0.1:{port}/live"}
            for number, port in enumerate(ports)
        ],
    }
    file = root / "cameras.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


@contextmanager
def watching(file: Path, log: Path, cores: int) -> Iterator[subprocess.Popen[bytes]]:
    """scripts/watch.py on these cameras, on so many cores."""
    command = [sys.executable, str(ROOT / "scripts" / "watch.py"), str(file)]
    with open(log, "wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=environment())
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(process.pid, sorted(os.sched_getaffinity(0))[:cores])
        try:
            yield process
        finally:
            stop(process)


def watch(
    process: subprocess.Popen[bytes],
    metrics: int,
    seconds: float,
    seen: Seen,
    servers: list[subprocess.Popen[bytes]],
    footage: Path,
    ports: Sequence[int],
) -> None:
    """Scrape once a second for so long from when all cameras are there; kill one server meanwhile, and start it again.

    RuntimeError where the process ends by itself.
    """
    deadline = time.monotonic() + START_SECONDS
    while scrape(metrics, seen).get("up", 0) < len(servers):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the cameras were not all there in time")
        time.sleep(SCRAPE_SECONDS)
    seen.seconds.clear()
    seen.memory_mb.clear()
    begun, is_killed, is_back = time.monotonic(), False, False
    while (now := time.monotonic() - begun) < seconds:
        if process.poll() is not None:
            raise RuntimeError(f"it left with {process.returncode}")
        if not is_killed and now > KILLED_AT * seconds:
            stop(servers[-1])
            is_killed = True
        if not is_back and now > (KILLED_AT + AWAY_SHARE) * seconds:
            servers[-1] = serve(footage, ports[len(servers) - 1])
            is_back = True
        seen.totals = scrape(metrics, seen)
        seen.seconds.append(now)
        time.sleep(SCRAPE_SECONDS)


def scrape(port: int, seen: Seen) -> dict[str, float]:
    """One look at /metrics: each figure's sum over cameras; what is kept of it goes to `seen`."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
    except OSError:
        return {}
    sums: dict[str, float] = {}
    for name, _, value in _SAMPLE.findall(text):
        sums[name] = sums.get(name, 0.0) + float(value)
        if name == "latest_frame_seconds":
            seen.latest_frame = max(seen.latest_frame, float(value))
    seen.scrapes += 1
    seen.memory_mb.append(sums.get("memory_bytes", 0.0) / 1e6)
    return sums


def results(seen: Seen, status: int, out: Path, has_broker: bool) -> dict[str, Any]:
    """For machines."""
    memory = np.array(seen.memory_mb[: len(seen.seconds)])
    hours = np.array(seen.seconds) / 3600
    settled = hours >= WARM_SHARE * hours[-1]
    growth = float(np.polyfit(hours[settled], memory[settled], 1)[0]) if settled.sum() > 2 else 0.0
    records = [json.loads(line) for file in out.rglob("events.jsonl") for line in file.read_text().splitlines()]
    pictures = sum(is_jpeg(event.get("picture")) for event in seen.posted)
    return {
        "seconds": round(seen.seconds[-1], 1),
        "memory_mb": round(float(memory[settled].mean()), 1),
        "memory_peak_mb": round(float(memory.max()), 1),
        "memory_series_mb": [round(float(part.mean())) for part in np.array_split(memory, min(12, len(memory)))],
        "memory_growth_mb": round(float(memory[settled][-10:].mean() - memory[settled][:10].mean()), 1),
        "memory_growth_mb_per_hour": round(growth, 1),
        "latest_frame_seconds": round(seen.latest_frame, 3),
        "frames": int(seen.totals.get("frames_total", 0)),
        "frames_dropped": int(seen.totals.get("frames_dropped_total", 0)),
        "outages": int(seen.totals.get("outages_total", 0)),
        "reconnects": int(seen.totals.get("reconnects_total", 0)),
        "alarms": sum(record["kind"] == "begun" for record in records),
        "told": len(records),
        "posted": len(seen.posted),
        "posted_with_pictures": pictures,
        "mqtt_messages": len(seen.heard) if has_broker else None,
        "mqtt_topics": len(set(seen.heard)) if has_broker else None,
        "scrapes": seen.scrapes,
        "status": status,
    }


def is_jpeg(picture: Any) -> bool:
    """Whether a posted object's picture is one: it may stand in an object of its own, beside what it is."""
    texts = picture.values() if isinstance(picture, dict) else [picture]
    return any(isinstance(text, str) and text.startswith(JPEG_BASE64) for text in texts)


def table(count: int, seconds: float, options: CamerasBenchmarkConfig, result: dict[str, Any]) -> str:
    """For people."""
    lines = [f"\n{count} cameras of 320x240, one process, {options.cores} core(s), {seconds:.0f} s"]
    return "\n".join([*lines, *(f"  {name:<28}{value}" for name, value in result.items())])


if __name__ == "__main__":
    main(sys.argv[1:])
