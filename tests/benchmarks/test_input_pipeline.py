"""The benchmark runs and its last line can be read. Its figures are not tested: they depend on the machine's mood."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.footage import FPS, HEIGHT, WIDTH, encode, join_clips, rendered_pictures
from pretrain.data.video import IndexCache, frame_times, probe, read_frames


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    for number, length in enumerate((150, 160)):
        encode(folder / f"{number}.mp4", rendered_pictures(length, np.random.default_rng(number)))
    return [folder / "0.mp4", folder / "1.mp4"]


def test_joined_clips_are_their_frames_one_after_another(clips: list[Path], tmp_path: Path) -> None:
    long = tmp_path / "long.mp4"
    join_clips(clips, long, seconds=15)
    indexes = IndexCache(None)
    indexes.get(long, count=True)
    info = probe(long, cache=indexes)
    assert (info.num_frames, info.height, info.width) == (150 + 160 + 150, HEIGHT, WIDTH)
    np.testing.assert_allclose(np.diff(frame_times(long, cache=indexes)), 1 / FPS, atol=1e-6)
    joined = read_frames(long, [149, 150, 309, 310, 459], cache=indexes)
    parts = np.concatenate(
        [read_frames(clips[0], [149]), read_frames(clips[1], [0, 159]), read_frames(clips[0], [0, 149])]
    )
    np.testing.assert_array_equal(joined, parts)


def test_the_clips_have_b_frames(clips: list[Path]) -> None:
    pts = IndexCache(None).get(clips[0]).pts
    assert (np.diff(pts) < 0).any()


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("decord") is None, reason="decord has no wheel for this platform")
def test_quick_ends_with_a_result_line(capfd: pytest.CaptureFixture[str]) -> None:
    from benchmarks.input_pipeline import main

    with pytest.raises(SystemExit) as caught:
        main(["--quick"])
    assert not caught.value.code
    last = capfd.readouterr().out.splitlines()[-1]
    assert last.startswith("RESULT ")
    result = json.loads(last.removeprefix("RESULT "))
    ratios = {"cpu_ratio_gop250", "cpu_ratio_10min", "cpu_ratio_proxy", "decode_limit_fraction"}
    assert set(result) == ratios | {"rss_growth_mb"}
    assert all(result[name] > 0 for name in ratios)


def test_a_folder_without_videos_is_one_message(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("decord")
    from benchmarks.input_pipeline import main

    with pytest.raises(SystemExit) as caught:
        main(["--videos", str(tmp_path)])
    assert caught.value.code == 2
    assert f"no video in {tmp_path}: give a folder that holds some" in capfd.readouterr().err
