"""What a report takes from a run's folder: whose scores, which threshold, figures, films, and what is missing."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from downstream.evaluation.bootstrap import Interval
from downstream.evaluation.operating_curve import OperatingCurve, OperatingPoint, ThresholdPoint
from downstream.events.calibration import calibrate
from downstream.events.calibration_file import write_calibration
from downstream.events.rule import RuleChanges
from downstream.report.run_contents import read_run, run_curve, run_metrics, run_rule
from downstream.report.run_report import report_of_run
from downstream.runs.run_folder import RunFolder
from downstream.scores.score_file import write_scores
from downstream.scores.score_map import ScoreMap
from downstream.scores.video_scores import VideoScores, make_scores
from pretrain.data.catalogue import Catalogue, Video
from pretrain.errors import UserError

THRESHOLDS = {"0": 0.9, "1": 0.99}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two seeds that scored `quiet`, `street/a` and `extra`, and could not score `broken`."""
    folder = tmp_path / "run"
    for seed, threshold in THRESHOLDS.items():
        odds = np.array([-2.0, 0.0, 2.0]) + int(seed)
        videos = [
            make_scores(name, 1 / (1 + np.exp(-odds)), [0, 25, 50, 75]) for name in ("quiet", "street/a", "extra")
        ]
        write_scores(folder / f"seed-{seed}" / "test_scores.json", videos, {"unscored": {"broken": "no frame"}})
        save(folder / f"seed-{seed}" / "summary.json", {"validation": {"threshold": threshold}})
    return folder


