"""What is fitted to footage: whitening, trimming, what is usual."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from downstream.detector.normal_detector import NormalConfig, NormalDetector
from downstream.detector.storage import load_detector, save_detector
from downstream.features.feature_spec import FeatureSpec
from downstream.features.fusion import FusedFeatures
from downstream.features.set_writer import FeatureWriter
from downstream.normality.fit import (
    ALARM_SHARE,
    CAMERA_PRIOR,
    MAX_VECTORS,
    detector_logs,
    even_odds,
    evenly,
    fit_normal,
    offset_of,
    sample_vectors,
    spread_out,
    usual_of_places,
    without_own,
)
from pretrain.errors import UserError
from tests.downstream.simulated import CELLS_SPEC

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
    vectors, owners = sample_vectors(features, list(features.videos))
    assert vectors.shape == (300, 4)
    assert owners.tolist() == [number for number in range(5) for _ in range(60)]
    monkeypatch.setattr("downstream.normality.fit.MAX_VECTORS", 50)
    vectors, owners = sample_vectors(features, list(features.videos))
    assert (vectors.shape, owners.bincount().tolist()) == ((50, 4), [10] * 5)
    assert evenly(["a", "b", "c", "d"], 2) == ["a", "d"]


@pytest.mark.parametrize(
    ("videos", "snippets", "places"), [(800, 25, 216), (1600, 12, 49), (400, 30, 216), (90, 7, 10)]
)
def test_every_place_and_every_time_of_videos_is_sampled(videos: int, snippets: int, places: int) -> None:
    each = MAX_VECTORS // videos
    of_place, of_time = np.zeros(places, int), np.zeros(snippets, int)
    for number in range(videos):
        chosen = spread_out(snippets, places, each, number)
        assert len(np.unique(chosen)) == len(chosen) == min(each, snippets * places)
        assert 0 <= chosen.min() <= chosen.max() < snippets * places
        of_place += np.bincount(chosen % places, minlength=places)
        of_time += np.bincount(chosen // places, minlength=snippets)
    for counts in (of_place, of_time):
        assert counts.min() > 0.7 * counts.mean()
        assert counts.max() < 1.4 * counts.mean()


@given(st.integers(1, 300), st.sampled_from([1, 2, 4, 6, 10, 12, 96]), st.integers(1, 400), st.integers(0, 50))
def test_of_a_long_video_no_stretch_is_left_out(snippets: int, places: int, count: int, number: int) -> None:
    chosen = spread_out(snippets, places, count, number)
    assert len(np.unique(chosen)) == len(chosen) == min(count, snippets * places)
    rows = np.unique(chosen // places)
    unseen = np.diff(np.concatenate([[-1], rows, [snippets]])) - 1
    assert unseen.max() <= max(1, np.ceil(2 * snippets / count))
    if count >= 4 * places:
        assert np.ptp(np.bincount(chosen % places, minlength=places)) <= 1


def test_of_more_videos_than_vectors_some_are_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features = footage(tmp_path, 5)
    monkeypatch.setattr("downstream.normality.fit.MAX_VECTORS", 3)
    vectors, owners = sample_vectors(features, list(features.videos))
    assert (len(vectors), owners.tolist()) == (3, [0, 2, 4])


def test_the_threshold_is_of_scores_that_are_averaged_over_crops() -> None:
    odds = 3 * torch.randn(10, 4000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    offset = offset_of([odds[:, :1500], odds[:, 1500:]], None)
    scores = (odds - offset).sigmoid().mean(dim=0)
    assert float((scores > 0.5).double().mean()) == pytest.approx(ALARM_SHARE, abs=1e-9)
    assert torch.equal(even_odds(odds[:1]), odds[0])


def test_crops_of_a_snippet_are_no_further_snippets(tmp_path: Path) -> None:
    features, cameras = two_cameras(tmp_path / "features", snippets=15)
    net = fitted_to_cameras(features, cameras)
    logs = [detector_logs(net, features, name, CPU) for name in list(features.videos)[:4]]
    once, often = usual_of_places(logs, net), usual_of_places([own.repeat(10, 1, 1) for own in logs], net)
    torch.testing.assert_close(often.median, once.median)


def two_cameras(folder: Path, spec: FeatureSpec = SPEC, snippets: int = 60) -> tuple[FusedFeatures, dict[str, str]]:
    """Six videos of a calm camera and six of a busy one, whose features vary four times as much; one of a third.

    Of cells, the last place is the one that is busy.
    """
    rng = np.random.default_rng(1)
    writer = FeatureWriter(folder, spec, "float32")
    cameras = {f"v{number:02d}": ("calm", "busy")[number % 2] for number in range(12)} | {"v12": "seen once"}
    for name, camera in cameras.items():
        values = rng.normal(size=(snippets, spec.crops_or_cells, spec.dim))
        values[:, -1:] *= 4 if camera == "busy" else 1
        placed = {} if spec.grid is None else {"size": (320, 240), "seen": (0.0, 0.0, 320.0, 240.0)}
        writer.add(name, values.astype(np.float32), frames=16 * snippets, fps=30.0, **placed)  # type: ignore[arg-type]
    writer.finish()
    return FusedFeatures.open([folder]), cameras


def fitted_to_cameras(features: FusedFeatures, of: dict[str, str], **config: object) -> NormalDetector:
    names = list(features.videos)
    generator = torch.Generator().manual_seed(0)
    settings = NormalConfig(parts=("change", "nearest"), **config)  # type: ignore[arg-type]
    return fit_normal(settings, features, names[:-3], names[-3:], CPU, generator, of)


def share_above_one_half(net: NormalDetector, features: FusedFeatures, names: list[str]) -> float:
    logs = [detector_logs(net, features, name, CPU) for name in names]
    odds = torch.cat([net.odds_of(own, torch.ones(own.shape[:2], dtype=torch.bool)).flatten() for own in logs])
    return float((odds > 0).double().mean())


def test_each_camera_has_an_ordinary_of_its_own(tmp_path: Path) -> None:
    features, cameras = two_cameras(tmp_path / "features")
    net = fitted_to_cameras(features, cameras)
    assert net.cameras == ("busy", "calm")  # nobody can say of a single video what is usual beside it
    busy, calm = ([name for name, of in cameras.items() if of == camera] for camera in net.cameras)
    # a detector that knows no camera alarms in the busy one alone; by its own measure that is as calm as the other
    assert share_above_one_half(net, features, busy) > 2 * ALARM_SHARE
    assert share_above_one_half(net, features, calm) == 0
    for camera, names in (("busy", busy), ("calm", calm)):
        assert share_above_one_half(net.of_camera(camera), features, names) == pytest.approx(ALARM_SHARE, abs=0.012)
    assert net.of_camera(None) is net
    assert net.of_camera("seen once") is net
    assert not fitted_to_cameras(features, cameras, cameras=False).cameras
    assert not fitted_to_cameras(features, cameras, relative_to="video").cameras


def test_little_footage_of_a_camera_says_little(tmp_path: Path) -> None:
    features, cameras = two_cameras(tmp_path / "features", snippets=15)
    net = fitted_to_cameras(features, cameras)
    busy = [name for name, of in cameras.items() if of == "busy"]
    names = list(features.videos)[:-3]
    _, owners = sample_vectors(features, names)
    assert len(owners) > len(net.members)  # the trimmed ones: whose members are whose is told after that
    logs = torch.cat([detector_logs(net, features, name, CPU)[0] for name in busy])
    own = len(logs) / (len(logs) + CAMERA_PRIOR)
    change = 0  # the coreset plays no part in it
    expected = own * logs[:, change].median() + (1 - own) * net.usual[change]
    torch.testing.assert_close(net.camera_usual[0, 0, change], expected)


def test_a_video_of_the_footage_is_compared_with_the_rest_of_it(tmp_path: Path) -> None:
    features, cameras = two_cameras(tmp_path / "features")
    net = fitted_to_cameras(features, cameras)
    own = torch.zeros(len(net.members), dtype=torch.bool)
    own[::2] = True
    rest = without_own(net, own)
    torch.testing.assert_close(rest.members, net.members[1::2])
    assert len(net.members) == len(own)  # the detector itself keeps them
    assert without_own(net, torch.ones_like(own)) is net  # nothing to compare with
    name = next(iter(cameras))
    assert (detector_logs(rest, features, name, CPU)[..., 1] >= detector_logs(net, features, name, CPU)[..., 1]).all()


def test_each_place_of_a_camera_has_an_ordinary_of_its_own(tmp_path: Path) -> None:
    features, cameras = two_cameras(tmp_path / "features", spec=CELLS_SPEC)
    net = fitted_to_cameras(features, cameras)
    places = net.of_camera("busy").usual
    assert places.shape == (6, 2)
    assert (places[-1] > places[:-1].max(dim=0).values).all()
    calm = net.of_camera("calm").usual
    assert (places[-1] - calm[-1] > 5 * (places[:-1] - calm[:-1]).abs().max(dim=0).values).all()


def test_cameras_lie_on_disk_with_the_detector_and_old_files_know_none(tmp_path: Path) -> None:
    features, cameras = two_cameras(tmp_path / "features")
    for number, net in enumerate((fitted_to_cameras(features, cameras), fitted_to_cameras(features, {}))):
        folder = tmp_path / str(number)
        save_detector(net, folder, features.specs, "none", {"threshold": 0.5})
        again, card = load_detector(folder)
        assert isinstance(again, NormalDetector)
        assert again.cameras == net.cameras == tuple(card["cameras"])
        name = next(iter(cameras))
        logs = detector_logs(net, features, name, CPU)
        mask = torch.ones(logs.shape[:2], dtype=torch.bool)
        for camera in ("busy", "calm", None):
            assert torch.equal(again.of_camera(camera).odds_of(logs, mask), net.of_camera(camera).odds_of(logs, mask))
    card_file = tmp_path / "1" / "detector.json"
    content = json.loads(card_file.read_text())
    del content["cameras"], content["config"]["cameras"]
    card_file.write_text(json.dumps(content))
    assert load_detector(tmp_path / "1")[0].cameras == ()
