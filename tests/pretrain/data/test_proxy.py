"""Proxies of real encoded files: same frames, same times, never stale, never half."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import pretrain.data.proxy.build as build_module
from pretrain.data.catalogue import Video
from pretrain.data.proxy import ProxyCache, ProxySettings, build_proxies
from pretrain.data.proxy.manifest import SourceState
from pretrain.data.proxy.render import H264Writer, _verify, render
from pretrain.data.video import IndexCache, JpegPackWriter, VideoError, VideoInfo, frame_times, probe, read_frames
from pretrain.errors import UserError
from tests.paths import REAL, ROOT

FORMATS = ("h264", "jpeg")


def pictures(count: int, height: int, width: int) -> np.ndarray:
    """A grey ramp that moves on by four rows a frame under a bright square: any two frames differ clearly."""
    rows = np.arange(height)[None, :, None, None]
    frames = np.broadcast_to((rows * 3 + 4 * np.arange(count)[:, None, None, None]) % 256, (count, height, width, 3))
    frames = frames.astype(np.uint8)
    for number in range(count):
        x = (7 * number) % (width - 16)
        frames[number, : height // 3, x : x + 16] = (230, 60, 20)
    return frames


def write_video(path: Path, frames: np.ndarray, pts: list[int] | None = None, **options: str) -> Video:
    """x264 with B-frames; `pts` in thousandths of a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "12", "g": "250"} | options)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = (pts[number] if pts else 40 * number), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return Video(name=path.stem, path=str(path))


@pytest.fixture
def video(tmp_path: Path) -> Video:
    return write_video(tmp_path / "street.mp4", pictures(60, 180, 240))


def make(folder: Path, videos: list[Video], settings: ProxySettings | None = None, **options: bool):
    return build_proxies(ProxyCache(folder), videos, settings or ProxySettings(), workers=1, **options)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("gaps", ["even", "varying"])
def test_frame_i_of_the_proxy_shows_frame_i_of_the_source_at_its_time(tmp_path: Path, form: str, gaps: str) -> None:
    steps = np.full(50, 40) if gaps == "even" else np.random.default_rng(0).integers(7, 200, 50)
    times = np.concatenate([[0], np.cumsum(steps)])[:50].tolist()
    source = write_video(tmp_path / "a.mp4", pictures(50, 180, 240), times)
    cache = ProxyCache(tmp_path / "proxies")
    manifest = cache.build(source, ProxySettings(format=form, gop=12))
    cache.adopt(ProxySettings(format=form, gop=12))
    proxy = cache.paths([source])["a"]
    np.testing.assert_allclose(frame_times(proxy), frame_times(source.path), atol=1e-4)
    assert (probe(proxy).height, probe(proxy).width) == (128, 170) == (manifest.height, manifest.width)
    shown = read_frames(proxy, range(50)).astype(int)
    should = read_frames(source.path, range(50), size=(128, 170)).astype(int)
    distance = np.abs(shown[:, None] - should[None]).mean(axis=(2, 3, 4))
    assert (distance.argmin(axis=1) == np.arange(50)).all()
    assert distance.diagonal().max() < 4
    scattered = [41, 3, 3, 17, 49, 0]
    np.testing.assert_array_equal(read_frames(proxy, scattered), shown[scattered])


@given(height=st.integers(1, 3000), width=st.integers(1, 3000), short_side=st.integers(16, 512))
def test_sizes_are_even_near_the_aspect_and_never_larger(height: int, width: int, short_side: int) -> None:
    settings = ProxySettings(short_side=short_side)
    small = settings.picture_size(height, width)
    assert all(side % 2 == 0 and side >= 2 for side in small)
    assert all(side <= max(2, own) for side, own in zip(small, (height, width), strict=True))
    assert min(small) <= short_side + 1
    scale = min(1, short_side / min(height, width))
    assert abs(small[0] - height * scale) <= 2
    assert abs(small[1] - width * scale) <= 2