def save(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def listed(folder: Path) -> Catalogue:
    return Catalogue(
        [
            Video("quiet", str(folder / "quiet.mp4"), label=0, split="test", fps=25.0),
            Video("street/a", str(folder / "a.mp4"), label=1, split="test", fps=25.0, class_name="Fall"),
            Video("broken", str(folder / "b.mp4"), label=1, split="test", spans=((3, 9),)),
            Video("seen", str(folder / "c.mp4"), label=1),
        ],
        "a list",
    )


def test_scores_are_the_mean_of_the_seeds_in_log_odds(run: Path) -> None:
    scores = read_run(run)
    assert scores.seeds == ("0", "1")
    odds = np.log(scores.file.videos[0].scores / (1 - scores.file.videos[0].scores))
    assert odds == pytest.approx([-1.5, 0.5, 2.5])
    assert "mean of 2 detectors" in scores.note
    alone = read_run(run / "seed-1")
    assert (alone.seeds, alone.note) == (("1",), "")


def cells_run(folder: Path, names: tuple[str, ...] = ("quiet", "street/a")) -> Path:
    """A run of cells with snippets half as long: at each one another cell is hot."""
    videos = []
    for name in names:
        maps = np.full((6, 2, 3), 0.1)
        maps.reshape(6, 6)[np.arange(6), np.arange(6)] = 0.9
        found = ScoreMap(maps, (320, 240), (0.0, 0.0, 320.0, 240.0))
        videos.append(VideoScores(name, found.frame_scores(), np.arange(7) * 12, found))
    seed = RunFolder(folder).seed(0)
    seed.write_scores("test", videos, {"seed": 0, "unscored": {}, "threshold": 0.5})
    save(folder / "seed-0" / "summary.json", {"validation": {"threshold": 0.5}})
    return folder


def test_another_run_says_where(run: Path, tmp_path: Path) -> None:
    videos = listed(tmp_path)
    plain = report_of_run(run, videos, tmp_path / "out.html", thumbnails=0)
    report = report_of_run(run, videos, tmp_path / "out.html", thumbnails=0, where=cells_run(tmp_path / "cells"))
    assert report.subtitle.startswith("by run (where: cells), videos of a list")
    for before, after in zip(plain.videos, report.videos, strict=True):
        if before.scores is None:
            continue
        assert after.scores is not None
        assert np.array_equal(after.scores.scores, before.scores.scores)  # when is still told by the run itself
        assert before.scores.map is None
        assert after.scores.map is not None
        # snippets 0-25, 25-50, 50-75 have their middles at frames 12, 37 and 62, in snippets 1, 3 and 5 of 12 frames
        assert after.scores.map.scores.reshape(3, 6).argmax(axis=1).tolist() == [1, 3, 5]
    assert (report.rule, report.metrics) == (plain.rule, plain.metrics)


def test_a_run_that_cannot_say_where_is_refused(run: Path, tmp_path: Path) -> None:
    videos = listed(tmp_path)
    with pytest.raises(UserError, match=r"has no maps \('quiet'\): its detectors score whole pictures. Give a run on"):
        report_of_run(run, videos, tmp_path / "out.html", thumbnails=0, where=run)
    few = cells_run(tmp_path / "few", ("quiet",))
    with pytest.raises(UserError, match=r"did not score 1 of the 2 videos, and cannot say where:\n.*'street/a'"):
        report_of_run(run, videos, tmp_path / "out.html", thumbnails=0, where=few)


def test_the_rule_is_that_of_detection(run: Path) -> None:
    scores = read_run(run)
    rule, origin = run_rule(run)
    assert rule.threshold == pytest.approx(1 / (1 + math.exp(-(math.log(9) + math.log(99)) / 2)))
    assert "not calibrated" in origin
    assert run_rule(run / "seed-1")[0].threshold == pytest.approx(0.99)
    footage = [(scores.file.videos[0], 25.0)]
    found = calibrate(footage, 1.0, margin=0.5, min_seconds=0.0, merge_seconds=2.0)
    write_calibration(run / "calibration.json", found)
    assert run_rule(run)[0] == found.rule
    (run / "calibration.json").unlink()
    save(run / "seed-1" / "summary.json", {})
    with pytest.raises(UserError, match="says no threshold of seed 1; train it again"):
        run_rule(run)


def test_every_test_video_is_there_with_its_truth_or_what_is_wrong(run: Path, tmp_path: Path) -> None:
    report = report_of_run(run, listed(tmp_path), tmp_path / "report.html", changes=RuleChanges(min_seconds=1.0))
    quiet, street, broken = report.videos
    assert (quiet.truth, street.truth, broken.truth) == ((), None, ((3, 9),))
    assert (street.class_name, street.label, street.link) == ("Fall", 1, None)
    assert (broken.scores, broken.problem) == (None, "no frame")
    assert report.rule.min_seconds == 1.0
    assert report.rule.release < report.rule.threshold
    assert any("1 video(s): frames per second not known; times assume 30 (--fps)." in note for note in report.notes)
    assert any("1 scored video(s) are no test videos" in note for note in report.notes)
    assert report.facts["Seeds"] == "0, 1"


def test_a_file_that_cannot_be_read_costs_its_pictures_alone(run: Path, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    street = report_of_run(run, listed(tmp_path), tmp_path / "out" / "report.html").videos[1]
    assert street.problem is not None
    assert street.problem.startswith("no pictures: ")
    assert "a.mp4" in street.problem
    assert street.scores is not None
    assert street.link == "../a.mp4"


def test_films_come_before_the_videos_themselves(run: Path, tmp_path: Path) -> None:
    film = run / "localisation" / "films" / "01-street_a.mp4"
    film.parent.mkdir(parents=True)
    film.touch()
    (film.parent / "other.mp4").touch()
    assert RunFolder(run).localisation.film_of() == {"street_a": film}
    street = report_of_run(run, listed(tmp_path), run / "report.html").videos[1]
    assert street.link == "localisation/films/01-street_a.mp4"


def test_figures_matter_most_first_and_say_their_threshold(run: Path) -> None:
    assert run_metrics(run) == ()
    one = {"value": 0.5, "ci_low": 0.4, "ci_high": 0.6}
    figures = {"recall_at_fpr_0.1": one, "false_alarm_rate": one, "frame_auc": one, "class_auc/Fall": one}
    figures["video_auc"] = {"value": None, "ci_low": None, "ci_high": None}
    save(
        run / "evaluation" / "evaluation.json",
        {"format": "anomaly-pretext/evaluation/1", "methods": [{"metrics": figures, "settings": {"threshold": 0.25}}]},
    )
    save(
        run / "localisation" / "localisation.json",
        {"format": "anomaly-pretext/localisation/1", "methods": [{"metrics": {"recall_iou_0.3": one}}]},
    )
    metrics = run_metrics(run)
    assert [metric.name for metric in metrics] == [
        *("frame AUC", "video AUC", "recall at FPR 0.1", "false-alarm rate (threshold 0.25)", "box recall at IoU 0.3")
    ]
    assert math.isnan(metrics[1].value)
    assert (metrics[0].low, metrics[0].high) == (0.4, 0.6)
    assert all(metric.meaning for metric in metrics)


def test_the_curve_is_the_evaluation_s_own(run: Path) -> None:
    assert run_curve(run) is None
    at = ThresholdPoint(threshold=0.5, false_alarms_per_hour=2.0, found_share=0.5, found=1.0)
    point = OperatingPoint(
        false_alarms_per_hour=0.0, found_share=0.5, found=1.0, interval=Interval(0.1, 0.9), thresholds=(0.7,)
    )
    curve = OperatingCurve(hours=1.5, anomalies=2, points=(point,), at_threshold=at)
    path, form = run / "evaluation" / "evaluation.json", "anomaly-pretext/evaluation/1"
    for document, expected in (
        ({"operating_curve": curve.as_json()}, curve),
        ({"operating_curve": None}, None),
        ({}, None),
    ):
        save(path, {"format": form, "methods": [{"metrics": {}, **document}]})
        assert run_curve(run) == expected


def test_what_cannot_be_reported_is_said(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    with pytest.raises(UserError, match="a list: no video of split 'test'"):
        report_of_run(run, Catalogue([Video("seen", "c.mp4")], "a list"), out)
    with pytest.raises(UserError, match=r"scored none of the 1 test videos of other:\n  - 'new'"):
        report_of_run(run, Catalogue([Video("new", "n.mp4", split="test")], "other"), out)
    with pytest.raises(UserError, match="thumbnails is -1, fps None"):
        report_of_run(run, listed(tmp_path), out, thumbnails=-1)
    save(run / "evaluation" / "evaluation.json", {})
    (run / "evaluation" / "evaluation.json").write_text("{", encoding="utf-8")
    with pytest.raises(UserError, match=r"cannot read the metrics .*evaluation.json .*; run scripts/evaluate.py again"):
        report_of_run(run, listed(tmp_path), out)
