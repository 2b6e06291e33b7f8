from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from downstream.evaluation.per_video import per_video_csv
from downstream.evaluation.settings import EvaluationSettings
from downstream.evaluation.temporal_evaluation import evaluate, evaluate_seeds
from downstream.scores.video_scores import VideoScores, make_scores
from pretrain.data.catalogue import Video
from pretrain.errors import UserError
from tests.downstream.evaluation.reference import better, random_test_set

SETTINGS = EvaluationSettings(resamples=100)


@pytest.fixture
def truth() -> tuple[list[VideoScores], list[Video]]:
    return random_test_set(np.random.default_rng(5), abnormal=6, normal=6)


def test_seeds_are_averaged_and_their_deviation_given(truth: tuple[list[VideoScores], list[Video]]) -> None:
    scores, videos = truth
    sets = {"0": scores, "1": better(scores, videos, 1)}
    both = evaluate_seeds(sets, videos, SETTINGS)
    single = [evaluate(entries, videos, SETTINGS).metrics["frame_auc"] for entries in sets.values()]
    metric = both.metrics["frame_auc"]
    values = [entry.value for entry in single]
    assert metric.per_seed == tuple(values)
    assert metric.value == pytest.approx(np.mean(values))
    assert metric.deviation == pytest.approx(abs(values[0] - values[1]) / np.sqrt(2))
    assert single[0].deviation is None
    assert metric.interval is not None
    assert metric.interval.low < metric.value < metric.interval.high


def test_without_resamples_and_frame_rates_there_are_no_intervals_and_no_alarms_per_hour(
    truth: tuple[list[VideoScores], list[Video]],
) -> None:
    scores, videos = truth
    silent = [Video(v.name, v.path, v.label, v.split, None, None, v.spans, (), v.num_frames) for v in videos]
    result = evaluate(scores, silent, EvaluationSettings(resamples=0))
    assert all(metric.interval is None for metric in result.metrics.values())
    assert "false_alarms_per_hour" not in result.metrics
    assert "false_alarms_per_hour" in evaluate(scores, silent, EvaluationSettings(resamples=0, fps=30)).metrics


def test_seconds_of_events_are_of_an_assumed_frame_rate_where_none_is_known() -> None:
    spans = ((0, 8),)
    videos = [Video("a", "", 1, "test", None, None, spans, (), 80), Video("b", "", 0, "test", None, None, (), (), 80)]
    levels = [0.9, 0.1, 0.1, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1, 0.1]
    scores = [make_scores(video.name, levels, np.arange(11) * 8) for video in videos]
    note = "2 of 2 videos: frames per second not known; events are found as if it were 30 (--fps)"
    # events 32 frames apart are one where a second has as many
    for fps, events, notes in ((None, "2", (note,)), (32.0, "1", ())):
        found = evaluate(scores, videos, EvaluationSettings(resamples=0, fps=fps))
        assert found.notes == notes
        assert [row["events"] for row in csv.DictReader(io.StringIO(per_video_csv(found)))] == [events, events]


def test_errors_name_method_and_seed(truth: tuple[list[VideoScores], list[Video]]) -> None:
    scores, videos = truth
    with pytest.raises(UserError, match="base, seed 7: 1 problem") as error:
        evaluate_seeds({"6": scores, "7": scores[1:]}, videos, SETTINGS, "base")
    assert "'v0': a video to evaluate without scores" in str(error.value)


def test_what_could_not_be_scored_counts_in_no_seed_and_is_named() -> None:
    scores, videos = random_test_set(np.random.default_rng(3), 4, 4)
    lost = videos[2].name
    unscored = {lost: "v.mp4: damaged", "elsewhere": "x.mp4: damaged"}
    seeds = {"0": scores, "1": [entry for entry in scores if entry.name != lost]}
    found = evaluate_seeds(seeds, videos, SETTINGS, "base", unscored)
    kept = [video for video in videos if video.name != lost]
    expected = evaluate_seeds({"0": seeds["1"], "1": seeds["1"]}, kept, SETTINGS, "base")
    assert found.metrics == expected.metrics
    assert found.notes == (f"'{lost}' could not be scored and is left out: v.mp4: damaged", *expected.notes)
    with pytest.raises(UserError, match=rf"seed 1(?s:.*)'{lost}': a video to evaluate without scores"):
        evaluate_seeds(seeds, videos, SETTINGS, "base")
