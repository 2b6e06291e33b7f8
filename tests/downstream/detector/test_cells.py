"""A detector of cells: who sees whom, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from downstream.detector.entropy import EntropyConfig
from downstream.detector.model import Detector, DetectorConfig
from downstream.detector.objective import build_detector
from downstream.detector.spatial_smoothness import SpatialSmoothnessConfig
from downstream.detector.storage import CARD_FILE, grid_of, load_detector, save_detector
from downstream.detector.terms import ObjectiveConfig
from downstream.features.feature_spec import FeatureSpec
from pretrain.errors import UserError

GRID, DIM = (2, 3), 5
CELLS = GRID[0] * GRID[1]


def detector(temporal: str = "none", spatial: str = "none", guidance: str | None = None) -> Detector:
    torch.manual_seed(0)
    shape = {"width": 12, "hidden": 8, "score_smoothing": 0, "composition": "none"}
    config = DetectorConfig(temporal=temporal, spatial=spatial, **shape)  # type: ignore[arg-type]
    net = Detector(config, DIM, guidance, grid=GRID)  # type: ignore[arg-type]
    if net.branch is not None:
        net.branch.centres.normal_()
        net.branch.num_updates.fill_(1)
    return net.eval()


def random_features(bags: int, snippets: int, seed: int = 0) -> Tensor:
    return torch.randn(bags, snippets * CELLS, DIM, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("temporal", ["none", "multi_scale"])
@pytest.mark.parametrize("spatial", ["none", "conv"])
@pytest.mark.parametrize("guidance", [None, "product"])
@settings(max_examples=8, deadline=None)
@given(bags=st.integers(1, 3), snippets=st.integers(1, 9), padding=st.integers(0, 5))
def test_padding_changes_nothing(
    temporal: str, spatial: str, guidance: str | None, bags: int, snippets: int, padding: int
) -> None:
    net = detector(temporal, spatial, guidance)
    features = random_features(bags, snippets, snippets)
    bare = net(features)
    assert bare.scores.shape == (bags, snippets * CELLS)
    mask = (torch.arange((snippets + padding) * CELLS) < snippets * CELLS).expand(bags, -1)
    padded = net(torch.cat([features, torch.full((bags, padding * CELLS, DIM), 1e3)], dim=1), mask)
    torch.testing.assert_close(padded.scores[:, : snippets * CELLS], bare.scores, atol=1e-5, rtol=0)
    assert not padded.scores[:, snippets * CELLS :].any()


def moved_by(net: Detector, snippet: int, row: int, column: int) -> set[tuple[int, int, int]]:
    """(snippet, row, column) of all cells of the second of two bags whose score moves when that cell's features do."""
    features = random_features(2, 12)
    other = features.clone()
    other[1, snippet * CELLS + row * GRID[1] + column] += 3
    change = (net(features).scores - net(other).scores).abs() > 1e-7
    assert not change[0].any()
    return {(t, r, c) for t, r, c in change[1].view(12, *GRID).nonzero().tolist()}


@pytest.mark.parametrize("place", [(6, 0, 0), (0, 1, 2), (11, 0, 1)])
def test_who_sees_a_cell(place: tuple[int, int, int]) -> None:
    snippet, row, column = place
    assert moved_by(detector(), *place) == {place}

    times = {t for t in range(12) if abs(t - snippet) in (0, 1, 2, 4)}  # the dilations of multi_scale
    assert moved_by(detector("multi_scale"), *place) == {(t, row, column) for t in times}

    around = {(r, c) for r in range(GRID[0]) for c in range(GRID[1]) if abs(r - row) <= 1 and abs(c - column) <= 1}
    assert moved_by(detector(spatial="conv"), *place) == {(snippet, r, c) for r, c in around}
    assert moved_by(detector("multi_scale", "conv"), *place) == {(t, r, c) for t in times for r, c in around}


def test_alone_a_cell_is_scored_as_an_instance_of_a_detector_without_grid() -> None:
    net = detector()
    flat = Detector(net.config, DIM)
    flat.load_state_dict(net.state_dict())
    features = random_features(2, 4)
    assert torch.equal(flat.eval()(features).scores, net(features).scores)


def test_reach() -> None:
    assert detector(spatial="conv").reach == 0
    assert detector("multi_scale", "conv").reach == 4
    assert Detector(DetectorConfig(temporal="transformer", width=12), DIM).reach is None
    assert Detector(DetectorConfig(temporal="global_local", width=12), DIM).reach is None


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(UserError, match=r"detector\.temporal is transformer, .* 2x3 cells: .* choose multi_scale or n"):
        detector("transformer")
    with pytest.raises(
        UserError, match=r"detector\.temporal is global_local, .* 2x3 cells: .* choose multi_scale or n"
    ):
        detector("global_local")
    with pytest.raises(
        UserError, match=r"detector\.spatial is conv, but the features have no cells.*--grid map .*, or"
    ):
        Detector(DetectorConfig(spatial="conv"), DIM)
    both = ObjectiveConfig(spatial_smoothness=SpatialSmoothnessConfig(weight=0.375), entropy=EntropyConfig(weight=0.75))
    with pytest.raises(
        UserError, match=r"\.spatial_smoothness\.weight is 0\.375 and objective\.entropy\.weight is 0\.75, "
    ):
        build_detector(DetectorConfig(), both, DIM)


def test_saved_and_loaded_with_its_grid(tmp_path: Path) -> None:
    net = detector("multi_scale", "conv", "mean")
    spec = FeatureSpec(encoder="e", weights_sha256=None, dim=DIM, grid=GRID)
    save_detector(net, tmp_path, [spec], "none", {})
    again, _ = load_detector(tmp_path)
    assert again.grid == GRID
    features = random_features(2, 3)
    assert torch.equal(again(features).log_scores, net(features).log_scores)
    assert grid_of(json.loads((tmp_path / CARD_FILE).read_text(encoding="utf-8"))) == GRID
