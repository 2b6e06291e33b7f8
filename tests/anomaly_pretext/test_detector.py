"""A detector from Python says what the command says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import anomaly_pretext as ap
from scripts import detect


@pytest.fixture(scope="module")
def detector() -> ap.Detector:
    return ap.first_look(device="cpu")


def test_scores_and_events_are_those_of_the_command(detector: ap.Detector, listed_videos: Path, tmp_path: Path) -> None:
    video = listed_videos / "v9.mp4"
    scores = detector.score(video)
    assert scores.scores.shape == (7,)
    assert scores.frames.tolist() == [[16 * n, 16 * n + 16] for n in range(7)]
    assert scores.seconds[-1].tolist() == pytest.approx([3.84, 4.48])
    assert scores.per_frame.shape == (112,)
    assert scores.cells is None
    events = detector.detect(video, threshold=float(scores.scores.max()))
    flags = ["--threshold", str(float(scores.scores.max())), "--films", "0", "--no-report", "--device", "cpu"]
    with pytest.raises(SystemExit):
        detect.main([str(video), "--out", str(tmp_path), *flags])
    (told,) = json.loads((tmp_path / "events.json").read_text())["videos"]
    assert [event.as_json() for event in events] == [
        {key: event[key] for key in events[0].as_json()} for event in told["events"]
    ]
    assert len(events) == 1


def test_many_videos_come_one_by_one(detector: ap.Detector, listed_videos: Path) -> None:
    scored = list(detector.score_all([listed_videos / "v3.mp4", listed_videos / "v4.mp4"]))
    assert [each.name for each in scored] == ["v3", "v4"]
    assert [each.name for each in detector.score_all(str(listed_videos / "v3.mp4"))] == ["v3"]
    assert all(np.isfinite(each.scores).all() for each in scored)
    with pytest.raises(ap.UserError, match="holds 10 videos"):
        detector.score(listed_videos)


def test_what_cannot_be_scored_is_an_error_in_words(detector: ap.Detector, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(ap.UserError, match=r"broken\.mp4"):
        detector.score(tmp_path / "broken.mp4")
    with pytest.raises(ap.UserError, match="holds no detector"):
        ap.load_detector(tmp_path)
    with pytest.raises(ap.UserError, match="threshold is 2"):
        detector.detect(tmp_path / "broken.mp4", threshold=2)
