"""The benchmark runs and its last line can be read. Its figures are not tested: they depend on the machine's mood."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from benchmarks.extraction import main
from tests.pretrain.encoding import encode_folder

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("decord") is None, reason="decord has no wheel for this platform"
)


def test_it_ends_with_a_result_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    videos = encode_folder(tmp_path / "videos", count=2, num_frames=40, height=128, width=192)
    with pytest.raises(SystemExit) as caught:
        main(["--videos", str(videos), "--rounds", "1", "--device", "cpu", "--crops", "5"])
    assert not caught.value.code
    lines = capfd.readouterr().out.splitlines()
    assert lines[-1].startswith("RESULT ")
    result = json.loads(lines[-1].removeprefix("RESULT "))
    assert set(result) == {"frames_ratio", "decode_share"}
    assert result["frames_ratio"] > 0
    assert 0 < result["decode_share"] < 1
    assert any(line.split()[:1] == ["plain"] for line in lines)
    alike = next(line for line in lines if line.startswith("relative difference"))
    assert float(alike.split()[-1]) < 0.1


def test_a_folder_without_videos_is_one_message(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--videos", str(tmp_path)])
    assert caught.value.code == 2
    assert f"no video in {tmp_path}: give a folder that holds some" in capfd.readouterr().err
