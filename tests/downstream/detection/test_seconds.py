"""What is said in seconds is when it happened: recordings with gaps, rates that vary, rates that are wrongly stated."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from downstream.detection.live.console import Console
from downstream.detection.live.frame_queue import Opened
from downstream.detection.live.live_output import LiveOutput
from downstream.detection.live.run import LiveRun, scorer_for
from downstream.detection.live.scorer import region_for
from downstream.detection.live.settings import LiveSettings, SourceSettings
from downstream.detection.live.source import FrameSource
from downstream.detection.model import ScoredFile, score_files
from downstream.detection.output_files import write_output_files
from downstream.detection.score_cache import ScoreCache
from downstream.detection.video_events import find_video_events
from downstream.evaluation.ground_truth import align, clocks_of
from downstream.evaluation.operating_curve import sweep_of
from downstream.evaluation.settings import EvaluationSettings
from downstream.evaluation.temporal_metrics import WeightedVideos, false_alarms
from downstream.events.calibration import calibrate
from downstream.events.rule import AlarmRule
from downstream.report.content import Report, ReportVideo
from downstream.report.embedding import page_data
from downstream.report.thumbnails import peak_thumbnails
from downstream.scores.video_scores import make_scores
from pretrain.data.catalogue import Video
from tests.downstream.detection.live.servers import HttpCamera, camera
from tests.downstream.detection.timed_video import bright_model, encode_times, write_times

DARK = np.concatenate([np.arange(200) / 25, 8 + np.arange(30) / 5, 14 + np.arange(100) / 25])
"""25 a second, in the dark 5 a second from 8 s to 14 s: 18 s."""
PARTS = np.concatenate([np.arange(100) / 25, 100 + np.arange(100) / 25, 3700 + np.arange(100) / 25])
"""Motion-triggered: three times 4 s in more than an hour."""
SLOW = np.arange(100) / 10
"""10 a second, where 25 are stated."""
CASES = {"dark": (DARK, (10.4, 12.8), 18.0), "parts": (PARTS, (101.0, 103.0), 12.0), "slow": (SLOW, (4.0, 6.4), 10.0)}


def scored(path: Path, snippet_frames: int = 4) -> ScoredFile:
    (found,) = score_files(bright_model(snippet_frames), [(path.stem, str(path))])
    assert found.scores is not None
    return found


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, tuple[float, float], float]:
    times, bright, seconds = CASES[request.param]
    return write_times(tmp_path / f"{request.param}.mkv", times, bright), bright, seconds


def test_a_file_says_when_it_happened_and_how_much_was_seen(case: Any, tmp_path: Path) -> None:
    path, (start, end), seconds = case
    found = scored(path)
    video = find_video_events(found, bright_model().rule)
    (event,) = video.record.events
    assert event.start_seconds == pytest.approx(start, abs=0.85)  # to the snippet
    assert event.end_seconds == pytest.approx(end, abs=0.85)
    assert event.start_seconds <= start + 0.15
    assert event.end_seconds >= end - 0.15
    assert video.record.seconds == pytest.approx(seconds, abs=0.05)
    assert video.record.fps == pytest.approx(video.record.num_frames / seconds, rel=0.01)
    write_output_files(tmp_path, bright_model().facts(bright_model().rule), [video], [], ["frame_scores.csv"])
    rows = list(csv.DictReader((tmp_path / "frame_scores.csv").open()))
    times = CASES[path.stem][0]
    assert [float(row["seconds"]) for row in rows] == pytest.approx(times.tolist(), abs=0.003)
    pictures = peak_thumbnails(path, video.scores, video.events)
    assert [picture.seconds for picture in pictures] == sorted(picture.seconds for picture in pictures)
    assert any(start <= picture.seconds <= end for picture in pictures)
    model = bright_model()
    cache = ScoreCache(tmp_path / "scored", model)
    entry = Video(path.stem, str(path), split="test")
    cache.store(found, entry)
    again = cache.load(entry)
    assert again is not None
    assert find_video_events(again, model.rule).record.events == video.record.events


def test_least_lengths_and_merging_are_in_seconds(tmp_path: Path) -> None:
    dark = scored(write_times(tmp_path / "dark.mkv", DARK, (10.4, 12.8)))  # 12 frames
    for least, count in ((2.2, 1), (3.5, 0)):
        rule = AlarmRule(threshold=0.72, release=0.72, min_seconds=least)
        assert len(find_video_events(dark, rule).events) == count
    # bright to the end of one part and on from the begin of the next: an hour lies between
    parts = scored(write_times(tmp_path / "parts.mkv", PARTS, (102.0, 3702.0)))
    for merge, count in ((0.0, 2), (60.0, 2), (4000.0, 1)):
        rule = AlarmRule(threshold=0.72, release=0.72, merge_seconds=merge)
        found = find_video_events(parts, rule).record.events
        assert len(found) == count
    assert (found[0].start_seconds, found[0].end_seconds) == pytest.approx((102, 3702), abs=0.15)
    # seen for 4 s, in an hour
    rule = AlarmRule(threshold=0.72, release=0.72, min_seconds=5, merge_seconds=4000.0)
    assert find_video_events(parts, rule).events == ()


def test_rates_are_of_hours_that_were_seen(case: Any) -> None:
    path, _, seconds = case
    found = scored(path)
    assert found.scores is not None
    assert found.clock is not None
    rule = {"margin": 0.0, "min_seconds": 0.0, "merge_seconds": 0.0}
    assert calibrate([(found.scores, found.clock)], 10_000.0, **rule).hours * 3600 == pytest.approx(seconds, abs=0.9)
    # of a stated rate nothing is believed where the file is there
    normal = Video(path.stem, str(path), 0, "test", None, None, (), (), len(CASES[path.stem][0]), 50.0)
    other = Video("other", "", 1, "test", None, None, ((0, 2),), (), 8, 8.0)
    pair = [normal, other]
    videos = align([found.scores, make_scores("other", [0.1, 0.2], [0, 4, 8])], pair, clocks=clocks_of(pair)).videos
    settings = EvaluationSettings(threshold=0.72, min_seconds=0.0, merge_seconds=0.0)
    values = false_alarms(WeightedVideos(videos=videos, settings=settings, weights=np.ones((1, 2))))
    assert values["false_alarms_per_hour"][0] == pytest.approx(3600 / seconds, rel=0.01)
    sweep = sweep_of(videos, settings)
    assert sweep is not None
    assert sweep.hours[0] * 3600 == pytest.approx(seconds, abs=0.05)


def test_the_report_has_the_times_of_its_snippets(case: Any) -> None:
    path, _, seconds = case
    video = find_video_events(scored(path), bright_model().rule)
    shown = ReportVideo(name=video.name, fps=video.fps, clock=video.clock, scores=video.scores)
    (entry,) = page_data(Report(title="t", subtitle="s", rule=bright_model().rule, videos=(shown,)))["videos"]
    json.dumps(entry)
    if path.stem == "slow":
        assert entry["fps"] == pytest.approx(10)
        return
    (event,) = video.events
    edges = video.scores.edges.tolist()
    assert entry["begins"][edges.index(event.start)] == pytest.approx(video.record.events[0].start_seconds, abs=0.002)
    assert entry["ends"][edges.index(event.end) - 1] == pytest.approx(video.record.events[0].end_seconds, abs=0.002)
    assert entry["seen"][-1] == pytest.approx(seconds, abs=0.9)


def watched(text: str, out: Path, **settings: Any) -> dict[str, Any]:
    model = bright_model()
    live = LiveSettings(source=SourceSettings(timeout=5.0, on_end="stop", queue_frames=500), **settings)
    with FrameSource(text, region_for(model), live.source, np.random.default_rng(0)) as source:
        opened = source.get()
        assert isinstance(opened, Opened)
        with LiveOutput(out, "cam", model.facts(model.rule)) as output:
            scorer = scorer_for(model, live, opened.info.fps)
            LiveRun(scorer, model.rule, live, source, opened, Console(False), output, []).until_the_end([])
    content: dict[str, Any] = json.loads((out / "events.json").read_text())["videos"][0]
    return content


def test_a_file_that_is_played_says_the_same(case: Any, tmp_path: Path) -> None:
    path, _, seconds = case
    expected = find_video_events(scored(path), bright_model().rule).record
    video = watched(str(path), tmp_path / "live", status_every=0)
    for mine, theirs in zip(video["events"], expected.events, strict=True):
        assert mine["start_frame"] == theirs.start_frame
        for name in ("start_seconds", "end_seconds", "peak_seconds"):
            assert mine[name] == pytest.approx(getattr(theirs, name), abs=0.25)
    assert video["seconds"] == pytest.approx(seconds, abs=0.3)


@pytest.mark.parametrize("name", ["dark", "slow"])
def test_a_stream_says_when_it_happened_whatever_rate_it_claims(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    times, (start, end), seconds = CASES[name]
    with camera(HttpCamera, encode_times(times, (start, end), "mpegts"), 0) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}/live"
        video = watched(url, tmp_path / "live", status_every=0)
    (event,) = video["events"]
    assert event["start_seconds"] == pytest.approx(start, abs=0.85)
    assert event["end_seconds"] == pytest.approx(end, abs=0.85)
    assert video["seconds"] == pytest.approx(seconds, abs=1.0)


def test_a_stream_that_states_no_times_is_as_long_as_it_took_to_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bare H.264: FFmpeg takes it for 25 a second; 40 frames come in 4 s."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    data = encode_times(np.arange(40) / 10, (2.0, 9.0), "h264")
    with camera(HttpCamera, data, 4.0) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}/live"
        video = watched(url, tmp_path / "live", status_every=0)
    assert 3.0 < video["seconds"] < 5.5
    assert 7 < video["fps"] < 14
