"""What an event leaves to look at: its highest moment, boxed and clean, and a clip; outlets are told then."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from downstream.detection.live import alarm_pictures
from downstream.detection.live.alarm_pictures import MAX_CLIPS, AlarmPictures, relative
from downstream.detection.live.alarm_shelf import AlarmShelf
from downstream.detection.live.outlet import ToldAlarm
from downstream.detection.live.picture_ring import KeptFrame, PictureRing
from downstream.detection.live.scorer import LiveScore
from downstream.detection.live.settings import PictureSettings
from downstream.detection.records import BoxRecord, EventRecord
from downstream.events.alarm_level import AlarmLevel
from downstream.scores.cell_geometry import PixelBox
from tests.downstream.detection.made import stream_event

FPS = 10


class Outlet:
    """Remembers what it is told, and whether the picture was there."""

    label = "test"

    def __init__(self) -> None:
        self.told: list[ToldAlarm] = []
        self.brightness: list[float | None] = []

    def alarm(self, told: ToldAlarm) -> None:
        snapshot = told.files.snapshot
        self.brightness.append(None if snapshot is None else brightness(snapshot))
        self.told.append(told)

    def summary(self) -> str:
        return ""

    def close(self) -> None:
        """Nothing is on its way."""


def brightness(path: Path) -> float:
    with Image.open(path) as image:
        return float(np.asarray(image)[:8].mean())


class World:
    def __init__(self, folder: Path, **settings: Any) -> None:
        self.ring, self.outlet, self.said = PictureRing(60.0, 1.0, FPS, 64), Outlet(), list[str]()
        self.shelf = AlarmShelf(folder / "alarms", 30, 1)
        settings = {"pre_seconds": 1.0, "post_seconds": 1.0} | settings
        self.pictures = AlarmPictures(
            "door", self.ring, self.shelf, PictureSettings(**settings), [self.outlet], self.said.append
        )
        self.next = 0

    def film(self, seconds: float, value: int) -> None:
        file = io.BytesIO()
        Image.new("RGB", (64, 48), (value,) * 3).save(file, "JPEG")
        for _ in range(round(seconds * FPS)):
            self.ring.add(KeptFrame(self.next, self.next / FPS, file.getvalue(), (128, 96)))
            self.next += 1

    def tell(self, event: EventRecord) -> None:
        files = self.pictures.files(event, 1_700_000_000.0)
        self.pictures.tell(ToldAlarm(camera="door", event=event, files=files))

    def wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.005)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.pictures.close()


SEVEN = AlarmLevel(value=7, word="alarm", relative_to="normal footage")
BOXED = BoxRecord(start_frame=16, end_frame=32, box=PixelBox(20, 40, 100, 80), score=0.9)


def test_an_event_leaves_its_peak_and_its_begin(world: World) -> None:
    world.film(4, 60)
    world.tell(stream_event(kind="begun"))
    world.wait(lambda: bool(world.outlet.told))
    assert world.outlet.brightness == [pytest.approx(60, abs=2)]
    world.film(3, 240)  # the event goes on, and is higher; its picture is not the newest one by and by
    world.pictures.scored(LiveScore(50, 60, 0.99, None, None, True), True)
    world.film(70, 10)
    world.tell(stream_event(peak_start_frame=50, peak_end_frame=60, peak_score=0.99))
    world.pictures.close()
    assert world.outlet.brightness[1] == pytest.approx(240, abs=2)
    begun, ended = (told.files for told in world.outlet.told)
    assert begun == ended
    assert begun.clean is None  # nothing is drawn
    assert begun.clip is not None
    with av.open(str(begun.clip)) as clip:
        times = [frame.time for frame in clip.decode(video=0)]
    # event from 1.6 s, known at 3.9 s: from 0.6 s to 4.9 s
    assert times == pytest.approx([n / FPS for n in range(44)], abs=1e-3)
    assert world.pictures.summary() == f"1 snapshot(s), 1 clip(s) in {world.shelf.folder}"


def test_boxes_are_drawn_beside_a_clean_frame(world: World) -> None:
    world.film(4, 60)
    world.tell(stream_event(kind="begun", boxes=(BOXED,)))
    world.wait(lambda: bool(world.outlet.told))
    files = world.outlet.told[0].files
    assert files.snapshot is not None
    assert files.clean is not None
    with Image.open(files.snapshot) as drawn, Image.open(files.clean) as clean:
        difference = np.abs(np.asarray(drawn, np.int16) - np.asarray(clean)).max(2) > 60
        assert np.asarray(clean).std() < 2
    ys, xs = np.nonzero(difference)
    # the box, in a picture half as large as the video; its score is written at it
    assert (xs.min(), xs.max(), ys.max()) == (
        pytest.approx(10, abs=2),
        pytest.approx(49, abs=2),
        pytest.approx(39, abs=2),
    )


def test_at_a_box_stands_its_level_where_there_is_one(world: World) -> None:
    world.film(4, 60)
    alike = replace(BOXED, score=0.8)
    for number, box, level in ((1, BOXED, SEVEN), (2, alike, SEVEN), (3, BOXED, None), (4, alike, None)):
        world.tell(stream_event(kind="begun", number=number, boxes=(box,), level=level))
    world.wait(lambda: len(world.outlet.told) == 4)
    by_level, as_well, by_score, other = (
        told.files.snapshot.read_bytes() for told in world.outlet.told if told.files.snapshot is not None
    )
    assert by_level == as_well
    assert by_score != other
    assert by_level not in (by_score, other)


def test_what_cannot_be_written_is_said_once_and_the_alarm_still_leaves(tmp_path: Path) -> None:
    (tmp_path / "alarms").write_text("a file where the folder should be")
    world = World(tmp_path)
    world.film(4, 60)
    for number in (1, 2):
        world.tell(stream_event(kind="begun", number=number))
    world.wait(lambda: len(world.outlet.told) == 2)
    world.pictures.close()
    assert world.outlet.brightness == [None, None]
    assert world.said == [f"a picture of door could not be written to {tmp_path / 'alarms'}: File exists"]
    assert world.pictures.summary() == (
        f"0 snapshot(s), 0 clip(s) in {tmp_path / 'alarms'}, 4 picture(s) could not be written"
    )


def test_before_the_first_frame_there_is_no_picture_and_an_alarm_all_the_same(world: World) -> None:
    world.tell(stream_event(kind="begun"))
    world.tell(stream_event(kind="ended"))
    world.wait(lambda: len(world.outlet.told) == 2)
    assert world.outlet.brightness == [None, None]


def test_many_events_at_a_time_have_snapshots_and_as_many_clips_as_may_wait(world: World) -> None:
    world.film(4, 60)
    for number in range(1, 8):
        world.tell(stream_event(kind="begun", number=number))
    world.pictures.close()
    assert [told.event.number for told in world.outlet.told] == list(range(1, 8))
    assert sum(told.files.clip is not None for told in world.outlet.told) == MAX_CLIPS
    assert len(list(world.shelf.folder.glob("*.mp4"))) == MAX_CLIPS
    assert len(list(world.shelf.folder.glob("*.jpg"))) == 7


def test_a_full_shelf_is_said_once(tmp_path: Path) -> None:
    world = World(tmp_path, keep_gb=1e-9)
    world.shelf.keep_gb = 1e-9  # not even one snapshot fits
    world.film(4, 60)
    for number in (1, 2):
        world.tell(stream_event(kind="begun", number=number))
    world.pictures.close()
    assert list(world.shelf.folder.iterdir()) == []
    (said,) = world.said
    assert said.startswith(f"{world.shelf.folder} is full: the oldest pictures are removed (pictures.keep_days 30")


def test_a_snapshot_that_comes_last_is_within_the_limit_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)
    world.shelf.keep_gb = 1e-9  # not even one snapshot fits
    write = alarm_pictures._write

    def after_the_clip(told: ToldAlarm, frame: KeptFrame) -> None:
        world.wait(lambda: world.pictures.clips == 1 and bool(world.said))
        write(told, frame)

    monkeypatch.setattr(alarm_pictures, "_write", after_the_clip)
    world.film(6, 60)
    world.tell(stream_event(kind="begun"))
    world.pictures.close()
    assert world.pictures.snapshots == 1
    assert list(world.shelf.folder.iterdir()) == []
    assert len(world.said) == 1


def test_pictures_are_named_from_the_folder_of_the_files() -> None:
    assert relative(Path("out/alarms/a.jpg"), Path("out/live-1")) == "../alarms/a.jpg"
    assert relative(None, Path("out")) is None
