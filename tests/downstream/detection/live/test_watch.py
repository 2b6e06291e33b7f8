"""scripts/detect.py over real streams on loopback: the events of the file, outages, signals, webhooks, silence.

The processes run side by side, started once for all tests of this module.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import pytest
from PIL import Image

from downstream.detection.model import score_files
from downstream.detection.open_model import open_model
from downstream.detection.writers import listed, writers_for
from downstream.events.finder import find_events
from downstream.events.rule import AlarmRule
from pretrain.addresses import address_label
from scripts.detect import main
from tests.downstream.detection.live.servers import HttpCamera, camera, mute
from tests.paths import ROOT

FPS, SECONDS, SNIPPET = 16, 10, 16


def render(path: Path) -> Path:
    """Two scenes by turns, two snippets each: a detector tells them apart whatever it was trained on."""
    scenes = [
        np.random.default_rng(n).integers(0, 60 + 150 * n, (48, 72, 3), dtype=np.uint8).repeat(2, 0) for n in (0, 1)
    ]
    file = io.BytesIO()
    with av.open(file, "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"g": "8", "preset": "ultrafast", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 72, 96, "yuv420p"
        for number in range(FPS * SECONDS):
            picture = scenes[number // (2 * SNIPPET) % 2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        container.mux(stream.encode())
    path.write_bytes(file.getvalue())
    return path


class Receiver(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.posted: list[dict[str, Any]] = []
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Not in the tests' output."""


class Done(NamedTuple):
    """A process that has ended."""

    status: int
    out: str
    err: str
    folder: Path

    @property
    def content(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "events.json").read_text())
        return found

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "events.jsonl").read_text().splitlines()]


class World(NamedTuple):
    """What happened."""

    footage: Path
    flags: list[str]
    expected: list[tuple[int, int]]
    whole: Done
    cut: Done
    posted: list[dict[str, Any]]


def start(folder: Path, url: str, *flags: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "scripts" / "detect.py"), url, "--out", str(folder), *flags]
    environment = os.environ | {"no_proxy": "127.0.0.1", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment)


def end(process: subprocess.Popen[str], folder: Path) -> Done:
    out, err = process.communicate(timeout=180)
    return Done(process.returncode, out, err, folder)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 180
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def begun(folder: Path) -> int:
    journal = folder / "events.jsonl"
    return journal.read_text().count('"begun"') if journal.exists() else 0


