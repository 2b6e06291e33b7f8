"""A threshold of one's own footage through the command line: found, kept beside the detector, taken, refused."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from downstream.detection import calibrate as calibration_command
from scripts import calibrate, detect


def call(command: object, *arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as left:
        command.main([*map(str, arguments), "--device", "cpu"])  # type: ignore[attr-defined]
    return int(left.value.code or 0)


@pytest.fixture
def run(trained_world: Path, tmp_path: Path) -> Path:
    """A run of its own: a calibration is written into it."""
    return Path(shutil.copytree(trained_world / "runs" / "whole", tmp_path / "run"))


@pytest.fixture
def cameras(trained_world: Path, tmp_path: Path) -> Path:
    """Two cameras with three videos each, all normal for all that is known."""
    for number in range(6):
        target = tmp_path / "footage" / f"camera{number % 2}" / f"{number}.mp4"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(trained_world / "videos" / f"v{number}.mp4", target)
    return tmp_path / "footage"


def calibration(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def test_what_was_found_is_kept_and_detection_takes_it(
    run: Path, cameras: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--films", "0", "--no-report", "--out", tmp_path / "out")
    assert call(calibrate, cameras, "--detector", run, "--per-hour", "900", "--min-seconds", "0.5") == 0
    shown = capsys.readouterr().out
    found = calibration(run / "calibration.json")
    assert (found["videos"], found["wanted_per_hour"], found["left_out"]["folds"]) == (6, 900, 2)
    assert found["events"] <= 900 * found["hours"]
    assert f"threshold {found['rule']['threshold']:.9g}, an event goes on down to" in shown
    assert "on a folder that the threshold was not made of: " in shown
    assert f"written to {run}/calibration.json; next: python scripts/detect.py VIDEO --detector {run}" in shown
    assert call(detect, cameras, "--detector", run, *flags) == 0
    shown = capsys.readouterr().out
    assert f"(calibrated: {found['events']} event(s) in " in shown
    assert "at most 900 an hour were wanted)" in shown
    document = calibration(tmp_path / "out" / "events.json")  # it is what the calibration said of this very footage
    assert document["rule"] == found["rule"]
    assert sum(len(video["events"]) for video in document["videos"]) == found["events"]
    assert call(detect, cameras, "--detector", run, *flags, "--threshold", "0.9") == 0
    assert calibration(tmp_path / "out" / "events.json")["rule"]["min_seconds"] == 0.5


def test_fewer_alarms_an_hour_need_a_threshold_that_is_no_lower(
    run: Path, cameras: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    thresholds = []
    for wanted in ("3000", "900", "300", "1"):
        out = tmp_path / f"{wanted}.json"
        command = (cameras, "--detector", run, "--per-hour", wanted, "--group-by", "video", "--out", out)
        assert call(calibrate, *command) == 0
        thresholds.append(calibration(out)["rule"]["threshold"])
    assert thresholds == sorted(thresholds)
    assert thresholds[0] < thresholds[-1]
    assert not (run / "calibration.json").exists()
    assert f"next once it lies at {run / 'calibration.json'}: python scripts/detect.py" in capsys.readouterr().out


def test_a_threshold_just_below_1_is_not_told_as_1() -> None:
    spelled = calibration_command._spelled
    assert spelled(0.9999999999991306, 9) == "0.9999999999991306"
    assert (spelled(0.123456789012, 9), spelled(1.0, 9), spelled(0.5, 6)) == ("0.123456789", "1", "0.5")


def test_footage_that_cannot_be_read_takes_no_part_and_is_said(
    run: Path, cameras: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (cameras / "camera0" / "broken.mp4").write_bytes(b"no video" * 100)
    assert call(calibrate, cameras, "--detector", run, "--per-hour", "1") == 1
    shown = capsys.readouterr().out
    assert re.search(r"1 video\(s\) could not be scored and take no part:\n  - .*broken\.mp4", shown)
    assert "hours of footage cannot show 1 false alarms an hour" in shown
    assert calibration(run / "calibration.json")["videos"] == 6


def test_a_calibration_of_other_detectors_is_refused_until_it_is_made_anew(
    run: Path, cameras: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(calibrate, cameras, "--detector", run, "--per-hour", "900") == 0
    shutil.rmtree(run / "seed-1")  # the run is another now
    flags = ("--films", "0", "--no-report", "--out", tmp_path / "out")
    assert call(detect, cameras, "--detector", run, *flags) == 2
    assert (
        f"error: {run}/calibration.json is of other detectors than those in {run}: calibrate again with "
        "scripts/calibrate.py, or delete it\n"
    ) in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    (run / "calibration.json").write_text('{"format": "anomaly-pretext/calibration/1"')
    assert call(detect, cameras, "--detector", run, *flags) == 2
    assert "calibration.json" in capsys.readouterr().err
    assert call(calibrate, cameras, "--detector", run, "--per-hour", "900") == 0
    assert call(detect, cameras, "--detector", run, *flags) == 0


def test_what_is_wrong_is_said_before_anything_is_scored(
    run: Path, cameras: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def scored(*_: object) -> None:
        raise AssertionError("it began to score")

    monkeypatch.setattr(calibration_command, "score_all", scored)
    (tmp_path / "empty").mkdir()
    for arguments, expected in (
        ([cameras, "--per-hour", "0"], "per_hour is 0.0; it must be a number above 0, for example 0.1"),
        ([cameras, "--per-hour", "nan"], "per_hour is nan; it must be a number above 0"),
        ([cameras, "--per-hour", "inf", "--margin", "-1"], "per_hour is inf; it must be "),
        ([cameras, "--per-hour", "inf", "--margin", "-1"], "margin is -1.0; it must be a number, 0 or more"),
        (["--per-hour", "1"], "no footage: give videos or folders in which"),
        ([tmp_path / "empty", "--per-hour", "1"], f"{tmp_path}/empty"),
        (["rtsp://camera", "--per-hour", "1"], "'rtsp://camera' is a stream; "),
    ):
        assert call(calibrate, *arguments, "--detector", run) == 2
        message = " ".join(capsys.readouterr().err.split())  # some lines are wrapped
        assert expected in message
        assert "Traceback" not in message
    assert not (run / "calibration.json").exists()