def test_a_small_odd_video_is_not_enlarged(tmp_path: Path) -> None:
    frames = pictures(5, 98, 120)
    folder = tmp_path / "frames"
    folder.mkdir()
    for number, picture in enumerate(frames):
        Image.fromarray(picture[:97, :101]).save(folder / f"{number}.png")
    cache = ProxyCache(tmp_path / "proxies")
    manifest = cache.build(Video(name="frames", path=str(folder)), ProxySettings())
    assert (manifest.height, manifest.width, manifest.num_frames) == (96, 100, 5)


def test_a_turned_video_becomes_an_upright_proxy(tmp_path: Path) -> None:
    turned = next(iter(sorted((REAL / "odd_videos").glob("*rotat*"))), None) if REAL.is_dir() else None
    if turned is None:
        pytest.skip("no rotated video: ../shared/real/odd_videos is not beside this checkout")
    info = probe(turned)
    cache = ProxyCache(tmp_path / "proxies")
    video = Video(name="turned", path=str(turned))
    manifest = cache.build(video, ProxySettings())
    assert (manifest.height > manifest.width) == (info.height > info.width)


@pytest.mark.parametrize("name", ["traffic_camera_vfr.mp4", "video02.avi", "Normal_Videos020_x264.mp4"])
def test_real_surveillance_keeps_times_and_pictures(tmp_path: Path, name: str) -> None:
    source = REAL / "surveillance" / name
    if not source.exists():
        pytest.skip("real footage: ../shared/real is not beside this checkout")
    indexes = IndexCache(None)
    info = probe(source, cache=indexes)
    proxy = tmp_path / "proxy.mp4"
    rendered = render(str(source), proxy, ProxySettings())
    assert rendered.num_frames == info.num_frames
    np.testing.assert_allclose(frame_times(proxy), frame_times(source, cache=indexes), atol=1e-3)
    some = [0, 101, 57, info.num_frames - 1]
    size = (rendered.height, rendered.width)
    difference = read_frames(proxy, some).astype(int) - read_frames(source, some, size=size, cache=indexes)
    assert np.abs(difference).mean() < 4
    assert np.abs(difference.mean(axis=(0, 1, 2))).max() < 2  # colours: no shift of matrix or range


def test_a_proxy_with_the_wrong_times_count_or_pictures_is_found_out(tmp_path: Path) -> None:
    frames = pictures(20, 128, 160)
    times = np.arange(20) / 25
    checked = np.array([0, 19])
    thumbnails = np.stack([_small_grey(frames[number]) for number in checked])
    info = VideoInfo(20, 25.0, 160, 128, 0.8, "h264", 0, True)

    def proxy(held: np.ndarray, held_times: np.ndarray) -> Path:
        path = tmp_path / "proxy.mp4"
        with H264Writer(path, ProxySettings(), (128, 160), info, held_times) as writer:
            for picture in held:
                writer.add(picture)
        return path

    _verify("s.mp4", proxy(frames, times), times, checked, thumbnails)
    with pytest.raises(VideoError, match="holds 19 frames instead of 20"):
        _verify("s.mp4", proxy(frames[:19], times[:19]), times, checked, thumbnails)
    with pytest.raises(VideoError, match=r"up to 40\.0 ms off"):
        _verify("s.mp4", proxy(frames, times + np.where(times > 0.3, 0.04, 0)), times, checked, thumbnails)
    with pytest.raises(VideoError, match=r"frame (0|19) of its proxy differs by \d+ grey levels \(limit 12\)"):
        _verify("s.mp4", proxy(frames[::-1], times), times, checked, thumbnails)


