"""A run over a scripted stream: alarms, gaps, outages, endings, and an hour of it in flat memory."""

from __future__ import annotations

import gc
import json
import time
import tracemalloc
from collections import deque
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from downstream.detection.live.console import Console
from downstream.detection.live.frame_queue import Frame, Gap, Item, Lost, Opened
from downstream.detection.live.live_output import LiveOutput
from downstream.detection.live.run import LiveRun, scorer_for
from downstream.detection.live.settings import LiveSettings
from downstream.detection.live.state import Ending
from downstream.events.rule import AlarmRule
from downstream.visualisation.score_axis import plain_score
from pretrain.data.video import VideoError, VideoInfo
from pretrain.errors import UserError
from tests.downstream.detection.live.models import small_encoder, small_group, small_model

FPS = 10.0
OPENED = Opened(VideoInfo(0, FPS, 72, 48, 0.0, "h264", 0, False), "the stream's average", 1000.0)
DARK, BRIGHT = (np.full((32, 48, 3), value, np.uint8) for value in (0, 250))


class Scripted:
    """A source that gives what it was given."""

    label, dropped, reconnects, damaged, is_paced = "http://camera/live", 0, 0, 0, True

    def __init__(self, items: list[Item], problem: str = "") -> None:
        self.items, self.problem = deque(items), problem

    def get(self, timeout: float | None = None) -> Item | None:
        if not self.items and self.problem:
            raise VideoError(self.problem)
        return self.items.popleft() if self.items else None

    @property
    def is_over(self) -> bool:
        return not self.items


def frames(first: int, count: int, pixels: np.ndarray = DARK) -> list[Item]:
    return [Frame(n, n / FPS, 1000.0 + n / FPS, pixels) for n in range(first, first + count)]


def lost() -> Lost:
    return Lost("no answer", 1000.0)


def gap(kind: Any, count: int) -> Gap:
    return Gap(kind, f"{count} left out", count, count / FPS, 1000.0)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., LiveRun]:
    def make(items: list[Item], problem: str = "", merge: float = 0.0, normalise: str = "none", **live: Any) -> LiveRun:
        encoder = small_encoder()
        # the brightness of a clip is the one feature, and the detector passes it on
        encoder.dim = 1
        encoder.features = lambda clips: clips.float().mean((1, 2, 3, 4))[:, None] / 250  # type: ignore[method-assign]
        group = small_group(encoder, normalise=normalise)
        for parameter in group.detectors[0].parameters():
            parameter.data.fill_(0.2)
        rule = AlarmRule(threshold=0.72, release=0.72, merge_seconds=merge)
        settings = LiveSettings(**live)
        model = small_model(group)
        scorer = scorer_for(model, settings, FPS)
        source: Any = Scripted(items, problem)
        output = LiveOutput(tmp_path, "cam", model.facts(rule))
        return LiveRun(scorer, rule, settings, source, OPENED, Console(False), output, [])

    return make


def records(run: LiveRun) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.output.folder / "events.jsonl").read_text().splitlines()]


def written(run: LiveRun) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run.output.folder / "events.json").read_text())
    return content


def spans(run: LiveRun) -> list[tuple[int, int]]:
    return [(event["start_frame"], event["end_frame"]) for event in written(run)["videos"][0]["events"]]


def test_events_begin_end_and_are_written(make: Callable[..., LiveRun], capsys: pytest.CaptureFixture[str]) -> None:
    run = make([*frames(0, 32), *frames(32, 16, BRIGHT), *frames(48, 20)])
    assert run.until_the_end([]) == Ending("the stream ended", is_end=True)
    begun, ended = records(run)
    assert (begun["kind"], ended["kind"], ended["start_frame"], ended["end_frame"]) == ("begun", "ended", 32, 48)
    content = written(run)
    (video,) = content["videos"]
    assert spans(run) == [(32, 48)]
    assert (video["name"], video["frames"], video["snippets"], video["fps"]) == ("cam", 68, 4, FPS)
    assert content["format"] == "anomaly-pretext/events/1"
    assert content["rule_from"] == "given on the command line"
    assert "boxes" not in video["events"][0]
    out = capsys.readouterr().out
    assert begun["level"]["relative_to"] == "this stream"
    score = f"{begun['level']['words']} (score {plain_score(begun['peak_score'])})"
    when = begun["wall_clock"]  # by the arrival of the event's first frame
    assert f"{when} event 1 began at 0:00:03.2: {score}\n" in out
    assert f"event 1 over: 0:00:03.2 to 0:00:04.8, highest at 0:00:04.0: {ended['level']['words']} (" in out
    assert video["events"][0]["level"] == ended["level"]
    assert video["highest_level"]["value"] >= ended["level"]["value"]


