from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from pretrain.data.catalogue import Video
from pretrain.data.check import (
    CheckOptions,
    VideoReport,
    check_video,
    check_videos,
    read_quarantine,
    readers_differ,
    write_quarantine,
)
from pretrain.data.video import READERS, IndexCache
from pretrain.errors import UserError
from tests.paths import REAL

PLAIN = CheckOptions()


def write_video(path: Path, ticks: Sequence[int] = range(40), faststart: bool = False) -> Path:
    rng = np.random.default_rng(0)
    options = {"movflags": "faststart"} if faststart else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("libx264", rate=25, options={"x264-params": "keyint=10:scenecut=0:bframes=0"})
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for tick in ticks:
            frame = av.VideoFrame.from_ndarray(rng.integers(0, 256, (48, 64, 3), np.uint8))
            frame.pts = tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def report_of(path: Path, options: CheckOptions = PLAIN) -> VideoReport:
    return check_video(Video(path.stem, str(path)), options, None)


def test_a_sound_video_has_no_problem(tmp_path: Path) -> None:
    report = report_of(write_video(tmp_path / "sound.mp4"))
    assert (report.problems, report.notes, report.num_frames) == ((), (), 40)
    assert report.duration_seconds == pytest.approx(1.6)


def test_the_check_leaves_a_counted_index(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4")
    check_video(Video("a", str(path)), PLAIN, tmp_path / "cache")
    assert IndexCache(tmp_path / "cache").get(path).facts.is_counted
    check_video(Video("a", str(path)), CheckOptions(quick=True), tmp_path / "quick")
    assert not IndexCache(tmp_path / "quick").get(path).facts.is_counted


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cut.mp4", r"truncated: (the file ends within its last|the header announces 40) frame"),
        ("cut.mkv", r"truncated: the header announces 1\.6 s, the video ends after 0\.\d"),
        ("cut.flv", r"truncated: the file ends within its last frame; \d\d frames decode"),
    ],
)
def test_truncated(tmp_path: Path, name: str, text: str) -> None:
    path = write_video(tmp_path / name, faststart=name.endswith("mp4"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    (problem,) = report_of(path).problems
    assert re.match(text, problem)


def test_unreadable_gives_the_reason_without_the_path(tmp_path: Path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("hello\n" * 50)
    (problem,) = report_of(path).problems
    assert problem.startswith("unreadable: not a video, or cut off")
    assert str(tmp_path) not in problem


def test_too_short(tmp_path: Path) -> None:
    path = write_video(tmp_path / "short.mp4")
    assert report_of(path, CheckOptions(min_frames=41)).problems == ("too short: 40 frames, at least 41 are asked for",)
    assert report_of(path, CheckOptions(min_frames=40)).problems == ()


def test_variable_rate_is_a_note(tmp_path: Path) -> None:
    report = report_of(write_video(tmp_path / "vfr.mp4", ticks=np.cumsum([1, 3] * 20).tolist()))
    assert report.problems == ()
    assert report.notes == ("variable frame rate, 12.3 on average",)


def test_readers_agree_on_a_plain_file(tmp_path: Path) -> None:
    pytest.importorskip("decord")
    assert report_of(write_video(tmp_path / "a.mp4"), CheckOptions(compare_readers=True)).problems == ()


def test_readers_that_disagree_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("decord")

    path = str(write_video(tmp_path / "a.mp4"))
    decord = READERS["decord"]
    right = decord.read
    # a reader that is one frame late, as decord is on some files
    monkeypatch.setattr(decord, "read", lambda path, frames, size, cache: right(path, (frames + 1) % 40, size, cache))
    text = readers_differ(path, np.random.default_rng(0), IndexCache(None))
    assert text is not None
    assert text.startswith("readers disagree: decord gives another picture for ")


def test_real_avi_that_decord_misreads() -> None:
    pytest.importorskip("decord")
    if not REAL.is_dir():
        pytest.skip("needs the real videos in ../shared/real, which are not here")
    (problem,) = report_of(REAL / "surveillance" / "video02.avi", CheckOptions(compare_readers=True)).problems
    assert problem == "readers disagree: PyAV has 748 frames, decord 750"


@pytest.mark.parametrize("broken", [[7], [1, 7, 18], list(range(20))])
def test_every_image_of_a_folder_is_decoded(broken: list[int], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(20):
        Image.fromarray(rng.integers(0, 256, (40, 60, 3), np.uint8)).save(tmp_path / f"{number}.png")
        if number in broken:
            data = (tmp_path / f"{number}.png").read_bytes()
            (tmp_path / f"{number}.png").write_bytes(data[: len(data) // 2])
    report = check_video(Video("frames", str(tmp_path)), PLAIN, None)
    assert report.problems[0].startswith(
        f"damaged: {len(broken)} of 20 images do not decode, first {broken[0]}.png: the image does not decode ("
    )
    quick = check_video(Video("frames", str(tmp_path)), CheckOptions(quick=True), None)
    assert bool(quick.problems) == bool(set(broken) & {0, 10, 19})


def test_a_folder_of_several_videos_is_noted(tmp_path: Path) -> None:
    for name in ("a_1", "a_2", "b_1", "b_2"):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.png")
    report = check_video(Video("frames", str(tmp_path)), PLAIN, None)
    assert (report.problems, report.notes) == ((), ("named like the images of 2 videos: a_, b_",))


def test_a_folder_of_images_is_checked(tmp_path: Path) -> None:
    report = check_video(Video("empty", str(tmp_path)), PLAIN, None)
    assert report.problems[0].startswith("unreadable: no image in this folder")


def test_in_processes(tmp_path: Path) -> None:
    videos = [Video(name, str(write_video(tmp_path / f"{name}.mp4"))) for name in ("a", "b")]
    videos.append(Video("gone", str(tmp_path / "gone.mp4")))
    reports = {report.name: report for report in check_videos(videos, PLAIN, tmp_path / "cache", 2)}
    assert set(reports) == {"a", "b", "gone"}
    assert reports["gone"].problems[0].startswith("unreadable: no such file")
    assert reports["a"].problems == reports["b"].problems == ()
    assert len(list((tmp_path / "cache").rglob("*.npz"))) == 2


def test_quarantine_list_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "lists" / "quarantine.txt"
    reports = [
        VideoReport("b", "b.mp4", ("truncated: x", "too\nshort")),
        VideoReport("fine", "fine.mp4", ()),
        VideoReport("a name", "a.mp4", ("unreadable: y",)),
    ]
    write_quarantine(path, reports, "folder data")
    assert path.read_text().splitlines()[0].startswith("# ")
    assert read_quarantine(path) == {"a name": "unreadable: y", "b": "truncated: x; too short"}
    path.write_text("# a comment\n\nbare name\nx\tone\nx\ttwo\n")
    assert read_quarantine(path) == {"bare name": "", "x": "one"}


def test_quarantine_list_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no quarantine list .*nowhere.txt: write one with scripts/check_videos.py"):
        read_quarantine(tmp_path / "nowhere.txt")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="is not a readable quarantine list"):
        read_quarantine(tmp_path / "binary")