@pytest.fixture(scope="module")
def happened(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("watch")
    footage = render(root / "street.ts")
    run = world / "runs" / "whole"
    (found,) = score_files(open_model(run), [("street", str(footage))])
    assert found.scores is not None
    low, high = found.scores.scores.min(), found.scores.scores.max()
    threshold = float((low + high) / 2)
    expected = find_events(found.scores, AlarmRule(threshold=threshold, release=threshold), FPS)
    assert len(expected) in (2, 3)
    assert high - low > 1e-3  # far more than rounding
    flags = ["--detector", str(run), "--device", "cpu", "--threshold", repr(threshold), "--merge-seconds", "0"]
    flags += ["--release", repr(threshold), "--live.status-every", "2", "--live.first-delay", "0.2"]
    with ExitStack() as stack:
        receiver = stack.enter_context(Receiver())
        stack.callback(receiver.shutdown)
        first = stack.enter_context(camera(HttpCamera, footage.read_bytes(), SECONDS))
        second = stack.enter_context(camera(HttpCamera, footage.read_bytes(), SECONDS))
        hook = f"http://127.0.0.1:{receiver.server_port}/alarm"
        url, port = "http://me:secret@127.0.0.1:{}/live", second.server_address[1]
        folders = [root / name for name in ("whole", "cut")]
        more = ["--live.on-end", "stop", "--live.webhook", hook, "--json"]
        processes = [
            start(folders[0], url.format(first.server_address[1]), *flags, *more),
            start(folders[1], url.format(port), *flags),
        ]
        stack.callback(lambda: [process.kill() for process in processes if process.poll() is None])
        wait_for(lambda: begun(folders[1]) > 0, processes[1])
        before = begun(folders[1])
        second.kill()
        time.sleep(0.5)  # nobody is there for a while
        stack.enter_context(camera(HttpCamera, footage.read_bytes(), SECONDS, port=port))
        wait_for(lambda: begun(folders[1]) > before, processes[1])
        processes[1].send_signal(signal.SIGINT)
        ended = [end(process, folder) for process, folder in zip(processes, folders, strict=True)]
        spans = [(event.start, event.end) for event in expected]
        yield World(footage, flags, spans, *ended, receiver.posted)


def spans_of(done: Done) -> list[tuple[int, int]]:
    return [(event["start_frame"], event["end_frame"]) for event in done.content["videos"][0]["events"]]


def test_a_stream_has_the_events_of_its_file(happened: World) -> None:
    done = happened.whole
    assert done.status == 0, done.err
    found = spans_of(done)
    assert len(found) == len(happened.expected)
    for mine, theirs in zip(found, happened.expected, strict=True):
        assert abs(mine[0] - theirs[0]) <= SNIPPET
        assert abs(mine[1] - theirs[1]) <= SNIPPET
    (video,) = done.content["videos"]
    assert (video["snippets"], video["fps"], video["live"]["frames_dropped"]) == (SECONDS, FPS, 0)
    # in real time: a snippet's score comes soon after its last frame
    assert 0 < video["live"]["delay_seconds"]["median"] < 1
    rows = (done.folder / "scores.csv").read_text().splitlines()
    assert rows[0] == "name,start,end,score"
    assert len(rows) == 1 + SECONDS


def test_stdout_is_for_programs_and_stderr_for_people(happened: World) -> None:
    done = happened.whole
    assert [json.loads(line) for line in done.out.splitlines()] == done.records
    assert [record["kind"] for record in done.records] == ["begun", "ended"] * len(happened.expected)
    assert "times real time  0 frames dropped  0 reconnects" in done.err
    assert f"{len(done.records)} delivered, 0 not" in done.err
    assert f"written      {', '.join(listed(writers_for(is_live=True)))} in {done.folder}" in done.err


def test_the_webhook_gets_what_is_written(happened: World) -> None:
    assert happened.posted == happened.whole.records


def test_a_server_that_is_killed_and_comes_back_does_not_end_the_run(happened: World) -> None:
    done = happened.cut
    assert done.status == 0, done.err
    live = done.content["videos"][0]["live"]
    assert (live["outages"], live["reconnects"], live["ending"]) == (1, 1, "stopped by Ctrl-C")
    lines = done.out.splitlines()
    lost = next(n for n, line in enumerate(lines) if " lost at 0:00:" in line)
    back = next(n for n, line in enumerate(lines) if " back after " in line and "frames were never seen" in line)
    again = [n for n, line in enumerate(lines) if "began at" in line]
    assert again[0] < lost < back < again[-1]
    starts = [event["start_frame"] for event in done.content["videos"][0]["events"]]
    assert starts == sorted(starts)
    assert starts[-1] - starts[0] > live["frames_missing"] > 0


def test_ctrl_c_leaves_finished_files(happened: World) -> None:
    done = happened.cut
    assert done.records[-1]["kind"] == "ended"
    assert done.content["videos"][0]["events"][-1]["cut_short"]
    assert "stopped by Ctrl-C" in done.out
    assert {path.name for path in done.folder.iterdir()} == {*writers_for(is_live=True), "alarms"}


def test_each_event_leaves_a_snapshot_and_a_clip_with_its_pre_roll(happened: World) -> None:
    for event in happened.whole.content["videos"][0]["events"]:
        with Image.open(happened.whole.folder / event["snapshot"]) as snapshot:
            brightness = np.asarray(snapshot).mean()
            assert snapshot.size == (72, 96)
        assert brightness > 60  # the brighter scene, by the detector that the threshold was made for
        with av.open(str(happened.whole.folder / event["clip"])) as clip:
            times = [frame.time for frame in clip.decode(video=0)]
        assert times[0] == 0
        assert 0 < min(np.diff(times)) <= max(np.diff(times)) < 2.5 / FPS
        pre_roll = min(5.0, event["start_seconds"])
        assert times[-1] >= pre_roll + min(5.0, SECONDS - event["start_seconds"]) - 2.5 / FPS
    assert "snapshot(s), " in happened.whole.err
    assert all((happened.cut.folder / record["clip"]).exists() for record in happened.cut.records)


def test_nobody_sees_the_password(happened: World) -> None:
    for done in (happened.whole, happened.cut):
        kept = [path.read_bytes().decode(errors="replace") for path in done.folder.rglob("*.*")]
        assert "http://127.0.0.1" in "".join(kept)
        assert not any("secret" in text for text in (done.out, done.err, *kept))


def test_silence_is_one_line(happened: World, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with mute() as port:
        url = f"http://me:secret@127.0.0.1:{port}/live"
        with pytest.raises(SystemExit) as left:
            main([url, "--out", str(tmp_path / "none"), "--live.timeout", "0.3", *happened.flags])
    said = capfd.readouterr()
    assert left.value.code == 2
    assert said.err == (
        f"error: {address_label(url)}: not opened: no answer within 0.3 s (timeout); is it switched on, "
        "and are address and password right?\n"
    )
    assert "secret" not in said.out
    assert not (tmp_path / "none").exists()


def play(happened: World, out: Path, *flags: str) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(happened.footage), "--live.play", "--out", str(out), *happened.flags, *flags])
    return int(left.value.code or 0)


def test_a_file_played_has_its_events_and_the_status_asked_for(happened: World, tmp_path: Path) -> None:
    assert play(happened, tmp_path / "played", "--status-on-event", "7") == 7
    done = Done(7, "", "", tmp_path / "played")
    assert spans_of(done) == happened.expected
    assert done.content["videos"][0]["name"] == "street"
    assert "cut_short" not in done.content["videos"][0]["events"][-1]
    assert play(happened, tmp_path / "played") == 0
    assert len(list((tmp_path / "played").glob("live-*/events.json"))) == 1


def test_wrong_wishes_are_refused_before_anything_is_written(
    happened: World, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for flags, text in [
        (["--live.webhook", "ftp://x"], "webhook ftp://x: not an address of the web"),
        (
            ["--live.mqtt", "http://me:secret@x"],
            "http://x: not the address of an MQTT broker; give one like mqtt://user",
        ),
        (["--live.mqtt", "mqtt://me:secret@x/+"], ": its prefix is no topic: at most 200 letters, none of + # $"),
        (["--live.metrics-port", "0", "--live.metrics-host", "192.0.2.1"], "no metrics on 192.0.2.1:0: "),
        (["--live.lookahead", "5"], "lookahead is 5 snippets; this detector looks at most 0 ahead"),
    ]:
        assert play(happened, tmp_path / "none", *flags) == 2
        assert text in capfd.readouterr().err
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert play(happened, tmp_path / "none") == 2
    assert "a stream is watched by one process: start it by itself" in capfd.readouterr().err
    assert not (tmp_path / "none").exists()
