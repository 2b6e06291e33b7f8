from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from downstream.features.fusion import FusedFeatures
from downstream.features.set_writer import FeatureWriter
from downstream.training.bag_dataset import BagDataset, BagsConfig
from downstream.training.segment_cache import segment_edges
from pretrain.errors import UserError
from tests.downstream.simulated import CELLS_SPEC, SPEC, make_features, segment_means
from tests.downstream.training.simulated_bags import CPU, bags, catalogue

CELLS_GRID = (2, 3)


def test_a_short_video_keeps_its_snippets_and_is_masked(simulated: Path, tmp_path: Path) -> None:
    made = bags(simulated, tmp_path, segments=50)
    batch = made.batch(0)
    source = made.source
    for row, name in enumerate(batch.names):
        length = source.videos[name].snippets
        assert batch.mask[row].sum() == length
        assert batch.mask[row, :length].all()
        assert not batch.inputs[row, length:].any()
        crop = int(made.draw(0)[1][row])
        assert np.allclose(batch.inputs[row, :length], source.read(name)[:, crop], atol=2e-3)


def test_every_video_comes_once_an_epoch_and_classes_are_balanced(simulated: Path, tmp_path: Path) -> None:
    made = bags(simulated, tmp_path)
    seen: list[str] = []
    for step in range(3):  # 12 videos of each class, 4 a step
        batch = made.batch(step)
        assert batch.labels.sum() == 4
        seen += batch.names
    assert len(set(seen)) == 24


def test_the_ratio_of_normal_to_abnormal_bags(simulated: Path, tmp_path: Path) -> None:
    assert bags(simulated, tmp_path, normal_per_abnormal=3.0).batch(0).labels.sum() == 2
    assert bags(simulated, tmp_path, normal_per_abnormal=9.0, batch_size=10).batch(0).labels.sum() == 1


@pytest.mark.parametrize("fields", [{}, {"sampling": "sample"}, {"crops": "all"}])
def test_two_processes_share_the_same_batch(simulated: Path, tmp_path: Path, fields: dict[str, object]) -> None:
    made = bags(simulated, tmp_path, **fields)
    whole = made.batch(3)
    parts = [made.batch(3, rank, 2) for rank in (0, 1)]
    assert torch.equal(torch.cat([part.inputs for part in parts]), whole.inputs)
    assert torch.equal(torch.cat([part.mask for part in parts]), whole.mask)
    assert [name for part in parts for name in part.names] == whole.names


def test_draws_are_a_function_of_seed_and_step(simulated: Path, tmp_path: Path) -> None:
    one, two = bags(simulated, tmp_path), bags(simulated, tmp_path)
    assert torch.equal(one.batch(5).inputs, two.batch(5).inputs)
    assert not torch.equal(one.batch(5).inputs, one.batch(6).inputs)
    other = bags(simulated, tmp_path, seed=1)
    assert one.batch(0).names != other.batch(0).names


def test_all_crops_come_as_bags_of_their_own(simulated: Path, tmp_path: Path) -> None:
    batch = bags(simulated, tmp_path, crops="all").batch(0)
    assert len(batch.labels) == 16
    assert batch.names[0] == batch.names[1]


