"""The two ways make the same bags, the simulated sets are what they say. The figures themselves are not tested."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.mil_memory import peak_of_training
from benchmarks.mil_training import Cost, main, ratios
from benchmarks.mil_ways import (
    TEN_CROPS,
    averaged,
    check_space,
    make_videos,
    plain_bags,
    status_bytes,
    ucf_lengths,
    write_features,
    write_sparse_features,
)
from downstream.features.fusion import FusedFeatures
from downstream.training.bag_dataset import BagDataset, BagsConfig
from pretrain.errors import UserError

DIM = 4
LENGTHS = np.array([32, 47, 64, 200])


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    folder = tmp_path_factory.mktemp("simulated")
    return folder, write_features(folder, make_videos(LENGTHS), LENGTHS, DIM, np.random.default_rng(0))


@pytest.mark.parametrize("crops", ["one", "all"])
@pytest.mark.parametrize("average", ["one", "all"])
def test_both_ways_make_the_same_bags(
    simulated: tuple[Path, list[Path]], tmp_path: Path, crops: str, average: str
) -> None:
    folder, files = simulated
    source = FusedFeatures.open([folder / "features"])
    config = BagsConfig(crops=crops)  # type: ignore[arg-type]
    bags = BagDataset(source, make_videos(LENGTHS), config, 4, 0, tmp_path, torch.device("cpu"))
    ours, plain = bags.batch(3), plain_bags(files, bags, 3, average)
    assert ours.names == plain.names
    assert ours.mask.all()
    assert torch.equal(ours.labels, plain.labels)
    assert len(ours.labels) == (4 if crops == "one" else 40)
    torch.testing.assert_close(ours.inputs, plain.inputs, rtol=1e-3, atol=1e-3)


def test_the_plain_average_against_its_definition() -> None:
    features = np.arange(96, dtype=np.float32).reshape(96, 1)
    np.testing.assert_allclose(averaged(features)[:, 0], features.reshape(32, 3).mean(axis=1))
    assert averaged(features[:5]).shape == (32, 1)


def test_lengths_are_those_of_the_training_part() -> None:
    lengths = ucf_lengths()
    assert len(lengths) == 1610
    assert 420 < lengths.mean() < 560
    assert 120 < np.median(lengths) < 180
    assert lengths[0] >= 2
    assert lengths[-1] == 60_000


def test_a_sparse_set_opens_and_takes_no_room(tmp_path: Path) -> None:
    lengths = np.array([3, 900, 5])
    size = write_sparse_features(tmp_path / "set", make_videos(lengths), lengths, 64, np.random.default_rng(0))
    source = FusedFeatures.open([tmp_path / "set"])
    file = tmp_path / "set" / "features.npy"
    assert size == file.stat().st_size > 908 * len(TEN_CROPS) * 64 * 2
    assert file.stat().st_blocks * 512 < size / 2
    for name, length in zip(source.videos, lengths, strict=True):
        read = source.read(name)
        assert read.shape == (length, len(TEN_CROPS), 64)
        assert read[: min(4, length)].any(axis=(1, 2)).all()
        assert not read[4:].any() or length <= 4


@pytest.mark.skipif(status_bytes("VmHWM") is None, reason="the system does not tell peak memory (/proc/self/status)")
def test_memory_is_that_of_a_process_of_its_own(tmp_path: Path) -> None:
    ballast = np.ones(130_000_000)  # 1 GB here must not count there
    lengths = np.full(4, 300)
    write_sparse_features(tmp_path / "features", make_videos(lengths), lengths, DIM, np.random.default_rng(0))
    found = peak_of_training(tmp_path)
    mine = status_bytes("VmHWM")
    assert mine is not None
    assert mine > ballast.nbytes
    assert found["imports_gb"] <= found["peak_rss_gb"] < mine / 1e9
    assert found["memory_steps"] == 20
    assert np.isfinite(found["last_loss"])


def test_ratios_are_of_whole_steps() -> None:
    costs = {
        "ours, one crop": Cost(0.01, 0.09, 5, None),
        "plain, one crop": Cost(1.91, 0.09, 500, None),
        "plain, careful": Cost(0.91, 0.09, 500, None),
        "ours, all crops": Cost(0.1, 0.9, 50, None),
        "plain, all crops": Cost(2.1, 0.9, 500, None),
    }
    found = ratios(costs)
    assert found["steps_ratio"] == 20
    assert found["steps_ratio_careful"] == 10
    assert found["steps_ratio_all_crops"] == 3
    assert found["input_ratio"] == 191
    assert (found["bytes_per_step"], found["plain_bytes_per_step"]) == (5, 500)


def test_a_full_disk_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"GB free, 1000000000.0 GB are needed: make room, set TMPDIR .* or use --quick"
    ):
        check_space(tmp_path, 10**18)


@pytest.mark.slow
def test_quick_ends_with_a_result_line(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--quick", "--dim", "16"])
    assert not caught.value.code
    result = json.loads(capfd.readouterr().out.splitlines()[-1].removeprefix("RESULT "))
    assert {"steps_ratio", "eval_ratio", "eval_max_diff", "peak_rss_gb"} <= set(result)
    assert result["eval_max_diff"] < 1e-12
    assert result["bytes_per_step"] * 10 < result["plain_bytes_per_step"]
