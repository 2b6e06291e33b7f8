from __future__ import annotations

import csv
import io

from downstream.evaluation.per_video import per_video_csv
from downstream.evaluation.settings import EvaluationSettings
from downstream.evaluation.temporal_evaluation import evaluate
from downstream.scores.video_scores import make_scores
from pretrain.data.catalogue import Video

SETTINGS = EvaluationSettings(resamples=100)


def test_values_by_hand() -> None:
    videos = [
        Video("a", "", 1, "test", "Fire", None, ((8, 16),), (), 24),
        Video("n", "", 0, "test", None, None, (), (), 16),
    ]
    scores = [make_scores("a", [0.6, 0.9, 0.0], [0, 8, 16, 24]), make_scores("n", [0.1, 0.2], [0, 8, 16])]
    result = evaluate(scores, videos, SETTINGS)
    abnormal, normal = csv.DictReader(io.StringIO(per_video_csv(result)))
    assert abnormal == {
        "name": "a",
        "label": "1",
        "class_name": "Fire",
        "frames": "24",
        "anomalous_frames": "8",
        "max_score": "0.9",
        "mean_score": "0.5",
        "auc": "1",
        "events": "1",
        "found_share": "1",
        "false_share": "0.5",
    }
    assert (normal["auc"], normal["found_share"], normal["false_share"]) == ("", "", "0")