def test_statistics_are_those_of_the_bags(simulated: Path, tmp_path: Path) -> None:
    made = bags(simulated, tmp_path)
    values = [segment_means(made.source.read(name), 8).reshape(-1, SPEC.dim) for name in made.names]
    mean, deviation, covariance = made.statistics()
    assert np.allclose(mean, np.mean([v.mean(axis=0) for v in values], axis=0), atol=1e-2)
    second = np.mean([(v**2).mean(axis=0) for v in values], axis=0)
    assert np.allclose(deviation, np.sqrt(second - mean.numpy() ** 2), atol=1e-2)
    products = np.mean([v.T @ v / len(v) for v in values], axis=0)  # these videos have fewer rows than are taken
    assert np.allclose(covariance, products - np.outer(mean, mean), atol=2e-2)


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cells that say where they are: video, snippet, row and column, in features of four numbers."""
    folder = tmp_path_factory.mktemp("numbered")
    spec = replace(CELLS_SPEC, dim=4)
    writer = FeatureWriter(folder / "features", spec, "float32")
    videos = {}
    for number, snippets in enumerate((3, 8, 9, 30)):
        place = np.indices((1, snippets, *CELLS_GRID)).reshape(4, snippets, -1).transpose(1, 2, 0).astype(np.float32)
        place[..., 0] = number
        writer.add(f"v{number}", place, frames=16 * snippets, size=(320, 240), seen=(0.0, 0.0, 320.0, 240.0))
        videos[f"v{number}"] = {"path": f"v{number}.mp4", "label": number % 2}
    writer.finish()
    (folder / "annotations").mkdir()
    content = {"format": "anomaly-pretext/ground-truth/1", "videos": videos}
    (folder / "annotations" / "ground_truth.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


@pytest.mark.parametrize("sampling", ["mean", "sample"])
def test_a_bag_of_cells_goes_snippet_by_snippet_and_row_by_row(numbered: Path, tmp_path: Path, sampling: str) -> None:
    made = bags(numbered, tmp_path, batch_size=4, sampling=sampling)
    rows, columns = CELLS_GRID
    for step in range(2):
        batch = made.batch(step)
        assert batch.inputs.shape == (4, 8 * rows * columns, 4)
        assert batch.mask.shape == (4, 8 * rows * columns)
        for name, values, mask in zip(batch.names, batch.inputs, batch.mask, strict=True):
            snippets = made.source.videos[name].snippets
            edges = segment_edges(snippets, 8)
            count = (len(edges) - 1) * rows * columns
            assert mask.tolist() == [True] * count + [False] * (8 * rows * columns - count)
            assert not values[count:].any()
            found = values[:count].view(len(edges) - 1, rows, columns, 4)
            assert (found[..., 0] == int(name[1:])).all()
            assert torch.equal(found[..., 2], torch.arange(2.0).view(1, -1, 1).expand(found.shape[:3]))
            assert torch.equal(found[..., 3], torch.arange(3.0).view(1, 1, -1).expand(found.shape[:3]))
            times = found[..., 1].flatten(1)
            assert (times == times[:, :1]).all()  # the cells of one snippet, or the mean over the same ones
            parts = list(itertools.pairwise(edges))
            if sampling == "mean":
                assert times[:, 0].tolist() == [(a + b - 1) / 2 for a, b in parts]
            else:
                assert all(a <= time < b for (a, b), time in zip(parts, times[:, 0].tolist(), strict=True))


@pytest.mark.parametrize("sampling", ["mean", "sample"])
def test_two_processes_share_the_same_batch_of_cells(numbered: Path, tmp_path: Path, sampling: str) -> None:
    made = bags(numbered, tmp_path, batch_size=4, sampling=sampling)
    whole, parts = made.batch(1), [made.batch(1, rank, 2) for rank in (0, 1)]
    assert torch.equal(torch.cat([part.inputs for part in parts]), whole.inputs)
    assert torch.equal(torch.cat([part.mask for part in parts]), whole.mask)


def test_statistics_of_cells_are_over_all_places_and_count_each_video_alike(numbered: Path, tmp_path: Path) -> None:
    mean, deviation, _ = bags(numbered, tmp_path, batch_size=4).statistics()
    times = [np.mean([(a + b - 1) / 2 for a, b in itertools.pairwise(segment_edges(n, 8))]) for n in (3, 8, 9, 30)]
    assert mean.tolist() == pytest.approx([1.5, np.mean(times), 0.5, 1.0], abs=1e-3)
    assert deviation[2:].tolist() == pytest.approx([0.5, (2 / 3) ** 0.5], abs=1e-3)


@pytest.mark.parametrize("sampling", ["mean", "sample"])
def test_the_covariance_is_of_all_cells(numbered: Path, tmp_path: Path, sampling: str) -> None:
    """Every third vector of 2x3 cells, of a video of 30 snippets, would be of two cells alone."""
    _, _, covariance = bags(numbered, tmp_path, batch_size=4, sampling=sampling, segments=32).statistics()
    assert covariance[2:, 2:].flatten().tolist() == pytest.approx([0.25, 0, 0, 2 / 3], abs=0.02)


def test_features_that_are_no_numbers_are_named(tmp_path: Path) -> None:
    folder = make_features(tmp_path / "set")
    (array,) = (folder / "features").glob("*.npy")
    values = np.load(array, mmap_mode="r+", allow_pickle=False)
    values[5] = np.nan  # the writer refuses such values; a disk or another program need not
    values.flush()
    with pytest.raises(UserError, match=r"1 training video\(s\) have features that are no finite numbers:\n  - v000"):
        bags(folder, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*"))
    sampled = bags(folder, tmp_path / "cache", sampling="sample")
    with pytest.raises(UserError, match="not finite numbers in: v000"):
        [sampled.batch(step) for step in range(300)]


def test_one_class_alone_is_refused(simulated: Path, tmp_path: Path) -> None:
    source = FusedFeatures.open([simulated / "features"])
    normal = [video for video in catalogue(simulated) if video.label == 0]
    with pytest.raises(UserError, match="none of the 18 training videos is abnormal"):
        BagDataset(source, normal, BagsConfig(), 8, 0, tmp_path, CPU)


def test_bad_settings() -> None:
    with pytest.raises(UserError, match=r"bags\.segments is 0"):
        BagsConfig(segments=0)
    with pytest.raises(UserError, match="normal_per_abnormal"):
        replace(BagsConfig(), normal_per_abnormal=0.0)
