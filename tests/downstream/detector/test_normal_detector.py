"""Distances to the ordinary, against slow references; scores that do not hang on how a video is cut up."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from downstream.detector.inference import block_evidence, compose_scores
from downstream.detector.normal_detector import (
    NEIGHBOURS,
    NormalConfig,
    NormalDetector,
    Part,
    Usual,
    coreset,
    median_distance,
    nearest_distance,
)
from downstream.detector.storage import load_detector, load_trained, save_detector
from downstream.features.feature_spec import NOISE_FLOOR, FeatureSpec
from pretrain.errors import UserError

DIM = 6
PARTS: tuple[Part, ...] = get_args(Part)


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def made(grid: tuple[int, int] | None = None, **config: Any) -> NormalDetector:
    """Fitted to standard normal features."""
    net = NormalDetector(NormalConfig(**{"parts": PARTS} | config), DIM, 0, grid, (DIM - 1,)).eval()
    footage = numbers(400, DIM, seed=9)
    net.whiten(footage.mean(dim=0), torch.cov(footage.T))
    net.members = net.whitened(footage[:50])
    places = 1 if grid is None else grid[0] * grid[1]
    values = numbers(80, places, DIM, seed=8)
    evidence = block_evidence(net, values)
    bags = evidence.transpose(0, 1) if grid is None else evidence.flatten(0, 1).unsqueeze(0)
    net.standardise(net.log_parts(bags, torch.ones(bags.shape[:2], dtype=torch.bool)).flatten(0, 1))
    return net


def test_distances_are_those_of_a_slow_loop() -> None:
    white, members = numbers(7, DIM), numbers(20, DIM, seed=1)
    every = np.linalg.norm(white.numpy()[:, None] - members.numpy()[None], axis=2)
    expected = np.sort(every, axis=1)[:, :NEIGHBOURS].mean(axis=1)
    np.testing.assert_allclose(nearest_distance(white, members), expected, atol=1e-5)
    bag = white.unsqueeze(0)
    own = np.linalg.norm(white.numpy()[:, None] - white.numpy()[None], axis=2)
    np.testing.assert_allclose(median_distance(bag, bag)[0], np.median(own, axis=1), atol=1e-5)


def test_a_coreset_lies_close_to_all_of_the_footage() -> None:
    white = torch.cat([numbers(200, 2) * 0.1, numbers(5, 2, seed=2) * 0.1 + 10])  # five snippets far from the rest
    chosen = white[coreset(white, 10, torch.Generator().manual_seed(0))]
    assert len(chosen) == 10
    assert float(torch.cdist(white, chosen).amin(dim=1).max()) < 0.3
    random = white[:10]
    assert float(torch.cdist(white, random).amin(dim=1).max()) > 9
    assert coreset(white[:4], 10, torch.Generator()).tolist() == [0, 1, 2, 3]


def test_footage_that_stands_still_has_neighbours_in_a_coreset() -> None:
    """Of 100 snippets, 50 of each: once one of each is chosen, more of all follow, none of them twice."""
    white = numbers(100, 3).repeat(50, 1)
    chosen = coreset(white, 4000, torch.Generator().manual_seed(0))
    assert len(chosen.unique()) == 4000
    assert float(nearest_distance(white, white[chosen]).max()) < 0.01  # float32; others are 0.1 away


@pytest.mark.parametrize("relative_to", ["footage", "video"])
@settings(max_examples=20, deadline=None)
@given(length=st.integers(1, 30), padding=st.integers(0, 4))
def test_any_length_and_padding_changes_nothing(relative_to: str, length: int, padding: int) -> None:
    net = made(relative_to=relative_to, parts=("change", "nearest", "gaussian"))
    features = numbers(2, length, DIM, seed=length)
    mask = torch.ones(2, length, dtype=torch.bool)
    bare = net.compose(net.evidence(features, mask), mask)
    longer = torch.cat([features, torch.full((2, padding, DIM), 1e3)], dim=1)
    mask = torch.arange(length + padding).expand(2, -1) < length
    padded = net.compose(net.evidence(longer, mask), mask)
    torch.testing.assert_close(padded[:, :length], bare, atol=1e-5, rtol=0)
    assert torch.isfinite(bare).all()


@pytest.mark.parametrize("part", PARTS)
def test_what_is_unlike_the_rest_scores_highest(part: Part) -> None:
    values = 0.3 * numbers(60, 1, DIM, seed=3)
    values[30] += 6 if part != "motion" else 0
    values[30:32, :, -1] += 6
    for relative_to in ("footage", "video"):
        net = made(parts=(part,), relative_to=relative_to, smoothing=0)
        scores = compose_scores(net, block_evidence(net, values))[:, 0]
        assert abs(int(scores.argmax()) - 30) <= 1  # a change belongs to both sides of it


def test_cells_are_scored_in_their_places() -> None:
    net = made(grid=(2, 3))
    values = 0.3 * numbers(30, 6, DIM, seed=3)
    values[10:13, 4] += 6
    scores = compose_scores(net, block_evidence(net, values))
    assert scores.shape == (30, 6)
    assert int(scores[11].argmax()) == 4
    assert int(scores[:, 4].argmax()) in range(9, 14)


def test_two_cameras_are_comparable_by_footage_and_not_by_themselves() -> None:
    calm, lively = 0.2 * numbers(50, 1, DIM, seed=4), 3 * numbers(50, 1, DIM, seed=5)
    by = {}
    for relative_to in ("footage", "video"):
        net = made(parts=("nearest",), relative_to=relative_to)
        by[relative_to] = [compose_scores(net, block_evidence(net, video)).mean() for video in (calm, lively)]
    assert by["footage"][1] - by["footage"][0] > 0.3
    assert abs(by["video"][1] - by["video"][0]) < 0.15


def test_saved_and_loaded(tmp_path: Path) -> None:
    net = made(keeps_learning=True)
    spec = FeatureSpec(encoder="e", weights_sha256=None, dim=DIM, motion=True)
    save_detector(net, tmp_path, [spec], "none", {"threshold": 0.5})
    again, card = load_detector(tmp_path)
    assert isinstance(again, NormalDetector)
    assert again.config == net.config
    assert (card["kind"], card["members"], again.context_snippets) == ("normal", 50, 256)
    values = numbers(20, 1, DIM, seed=6)
    expected = compose_scores(net, block_evidence(net, values))
    assert np.array_equal(compose_scores(again, block_evidence(again, values)), expected)
    with pytest.raises(UserError, match=r"holds a label-free detector, of scripts/fit_normal\.py; give one of"):
        load_trained(tmp_path)


@pytest.mark.parametrize("grid", [None, (2, 3)])
def test_motion_is_a_part_by_default_where_features_say_it(grid: tuple[int, int] | None) -> None:
    assert NormalDetector(NormalConfig(), DIM, 0, grid, (DIM - 1,)).config.parts == ("change", "nearest", "motion")
    assert NormalDetector(NormalConfig(), DIM, 0, grid).config.parts == ("change", "nearest")
    with pytest.raises(UserError, match="parts has motion, but the features do not say how much the picture moves"):
        NormalDetector(NormalConfig(parts=("motion",)), DIM)


def stored_motion(grey_levels: torch.Tensor) -> torch.Tensor:
    """(T,) -> features (1, T, DIM) that say it."""
    values = torch.zeros(1, len(grey_levels), DIM)
    values[..., -1] = (grey_levels + NOISE_FLOOR).log()
    return values


def test_motion_below_a_grey_level_counts_little() -> None:
    still, moving = torch.tensor([0.0, 0.2, 0.1, 0.3]), torch.tensor([10.0, 20.0, 10.0, 30.0])
    spreads = {}
    for floor in (NOISE_FLOOR, 1.0):
        net = made(parts=("motion",), smoothing=0, motion_floor=floor)
        mask = torch.ones(1, 4, dtype=torch.bool)
        for what, levels in (("still", still), ("moving", moving)):
            evidence = net.evidence(stored_motion(levels), mask)
            torch.testing.assert_close(evidence[0, :, 0], levels.double() + floor, atol=1e-5, rtol=0)
            spreads[what, floor] = float(net.log_parts(evidence, mask).std())
    assert spreads["still", 1.0] < 0.2 * spreads["still", NOISE_FLOOR]
    assert spreads["moving", 1.0] > 0.9 * spreads["moving", NOISE_FLOOR]


@pytest.mark.parametrize("relative_to", ["footage", "video"])
def test_the_change_of_a_snippet_without_a_neighbour_says_nothing(relative_to: str) -> None:
    both = made(parts=("change", "gaussian"), relative_to=relative_to)
    gaussian = made(parts=("gaussian",), relative_to=relative_to)
    values = numbers(1, 1, DIM, seed=5)
    odds = [
        float(net.log_odds(block_evidence(net, values).transpose(0, 1), torch.ones(1, 1).bool()))
        for net in (both, gaussian)
    ]
    assert odds[0] == pytest.approx(odds[1] / math.sqrt(2), abs=1e-9)


def test_what_never_changes_is_no_part_of_what_is_usual() -> None:
    """A frozen camera among the footage, or black bars, would make the least noise of others an alarm."""
    logs = numbers(300, 2, seed=3).double()
    with_frozen = torch.cat([logs, torch.full((900, 2), 1e-6).double().log()])
    torch.testing.assert_close(Usual.of(with_frozen), Usual.of(logs))
    bars = torch.stack([logs, torch.full((300, 2), 1e-6).double().log()], dim=1)  # (N, places, E)
    wider = Usual(torch.full((2,), 0.5).double(), torch.full((2,), 2.0).double())
    drawn = Usual.of(bars).drawn_to(wider, 10_000, 1000)
    torch.testing.assert_close(drawn.median[1], wider.median)
    torch.testing.assert_close(drawn.spread[1], wider.spread)
    assert torch.isfinite(drawn.median).all()
    net = made()
    net.standardise(torch.full((9, len(PARTS)), 1e-6).double().log())
    assert torch.isfinite(net.usual).all()
    assert (net.spread > 0).all()


def test_a_frozen_video_has_finite_scores_relative_to_itself() -> None:
    net = made(parts=("change", "deviation"), relative_to="video")
    scores = compose_scores(net, block_evidence(net, numbers(1, 1, DIM).expand(12, -1, -1)))
    np.testing.assert_allclose(scores, 0.5)


def test_a_card_of_before_the_floor_scores_as_it_did(tmp_path: Path) -> None:
    """Such a detector's medians are of motion as features have it."""
    net = made(parts=("motion",), motion_floor=NOISE_FLOOR)
    spec = FeatureSpec(encoder="e", weights_sha256=None, dim=DIM, motion=True)
    save_detector(net, tmp_path, [spec], "none", {"threshold": 0.5})
    card = json.loads((tmp_path / "detector.json").read_text())
    del card["config"]["motion_floor"]
    (tmp_path / "detector.json").write_text(json.dumps(card))
    again, _ = load_detector(tmp_path)
    values = numbers(5, 1, DIM)
    np.testing.assert_array_equal(
        compose_scores(again, block_evidence(again, values)), compose_scores(net, block_evidence(net, values))
    )
    assert isinstance(again, NormalDetector)
    assert again.config.motion_floor == NOISE_FLOOR


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"motion_floor": 0.0}, r"motion_floor is 0\.0; it must lie in \[0\.1, 255\] grey levels"),
        ({"parts": ("chnge",)}, "parts has 'chnge'; did you mean 'change'"),
        ({"parts": ("change", "change")}, "parts is change change; give one or more, each once"),
        ({"parts": ()}, "parts is empty; give one or more"),
        ({"coreset": 4}, "coreset is 4; it must hold the 5 neighbours"),
        ({"trim": 0.5}, r"trim is 0\.5; it must lie in \[0, 0\.5\)"),
        ({"smoothing": -1.0}, r"smoothing is -1\.0; it must lie in \[0, 64\] snippets"),
    ],
)
def test_wrong_settings_are_told(config: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        NormalConfig(**config)