def test_an_event_that_goes_on_does_not_become_ordinary(make: Callable[..., LiveRun]) -> None:
    run = make([*frames(0, 16), *frames(16, 160, BRIGHT), *frames(176, 16)])
    run.until_the_end([])
    begun, ended = records(run)
    assert ended["end_frame"] == 176
    assert ended["level"] == begun["level"]
    assert ended["level"]["value"] > 0


def test_wall_clock_is_when_the_footage_arrived(make: Callable[..., LiveRun]) -> None:
    run = make([*frames(0, 16), *frames(16, 16, BRIGHT), *frames(32, 16)])
    run.until_the_end([])
    times = [datetime.fromisoformat(record["wall_clock"]).timestamp() for record in records(run)]
    # a frame's time is that of its arrival; the last frame of a snippet is number end - 1
    assert times == pytest.approx([1001.5, 1003.1], abs=0.01)


def test_an_event_ends_in_an_outage_and_another_begins_after_it(
    make: Callable[..., LiveRun], capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = frames(0, 16, BRIGHT), frames(100, 16, BRIGHT)
    run = make([*before, lost(), OPENED, gap("outage", 84), *after, lost()], merge=2.0)
    assert not run.until_the_end([]).is_end
    assert spans(run) == [(0, 16), (100, 116)]
    events = written(run)["videos"][0]["events"]
    assert [event.get("cut_short", False) for event in events] == [False, True]
    live = written(run)["videos"][0]["live"]
    assert (live["outages"], live["frames_missing"]) == (2, 84)
    out = capsys.readouterr().out
    assert "lost at 0:00:01.6: no answer\n" in out
    assert "back after 8.4 s: about 84 frames were never seen\n" in out


def test_an_outage_that_goes_on_ends_an_event_without_a_frame(make: Callable[..., LiveRun]) -> None:
    run = make([*frames(0, 16, BRIGHT), lost()], merge=0.01, status_every=0.01)
    while item := run.source.get():
        run.take(item)
    run._look_at_the_clock()
    deadline = time.monotonic() + 5
    while run.alarms.is_on and time.monotonic() < deadline:
        run._look_at_the_clock()
    assert [record["kind"] for record in records(run)] == ["begun", "ended"]
    assert run.state.status_line(False).startswith("0:00:01.6  no connection for 0 s: no answer")


def test_a_short_gap_parts_no_event(make: Callable[..., LiveRun]) -> None:
    run = make([*frames(0, 16, BRIGHT), gap("slow", 4), *frames(20, 16, BRIGHT)], merge=1.0)
    run.until_the_end([])
    assert spans(run) == [(0, 36)]


def test_dropped_frames_are_said_once_and_then_together(
    make: Callable[..., LiveRun], capsys: pytest.CaptureFixture[str]
) -> None:
    items: list[Item] = []
    for n in range(5):
        items += [*frames(30 * n, 20), gap("slow", 10)]
    run = make(items)
    run.until_the_end([])
    lines = [line.split(" ", 1)[1] for line in capsys.readouterr().out.splitlines() if "left out" in line]
    assert lines == [
        "at 0:00:02.0: 10 left out",
        "4 gaps, 40 frames missing; the last at 0:00:14.0: 10 left out",
    ]
    assert written(run)["videos"][0]["live"]["frames_missing"] == 50


@pytest.mark.parametrize(
    ("stopped", "problem", "live", "ending"),
    [
        (["SIGINT"], "", {}, Ending("stopped by Ctrl-C")),
        (["SIGTERM"], "", {}, Ending("stopped by SIGTERM")),
        ([], "away for more than 5 s", {}, Ending("away for more than 5 s", is_failure=True)),
        ([], "", {"stop_after": 1.6}, Ending("stopped after 1.6 s (stop_after)")),
    ],
)
def test_whatever_ends_it_leaves_finished_files(
    make: Callable[..., LiveRun], stopped: list[str], problem: str, live: dict[str, Any], ending: Ending
) -> None:
    run = make(frames(0, 24, BRIGHT), problem, **live)
    while stopped and (item := run.source.get()):
        run.take(item)
    assert run.until_the_end(stopped) == ending
    (event,) = written(run)["videos"][0]["events"]
    assert (event["start_frame"], event["end_frame"], event["cut_short"]) == (0, 16, True)
    assert written(run)["videos"][0]["live"]["ending"] == ending.reason
    assert len((run.output.folder / "scores.csv").read_text().splitlines()) == 2


def test_no_snippet_at_all_is_said(make: Callable[..., LiveRun]) -> None:
    run = make([*frames(0, 9), lost()])
    run.until_the_end([])
    content = written(run)
    assert content["videos"] == []
    assert content["failed"][0]["problem"] == (
        "http://camera/live: not a whole snippet of 16 frames came: the stream ended"
    )


def test_alarms_are_held_until_the_camera_has_shown_enough(
    make: Callable[..., LiveRun], capsys: pytest.CaptureFixture[str]
) -> None:
    """10 s are 7 snippets of 1.6 s; against the mean of 7 and of 12, one bright snippet stands out alike."""
    items = [*frames(0, 48), *frames(48, 16, BRIGHT), *frames(64, 128), *frames(192, 16, BRIGHT), *frames(208, 16)]
    run = make(items, normalise="place")
    run.until_the_end([])
    assert spans(run) == [(192, 208)]
    assert run.state.whole.snippets == 14
    assert "no alarms in the first 10 s: this detector compares" in capsys.readouterr().out


@pytest.mark.parametrize(("width", "events"), [(72, 1), (90, 0)])
def test_a_camera_that_comes_back_with_another_picture_is_got_to_know_anew(
    make: Callable[..., LiveRun], width: int, events: int
) -> None:
    again = Opened(VideoInfo(0, FPS, width, 48, 0.0, "h264", 0, False), "the stream's average", 1000.0)
    items = [*frames(0, 160), lost(), again, gap("outage", 40), *frames(200, 32), *frames(232, 16, BRIGHT)]
    run = make(items, normalise="place")
    run.until_the_end([])
    assert len(spans(run)) == events


def test_too_much_lookahead_is_refused_before_any_file(make: Callable[..., LiveRun], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="lookahead is 3 snippets"):
        make([], lookahead=3)
    assert not (tmp_path / "events.jsonl").exists()


def test_an_hour_and_a_half_leaves_memory_flat(make: Callable[..., LiveRun]) -> None:
    """At 10 frames a second, an event every minute, an outage every two; only the files grow."""
    run = make([], normalise="place", window_seconds=60.0)
    held, peaks = [], []
    tracemalloc.start()
    try:
        for third in range(3):
            gc.collect()
            tracemalloc.reset_peak()
            for number in range(third * 19_200, (third + 1) * 19_200):  # whole periods of events and of outages
                if number % 1200 == 0:
                    for item in (lost(), OPENED, gap("outage", 80)):
                        run.take(item)
                if number % 1200 >= 80:
                    run.take(Frame(number, 0.0, 1000.0 + number / FPS, BRIGHT if number // 32 % 20 == 0 else DARK))
                run._look_at_the_clock()
            peaks.append(tracemalloc.get_traced_memory()[1])
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert run.state.events > 40
    # the interpreter's own free lists grow for hours by some kilobytes a third, and stop (40 such were watched); a
    # number kept with every snippet would take 77 kB
    assert held[2] < held[0] + 40_000
    assert peaks[2] < peaks[0] + 40_000
    run._finish(Ending("over"))
    assert len(written(run)["videos"][0]["events"]) == run.state.events
