"""Detectors as plain graphs of a whole video say what they themselves say, to the last digits that matter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from downstream.detector.exportable import exportable
from downstream.detector.heads import BatchNormHead
from downstream.detector.inference import score_block
from downstream.detector.model import Detector, DetectorConfig, FeatureStatistics
from downstream.detector.normal_detector import NormalConfig, NormalDetector
from pretrain.errors import UserError

DIM = 9
MOTION = (DIM - 1,)


def videos(count: int, snippets: int, seed: int = 0) -> Tensor:
    return torch.randn(count, snippets, DIM, generator=torch.Generator().manual_seed(seed))


def trained(guidance: Any = None, sure: float = 30.0, **config: Any) -> Detector:
    """A detector past its start: standardised, its head as sure as trained ones are, its composition fitted."""
    torch.manual_seed(0)
    detector = Detector(DetectorConfig(width=12, hidden=4, **config), DIM, guidance, motion=MOTION)
    rows = videos(4, 50).flatten(0, 1)
    detector.standardise(FeatureStatistics(rows.mean(0), rows.std(0), torch.cov(rows.T)))
    with torch.no_grad():
        last = detector.head.score if isinstance(detector.head, BatchNormHead) else detector.head[-1]
        last.weight.mul_(sure)
    if detector.branch is not None:
        detector.branch.store(torch.randn(2, 128), torch.tensor([True, True]))
    mask = torch.ones(1, 50, dtype=torch.bool)
    with torch.no_grad():
        detector.eval().fit_composition([detector.evidence(v[None], mask) for v in videos(4, 50)], [0, 1, 0, 1])
    return detector


def label_free(**config: Any) -> NormalDetector:
    parts = config.pop("parts", ("change", "nearest", "gaussian", "motion"))
    detector = NormalDetector(NormalConfig(parts=parts, **config), DIM, 64, motion=MOTION).eval()
    rows = videos(1, 300)
    detector.whiten(rows[0].mean(0), torch.cov(rows[0].T))
    detector.members.copy_(detector.whitened(rows[0, :64]))
    mask = torch.ones(1, 300, dtype=torch.bool)
    detector.standardise(detector.log_parts(detector.evidence(rows, mask), mask)[0])
    return detector


CASES = {
    "plain": lambda: trained(composition="none", score_smoothing=0),
    "composed": trained,
    "multi_scale": lambda: trained(temporal="multi_scale"),
    "transformer": lambda: trained(temporal="transformer"),
    "ur_dmu": lambda: trained(temporal="global_local", memories=8),
    "product": lambda: trained(guidance="product"),
    "mean": lambda: trained(guidance="mean", composition="none"),
    "batch_norm": lambda: trained(head="batch_norm"),
    "label_free": label_free,
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("snippets", [1, 2, 33, 250])
@torch.inference_mode()
def test_log_odds_are_the_detectors_own(name: str, snippets: int) -> None:
    detector = CASES[name]()
    before = {key: value.clone() for key, value in detector.state_dict().items()}
    features = videos(2, snippets, seed=snippets)
    odds = exportable(detector)(features)
    scores = score_block(detector, features.transpose(0, 1))
    np.testing.assert_allclose(odds.sigmoid().T.numpy(), scores, rtol=1e-4, atol=1e-5)
    assert odds.dtype == torch.float64
    assert snippets < 250 or np.ptp(scores) > 0.2, "scores that are all alike try nothing"
    after = detector.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before), "the detector itself is left as it was"


@pytest.mark.parametrize("guidance", [None, "product", "mean"])
@torch.inference_mode()
def test_where_single_precision_ends(guidance: Any) -> None:
    """Log odds of 60 and -60: their sigmoid's logarithm is 0 there in every exporter's formula."""
    detector = trained(guidance, sure=1.0, composition="none", score_smoothing=0)
    if detector.branch is not None:
        detector.branch.centres[1].zero_()  # far from the normal centre: memberships near 1
        detector.branch.centres[0].fill_(3.0)
    for bias in (60.0, -60.0):
        detector.head[-1].bias.fill_(bias)
        odds = exportable(detector)(videos(1, 5))
        assert bool(torch.isfinite(odds).all())
        own = detector.compose(
            detector.evidence(videos(1, 5), torch.ones(1, 5, dtype=torch.bool)), torch.ones(1, 5, dtype=torch.bool)
        )
        torch.testing.assert_close(odds.sigmoid(), own.exp(), rtol=1e-4, atol=1e-12)


def test_what_has_no_graph_says_so() -> None:
    with pytest.raises(UserError, match=r"scores 2x3 cells of the picture, and only detectors of whole pictures"):
        exportable(Detector(DetectorConfig(), 4, grid=(2, 3)))
    for config in ({"relative_to": "video"}, {"keeps_learning": True}, {"parts": ("change", "deviation")}):
        with pytest.raises(UserError, match=r"compares a video with itself .* medians .* or fit one relative"):
            exportable(label_free(**config))
