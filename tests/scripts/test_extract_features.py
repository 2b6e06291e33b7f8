"""The command as it is run: killed and run again, in one process and in two."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from downstream.features.store import FeatureSet
from pretrain.data.check import read_quarantine
from scripts.extract_features import main
from tests.pretrain.encoding import encode_folder, encode_video

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def flags(videos: Path, out: Path, *more: str) -> list[str]:
    common = ["--out", str(out), "--catalogue.root", str(videos), "--device", "cpu", "--dtype", "float32"]
    return [*common, "--height", "32", "--width", "48", "--crops", "5", *more]


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    return int(left.value.code or 0)


def assert_same(one: Path, other: Path) -> None:
    first, second = FeatureSet.open(one), FeatureSet.open(other)
    assert first.kind == second.kind
    assert list(first.videos.values()) == list(second.videos.values())
    for name in first.videos:
        np.testing.assert_allclose(second.read(name), first.read(name), rtol=1e-5, atol=1e-5)


def test_killed_and_run_again_gives_the_set_of_an_undisturbed_run(tmp_path: Path) -> None:
    videos = encode_folder(tmp_path / "videos", count=4)
    encode_video(videos / "a_long_one.mp4", 9, num_frames=3000)  # dealt out first; the short ones overtake it
    command = [sys.executable, "scripts/extract_features.py", *flags(videos, tmp_path / "killed", "--decoders", "2")]
    process = subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    parts = tmp_path / "killed" / "parts"
    while not list(parts.glob("[!.]*.safetensors")):
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    process.kill()
    process.wait()
    done = len(list(parts.glob("[!.]*.safetensors")))
    assert 1 <= done < 5
    assert not (tmp_path / "killed" / "manifest.json").exists()

    again = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert f"done: 5 videos ({done} done before), {4 * 5 + 187} snippets x 5 crop(s) x 128" in again.stdout
    assert not parts.exists()
    assert run(*flags(videos, tmp_path / "whole")) == 0
    assert_same(tmp_path / "whole", tmp_path / "killed")


def test_two_processes_give_the_set_of_one(tmp_path: Path) -> None:
    """`accelerate launch`, as in the README, with a bad video in each process's share."""
    videos = encode_folder(tmp_path / "videos", count=5)
    for name in ("x", "y"):
        (videos / f"{name}.mp4").write_bytes(b"no video" * 100)
    assert run(*flags(videos, tmp_path / "one")) == 1
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    launched = subprocess.run(
        [
            *(sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2", "--cpu"),
            *("--main_process_port", str(port), "scripts/extract_features.py", *flags(videos, tmp_path / "two")),
        ],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert launched.returncode == 1, launched.stderr
    assert launched.stdout.count("done: 5 videos, 25 snippets x 5 crop(s) x 128; 400 frames now") == 1
    assert set(read_quarantine(tmp_path / "two" / "failed.txt")) == {"x", "y"}
    assert_same(tmp_path / "one", tmp_path / "two")


def test_a_configuration_file_and_wrong_flags(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    videos = encode_folder(tmp_path / "videos", count=1)
    (tmp_path / "c.yaml").write_text(
        f"out: {tmp_path / 'out'}\nbackbone: small3d\nheight: 32\nwidth: 48\ncrops: 10\ncatalogue: {{root: {videos}}}\n"
    )
    assert run(str(tmp_path / "c.yaml"), "--split", "train") == 0
    assert FeatureSet.open(tmp_path / "out").read("clip0").shape == (5, 10, 128)
    assert run(*flags(videos, tmp_path / "out", "--backbone", "r3d18")) == 2
    assert "backbone 'r3d18' is neither a folder nor a name; did you mean 'r3d_18'?" in capfd.readouterr().err
    assert run(*flags(videos, tmp_path / "out")) == 2
    assert "holds features of another kind" in capfd.readouterr().err


def test_a_folder_in_which_nothing_decodes_is_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "x.mp4").write_bytes(b"no video" * 100)
    assert run(*flags(tmp_path / "videos", tmp_path / "out")) == 2
    assert "no video has features" in capfd.readouterr().err
    assert set(read_quarantine(tmp_path / "out" / "failed.txt")) == {"x"}
