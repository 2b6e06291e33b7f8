"""Scores composed of which video and when in it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from downstream.detector.composition import (
    MOTION_SHARE,
    OWN_SHARE,
    Composition,
    log_odds,
    top_mean,
    video_weight,
    whitening,
)
from downstream.detector.inference import block_evidence, compose_scores
from downstream.detector.model import Detector, DetectorConfig, FeatureStatistics

DIM = 5


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def fitted(motion: tuple[int, ...] = ()) -> Composition:
    composition = Composition(DIM, motion)
    parts = 2 if motion else 1
    videos = [
        (2 * numbers(1, 20, seed=n).double() + 3 * (n % 2), 2 * numbers(1, 20, parts, seed=n + 50).double())
        for n in range(8)
    ]
    composition.fit(videos, [n % 2 for n in range(8)])
    return composition


def test_whitened_features_have_variance_one_along_every_direction() -> None:
    mixing = numbers(DIM, DIM, seed=3).double()
    covariance = mixing @ mixing.T
    directions = whitening(covariance, DIM)
    shrunk = 0.9 * covariance + 0.1 * torch.diag(covariance.diagonal())
    torch.testing.assert_close(directions.T @ shrunk @ directions, torch.eye(DIM).double(), atol=1e-9, rtol=0)
    few = whitening(covariance, 2)
    assert few.shape == (DIM, 2)
    kept, all_of_it = (few.T @ shrunk @ shrunk @ few).diagonal(), torch.linalg.eigvalsh(shrunk)
    torch.testing.assert_close(kept, all_of_it[-2:])  # those of the greatest variance


def test_a_dead_number_and_no_features_at_all_stay_finite() -> None:
    covariance = torch.diag(torch.tensor([1.0, 0.0, 4.0, 1.0, 1.0]).double())
    assert torch.isfinite(whitening(covariance, DIM)).all()
    assert torch.isfinite(whitening(torch.zeros(DIM, DIM).double(), DIM)).all()


def test_change_is_the_mean_distance_to_both_neighbours() -> None:
    composition = Composition(DIM)  # not whitened yet: Euclidean
    features = torch.tensor([[0.0, 3.0, 3.0, 9.0]]).unsqueeze(2).repeat(1, 1, DIM) / math.sqrt(DIM)
    mask = torch.ones(1, 4, dtype=torch.bool)
    assert composition.evidence(features, mask)[0, :, 0].tolist() == pytest.approx([3, 1.5, 3, 6], abs=1e-5)
    mask[0, 3] = False
    assert composition.evidence(features, mask)[0, :3, 0].tolist() == pytest.approx([3, 1.5, 0], abs=1e-5)
    assert composition.evidence(features[:, :1], mask[:, :1]).tolist() == [[[0.0]]]


def test_motion_is_a_part_of_its_own_and_no_change_of_features() -> None:
    composition = Composition(DIM, (1, 3))
    composition.whiten(torch.cov(numbers(60, DIM, seed=5).T))
    features, mask = numbers(1, 30, DIM, seed=2), torch.ones(1, 30, dtype=torch.bool)
    evidence = composition.evidence(features, mask)
    torch.testing.assert_close(evidence[0, :, 1], features[0, :, [1, 3]].mean(dim=1).double())
    wilder = features.clone()
    wilder[..., [1, 3]] *= 100
    assert torch.equal(composition.evidence(wilder, mask)[..., 0], evidence[..., 0])
    assert not torch.equal(composition.evidence(2 * features, mask)[..., 0], evidence[..., 0])


@pytest.mark.parametrize(
    ("abnormal", "normal", "expected"),
    [
        ([3.0, 2.0], [1.0, 0.0], "some"),
        ([1.0, 0.0], [1.0, 0.0], 0.0),  # chance
        ([0.0, 0.0], [1.0, 2.0], 0.0),  # worse than chance says nothing either
        ([1.0], [], 0.0),
    ],
)
def test_the_share_of_the_video_follows_from_held_out_videos(
    abnormal: list[float], normal: list[float], expected: float | str
) -> None:
    weight = video_weight([*abnormal, *normal], [1] * len(abnormal) + [0] * len(normal))
    assert weight == expected if expected != "some" else 0 < weight < 2


def test_many_videos_told_apart_weigh_more_than_few() -> None:
    weights = [video_weight([*[1.0] * n, *[0.0] * n], [1] * n + [0] * n) for n in (2, 10, 100)]
    assert weights == sorted(weights)
    assert 0.5 < weights[0] < 1.5
    assert weights[2] > 4
    # two normal classes one deviation apart: the slope of their log likelihood ratio over the standardised score
    rng = np.random.default_rng(0)
    tops = np.concatenate([rng.normal(1, 1, 2000), rng.normal(0, 1, 2000)])
    expected = 1.0 * math.sqrt(1 + 1 / 4)
    assert video_weight(tops.tolist(), [1] * 2000 + [0] * 2000) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("motion", [(), (4,)])
def test_the_sum_by_hand(motion: tuple[int, ...]) -> None:
    composition = fitted(motion)
    own, when = numbers(1, 30, seed=9).double(), numbers(1, 30, 2 if motion else 1, seed=8).double()
    _, weight, video_mean, video_scale, own_mean, own_scale, spread = composition.values.tolist()
    o, c = own[0].numpy(), when[0, :, 0].numpy()
    top = np.sort(o)[-2:].mean()  # 30 // 16 + 1
    by_hand = weight * (top - video_mean) / video_scale + (o - own_mean) / own_scale
    by_hand += (c - c.mean()) / math.sqrt(OWN_SHARE * c.var() + (1 - OWN_SHARE) * spread**2)
    if motion:
        m, across = when[0, :, 1].numpy(), float(composition.motion_spread)
        assert 1 < across < 3  # twice standard normal numbers
        by_hand += MOTION_SHARE * (m - m.mean()) / math.sqrt(OWN_SHARE * m.var() + (1 - OWN_SHARE) * across**2)
    composed = composition(own, when, torch.ones(1, 30, dtype=torch.bool))
    np.testing.assert_allclose(composed[0].numpy(), by_hand, atol=1e-12)
    assert weight > 0
    assert float(top_mean(own, torch.ones(1, 30, dtype=torch.bool))) == pytest.approx(top)


def composed_detector(motion: tuple[int, ...] = (DIM - 1,)) -> Detector:
    torch.manual_seed(1)
    net = Detector(DetectorConfig(width=12, hidden=4, temporal="multi_scale"), DIM, motion=motion).eval()
    covariance = torch.cov(numbers(60, DIM, seed=5).T)
    net.standardise(FeatureStatistics(torch.zeros(DIM), covariance.diagonal().sqrt(), covariance))
    with torch.no_grad():
        videos = [block_evidence(net, numbers(20 + n, 2, DIM, seed=n)).transpose(0, 1) for n in range(8)]
    net.fit_composition(videos, [n % 2 for n in range(8)])
    return net


@settings(max_examples=20, deadline=None)
@given(bags=st.integers(1, 3), length=st.integers(1, 40), padding=st.integers(0, 5))
def test_any_shape_and_padding_changes_nothing(bags: int, length: int, padding: int) -> None:
    net = composed_detector()
    features = numbers(bags, length, DIM, seed=length)
    bare = net(features)
    assert ((bare.scores >= 0) & (bare.scores <= 1)).all()
    mask = torch.arange(length + padding) < torch.full((bags, 1), length)
    padded = net(torch.cat([features, torch.full((bags, padding, DIM), 1e3)], dim=1), mask)
    torch.testing.assert_close(padded.scores[:, :length], bare.scores, atol=1e-5, rtol=0)
    assert not padded.scores[:, length:].any()


def test_nothing_is_composed_before_it_is_fitted_and_nothing_in_training() -> None:
    net = composed_detector()
    plain = Detector(DetectorConfig(width=12, hidden=4, temporal="multi_scale", composition="none"), DIM).eval()
    plain.load_state_dict({key: value for key, value in net.state_dict().items() if "composition" not in key})
    features = numbers(1, 40, DIM, seed=77)
    assert not torch.allclose(net(features).scores, plain(features).scores, atol=1e-3)
    net.train().drop.p = plain.train().drop.p = 0.0
    net.head[2].p = plain.head[2].p = 0.0
    assert torch.equal(net(features).scores, plain(features).scores)
    fresh = Detector(DetectorConfig(width=12, hidden=4), DIM)
    assert fresh.composition is not None
    assert not fresh.composition.is_fitted
    assert fresh.score_reach == fresh.smoothing.reach
    assert net.score_reach is None


def test_evidence_of_parts_is_that_of_the_whole() -> None:
    net = composed_detector()
    values = numbers(50, 2, DIM, seed=4)
    whole = block_evidence(net, values)
    reach = net.reach or 0
    part = block_evidence(net, values[20 - reach : 30 + reach])[reach:-reach]
    torch.testing.assert_close(part, whole[20:30], atol=1e-6, rtol=0)
    assert compose_scores(net, whole).shape == (50, 2)


def test_log_odds_of_sure_scores_stay_finite() -> None:
    odds = torch.tensor([-300.0, -3.0, 0.0, 3.0, 60.0]).double()
    torch.testing.assert_close(log_odds(torch.nn.functional.logsigmoid(odds)), odds)
    assert torch.isfinite(log_odds(torch.zeros(1).double())).all()


def test_the_network_does_not_see_motion_but_the_score_does() -> None:
    net = composed_detector()
    features, mask = numbers(1, 40, DIM, seed=4), torch.ones(1, 40, dtype=torch.bool)
    livelier = features.clone()
    livelier[0, 20:24, -1] += 3
    assert torch.equal(net.per_snippet(livelier, mask).log_scores, net.per_snippet(features, mask).log_scores)
    higher = net(livelier).log_scores - net(features).log_scores
    assert (higher[0, 20:24] > 0.3).all()
    assert (higher[0, :10] < 0).all()


def test_standardising_twice_is_standardising_once_and_motion_is_no_part_of_the_deviation_of_all() -> None:
    deviation = torch.tensor([1.0, 2.0, 2.0, 1.0, 50.0])
    net = Detector(DetectorConfig(standardise="global"), DIM, motion=(4,))
    for _ in range(2):
        net.standardise(FeatureStatistics(torch.zeros(DIM), deviation, torch.diag(deviation**2)))
    assert net.input_scale.tolist() == pytest.approx([1 / math.sqrt(2.5)] * 4 + [0.0])
