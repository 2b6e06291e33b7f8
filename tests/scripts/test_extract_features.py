"""The command as it is run: killed and run again, in one process and in two."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from downstream.features import extract as extraction
from downstream.features.store import FeatureSet
from pretrain.data.catalogue import CatalogueConfig, Video
from pretrain.data.check import read_quarantine
from scripts.extract_features import main
from tests.paths import ROOT
from tests.pretrain.encoding import encode_folder, encode_video

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
    assert first.spec == second.spec
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
    assert f"done: 5 videos ({done} done before), {4 * 5 + 187} snippets x 5 crop(s) x 129" in again.stdout
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
    assert launched.stdout.count("incomplete: 5 of 7 videos, 25 snippets x 5 crop(s) x 129; 400 frames now") == 1
    assert set(read_quarantine(tmp_path / "two" / "failed.txt")) == {"x", "y"}
    assert_same(tmp_path / "one", tmp_path / "two")


def test_a_configuration_file_and_wrong_flags(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    videos = encode_folder(tmp_path / "videos", count=1)
    (tmp_path / "c.yaml").write_text(
        f"out: {tmp_path / 'out'}\nbackbone: small3d\nheight: 32\nwidth: 48\ncrops: 10\ncatalogue: {{root: {videos}}}\n"
    )
    assert run(str(tmp_path / "c.yaml"), "--split", "train") == 0
    assert FeatureSet.open(tmp_path / "out").read("clip0").shape == (5, 10, 129)
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


def cell_flags(videos: Path, out: Path, *more: str) -> list[str]:
    return [*flags(videos, out), "--crops", "1", *more]


def test_cells_are_stored_with_their_place_and_a_second_run_adds_to_them(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    videos = encode_folder(tmp_path / "videos", count=1)
    out = tmp_path / "cells"
    assert run(*cell_flags(videos, out, "--grid", "map")) == 0
    assert "done: 1 videos, 5 snippets x 24 cells x 129;" in capfd.readouterr().out
    first = FeatureSet.open(out).read("clip0").copy()
    encode_video(videos / "large.mp4", 9, num_frames=32, height=96, width=192)
    assert run(*cell_flags(videos, out, "--grid", "4", "6")) == 0  # the map's own cells, said in numbers
    assert "done: 2 videos (1 done before), 7 snippets x 24 cells x 129;" in capfd.readouterr().out
    done = FeatureSet.open(out)
    assert (done.spec.grid, done.spec.stage) == ((4, 6), None)
    np.testing.assert_array_equal(done.read("clip0"), first)
    assert [(entry.size, entry.seen) for entry in done.videos.values()] == [
        ((72, 48), (0, 0, 72, 48)),
        ((192, 96), (24, 0, 168, 96)),  # decoded at 32x64, of which the 48 columns in the middle are seen
    ]
    assert run(*flags(videos, tmp_path / "whole"), "--crops", "1") == 0
    for name in done.videos:  # cells of the own map, averaged, are the features of the whole picture
        whole = FeatureSet.open(tmp_path / "whole").read(name)
        cells = done.read(name).mean(axis=1, keepdims=True)
        np.testing.assert_allclose(cells[..., :-1], whole[..., :-1], rtol=1e-4, atol=1e-5)  # motion is a logarithm
    assert run(*cell_flags(videos, out, "--grid", "2", "3")) == 2
    assert "grid: (4, 6), (2, 3)" in capfd.readouterr().err


def test_a_stage_of_an_earlier_finer_map(tmp_path: Path) -> None:
    videos = encode_folder(tmp_path / "videos", count=1)
    (tmp_path / "c.yaml").write_text("grid: [3, 5]\nstage: layers.1\n")
    assert run(str(tmp_path / "c.yaml"), *cell_flags(videos, tmp_path / "out")) == 0
    done = FeatureSet.open(tmp_path / "out")
    assert (done.spec.grid, done.spec.stage, done.read("clip0").shape) == ((3, 5), "layers.1", (5, 15, 33))


def test_wrong_grids_and_the_help(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    videos = encode_folder(tmp_path / "videos", count=1)

    def said(*more: str) -> str:
        assert run(*flags(videos, tmp_path / "out"), *more) == 2
        return " ".join(capfd.readouterr().err.replace("│", " ").split())

    assert "crops is 5, and grid asks for cells" in said("--grid", "map")
    assert "stage is layers.1, but only cells can be of another stage: set grid too" in said("--stage", "layers.1")
    assert "small3d has no stage 'layers.7'; did you mean 'layers." in said("--grid", "map", "--stage", "layers.7")
    assert "{None,map}|{INT INT}" in said("--grid", "5")
    assert "a grid of 9x9 cells was asked for; the feature map of small3d has 4x6" in said("--grid", "9", "9")
    assert "'timm/test_vit' has no map" in said("--backbone", "timm/test_vit", "--grid", "map", "--crops", "1")
    assert not (tmp_path / "out").exists()
    assert run("--help") == 0
    help_text = " ".join(capfd.readouterr().out.replace("│", " ").split())
    assert "--grid {None,map}|{INT INT}" in help_text
    assert "Store features of cells of the picture, to find out where: `map` for the cells" in help_text


def test_videos_that_vanish_or_are_beyond_the_limits_fail_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    videos = encode_folder(tmp_path / "videos", count=3, num_frames=32)
    (videos / "thin").mkdir()
    for number in range(20):
        Image.new("L", (1, 50_000)).save(videos / "thin" / f"{number}.png")
    chosen = extraction.listed_videos

    def and_then_one_is_gone(config: CatalogueConfig, *others: Any) -> list[Video]:
        found = chosen(config, *others)
        (videos / "clip1.mp4").unlink()
        return found

    monkeypatch.setattr(extraction, "listed_videos", and_then_one_is_gone)
    assert run(*flags(videos, tmp_path / "out")) == 1
    assert list(FeatureSet.open(tmp_path / "out").videos) == ["clip0", "clip2"]
    failed = (tmp_path / "out" / "failed.txt").read_text(encoding="utf-8").splitlines()[1:]
    assert [line.partition("\t")[0] for line in failed] == ["clip1", "thin"]
    assert "no such file" in failed[0]
    assert "its picture is 1x50000 pixels, one side 50000 times the other" in failed[1]
    assert "Traceback" not in capfd.readouterr().err


def test_two_at_once_do_not_both_succeed_and_ctrl_c_is_one_line(tmp_path: Path) -> None:
    videos = encode_folder(tmp_path / "videos", count=1)
    encode_video(videos / "long.mp4", 9, num_frames=3000)
    out = tmp_path / "out"
    command = [sys.executable, "scripts/extract_features.py", *flags(videos, out, "--decoders", "2")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, text=True, start_new_session=True, **pipes) as first:
        while not list((out / "parts").glob("[!.]*.safetensors")):
            assert first.poll() is None, "it ended before anybody could look"
            time.sleep(0.01)
        os.kill(first.pid, signal.SIGSTOP)  # at work, however slow this machine is
        second = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        os.killpg(first.pid, signal.SIGINT)
        os.kill(first.pid, signal.SIGCONT)
        _, err = first.communicate(timeout=60)
    assert (second.returncode, second.stdout) == (2, "")
    assert f"another process is at work in {out} (extract_features.py, process {first.pid} on " in second.stderr
    assert len(second.stderr.splitlines()) == 1
    assert first.returncode == 130
    assert [line for line in err.splitlines() if not line.startswith("extracting: ")] == ["stopped by Ctrl-C"]
    assert [path.name for path in out.rglob("*") if path.name.startswith(".")] == []
