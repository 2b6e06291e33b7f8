"""What makes scores: published sizes, and the amended score of BN-WVAD by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from downstream.detector.config import DetectorConfig
from downstream.detector.heads import BatchNormHead, scoring_head
from downstream.detector.model import Detector
from pretrain.errors import UserError


def sizes(module: torch.nn.Module) -> list[tuple[int, int]]:
    return [(layer.in_features, layer.out_features) for layer in module.modules() if isinstance(layer, torch.nn.Linear)]


def test_the_published_sizes() -> None:
    assert sizes(scoring_head("mlp", 512, 32, 0.6)) == [(512, 32), (32, 1)]  # Sultani 2018
    assert sizes(scoring_head("deep", 2048, 128, 0.7)) == [(2048, 512), (512, 128), (128, 1)]  # RTFM
    assert sizes(scoring_head("linear", 1024, 32, 0.0)) == [(1024, 1)]  # MGFN
    assert sorted(sizes(scoring_head("residual", 512, 32, 0.0))) == [(512, 1), (512, 2048), (2048, 512)]  # VadCLIP
    assert sizes(scoring_head("batch_norm", 512, 32, 0.0)) == [(512, 32), (32, 16), (16, 1)]  # BN-WVAD


def a_head() -> tuple[BatchNormHead, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    head = BatchNormHead(5, 4).double()
    features, mask = torch.randn(2, 6, 5, dtype=torch.float64), torch.arange(6) < torch.tensor([[6], [3]])
    head(features, mask)  # running means that are not 0 and 1
    return head.eval(), features, mask


def test_a_score_is_the_classifier_times_the_distances_by_hand() -> None:
    head, features, mask = a_head()
    found = head(features, mask)
    with torch.no_grad():
        inside, far = features.numpy(), np.zeros((2, 6))
        for layer, norm in zip(head.layers, head.norms, strict=True):
            before = inside @ layer.weight.numpy().T + layer.bias.numpy()  # type: ignore[operator, union-attr]
            apart = (before - norm.running_mean.numpy()) / np.sqrt(norm.running_variance.numpy() + 1e-5)
            far += np.sqrt((apart**2).sum(axis=2))
            inside = np.maximum(apart * norm.scale.numpy() + norm.shift.numpy(), 0)
        odds = (inside @ head.score.weight.numpy().T + head.score.bias.numpy())[..., 0]
        product = far / (1 + np.exp(-odds))
    np.testing.assert_allclose(found.log_odds.exp().detach(), product, rtol=1e-9)
    scores = torch.sigmoid(found.log_odds).detach().numpy()
    np.testing.assert_allclose(scores, product / (1 + product), rtol=1e-9)  # the same order, between 0 and 1


def test_in_training_the_score_is_the_classifiers_own() -> None:
    head, features, mask = a_head()
    amended = head(features, mask).log_odds
    for norm in head.norms:  # what a batch of these would be normalised by
        norm.train()
    plain = head.train()(features, mask)
    assert not torch.allclose(plain.log_odds[mask], amended[mask])
    assert plain.before_norms.shape == (2, 6, 4 + 2)
    assert [part.shape[2] for part in head.split(plain.before_norms)] == [4, 2]


def test_a_snippet_at_the_mean_has_a_finite_score() -> None:
    head, _, _ = a_head()
    with torch.no_grad():
        for layer, norm in zip(head.layers, head.norms, strict=True):
            layer.weight.zero_()  # type: ignore[operator, union-attr]
            norm.running_mean.copy_(layer.bias)  # type: ignore[arg-type]
    odds = head(torch.zeros(1, 1, 5, dtype=torch.float64), torch.ones(1, 1, dtype=torch.bool)).log_odds
    assert torch.isfinite(odds).all()
    assert odds.item() < math.log(1e-11)


@pytest.mark.parametrize("temporal", ["none", "multi_scale", "multi_scale_attention", "global_local", "glance_focus"])
@pytest.mark.parametrize("head", ["mlp", "deep", "linear", "residual", "batch_norm"])
def test_without_a_projection_features_of_any_width_are_scored(temporal: str, head: str) -> None:
    torch.manual_seed(0)
    config = DetectorConfig(temporal=temporal, head=head, projection="none", width=12)  # type: ignore[arg-type]
    net = Detector(config, 7).eval()
    assert net.width == (12 if temporal in ("global_local", "glance_focus") else 7)
    bare = torch.randn(2, 5, 7)
    padded = torch.cat([bare, torch.full((2, 3, 7), 1e3)], dim=1)
    found = net(padded, torch.arange(8).expand(2, -1) < 5)
    assert torch.allclose(found.scores[:, :5], net(bare).scores, atol=1e-5)
    assert found.features.shape == (2, 8, net.width)


def test_features_too_narrow_for_an_encoder_are_refused() -> None:
    config = DetectorConfig(temporal="multi_scale_attention", projection="none", width=512)
    with pytest.raises(
        UserError, match=r"projection is none, and features are of the width 3; multi_scale_attention .*4"
    ):
        Detector(config, 3)
    with pytest.raises(UserError, match=r"detector\.width is 4; glance_focus normalises over it: at least 8"):
        DetectorConfig(temporal="glance_focus", width=4)


def test_the_default_head_draws_its_weights_from_the_input_on() -> None:
    """As it always did: the same seed gives the same detector."""
    torch.manual_seed(0)
    head = scoring_head("mlp", 5, 3, 0.1)
    torch.manual_seed(0)
    first, last = nn.Linear(5, 3), nn.Linear(3, 1)
    assert torch.equal(head.state_dict()["0.weight"], first.weight)
    assert torch.equal(head.state_dict()["3.weight"], last.weight)
