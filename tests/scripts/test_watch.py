"""scripts/watch.py on real streams: one server killed and back, one address wrong, a file; a signal finishes all."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from downstream.detection.live.ordinary import ORDINARY_FILE
from downstream.detection.open_model import open_model
from downstream.detection.unfitted import UNFITTED_FOLDER
from downstream.detection.writers import listed, writers_for
from downstream.events.calibration_file import Calibration, write_calibration
from downstream.events.rule import AlarmRule
from scripts.watch import main
from tests.downstream.detection.live.servers import HttpCamera, camera, render_ts
from tests.paths import ROOT
from tests.pretrain.encoding import encode_video

FPS, SECONDS = 16, 120


def write(folder: Path, cameras: list[dict[str, Any]], **others: Any) -> Path:
    file = folder / "cameras.yaml"
    content = {"device": "cpu", "alarms": {"status_every": 0.5}, "cameras": cameras}
    file.write_text(yaml.safe_dump(content | others))
    return file


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    return int(left.value.code or 0)


def rows(folder: Path) -> int:
    found = sorted(folder.rglob("scores.csv"))
    return len(found[-1].read_text().splitlines()) - 1 if found else 0


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 90
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


def test_cameras_live_and_fail_each_by_itself(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    data, out = render_ts(FPS * SECONDS, FPS), tmp_path / "watched"
    encode_video(tmp_path / "clip.mp4", 0, num_frames=80)
    with ExitStack() as stack:
        first, second = (stack.enter_context(camera(HttpCamera, data, SECONDS)) for _ in range(2))
        ports = [server.server_address[1] for server in (first, second)]
        file = write(
            tmp_path,
            [
                {"name": "steady", "address": f"http://me:hidden-word@127.0.0.1:{ports[0]}/live"},
                {"name": "shaky", "address": f"http://127.0.0.1:{ports[1]}/live"},
                {"name": "wrong", "address": "http://127.0.0.1:9/live"},
                {"name": "file", "address": "clip.mp4", "realtime": False},
            ],
            defaults={"first_delay": 0.2, "timeout": 3.0},
        )

        def happen() -> None:
            wait_for(lambda: rows(out / "steady") > 0 and rows(out / "shaky") > 0)
            second.kill()
            time.sleep(0.5)
            with camera(HttpCamera, data, SECONDS, port=ports[1]):
                before = rows(out / "shaky")
                wait_for(lambda: rows(out / "shaky") > before + 2)
                os.kill(os.getpid(), signal.SIGTERM)
                wait_for(lambda: (out / "shaky" / "events.json").exists())

        thread = threading.Thread(target=happen)
        thread.start()
        status = run(str(file))
        thread.join()
    said = "".join(capfd.readouterr())
    assert status == 1, said  # one never answered
    assert "hidden-word" not in said
    for name in ("steady", "shaky", "file"):
        assert {path.name for path in (out / name).iterdir()} >= {*listed(writers_for(is_live=True)), ORDINARY_FILE}
    live = {
        name: json.loads((out / name / "events.json").read_text())["videos"][0]["live"]
        for name in ("steady", "shaky", "file")
    }
    assert (live["steady"]["outages"], live["shaky"]["outages"], live["shaky"]["reconnects"]) == (0, 1, 1)
    assert (live["shaky"]["ending"], live["file"]["ending"]) == ("stopped by SIGTERM", "the stream ended")
    assert "wrong   http://127.0.0.1:9/~" in said.replace("wrong     ", "wrong   ")
    assert "wrong not there" in said
    assert "steady 0." in said
    assert "wrong: never answered" in said
    # what was ordinary is known to the next run
    status = run(str(write(tmp_path, [{"name": "file", "address": "clip.mp4", "realtime": False}])))
    assert status == 0
    assert "goes on from what was ordinary" in "".join(capfd.readouterr())
    assert len(list((out / "file").glob("live-*"))) == 1


def test_check_opens_each_once_and_draws_zones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    encode_video(tmp_path / "clip.mp4", 0, num_frames=20)
    zones = [{"name": "left", "polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}]
    cameras = [{"name": "here", "address": "clip.mp4", "zones": zones}, {"name": "gone", "address": "no.mp4"}]
    assert run(str(write(tmp_path, cameras)), "--check") == 1
    said = capsys.readouterr().out
    assert (tmp_path / "watched" / "here" / "zones.jpg").exists()
    assert "1 zone(s), threshold 0.5" in said
    assert "gone: " in said
    assert "1 of 2 camera(s) can be watched" in said
    assert [path.name for path in (tmp_path / "watched").iterdir()] == ["here"]


def test_a_wrong_file_is_one_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(write(tmp_path, [{"name": "a", "adress": "x"}]))) == 2
    assert "camera 1: no such key 'adress'; did you mean 'address'" in capsys.readouterr().err
    assert run(str(ROOT / "configs" / "features.yaml")) == 2
    assert (
        "features.yaml looks like a configuration of scripts/finetune.py: it has no list of" in capsys.readouterr().err
    )
    assert run(str(tmp_path / "none.yaml")) == 2
    assert "none.yaml" in capsys.readouterr().err


def test_a_calibration_of_another_detector_is_refused_and_its_own_gives_rule_and_levels(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    encode_video(tmp_path / "clip.mp4", 0, num_frames=20)
    own = open_model(UNFITTED_FOLDER).names
    rule = AlarmRule(threshold=0.75, release=0.5)
    facts: dict[str, Any] = {"rule": rule, "wanted_per_hour": 1, "margin": 1, "events": 2, "hours": 4, "videos": 3}
    for file, names in (("other.json", ["0" * 64]), ("own.json", own)):
        write_calibration(tmp_path / file, Calibration(**facts, ordinary=0.1, detector={"sha256": names}))
    here: dict[str, Any] = {"address": "clip.mp4", "realtime": False}
    wrong = write(tmp_path, [{"name": "door", "calibration": "other.json", **here}])
    assert run(str(wrong)) == 2
    assert f"camera 'door': its calibration {tmp_path / 'other.json'} is of another detector" in capfd.readouterr().err
    assert not (tmp_path / "watched").exists()
    right = write(
        tmp_path, [{"name": "door", "calibration": "own.json", **here}, {"name": "yard", **here, "threshold": 0.6}]
    )
    assert run(str(right)) == 0
    said = [line.split(" ", 1)[1] for line in capfd.readouterr().out.splitlines()]
    (by,) = [line for line in said if line.startswith("door: an event: a score of at least 0.75, down to 0.5")]
    assert by.endswith("(calibrated for this camera: 2 event(s) in 4 hours of normal footage)")
    assert [line for line in said if "alarm levels" in line] == [
        "door: alarm levels: 0 is ordinary in your normal footage, 5 the calibrated threshold, 10 twice as far above",
        "yard: alarm levels: not calibrated, so relative to each video's own scores outside events: 0 is their middle, "
        "5 far above it; scripts/calibrate.py makes them mean something",
    ]
    assert not [line for line in said if "--" in line], "settings of a file of cameras are no flags"
