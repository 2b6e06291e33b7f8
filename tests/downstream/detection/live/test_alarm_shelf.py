"""Names of pictures, and the ring that removes its own and nothing else."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from downstream.detection.live.alarm_shelf import DAY, AlarmShelf, safe_name


@pytest.mark.parametrize(
    ("camera", "name"),
    [
        ("front-door", "front-door"),
        ("rtsp://camera.local:554/~3fa2b1", r"rtsp-camera\.local-554-3fa2b1-[0-9a-f]{6}"),
        ("../../etc", r"etc-[0-9a-f]{6}"),
        ("Tür\n+/#", r"T-r-[0-9a-f]{6}"),
        ("..", "[0-9a-f]{6}"),
        ("\udce9", "[0-9a-f]{6}"),
        ("x" * 500, "x{60}-[0-9a-f]{6}"),
    ],
)
def test_any_name_of_a_camera_is_safe(camera: str, name: str) -> None:
    assert re.fullmatch(name, safe_name(camera))


def test_cameras_that_look_alike_stay_apart() -> None:
    assert len({safe_name(camera) for camera in ("Tür", "Tor", "T r", "T:r", "T-r")}) == 5


def fill(shelf: AlarmShelf, count: int, size: int = 100) -> list[Path]:
    """One file a day, the first one oldest; now is day `count`."""
    shelf.folder.mkdir()
    paths = []
    for day in range(count):
        path = shelf.files("door", day, day * DAY).snapshot
        assert path is not None
        path.write_bytes(bytes(size))
        os.utime(path, (day * DAY, day * DAY))
        paths.append(path)
    return paths


def test_old_ones_go_first_by_age_then_by_room(tmp_path: Path) -> None:
    shelf = AlarmShelf(tmp_path / "alarms", keep_days=7.5, keep_gb=1.0)
    paths = fill(shelf, 10)
    others = [shelf.folder / name for name in ("mine.jpg", "20260101T000000.000_door_0001.txt")]
    for other in others:
        other.write_bytes(bytes(5000))
        os.utime(other, (0, 0))
    assert shelf.tidy(now=10 * DAY) == 3
    assert [path.exists() for path in paths] == [False] * 3 + [True] * 7
    shelf.keep_gb = 350e-9
    assert shelf.tidy(now=10 * DAY) == 4
    assert [path.exists() for path in paths] == [False] * 7 + [True] * 3
    assert all(other.exists() for other in others)  # whoever put them there


def test_every_name_it_gives_is_one_that_it_removes(tmp_path: Path) -> None:
    shelf = AlarmShelf(tmp_path / "alarms", keep_days=1, keep_gb=1.0)
    shelf.folder.mkdir()
    files = shelf.files("x" * 500, 123456, 1_700_000_000.5)
    for path in (files.snapshot, files.clean, files.clip):
        assert path is not None
        path.write_bytes(b"")
        os.utime(path, (0, 0))
    assert shelf.tidy() == 3
    assert AlarmShelf(tmp_path / "none", 1, 1).tidy() == 0
