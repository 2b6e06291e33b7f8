"""The command: what it prints, what it leaves, its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest

from pretrain.data.catalogue import Video
from pretrain.data.proxy import ProxyCache
from pretrain.data.video import probe
from scripts.build_cache import main


def write_video(path: Path, count: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 256, (count + 160, 240, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt = 160, 240, "yuv420p"
        for number in range(count):
            picture = np.ascontiguousarray(noise[number : number + 160])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return int(caught.value.code or 0)


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    write_video(tmp_path / "videos" / "a.mp4", 200)
    write_video(tmp_path / "videos" / "b.mp4", 20)
    return tmp_path / "videos"


def test_it_says_what_it_made_and_what_that_saves(
    videos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "p"
    assert run("--catalogue.root", videos, "--out", out, "--workers", "2", "--measure-windows", "2") == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == f"2 proxies in {out}, 0.00 hours of video: 2 made now"
    assert "MB per hour of video" in lines[1]
    assert "with 2 workers" in lines[2]
    assert lines[3].startswith("break-even: a window costs ")
    assert lines[4] == f"to use them: data.proxies: {out}"
    assert probe(ProxyCache(out).paths([Video(name="a", path=str(videos / "a.mp4"))])["a"]).num_frames == 200
    assert run("--catalogue.root", videos, "--out", out, "--measure-windows", "0") == 0
    assert "0 made now" in capfd.readouterr().out


def test_an_unreadable_video_is_named_and_the_status_is_1(
    videos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (videos / "broken.mp4").write_bytes(b"nothing of the kind" * 50)
    assert run("--catalogue.root", videos, "--out", tmp_path / "p", "--workers", "1", "--measure-windows", "0") == 1
    printed = capfd.readouterr().out
    assert "1 of 3 videos left out:" in printed
    assert str(videos / "broken.mp4") in printed


def test_a_pretraining_configuration_serves_as_it_is(videos: Path, tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    lines = [f"output: {tmp_path}/run", f"catalogue: {{root: {videos}}}", f"data: {{proxies: {tmp_path}/proxies}}"]
    config.write_text("\n".join([*lines, "optim: {steps: 5}", ""]))
    assert run(config, "--workers", "1", "--measure-windows", "0", "--short-side", "64") == 0
    assert json.loads((tmp_path / "proxies" / "proxies.json").read_text())["short_side"] == 64


def test_a_pretraining_configuration_without_a_place_for_proxies(
    videos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(f"catalogue: {{root: {videos}}}\noptim: {{steps: 5}}\n")
    assert run(config) == 2
    assert "data.proxies is not set: set it to the proxies' folder, or give --out" in capfd.readouterr().err
    assert run(config, "--out", tmp_path / "p", "--workers", "1", "--measure-windows", "0") == 0


def test_test_videos_only_on_request(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_video(tmp_path / "videos" / f"{name}.mp4", 10)
    (tmp_path / "list.csv").write_text("path,split\na.mp4,train\nb.mp4,test\n")
    common = ["--catalogue.kind", "csv", "--catalogue.root", tmp_path / "videos", "--catalogue.annotations"]
    common += [tmp_path / "list.csv", "--workers", "1", "--measure-windows", "0", "--out", tmp_path / "p"]
    test_video = Video(name="b", path=str(tmp_path / "videos" / "b.mp4"))
    assert run(*common) == 0
    assert ProxyCache(tmp_path / "p").manifest(test_video) is None
    assert run(*common, "--splits", "all") == 0
    assert ProxyCache(tmp_path / "p").manifest(test_video) is not None


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--workers", "0"], "workers is 0; it must be at least 1"),
        (["--short-side", "4"], "short_side is 4 pixels; it must lie in 16 to 2160"),
        (["--catalogue.root", "/nowhere/at/all"], "/nowhere/at/all"),
    ],
)
def test_wrong_values_are_one_message(
    videos: Path, tmp_path: Path, flags: list[str], text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    given = ["--catalogue.root", videos, "--out", tmp_path / "p", *flags]
    assert run(*given) == 2
    assert text in capfd.readouterr().err
