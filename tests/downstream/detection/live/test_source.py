"""Live input from real servers on loopback: the frames of the file, time limits, outages, marked gaps."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from downstream.detection.live.frame_queue import Frame, Gap, Item, Lost, Opened
from downstream.detection.live.settings import SourceSettings
from downstream.detection.live.source import FrameSource
from downstream.features.crops import Region, decode_region
from pretrain.addresses import address_label
from pretrain.data.video import VideoError, VideoInfo, probe, read_frames
from tests.downstream.detection.live.servers import PACKET, HttpCamera, RtspCamera, Server, camera, mute, render_ts
from tests.pretrain.encoding import encode_video

BORDER = (0.1, 0.0, 0.0, 0.05)
FRAMES, FPS = 60, 20


@pytest.fixture(scope="module")
def stream() -> bytes:
    return render_ts(FRAMES, FPS)


@pytest.fixture(autouse=True)
def loopback_needs_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def region_of(info: VideoInfo) -> Region:
    return decode_region(info, 1, 32, 32, BORDER)


def source(url: str, **settings: object) -> FrameSource:
    settings = {"timeout": 5.0, "first_delay": 0.1} | settings
    return FrameSource(url, region_of, SourceSettings(**settings), np.random.default_rng(0))  # type: ignore[arg-type]


def offline(path: Path) -> np.ndarray:
    info = probe(path)
    _, _, y, x, height, width = region = region_of(info)
    frames = read_frames(path, np.arange(info.num_frames), size=region[:2])
    return frames[:, y : y + height, x : x + width]


def http(server: Server, path: str = "/live") -> str:
    return f"http://127.0.0.1:{server.server_address[1]}{path}"


def frames_of(items: list[Item]) -> list[Frame]:
    return [item for item in items if isinstance(item, Frame)]


def until(items: Iterator[Item], count: int) -> list[Item]:
    """Items up to the `count`-th frame."""
    seen: list[Item] = []
    while len(frames_of(seen)) < count:
        seen.append(next(items))
    return seen


def test_a_file_gives_the_frames_of_reading_it_offline(tmp_path: Path) -> None:
    path = encode_video(tmp_path / "a.mp4", 1, num_frames=40)
    with source(str(path), queue_frames=4) as live:
        first, *frames = list(live)
    assert isinstance(first, Opened)
    assert (first.info.fps, first.info.width, first.info.height) == (25, 72, 48)
    assert [frame.number for frame in frames] == list(range(40))  # a file waits: none is dropped
    np.testing.assert_array_equal([frame.pixels for frame in frames], offline(path))
    np.testing.assert_allclose(np.diff([frame.seconds for frame in frames]), 1 / 25, atol=1e-4)
    assert live.is_over
    assert live.dropped == live.damaged == 0


@pytest.mark.parametrize(("kind", "scheme"), [(HttpCamera, "http"), (RtspCamera, "rtsp")])
def test_a_stream_gives_the_frames_of_its_file(kind: type, scheme: str, stream: bytes, tmp_path: Path) -> None:
    path = tmp_path / "recorded.ts"
    path.write_bytes(stream)
    with (
        camera(kind, stream, seconds=0.5) as server,
        source(f"{scheme}://127.0.0.1:{server.server_address[1]}/live", on_end="stop") as live,
    ):
        items = list(live)
    frames = frames_of(items)
    # in RTP nothing says that the last picture is complete, unless another one follows
    expected = offline(path)[: None if scheme == "http" else -1]
    assert [frame.number for frame in frames] == list(range(len(expected)))
    np.testing.assert_array_equal([frame.pixels for frame in frames], expected)
    assert isinstance(items[0], Opened)
    assert (items[0].info.fps, items[0].fps_from) == (FPS, "the stream's average")


def test_a_file_on_a_server_is_over_at_its_end(stream: bytes) -> None:
    with camera(HttpCamera, stream, 0) as server, source(http(server, "/file"), queue_frames=3) as live:
        assert len(frames_of(list(live))) == FRAMES
    assert (live.dropped, live.reconnects) == (0, 0)


def test_a_camera_that_is_killed_and_comes_back_goes_on(stream: bytes) -> None:
    with camera(HttpCamera, stream, seconds=FRAMES / FPS) as server:
        port = server.server_address[1]
        with source(f"http://127.0.0.1:{port}/live") as live:
            items = iter(live)
            before = until(items, 35)
            server.kill()
            while not isinstance(lost := next(items), Lost):
                before.append(lost)
            with camera(HttpCamera, stream, seconds=0.5, port=port):
                after = until(items, 20)
    assert [frame.number for frame in frames_of(before)] == list(range(len(frames_of(before))))
    opened, gap, *rest = after
    assert isinstance(opened, Opened)
    assert isinstance(gap, Gap)
    assert gap.kind == "outage"
    assert gap.frames == max(1, round(gap.seconds * FPS) - 1)
    frames = frames_of(rest)
    first = frames_of(before)[-1].number + 1 + gap.frames
    assert [frame.number for frame in frames] == list(range(first, first + len(frames)))
    assert live.reconnects == 1


def test_a_stream_that_falls_silent_is_lost_and_given_up_after_max_outage(stream: bytes) -> None:
    with camera(HttpCamera, stream, seconds=0.2) as server:
        url = f"http://u:secret@127.0.0.1:{server.server_address[1]}/silent"
        with source(url, timeout=0.5, max_outage=0.7) as live:
            items = iter(live)
            while not isinstance(lost := next(items), Lost):
                pass
            server.kill()
            assert lost.reason == "no answer within 0.5 s (timeout)"
            with pytest.raises(VideoError, match=r"http://127.0.0.1:\d+/~\w{6}: away for more than 0.7 s \(max_"):
                list(items)


@pytest.mark.parametrize("scheme", ["http", "rtsp", "tcp"])
def test_nobody_who_says_a_word_is_one_clear_line(scheme: str) -> None:
    with (
        mute() as port,
        pytest.raises(VideoError) as refused,
        source(f"{scheme}://me:secret@127.0.0.1:{port}/a", timeout=0.3),
    ):
        pass
    assert str(refused.value) == (
        f"{address_label(f'{scheme}://127.0.0.1:{port}/a')}: not opened: no answer within 0.3 s (timeout); is it "
        "switched on, and are address and password right?"
    )


def test_what_cannot_be_opened_is_said_at_once(tmp_path: Path, stream: bytes) -> None:
    with mute() as port:
        pass  # nobody listens there any more
    with pytest.raises(VideoError, match=r"http://127.*: not opened: Connection refused; is it switched on"):
        source(f"http://me:secret@127.0.0.1:{port}/a", max_outage=0.1).__enter__()
    with pytest.raises(VideoError, match="no such file; check the path"):
        source(str(tmp_path / "none.mp4")).__enter__()
    with camera(HttpCamera, b"no video at all" * 1000, 0) as server, pytest.raises(VideoError, match="not opened: Inv"):
        source(http(server, "/file")).__enter__()


def test_a_playlist_from_outside_opens_no_file_of_ours(stream: bytes, tmp_path: Path) -> None:
    (tmp_path / "own.ts").write_bytes(stream)
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{(tmp_path / 'own.ts').as_uri()}\n#EXT-X-ENDLIST\n"
    with camera(HttpCamera, playlist.encode(), 0) as server, pytest.raises(VideoError):
        source(http(server, "/list.m3u8"), timeout=1).__enter__()


def test_a_slow_consumer_loses_a_whole_run_and_hears_of_it(stream: bytes) -> None:
    with camera(HttpCamera, stream, 0) as server, source(http(server), on_end="stop", queue_frames=20) as live:
        deadline = time.monotonic() + 5
        while live.dropped + live.waiting < FRAMES and time.monotonic() < deadline:
            time.sleep(0.01)
        _, *frames, gap, lost = list(live)
    assert isinstance(lost, Lost)
    assert [frame.number for frame in frames_of(frames)] == list(range(20))
    assert isinstance(gap, Gap)
    assert (gap.kind, gap.frames, gap.seconds) == ("slow", 40, 2.0)
    assert gap.reason == "frames come faster than they are worked on: 40 left out"
    assert live.dropped == 40


def test_damage_is_counted_and_the_stream_goes_on(stream: bytes) -> None:
    packets = [stream[at : at + PACKET] for at in range(0, len(stream), PACKET)]
    holed = b"".join(packet for n, packet in enumerate(packets) if not 60 <= n < 70)
    with camera(HttpCamera, holed, 0) as server, source(http(server), on_end="stop") as live:
        items = list(live)
    (gap,) = [item for item in items if isinstance(item, Gap)]
    frames = frames_of(items)
    assert live.damaged
    assert (gap.kind, len(frames) + gap.frames) == ("jump", FRAMES)
    assert frames[-1].number == FRAMES - 1


def test_a_file_in_real_time_takes_its_time(tmp_path: Path) -> None:
    path = encode_video(tmp_path / "a.mp4", 2, num_frames=11)
    with source(str(path), realtime=True) as live:
        frames = frames_of(list(live))
    assert len(frames) == 11
    assert frames[-1].arrived - frames[0].arrived > 0.39


def test_a_stream_is_displayed_in_square_pixels(stream: bytes, tmp_path: Path) -> None:
    path = tmp_path / "wide.ts"
    with av.open(str(path), "w") as container:
        track = container.add_stream("libx264", rate=25, options={"tune": "zerolatency"})
        track.height, track.width, track.pix_fmt = 48, 64, "yuv420p"
        track.codec_context.sample_aspect_ratio = Fraction(3, 2)
        for number in range(30):
            picture = np.full((48, 64, 3), 8 * number, np.uint8)
            container.mux(track.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(track.encode(None))
    with camera(HttpCamera, path.read_bytes(), seconds=0.3) as server, source(http(server), on_end="stop") as live:
        first, *frames = list(live)
    assert isinstance(first, Opened)
    assert (first.info.width, first.info.height) == (96, 48)
    np.testing.assert_array_equal([frame.pixels for frame in frames_of(frames)], offline(path))


@pytest.mark.parametrize("how", ["file", "http"])
def test_a_picture_beyond_the_limits_is_refused_before_it_is_scaled(how: str, tmp_path: Path) -> None:
    path = tmp_path / "thin.ts"
    with av.open(str(path), "w") as container:
        track = container.add_stream("mpeg2video", rate=25)
        track.height, track.width, track.pix_fmt = 16, 4000, "yuv420p"
        for _ in range(5):
            container.mux(track.encode(av.VideoFrame.from_ndarray(np.zeros((16, 4000, 3), np.uint8))))
        container.mux(track.encode(None))
    said = r"4000x16 pixels, one side 250 times the other and the limit is 32; crop it"
    with camera(HttpCamera, path.read_bytes(), seconds=0.2) as server:
        url = str(path) if how == "file" else http(server)
        with pytest.raises(VideoError, match=said), source(url):
            pass


@pytest.mark.parametrize(("kind", "scheme"), [(HttpCamera, "http"), (RtspCamera, "rtsp")])
def test_a_camera_that_is_not_there_yet_is_waited_for(kind: type, scheme: str, stream: bytes) -> None:
    with mute() as port:
        pass
    said: list[str] = []
    live = FrameSource(
        f"{scheme}://me:secret@127.0.0.1:{port}/live",
        region_of,
        SourceSettings(timeout=5.0, first_delay=0.1, on_end="stop"),
        np.random.default_rng(0),
        say=said.append,
    )
    servers = []

    def start_later() -> None:
        while not said:  # it was called, and nobody was there
            time.sleep(0.01)
        servers.append(camera(kind, stream, 0.5, port=port))
        servers[0].__enter__()

    thread = threading.Thread(target=start_later)
    thread.start()
    with live:
        frames = frames_of(list(live))
    thread.join()
    servers[0].__exit__(None, None, None)
    assert len(frames) >= FRAMES - 1
    (text,) = said
    assert "not opened: Connection refused" in text
    assert text.endswith("it is called again for 15 s")
    assert "secret" not in text


def test_nobody_waits_for_one_that_the_server_refuses_or_that_is_stopped(stream: bytes) -> None:
    begun = time.monotonic()
    with camera(HttpCamera, b"no video at all" * 1000, 0) as server, pytest.raises(VideoError, match="not opened: Inv"):
        source(http(server, "/file"), timeout=60).__enter__()
    stopped: list[str] = []
    with mute() as port:
        pass
    live = FrameSource(
        f"http://127.0.0.1:{port}/live",
        region_of,
        SourceSettings(),
        np.random.default_rng(0),
        stopped=stopped,
        say=lambda _: stopped.append("SIGINT"),
    )
    with live:
        assert not live.is_waited_for
    assert time.monotonic() - begun < 20