def _small_grey(picture: np.ndarray) -> np.ndarray:
    return picture.mean(axis=2).reshape(8, picture.shape[0] // 8, 8, picture.shape[1] // 8).mean(axis=(1, 3))


def test_what_is_done_is_not_done_again(tmp_path: Path, video: Video) -> None:
    first = make(tmp_path / "p", [video])
    assert first.built == 1
    before = Path(ProxyCache(tmp_path / "p").paths([video])["street"]).stat()
    again = make(tmp_path / "p", [video])
    assert again.built == 0
    assert again.manifests == first.manifests
    assert Path(ProxyCache(tmp_path / "p").paths([video])["street"]).stat() == before


def test_a_changed_source_is_refused_and_made_anew(tmp_path: Path, video: Video) -> None:
    other = write_video(tmp_path / "other.mp4", pictures(10, 64, 64))
    cache = ProxyCache(tmp_path / "p")
    make(cache.folder, [video])
    write_video(Path(video.path), pictures(30, 180, 240))
    with pytest.raises(UserError) as caught:
        cache.paths([video, other])
    text = str(caught.value)
    assert text.startswith(f"2 of 2 videos have no valid proxy in {cache.folder}:")
    assert "'street': the video changed after its proxy was made" in text
    assert "'other': no proxy" in text
    assert f"Run scripts/build_cache.py with this catalogue and --out {cache.folder}" in text
    assert make(cache.folder, [video, other]).built == 2
    assert probe(cache.paths([video, other])["street"]).num_frames == 30


def test_a_touched_source_counts_as_changed(tmp_path: Path, video: Video) -> None:
    cache = ProxyCache(tmp_path / "p")
    make(cache.folder, [video])
    os.utime(video.path, ns=(1, 1))
    assert cache.manifest(video) is None
    assert make(cache.folder, [video]).built == 1


def test_a_changed_image_of_a_folder_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for number, picture in enumerate(pictures(4, 64, 80)):
        Image.fromarray(picture).save(folder / f"{number}.png")
    state = SourceState.of(str(folder))
    assert state.num_files == 4
    os.utime(folder / "2.png", ns=(2**61, 2**61))
    assert SourceState.of(str(folder)) != state


def test_a_cut_off_or_missing_proxy_is_refused(tmp_path: Path, video: Video) -> None:
    cache = ProxyCache(tmp_path / "p")
    make(cache.folder, [video])
    proxy = Path(cache.paths([video])["street"])
    size = proxy.stat().st_size
    with open(proxy, "r+b") as file:
        file.truncate(size - 1)
    with pytest.raises(UserError, match=f"its proxy is damaged: {size - 1} of {size} bytes"):
        cache.paths([video])
    proxy.unlink()
    with pytest.raises(UserError, match=f"its proxy is damaged: 0 of {size} bytes"):
        cache.paths([video])
    assert make(cache.folder, [video]).built == 1


def test_a_folder_without_proxies_says_how_to_make_them(tmp_path: Path, video: Video) -> None:
    with pytest.raises(UserError, match=r"holds no proxies: make them with scripts/build_cache.py --out "):
        ProxyCache(tmp_path / "none").paths([video])


def test_two_kinds_of_proxies_never_share_a_folder(tmp_path: Path, video: Video) -> None:
    cache = ProxyCache(tmp_path / "p")
    make(cache.folder, [video])
    with pytest.raises(UserError, match=r"other settings \(short_side 128, not 64\): give those, another --out, or"):
        make(cache.folder, [video], ProxySettings(short_side=64))
    assert make(cache.folder, [video], ProxySettings(short_side=64), rebuild=True).built == 1
    assert probe(cache.paths([video])["street"]).height == 64


def test_a_rebuild_that_was_cut_short_leaves_no_mixture(tmp_path: Path, video: Video) -> None:
    cache = ProxyCache(tmp_path / "p")
    make(cache.folder, [video])
    cache.adopt(ProxySettings(short_side=64), rebuild=True)  # and then the process was killed
    with pytest.raises(UserError, match="its proxy was made with other settings than the folder's"):
        cache.paths([video])


def test_videos_of_one_name_from_two_places_have_two_proxies(tmp_path: Path) -> None:
    videos = []
    for number, folder in enumerate(("a", "b")):
        (tmp_path / folder).mkdir()
        videos.append(write_video(tmp_path / folder / "x.mp4", pictures(5 + number, 64, 64)))
    cache = ProxyCache(tmp_path / "p")
    for video in videos:
        make(cache.folder, [video])
    assert [cache.manifest(video).num_frames for video in videos] == [5, 6]


def test_what_cannot_be_read_is_named_and_left_out(tmp_path: Path, video: Video) -> None:
    broken = Video(name="broken", path=str(tmp_path / "broken.mp4"))
    Path(broken.path).write_bytes(b"not a video" * 100)
    gone = Video(name="gone", path=str(tmp_path / "gone.mp4"))
    told: list[str] = []
    report = build_proxies(ProxyCache(tmp_path / "p"), [broken, gone, video], ProxySettings(), on_done=told.append)
    assert set(report.failures) == {"broken", "gone"}
    assert report.failures["broken"].startswith(broken.path)
    assert list(report.manifests) == ["street"]
    assert sorted(told) == ["broken", "gone", "street"]
    assert all(path.suffix in (".mp4", ".json") and path.name[0] != "." for path in _files(tmp_path / "p"))
    with pytest.raises(UserError, match="2 of 3 videos have no valid proxy"):
        ProxyCache(tmp_path / "p").paths([broken, gone, video])


def test_a_full_disk_ends_the_build_without_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    videos = [write_video(tmp_path / f"{number}.mp4", pictures(12, 128, 160)) for number in range(6)]
    monkeypatch.setattr(build_module, "_begin_worker", _small_files_only)
    report = build_proxies(ProxyCache(tmp_path / "p"), videos, ProxySettings(format="jpeg"), workers=1)
    assert not report.manifests
    assert report.failures
    assert len(report.failures) + report.not_tried == 6
    assert report.not_tried > 0
    assert "cannot be written" in next(iter(report.failures.values()))
    assert [path.name for path in _files(tmp_path / "p")] == ["proxies.json"]


def _small_files_only() -> None:
    """Stands for a full disk: the kernel refuses to let a file grow past 4 kB."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


def test_no_room_is_told_from_other_troubles() -> None:
    assert {errno.ENOSPC, errno.EDQUOT, errno.EFBIG} == build_module.NO_ROOM


def test_a_video_that_kills_its_process_is_named_and_the_rest_is_made(
    tmp_path: Path, video: Video, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadly = write_video(tmp_path / "deadly.mp4", pictures(5, 64, 64))
    others = [write_video(tmp_path / f"{number}.mp4", pictures(5, 64, 64)) for number in range(4)]
    monkeypatch.setattr(build_module, "_build_one", _die_of_deadly)
    report = build_proxies(ProxyCache(tmp_path / "p"), [video, deadly, *others], ProxySettings(), workers=2)
    assert list(report.failures) == ["deadly"]
    assert "the process that read it died" in report.failures["deadly"]
    assert sorted(report.manifests) == ["0", "1", "2", "3", "street"]


def _die_of_deadly(cache: ProxyCache, video: Video, settings: ProxySettings):
    if video.name == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
    return cache.build(video, settings)


BUILD = """
import sys
from pretrain.data.catalogue import Video
from pretrain.data.proxy import ProxyCache, ProxySettings, build_proxies
if __name__ == "__main__":
    videos = [Video(name=path, path=path) for path in sys.argv[2:]]
    tell = lambda name: print(name, flush=True)
    build_proxies(ProxyCache(sys.argv[1]), videos, ProxySettings(), workers=2, on_done=tell)
"""


def test_kill_9_in_the_middle_then_go_on(tmp_path: Path) -> None:
    script = tmp_path / "build.py"
    script.write_text(BUILD)
    videos = [write_video(tmp_path / f"{number}.mp4", pictures(100, 180, 240)) for number in range(8)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(script), str(tmp_path / "p"), *(video.path for video in videos)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    process.stdout.readline()  # one is done, the next are in work
    process.send_signal(signal.SIGKILL)
    process.stdout.read()  # ends when the workers, which hold the pipe too, have noticed and gone
    process.wait()
    cache = ProxyCache(tmp_path / "p")
    done = [video for video in videos if cache.manifest(video)]
    assert 1 <= len(done) < 8
    stamps = {path: os.stat(path).st_mtime_ns for path in cache.paths(done).values()}
    report = make(cache.folder, videos)
    assert report.built == 8 - len(done)
    assert {path: os.stat(path).st_mtime_ns for path in stamps} == stamps
    assert len(cache.paths(videos)) == 8
    assert not [path for path in _files(cache.folder) if ".tmp" in path.name]


def test_manifests_say_what_was_made_of_what(tmp_path: Path, video: Video) -> None:
    make(tmp_path / "p", [video])
    proxy = Path(ProxyCache(tmp_path / "p").paths([video])["street"])
    stored = json.loads(proxy.with_suffix(".json").read_text())
    assert stored["source"] == {
        "path": video.path,
        "size": os.path.getsize(video.path),
        "mtime_ns": os.stat(video.path).st_mtime_ns,
        "num_files": 1,
    }
    assert stored["num_frames"] == 60
    assert stored["proxy_bytes"] == proxy.stat().st_size
    assert stored["settings"] == {"short_side": 128, "format": "h264", "gop": 16, "quality": 20, "renderer": 2}
    proxy.with_suffix(".json").write_text('{"source": 3')
    assert ProxyCache(tmp_path / "p").manifest(video) is None


def test_a_proxy_whose_bytes_changed_is_damaged_and_one_that_was_touched_is_not(tmp_path: Path, video: Video) -> None:
    make(tmp_path / "p", [video])
    cache = ProxyCache(tmp_path / "p")
    proxy = Path(cache.paths([video])["street"])
    os.utime(proxy, (1, 1))  # as a copy has another time
    assert cache.paths([video])
    content = bytearray(proxy.read_bytes())
    content[len(content) // 2] ^= 255
    proxy.write_bytes(content)
    with pytest.raises(UserError, match="its proxy is damaged: its bytes are not those that were written"):
        cache.paths([video])
    assert make(tmp_path / "p", [video]).built == 1
    assert cache.paths([video])


def test_proxies_have_keyframes_at_the_distance_asked_for_and_no_b_frames(tmp_path: Path, video: Video) -> None:
    proxy = tmp_path / "p.mp4"
    render(video.path, proxy, ProxySettings(gop=12))
    with av.open(str(proxy)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    assert [number for number, packet in enumerate(packets) if packet.is_keyframe] == [0, 12, 24, 36, 48]
    assert all(packet.pts == packet.dts for packet in packets)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"short_side": 8}, "short_side is 8 pixels; it must lie in 16 to 2160"),
        ({"gop": 0}, r"gop is 0 frames; it must lie in 1 to 1000"),
        ({"quality": 52}, "quality is 52; for h264 it must lie in 0 to 51"),
        ({"quality": 0, "format": "jpeg"}, "quality is 0; for jpeg it must lie in 1 to 100"),
    ],
)
def test_impossible_settings_are_refused(change: dict, text: str) -> None:
    with pytest.raises(UserError, match=text):
        ProxySettings(**change)


def test_a_broken_jpeg_pack_is_one_clear_message(tmp_path: Path) -> None:
    path = tmp_path / "a.jpegpack"
    frames = pictures(4, 64, 80)
    with JpegPackWriter(path, (64, 80), np.arange(4) / 25, 90) as writer:
        for picture in frames:
            writer.add(picture)
    assert probe(path).fps == pytest.approx(25)
    whole = path.read_bytes()
    for damaged, text in (
        (whole[:-1], "cut off"),
        (b"X" + whole[1:], "not a JPEG pack"),
        (whole[:8] + b"\x09" + whole[9:], "version 9, not 1"),
        (whole[:10], "not a JPEG pack"),
        (whole[:40] + bytes(200) + whole[240:], "frame 0 does not decode"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(VideoError, match=text):
            read_frames(path, [0])


def test_the_time_of_a_build_is_kept(tmp_path: Path, video: Video) -> None:
    started = time.process_time()
    manifest = ProxyCache(tmp_path / "p").build(video, ProxySettings())
    assert 0 < manifest.build_cpu_seconds <= time.process_time() - started


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]
