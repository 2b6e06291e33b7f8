"""detect.py without a detector: the package that comes with the program."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from downstream.detection.live.scorer import LiveScorer
from downstream.detection.model import score_files
from downstream.detection.open_model import open_model
from downstream.detection.unfitted import UNFITTED_FOLDER, or_unfitted
from pretrain.data.video import VideoInfo
from scripts.detect import main
from tests.pretrain.encoding import encode_video


def test_it_opens_with_the_shipped_backbone_and_is_small() -> None:
    model = open_model(or_unfitted(None))
    assert model.describe() == "the label-free detector that comes with the program, on small3d"
    assert or_unfitted(Path("mine")) == Path("mine")
    (detector,) = model.detectors
    assert (detector.context_snippets, detector.score_reach) == (256, None)
    assert sum(file.stat().st_size for file in UNFITTED_FOLDER.rglob("*") if file.is_file()) < 100_000
    assert json.loads((UNFITTED_FOLDER / "package.json").read_text())["encoders"][0]["backbone"] == "shipped"


def test_a_video_is_scored_by_what_is_unlike_the_rest_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = encode_video(tmp_path / "still.mp4", 0, num_frames=320)
    with pytest.raises(SystemExit) as left:
        main([str(video), "--out", str(tmp_path / "found"), "--films", "0"])
    assert not left.value.code
    out = capsys.readouterr().out
    assert "A first look, since no --detector was given: it marks what is unlike the rest of the same video" in out
    assert "scripts/fit_normal.py" in out
    document = json.loads((tmp_path / "found" / "events.json").read_text())
    assert len(document["videos"]) == 1


def test_a_stream_is_compared_with_what_it_showed(tmp_path: Path) -> None:
    model = open_model(UNFITTED_FOLDER)
    scorer = LiveScorer(model, settle_snippets=3)
    assert scorer.compares
    scorer.look(VideoInfo(0, 25.0, 96, 64, 0.0, "h264", 0, False))
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 255, (160, 64, 96, 3), dtype=np.uint8)
    scores = [score for number in range(160) for score in scorer.push(number, pictures[number], 0.0)]
    scores += scorer.finish(is_end=True)
    assert len(scores) == 10
    assert [score.is_settled for score in scores][:3] == [False, False, True]
    assert all(np.isfinite(score.score) for score in scores)


def test_scoring_twice_is_scoring_once(tmp_path: Path) -> None:
    video = encode_video(tmp_path / "v.mp4", 1, num_frames=200)
    model = open_model(UNFITTED_FOLDER)
    first, second = (next(score_files(model, [("v", str(video))])).scores for _ in range(2))
    assert first is not None
    assert second is not None
    assert np.array_equal(first.scores, second.scores)
