from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from downstream.detector.model import Detector, DetectorConfig, FeatureStatistics
from downstream.detector.storage import load_detector, save_detector
from downstream.detector.temporal import TemporalEncoder
from downstream.features.feature_spec import FeatureSpec
from pretrain.errors import UserError

SPEC = FeatureSpec(encoder="e", weights_sha256=None, dim=6)


def detector(temporal: str, guidance: str | None = None, score_smoothing: float = 0) -> Detector:
    torch.manual_seed(0)
    shape = {"width": 16, "hidden": 8, "composition": "none"}
    config = DetectorConfig(temporal=temporal, score_smoothing=score_smoothing, **shape)  # type: ignore[arg-type]
    return Detector(config, 6, guidance).eval()  # type: ignore[arg-type]


def statistics(mean: torch.Tensor, deviation: torch.Tensor) -> FeatureStatistics:
    return FeatureStatistics(mean, deviation, torch.diag(deviation.square()))


@pytest.mark.parametrize("temporal", get_args(TemporalEncoder))
@pytest.mark.parametrize("guidance", [None, "product", "mean"])
@settings(max_examples=15, deadline=None)
@given(
    bags=st.integers(1, 3),
    length=st.integers(1, 9),
    padding=st.integers(0, 5),
    score_smoothing=st.sampled_from([0.0, 1.3]),
)
def test_any_shape_and_padding_changes_nothing(
    temporal: str, guidance: str | None, bags: int, length: int, padding: int, score_smoothing: float
) -> None:
    net = detector(temporal, guidance, score_smoothing)
    features = torch.randn(bags, length, 6, generator=torch.Generator().manual_seed(length))
    bare = net(features)
    assert bare.scores.shape == (bags, length)
    assert ((bare.scores >= 0) & (bare.scores <= 1)).all()
    noise = torch.full((bags, padding, 6), 1e3)
    mask = torch.arange(length + padding) < torch.full((bags, 1), length)
    padded = net(torch.cat([features, noise], dim=1), mask)
    assert torch.allclose(padded.scores[:, :length], bare.scores, atol=1e-5)
    assert not padded.scores[:, length:].any()


def test_context_reaches_neighbours_or_does_not() -> None:
    features = torch.randn(1, 12, 6, generator=torch.Generator().manual_seed(0))
    other = features.clone()
    other[0, 6] += 1
    for temporal, reach in (("none", 0), ("multi_scale", 4), ("transformer", 12), ("global_local", 12)):
        net = detector(temporal)
        moved = (net(features).scores - net(other).scores).abs()[0] > 1e-7
        places = moved.nonzero().flatten()
        assert (places - 6).abs().max() <= reach
        assert reach == 0 or len(places) > 1


def test_smoothing_is_a_gaussian_mean_of_log_odds_and_reaches_two_deviations() -> None:
    features = torch.randn(2, 9, 6, generator=torch.Generator().manual_seed(1))
    rough, smooth = detector("none"), detector("none", score_smoothing=1.0)
    smooth.load_state_dict(rough.state_dict())
    assert (smooth.reach, smooth.score_reach, smooth.score_lookahead) == (0, 2, 2)
    odds, smoothed = torch.logit(rough(features).scores), torch.logit(smooth(features).scores)
    for place in range(9):
        near = torch.arange(max(0, place - 2), min(9, place + 3))
        weights = torch.exp(-((near - place).double() ** 2) / 2)
        expected = (odds[:, near] * weights).sum(dim=1) / weights.sum()
        assert torch.allclose(smoothed[:, place], expected, atol=1e-5)
    rough.train().drop.p = smooth.train().drop.p = 0.0
    rough.head[2].p = smooth.head[2].p = 0.0
    assert torch.equal(rough(features).scores, smooth(features).scores)  # training sees the scores themselves


def test_cells_are_smoothed_each_along_its_own_track() -> None:
    torch.manual_seed(0)
    config = DetectorConfig(width=16, hidden=8, score_smoothing=1.0, composition="none")
    net = Detector(config, 6, grid=(1, 2)).eval()
    alone = Detector(config, 6).eval()
    alone.load_state_dict(net.state_dict())
    tracks = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(2))  # of the two cells
    both = net(tracks.transpose(0, 1).reshape(1, 10, 6)).scores.view(5, 2)
    assert torch.allclose(both.T, alone(tracks).scores, atol=1e-6)


def test_standardise_and_dead_features() -> None:
    net = detector("none")
    net.standardise(statistics(torch.arange(6.0), torch.tensor([1.0, 2.0, 0.0, 1.0, 1.0, 1.0])))
    features = torch.arange(6.0).view(1, 1, 6)
    centred = net.head(torch.relu(net.project(torch.zeros(1, 1, 6))))
    assert torch.allclose(net(features).log_scores, torch.nn.functional.logsigmoid(centred.squeeze(2).double()))
    assert torch.isfinite(net.input_scale).all()
    assert net.input_scale.max() < 2000


def test_one_scale_for_all_numbers_or_none() -> None:
    mean, deviation = torch.arange(6.0), torch.tensor([1.0, 2.0, 0.1, 1.0, 1.0, 1.0])
    net = Detector(DetectorConfig(standardise="global"), 6)
    net.standardise(statistics(mean, deviation))
    assert torch.allclose(net.input_scale, (1 / deviation.square().mean().sqrt()).expand(6))
    assert torch.equal(net.input_mean, mean)
    untouched = Detector(DetectorConfig(standardise="none"), 6)
    untouched.standardise(statistics(mean, deviation))
    assert not untouched.input_mean.any()
    assert (untouched.input_scale == 1).all()


def test_saved_and_loaded(tmp_path: Path) -> None:
    net = detector("multi_scale", "product")
    assert net.branch is not None
    net.branch.centres.normal_()
    save_detector(net, tmp_path, [SPEC], "none", {"threshold": 0.5})
    again, card = load_detector(tmp_path)
    features = torch.randn(2, 3, 6)
    assert torch.equal(again(features).log_scores, net(features).log_scores)
    assert card["threshold"] == 0.5
    weights = tmp_path / "detector.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match="not the file its card describes"):
        load_detector(tmp_path)
    with pytest.raises(UserError, match="there is no detector in"):
        load_detector(tmp_path / "nowhere")
    (tmp_path / "detector.json").write_text('{"format": "other"}')
    with pytest.raises(UserError, match="format 'other'"):
        load_detector(tmp_path)


def test_bad_settings_are_named() -> None:
    with pytest.raises(UserError, match=r"detector\.dropout is 1\.0"):
        DetectorConfig(dropout=1.0)
    with pytest.raises(UserError, match=r"detector\.width is 30; .* 4 heads: give a multiple of 4"):
        DetectorConfig(temporal="transformer", width=30)
    with pytest.raises(UserError, match=r"detector\.width is 30; global_local shares it among 4 heads"):
        DetectorConfig(temporal="global_local", width=30)
