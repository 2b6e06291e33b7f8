"""Every metric against its definition: pixels ranked one by one, frames pointed at one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from downstream.evaluation.metrics import compute_metrics
from downstream.evaluation.settings import LocalisationSettings
from downstream.evaluation.spatial_metrics import WeightedMaps
from downstream.evaluation.spatial_truth import locate
from downstream.events.boxes import ScoredBox
from downstream.scores.cell_geometry import PixelBox
from pretrain.data.catalogue import Box, Video
from tests.downstream.boxed_videos import BoxedSet, boxed_video, frames_of, random_set, scored
from tests.downstream.evaluation.reference import slow_auc

SETTINGS = LocalisationSettings(iou=(0.1, 0.3), tiou_score=1.0)


def measured(made: BoxedSet, weights: np.ndarray | None = None, settings: LocalisationSettings = SETTINGS):
    videos = locate(made.scores, made.videos)
    rows = np.ones((1, len(videos))) if weights is None else weights
    boxes = [made.predicted[video.name] for video in videos]
    return compute_metrics(WeightedMaps(videos=videos, boxes=boxes, settings=settings, weights=rows))


def slow_iou(first: Box, second: PixelBox) -> float:
    a, b = np.zeros((2, 20, 20), bool)
    for raster, box, width, height in ((a, first, 14, 9), (b, second, 99, 99)):
        x1, y1 = int(max(box.x1, 0)), int(max(box.y1, 0))
        raster[y1 : int(min(box.y2, height)), x1 : int(min(box.x2, width))] = True
    return float((a & b).sum() / (a | b).sum())


def slow_metrics(made: BoxedSet) -> dict[str, float]:
    """Nothing but frames, pixels and loops."""
    frames = list(frames_of(made))
    abnormal = [frame for frame in frames if frame.video.label == 1]
    hits: dict[str, list[float]] = {}
    chance, overlaps, firm, met = [], [], [], []
    maps = {entry.name: entry.map.scores for entry in made.scores if entry.map}
    for frame in (frame for frame in frames if frame.boxes):
        cells = maps[frame.video.name][frame.snippet]
        # centres of cells of 3 pixels are at half pixels of the same index
        inside = np.array([[frame.anomalous[3 * i + 1, 1 + 3 * j + 1] for j in range(4)] for i in range(3)])
        hits.setdefault(frame.video.name, []).append(float(inside[cells == cells.max()].mean()))
        chance.append(float(inside.mean()))
        drawn = [entry.box for entry in made.predicted[frame.video.name][frame.snippet]]
        overlaps.append(max([slow_iou(box, drawn[0]) for box in frame.boxes]) if drawn else 0.0)
        firm.append(bool(cells.max() >= 1.0))
        met += [max([slow_iou(box, other) for other in drawn], default=0.0) for box in frame.boxes]
    pixels = [
        (np.concatenate([f.scores.ravel() for f in some]), np.concatenate([f.anomalous.ravel() for f in some]))
        for some in (frames, abnormal)
    ]
    return {
        "pixel_auc": slow_rank_auc(*pixels[0]),
        "pixel_auc_abnormal": slow_rank_auc(*pixels[1]),
        "pointing": float(np.mean(np.concatenate(list(hits.values())))),
        "pointing_chance": float(np.mean(chance)),
        "pointing_per_video": float(np.mean([np.mean(own) for own in hits.values()])),
        "mean_iou": float(np.mean(overlaps)),
        "tiou": float(np.mean(np.array(overlaps)[firm])) if any(firm) else float("nan"),
        "tiou_frames": float(np.mean(firm)),
        "recall_iou_0.1": float(np.mean(np.array(met) >= 0.1)),
        "recall_iou_0.3": float(np.mean(np.array(met) >= 0.3)),
    }


def slow_rank_auc(scores: np.ndarray, anomalous: np.ndarray) -> float:
    """Pixels ranked one by one, ties half: over distinct scores, not over pairs of thousands of pixels."""
    ones, zeros, right = scores[anomalous], scores[~anomalous], 0.0
    for score in set(scores.tolist()):
        right += (ones == score).sum() * ((zeros < score).sum() + 0.5 * (zeros == score).sum())
    return float(right / (len(ones) * len(zeros)))


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_metrics_are_those_of_every_pixel_and_frame(seed: int) -> None:
    made = random_set(np.random.default_rng(seed))
    values = measured(made)
    for name, expected in slow_metrics(made).items():
        assert values[name][0] == pytest.approx(expected, nan_ok=True), name


@given(st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_cell_auc_ranks_every_cell_of_every_frame(seed: int) -> None:
    made = random_set(np.random.default_rng(seed))
    for chosen, name in (((0, 1), "cell_auc"), ((1,), "cell_auc_abnormal")):
        scores, labels = [], []
        maps = {entry.name: entry.map.scores for entry in made.scores if entry.map}
        for frame in frames_of(made):
            if frame.video.label in chosen:
                scores.append(maps[frame.video.name][frame.snippet].ravel())
                labels.append(frame.anomalous[:, 1:13].reshape(3, 3, 4, 3).any(axis=(1, 3)).ravel())
        expected = slow_auc(np.concatenate(scores).astype(float), np.concatenate(labels).astype(int))
        assert measured(made)[name][0] == pytest.approx(expected)


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_a_draw_is_the_set_with_its_videos_repeated(seed: int) -> None:
    rng = np.random.default_rng(seed)
    made = random_set(rng)
    counts = np.array([2, 0, 3, 1, 2])
    videos = [
        video for video, count in zip(locate(made.scores, made.videos), counts, strict=True) for _ in range(count)
    ]
    boxes = [made.predicted[video.name] for video in videos]
    once = np.ones((1, len(videos)))
    repeated = compute_metrics(WeightedMaps(videos=videos, boxes=boxes, settings=SETTINGS, weights=once))
    drawn = measured(made, np.stack([np.ones(5), counts]))
    for name, values in drawn.items():
        assert values[1] == pytest.approx(repeated[name][0], nan_ok=True), name


def test_a_constant_map_points_as_chance_does_and_a_perfect_one_always() -> None:
    made = random_set(np.random.default_rng(3))
    constant = BoxedSet(made.videos, [scored(v.name, np.ones((3, 3, 4))) for v in made.videos], made.predicted)
    values = measured(constant)
    assert values["pointing"][0] == pytest.approx(values["pointing_chance"][0])
    assert values["cell_auc"][0] == 0.5
    video = boxed_video("a", [Box(frame, 4, 0, 7, 3) for frame in range(2, 9)])
    cells = np.zeros((3, 3, 4))
    cells[:, 0, 1] = 1
    perfect = BoxedSet([video], [scored("a", cells)], {"a": [[ScoredBox(0, PixelBox(4, 0, 7, 3), 1.0)]] * 3})
    values = measured(perfect)
    for name in ("pointing", "pointing_per_video", "mean_iou", "tiou", "tiou_frames", "recall_iou_0.3"):
        assert values[name][0] == 1, name
    assert values["pointing_chance"][0] == pytest.approx(1 / 12)


def test_a_box_that_was_never_looked_at_is_missed() -> None:
    video = boxed_video("a", [Box(frame, 13, 0, 14, 9) for frame in range(2, 9)])
    values = measured(BoxedSet([video], [scored("a", np.ones((3, 3, 4)))], {"a": [[], [], []]}))
    assert values["pointing"][0] == values["pointing_chance"][0] == values["mean_iou"][0] == 0
    # of the normal pixels only those at the left border, not seen either, are no worse: a half for each tie
    normal = 13 * 14 * 9 - 7 * 9
    unseen = 13 * 2 * 9 - 7 * 9
    assert values["pixel_auc"][0] == pytest.approx(0.5 * unseen / normal)
    assert np.isnan(values["cell_auc"][0])


def test_tiou_is_undefined_where_no_frame_scores_enough() -> None:
    video = boxed_video("a", [Box(3, 4, 0, 7, 3)])
    made = BoxedSet([video], [scored("a", np.full((3, 3, 4), 0.4))], {"a": [[], [], []]})
    values = measured(made, settings=LocalisationSettings())
    assert np.isnan(values["tiou"][0])
    assert values["tiou_frames"][0] == values["mean_iou"][0] == 0


def test_one_video_with_many_frames_weighs_like_any_other_per_video() -> None:
    cells = np.zeros((3, 3, 4))
    cells[:, 0, 0] = 1
    found = boxed_video("a", [Box(frame, 0, 0, 14, 9) for frame in range(2, 8)])
    missed = boxed_video("b", [Box(2, 7, 3, 14, 9)])
    normal = Video("n", "n", label=0, num_frames=12)
    entries = [scored(name, cells) for name in "abn"]
    values = measured(BoxedSet([found, missed, normal], entries, {name: [[], [], []] for name in "abn"}))
    assert values["pointing"][0] == pytest.approx(6 / 7)
    assert values["pointing_per_video"][0] == 0.5
