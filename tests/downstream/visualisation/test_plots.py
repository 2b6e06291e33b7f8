from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from downstream.evaluation.settings import EvaluationSettings
from downstream.evaluation.temporal_evaluation import evaluate, evaluate_seeds
from downstream.scores.video_scores import make_scores
from downstream.visualisation.plots import COLOURS, TRUTH_COLOUR, telling_videos, write_plots
from pretrain.data.catalogue import Video
from tests.downstream.evaluation.reference import random_test_set

SETTINGS = EvaluationSettings(resamples=20)


def pixels_of(path: Path, colour: str) -> int:
    """How many pixels have this colour, or nearly: edges of lines are blended with what is behind."""
    image = np.asarray(Image.open(path).convert("RGB"))
    wanted = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    return int((np.abs(image.astype(int) - wanted) <= 24).all(axis=2).sum())


def test_every_method_and_the_truth_are_on_the_page(tmp_path: Path) -> None:
    scores, videos = random_test_set(np.random.default_rng(1), 5, 4)
    other, _ = random_test_set(np.random.default_rng(1), 5, 4)
    shifted = [make_scores(entry.name, 1 - entry.scores, entry.edges) for entry in other]
    pair = [
        evaluate(scores, videos, SETTINGS, "a $method_"),
        evaluate_seeds({"0": shifted, "1": scores}, videos, SETTINGS, "b"),
    ]
    write_plots(pair, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"roc.png", "pr.png", "scores.png"}
    for name in ("roc.png", "pr.png", "scores.png"):
        assert min(pixels_of(tmp_path / name, colour) for colour in COLOURS[:2]) > 50
        assert pixels_of(tmp_path / name, COLOURS[2]) == 0
    # the shade of anomalies: their colour at 30 % on white
    shade = "#" + "".join(f"{round(255 - 0.3 * (255 - int(TRUTH_COLOUR[at : at + 2], 16))):02x}" for at in (1, 3, 5))
    assert pixels_of(tmp_path / "scores.png", shade) > 500


@pytest.mark.parametrize(("abnormal", "normal"), [(1, 1), (2, 0), (20, 9)])
def test_telling_videos_are_from_best_to_worst_and_no_more_than_asked_for(abnormal: int, normal: int) -> None:
    videos, scores = [], []
    for number in range(abnormal + normal):
        label = int(number < abnormal)
        spans = ((0, 8),) if label else ()
        videos.append(Video(f"v{number}", "", label, "test", None, None, spans, (), 32))
        # abnormal video i has its anomaly over a share of the rest that grows with i
        levels = [number / 20, 0.01, 0.4, 0.9] if label else [number / 40, 0, 0, 0]
        scores.append(make_scores(f"v{number}", levels, [0, 8, 16, 24, 32]))
    chosen = telling_videos(evaluate(scores, videos, SETTINGS), 8, 4)
    assert len(chosen) == len(set(chosen)) == min(8, abnormal) + min(4, normal)
    first = [index for index in chosen if index < abnormal]
    assert chosen[: len(first)] == first
    if abnormal == 20:
        assert first[0] > 17
        assert first[-1] == 0
        assert chosen[8] == 28


def test_names_of_any_bytes_are_drawn(tmp_path: Path) -> None:
    scores, videos = random_test_set(np.random.default_rng(1), 2, 1)
    odd = dict(zip([video.name for video in videos], ["a$^$b", "latin\udce9\n", "\x1b\u202e"], strict=True))
    scores = [make_scores(odd[entry.name], entry.scores, entry.edges) for entry in scores]
    write_plots([evaluate(scores, [replace(v, name=odd[v.name]) for v in videos], SETTINGS, "a")], tmp_path)
    assert (tmp_path / "scores.png").stat().st_size > 1000
