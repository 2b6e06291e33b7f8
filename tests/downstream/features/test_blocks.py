from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from downstream.features import blocks as module
from downstream.features.blocks import blocks
from downstream.features.feature_spec import FeatureSpec
from downstream.features.fusion import FusedFeatures
from downstream.features.normalising import Normalise
from downstream.features.scratch import drop_pages
from downstream.features.set_writer import FeatureWriter
from downstream.training.segment_cache import video_means
from tests.downstream.simulated import segment_means

LENGTHS = {"short": 3, "long": 61}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two crops of six numbers, and one crop of three, which serves both crops."""
    rng = np.random.default_rng(0)
    made = []
    for number, (dim, crops) in enumerate(((6, ("a", "b")), (3, ("a",)))):
        made.append(tmp_path_factory.mktemp("sets") / str(number))
        writer = FeatureWriter(made[-1], FeatureSpec(encoder="x", weights_sha256=None, dim=dim, crops=crops), "float32")
        for name, length in LENGTHS.items():
            writer.add(name, rng.normal(2, 3, (length, len(crops), dim)), frames=16 * length, fps=30.0)
        writer.finish()
    return made


@pytest.mark.parametrize("normalise", ["none", "l2", "layer", "video", "place"])
@pytest.mark.parametrize("count", [1, 2])
def test_rows_and_blocks_are_those_of_the_whole_video(
    folders: list[Path], normalise: Normalise, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = FusedFeatures.open(folders[:count], normalise)
    monkeypatch.setattr(module, "BLOCK_BYTES", 7 * 4 * source.crops_or_cells * source.dim)
    whole = source.read("long")
    rows = np.array([0, 5, 5, 60])
    np.testing.assert_array_equal(source.read("long", rows), whole[rows])
    found = list(blocks(source, "long"))
    assert len(found) == 9
    np.testing.assert_array_equal(np.concatenate([block for _, block in found]), whole)
    assert [start for start, _ in found] == list(range(0, 61, 7))


@pytest.mark.parametrize("rows_a_block", [1, 2, 5, 13, 61])
@pytest.mark.parametrize("segments", [1, 4, 32, 100])
def test_means_do_not_depend_on_the_blocks(
    folders: list[Path], rows_a_block: int, segments: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = FusedFeatures.open(folders)
    monkeypatch.setattr(module, "BLOCK_BYTES", rows_a_block * 4 * source.crops_or_cells * source.dim)
    for name in LENGTHS:
        expected = segment_means(source.read(name), segments)
        np.testing.assert_allclose(video_means(source, name, segments), expected, rtol=1e-5, atol=1e-6)


def test_dropped_pages_leave_the_process_and_come_back(tmp_path: Path) -> None:
    values = np.arange(1 << 22, dtype=np.float32)
    np.save(tmp_path / "a.npy", values)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r", allow_pickle=False)
    before = _resident_file_bytes()
    assert mapped.sum() > 0
    grown = _resident_file_bytes() - before
    drop_pages(mapped[10:20])
    left = _resident_file_bytes() - before
    np.testing.assert_array_equal(mapped, values)
    if before:  # where the system tells
        assert grown > 0.9 * values.nbytes
        assert left < 0.1 * values.nbytes


def test_dropping_pages_keeps_what_was_written(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(4096))
    private = np.load(tmp_path / "a.npy", mmap_mode="c", allow_pickle=False)
    private[:] = 1
    drop_pages(private)
    assert private.all()
    drop_pages(np.ones(3))


def _resident_file_bytes() -> int:
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    return next(1024 * int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("RssFile"))
