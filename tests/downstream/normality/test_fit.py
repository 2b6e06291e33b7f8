"""What is fitted to footage: whitening, trimming, what is usual."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from downstream.detector.normal_detector import NormalConfig, NormalDetector
from downstream.features.feature_spec import FeatureSpec
from downstream.features.fusion import FusedFeatures
from downstream.features.store import FeatureWriter
from downstream.normality.fit import ALARM_SHARE, detector_logs, evenly, fit_normal, sample_vectors
from pretrain.errors import UserError

CPU = torch.device("cpu")
SPEC = FeatureSpec(encoder="simulated", weights_sha256=None, dim=4)


def footage(folder: Path, videos: int, odd: int = 0, snippets: int = 60) -> FusedFeatures:
    """Correlated normal features; `odd` snippets of the first video lie far off."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(4, 4))
    writer = FeatureWriter(folder, SPEC, "float32")
    for number in range(videos):
        values = rng.normal(size=(snippets, 1, 4)) @ mixing + 7
        if number == 0:
            values[:odd] += 500
        writer.add(f"v{number}", values.astype(np.float32), frames=16 * snippets, fps=30.0)
    writer.finish()
    return FusedFeatures.open([folder])


def fitted(features: FusedFeatures, **config: object) -> NormalDetector:
    names = list(features.videos)
    generator = torch.Generator().manual_seed(0)
    return fit_normal(NormalConfig(**config), features, names[:-3], names[-3:], CPU, generator)  # type: ignore[arg-type]


def test_normal_footage_is_usual_and_one_in_a_hundred_snippets_alarms(tmp_path: Path) -> None:
    features = footage(tmp_path, 13)
    net = fitted(features, parts=("change", "nearest", "gaussian"))
    logs = torch.cat([detector_logs(net, features, name, CPU)[0] for name in list(features.videos)[-3:]])
    torch.testing.assert_close(logs.median(dim=0).values, net.usual)
    odds = torch.cat(
        [
            net.log_odds(torch.stack([net.evidence(values, mask)[0]]), mask)[0]
            for name in list(features.videos)[-3:]
            for values in [torch.tensor(features.read(name)).transpose(0, 1)]
            for mask in [torch.ones(values.shape[:2], dtype=torch.bool)]
        ]
    )
    assert float((odds > 0).double().mean()) == pytest.approx(ALARM_SHARE, abs=0.006)


def test_a_few_anomalies_among_the_normal_do_not_become_normal(tmp_path: Path) -> None:
    clean, dirty = footage(tmp_path / "clean", 13), footage(tmp_path / "dirty", 13, odd=4)
    one, other = (fitted(features, parts=("gaussian", "nearest")) for features in (clean, dirty))
    torch.testing.assert_close(other.mean, one.mean, atol=0.5, rtol=0)
    assert float(torch.cdist(other.members, one.members).amin(dim=1).max()) < 5  # none of the four is in the coreset
    naive = fitted(dirty, parts=("gaussian", "nearest"), trim=0)
    assert float((naive.mean - one.mean).abs().max()) > 2


def test_too_little_footage_is_told(tmp_path: Path) -> None:
    writer = FeatureWriter(tmp_path, FeatureSpec(encoder="e", weights_sha256=None, dim=64), "float32")
    for number in range(4):
        writer.add(f"v{number}", np.ones((3, 1, 64), np.float32), frames=48, fps=30.0)
    writer.finish()
    features = FusedFeatures.open([tmp_path])
    with pytest.raises(
        UserError, match=r"3 snippets of 1 video\(s\) cannot say how 64 numbers vary together: give more"
    ):
        fitted(features)


def test_of_each_video_as_many_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features = footage(tmp_path, 5)
    assert sample_vectors(features, list(features.videos)).shape == (300, 4)
    monkeypatch.setattr("downstream.normality.fit.MAX_VECTORS", 50)
    assert sample_vectors(features, list(features.videos)).shape == (50, 4)
    assert evenly(["a", "b", "c", "d"], 2) == ["a", "d"]
