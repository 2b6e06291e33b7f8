"""Scores of cells composed of what labels taught and of what is unusual there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from downstream.detector.cell_composition import MAX_CELLS, STILL, CellComposition
from downstream.detector.inference import as_bags, block_evidence, compose_scores
from downstream.detector.model import Detector, DetectorConfig, FeatureStatistics
from downstream.detector.storage import load_trained, save_detector
from downstream.features.feature_spec import NOISE_FLOOR, FeatureSpec

DIM, GRID, CELLS = 5, (2, 3), 6
MOTION = (DIM - 1,)
CONFIG = DetectorConfig(width=12, hidden=4, temporal="multi_scale")


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def composed(motion: tuple[int, ...] = MOTION, seed: int = 5) -> Detector:
    torch.manual_seed(seed)
    net = Detector(CONFIG, DIM, grid=GRID, motion=motion).eval()
    footage = numbers(400, DIM, seed=9)
    net.standardise(FeatureStatistics(footage.mean(dim=0), footage.std(dim=0), torch.cov(footage.T)))
    videos = [as_bags(net, block_evidence(net, numbers(30, CELLS, DIM, seed=n))) for n in range(6)]
    net.fit_composition(videos, [n % 2 for n in range(6)])
    return net


@pytest.mark.parametrize("motion", [(), MOTION])
def test_a_score_is_the_sum_of_both_standardised_parts(motion: tuple[int, ...]) -> None:
    net = composed(motion)
    assert isinstance(net.composition, CellComposition)
    values = numbers(20, CELLS, DIM, seed=33)
    evidence = block_evidence(net, values)
    assert evidence.shape == (20, CELLS, 3 if motion else 2)

    def smoothed(part: np.ndarray) -> np.ndarray:
        found, reach = np.empty_like(part), net.smoothing.reach
        for t in range(len(part)):
            steps = [s for s in range(-reach, reach + 1) if 0 <= t + s < len(part)]
            weights = np.exp(-0.5 * np.array(steps) ** 2.0)
            found[t] = sum(w * part[t + s] for w, s in zip(weights, steps, strict=True)) / weights.sum()
        return found

    own = smoothed(evidence[..., 0].numpy())
    white = (values @ net.composition.ordinary.directions).double().numpy()
    steps = np.linalg.norm(np.diff(white, axis=0), axis=2)
    before, after = np.pad(steps, ((1, 0), (0, 0))), np.pad(steps, ((0, 1), (0, 0)))
    parts = [(before + after) / np.array([1, *[2] * 18, 1])[:, None]]
    parts += [np.exp(values[..., -1].double().numpy()) + 1 - NOISE_FLOOR] if motion else []
    usual, spread = (each.numpy() for each in (net.composition.ordinary.usual, net.composition.ordinary.spread))
    apart = [(np.log(smoothed(part) + 1e-6) - usual[n]) / spread[n] for n, part in enumerate(parts)]
    odd = sum(np.maximum(part, -STILL) for part in apart) / np.sqrt(len(parts))
    _, own_mean, own_scale, odd_mean, odd_scale = net.composition.values.tolist()
    expected = (own - own_mean) / own_scale + (odd - odd_mean) / odd_scale
    scores = compose_scores(net, evidence)
    np.testing.assert_allclose(np.log(scores / (1 - scores)), expected, atol=2e-4)


def test_both_parts_have_mean_0_and_deviation_1_over_the_cells_it_was_fitted_to() -> None:
    net = composed()
    composition = net.composition
    assert isinstance(composition, CellComposition)
    own = 3 * numbers(1, 60 * CELLS, seed=1).double() - 2
    logs = numbers(1, 60 * CELLS, 2, seed=2).double() + 4
    composition.fit([(own, logs)], [0])
    mask = torch.ones_like(own, dtype=torch.bool)
    found = composition(own, logs, mask)
    _, own_mean, own_scale, *_ = composition.values.tolist()
    of_own = (own - own_mean) / own_scale
    for standard in (of_own, found - of_own):
        assert abs(float(standard.mean())) < 1e-9
        assert abs(float(standard.std(correction=0)) - 1) < 1e-9


def test_what_moves_unlike_the_rest_is_pointed_at_and_a_neighbour_is_not() -> None:
    net = composed()
    values = 0.1 * numbers(30, CELLS, DIM, seed=3)
    livelier = values.clone()
    livelier[10:14, 4, -1] += 5
    before, after = (compose_scores(net, block_evidence(net, each)) for each in (values, livelier))
    assert int(after[12].argmax()) == 4
    assert after[12, 4] > before[12, 4] + 0.1
    np.testing.assert_allclose(after[:, 1], before[:, 1], atol=1e-9)  # another cell of the same snippets


@settings(max_examples=15, deadline=None)
@given(length=st.integers(1, 20), padding=st.integers(0, 3))
def test_any_length_and_padding_changes_nothing(length: int, padding: int) -> None:
    net = composed()
    features = numbers(1, length * CELLS, DIM, seed=length)
    longer = torch.cat([features, torch.full((1, padding * CELLS, DIM), 1e2)], dim=1)
    mask = (torch.arange((length + padding) * CELLS) < length * CELLS).unsqueeze(0)
    padded, bare = net(longer, mask), net(features)
    torch.testing.assert_close(padded.scores[:, : length * CELLS], bare.scores, atol=1e-5, rtol=0)
    assert torch.isfinite(bare.log_scores).all()


def test_a_score_hangs_on_no_more_than_its_reach_so_a_stream_needs_no_whole_video() -> None:
    net = composed()
    assert net.score_reach == net.smoothing.reach == net.score_lookahead
    reach = (net.reach or 0) + net.smoothing.reach
    values = numbers(60, CELLS, DIM, seed=4)
    whole = compose_scores(net, block_evidence(net, values))
    part = compose_scores(net, block_evidence(net, values[20 - reach : 30 + reach]))[reach:-reach]
    np.testing.assert_allclose(part, whole[20:30], atol=1e-6)


def test_nothing_is_composed_before_it_is_fitted_and_nothing_in_training() -> None:
    net = composed()
    plain = Detector(DetectorConfig(width=12, hidden=4, temporal="multi_scale", composition="none"), DIM, grid=GRID)
    plain.load_state_dict({key: value for key, value in net.state_dict().items() if "composition" not in key})
    plain.eval().input_scale.copy_(net.input_scale)
    features = numbers(1, 40 * CELLS, DIM, seed=77)
    assert not torch.allclose(net(features).scores, plain(features).scores, atol=1e-3)
    mask = torch.ones(1, 40 * CELLS, dtype=torch.bool)
    assert torch.equal(net.per_snippet(features, mask).scores, plain.per_snippet(features, mask).scores)
    fresh = Detector(CONFIG, DIM, grid=GRID, motion=MOTION)
    assert fresh.composition is not None
    assert not fresh.composition.is_fitted


def test_the_network_of_cells_goes_on_seeing_motion() -> None:
    """Unlike that of whole pictures, it was measured so (docs/results.md)."""
    assert float(composed().input_scale[-1]) > 0


def test_saved_and_loaded_and_a_detector_of_before_scores_as_it_did(tmp_path: Path) -> None:
    net = composed()
    spec = FeatureSpec(encoder="e", weights_sha256=None, dim=DIM, motion=True, grid=GRID)
    save_detector(net, tmp_path / "new", [spec], "none", {"threshold": 0.5})
    values = numbers(20, CELLS, DIM, seed=6)
    again, _ = load_trained(tmp_path / "new")
    np.testing.assert_array_equal(
        compose_scores(again, block_evidence(again, values)), compose_scores(net, block_evidence(net, values))
    )
    plain = Detector(DetectorConfig(width=12, hidden=4, temporal="multi_scale", composition="none"), DIM, grid=GRID)
    save_detector(plain.eval(), tmp_path / "old", [spec], "none", {"threshold": 0.5})
    card = json.loads((tmp_path / "old" / "detector.json").read_text())
    card["config"]["composition"] = "which_when"  # as cards of cells said while it meant nothing there
    (tmp_path / "old" / "detector.json").write_text(json.dumps(card))
    old, _ = load_trained(tmp_path / "old")
    assert old.composition is None
    np.testing.assert_array_equal(
        compose_scores(old, block_evidence(old, values)), compose_scores(plain, block_evidence(plain, values))
    )


def test_of_long_videos_all_cells_are_sampled() -> None:
    snippets = 2 * MAX_CELLS // CELLS + 1000
    composition = CellComposition(DIM, GRID)
    own = torch.arange(CELLS).double().repeat(snippets).unsqueeze(0)
    composition.fit([(own, torch.zeros(1, snippets * CELLS, 1).double())], [0])
    assert float(composition.values[1]) == pytest.approx(np.mean(range(CELLS)))
    assert float(composition.values[2]) == pytest.approx(np.std(range(CELLS)))


def test_a_snippet_without_a_neighbour_is_scored_by_what_is_known_of_it() -> None:
    """Change says nothing of a video of one snippet, or of the first that a stream sends."""
    net = composed()
    for seed in range(4):
        values = numbers(1, CELLS, DIM, seed=seed)
        evidence = block_evidence(net, values)
        scores = compose_scores(net, evidence)
        composition = net.composition
        assert isinstance(composition, CellComposition)
        logs = composition.smoothed(evidence.flatten(0, 1).unsqueeze(0)[..., 1:], torch.ones(1, CELLS).bool())
        usual, spread = composition.ordinary.usual, composition.ordinary.spread
        odd = ((logs[0, :, 1] - usual[1]) / spread[1]).clamp(min=-STILL) / np.sqrt(2)
        _, own_mean, own_scale, odd_mean, odd_scale = composition.values.tolist()
        expected = (evidence[0, :, 0] - own_mean) / own_scale + (odd - odd_mean) / odd_scale
        np.testing.assert_allclose(scores[0], torch.sigmoid(expected), atol=1e-9)


@pytest.mark.parametrize("still", ["a frozen video", "a cell where nothing is shown", "a video of one snippet"])
def test_what_stands_still_among_held_out_videos_does_not_drown_the_rest(still: str) -> None:
    def fitted(with_still: bool) -> list[float]:
        net = composed()
        videos = [numbers(30, CELLS, DIM, seed=n) for n in range(6)]
        if with_still and still == "a frozen video":
            videos[0] = videos[0][:1].expand(30, -1, -1)
        elif with_still and still == "a video of one snippet":
            videos[0] = videos[0][:1]
        elif with_still:
            videos = [torch.cat([video[:, :-1], torch.zeros(30, 1, DIM)], dim=1) for video in videos]
        net.fit_composition([as_bags(net, block_evidence(net, video)) for video in videos], [0, 1] * 3)
        assert net.composition is not None
        return [float(value) for value in net.composition.values]

    plain, found = fitted(False), fitted(True)
    assert abs(found[3] - plain[3]) < 0.5
    assert 0.6 < found[4] / plain[4] < 1.5


def test_nothing_but_frozen_videos_leave_the_own_scores() -> None:
    net = composed()
    videos = [numbers(1, CELLS, DIM, seed=n).expand(9, -1, -1) for n in range(3)]
    net.fit_composition([as_bags(net, block_evidence(net, video)) for video in videos], [0, 1, 0])
    scores = compose_scores(net, block_evidence(net, numbers(9, CELLS, DIM, seed=8)))
    assert np.isfinite(scores).all()
