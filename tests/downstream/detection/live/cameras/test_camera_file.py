"""A file of cameras: defaults, paths, secrets from the environment; all that is wrong with it at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from downstream.detection.live.cameras.camera_file import read_cameras
from pretrain.addresses import GIVEN
from pretrain.errors import UserError


def write(folder: Path, text: str) -> Path:
    file = folder / "cameras.yaml"
    file.write_text(text)
    return file


def test_defaults_stand_for_all_and_paths_count_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOOR_PASSWORD", "s3cret!word")
    (tmp_path / "zones.yaml").write_text("zones: [{polygon: [[0, 0], [1, 0], [1, 1]]}]")
    cameras = read_cameras(
        write(
            tmp_path,
            """
            alarms: {webhook: "http://127.0.0.1:1/x", pictures: {pre_seconds: 2}, status_every: 3}
            defaults: {detector: models/street, threshold: 0.9, zones: zones.yaml, timeout: 4}
            cameras:
              - {name: door, address: "rtsp://me:${DOOR_PASSWORD}@10.0.0.5/a"}
              - {name: yard, address: yard.mp4, threshold: 0.5, zones: null, detector: null}
              - {name: gate, address: "http://10.0.0.7/x", zones: [{polygon: [[0, 0], [1, 0], [0, 1]]}]}
            """,
        )
    )
    door, yard, gate = cameras.cameras
    assert door.text == "rtsp://me:s3cret!word@10.0.0.5/a"
    assert "s3cret" not in repr(cameras)
    assert "s3cret" not in GIVEN.redacted("cannot open rtsp://me:s3cret!word@10.0.0.5/a")
    assert (door.detector, door.changes.threshold, door.live.source.timeout) == (tmp_path / "models/street", 0.9, 4)
    assert door.zones is not None
    assert (yard.text, yard.detector, yard.zones) == (str(tmp_path / "yard.mp4"), None, None)
    assert (yard.changes.threshold, yard.live.source.realtime) == (0.5, True)
    assert gate.zones is not None and len(gate.zones.zones) == 1  # noqa: PT018
    assert door.live.pictures.pre_seconds == 2
    assert (cameras.out, cameras.outlets.status_every) == (tmp_path / "watched", 3)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cameras: []", "cameras has 0 entries"),
        ("out: x", "lacks 'cameras'"),
        ("cameras: [{name: a, address: a.mp4, treshold: 1}]", "camera 1: no such key 'treshold'"),
        ("cameras: [{name: a, address: a.mp4, threshold: high}]", "camera 'a': threshold is 'high'"),
        ("cameras: [{name: a, address: a.mp4, threshold: 3}]", "camera 'a': threshold is 3; scores of detectors lie"),
        ("cameras: [{name: a, address: a.mp4, timeout: 0}]", "timeout is 0; it must be more than 0"),
        ("cameras: [{name: 7, address: a.mp4}]", "camera 1: name is 7; give 1 to 80 printable characters"),
        ("cameras: [{name: .., address: a.mp4}]", "begins with a dot"),
        ("cameras: [{name: a}]", "camera 'a': it has no address"),
        ("cameras: [{name: a, address: 'gopher://x'}]", "no input of the protocol gopher://"),
        ("cameras: [{name: a, address: x}, {name: A, address: y}]", "cameras 'a' and 'A' would write to one folder"),
        ("cameras: [{name: a, address: '${NOT_SET_HERE}'}]", "the environment has no NOT_SET_HERE"),
        ("{defaults: {name: a}, cameras: [{address: x}]}", "defaults: name is each camera's own"),
        ("{alarms: {webhok: x}, cameras: [{name: a, address: x}]}", "alarms: no such key 'webhok'; did you mean"),
        ("{alarms: {lookahead: 1}, cameras: [{name: a, address: x}]}", "alarms: no such key 'lookahead'"),
        ("cameras: [{name: a, address: x, zones: z.yaml}]", "camera 'a': there is no file of zones"),
        ("cameras: [{name: a, address: x, zones: [{polygon: []}]}]", "1 problem(s) in the zones of this file"),
        ("cameras: [{name: a, address: x, calibration: c.json}]", "c.json"),
    ],
)
def test_what_is_wrong_is_told(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        read_cameras(write(tmp_path, text))
    assert told in str(error.value)
    assert "cameras.yaml; see docs/cameras.md" in str(error.value)


def test_all_of_it_comes_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^3 problem\(s\) in"):
        read_cameras(
            write(tmp_path, "cameras: [{name: a}, {name: b, address: x, lookahead: -1}, {name: c, address: 'no://x'}]")
        )
