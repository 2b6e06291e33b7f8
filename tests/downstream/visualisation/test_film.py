from __future__ import annotations

import resource
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from downstream.events.alarm_level import LevelScale, own_scale
from downstream.scores.video_scores import VideoScores, make_scores
from downstream.visualisation import film
from downstream.visualisation.film import TICKS, film_size, film_ticks, write_film
from downstream.visualisation.pictures import EVENT
from downstream.visualisation.score_bar import BAR_HEIGHT
from pretrain.data.catalogue import Box
from pretrain.data.video import VideoError, VideoInfo, read_frames
from pretrain.errors import UserError
from tests.downstream.visualisation.drawn import THRESHOLD, boxes_of, hot_cell
from tests.pretrain.encoding import encode_video

LASTING = make_scores("v", [0.1, 0.9, 0.9, 0.9], [0, 8, 16, 24, 43])  # an event that fills most of the video
SCORES = hot_cell(5, {2: 0.9})  # snippets of 8 frames: hot from 16 to 24
TRUTH = [Box(frame, 40, 20, 60, 44) for frame in range(30, 34)]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """43 frames, of which the last three have no score."""
    return encode_video(tmp_path_factory.mktemp("film") / "street.mp4", 5, num_frames=43)


def write(target: Path, video: Path) -> None:
    write_film(target, str(video), SCORES, boxes_of(SCORES), TRUTH, THRESHOLD)


def test_a_film_plays_in_browsers_and_has_every_frame_at_the_same_rate(tmp_path: Path, video: Path) -> None:
    target = tmp_path / "new" / "film.mp4"
    write(target, video)
    with av.open(str(target)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt, stream.average_rate) == ("h264", "yuv420p", Fraction(25))
        assert (stream.width, stream.height) == (144, 96 + BAR_HEIGHT)
        times = [frame.time for frame in container.decode(video=0)]
    assert times == pytest.approx(np.arange(43) / 25)
    content = target.read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")
    assert [path.name for path in target.parent.iterdir()] == ["film.mp4"]


def test_boxes_and_heat_are_on_the_frames_of_their_snippet(tmp_path: Path, video: Path) -> None:
    write(tmp_path / "film.mp4", video)
    drawn = read_frames(tmp_path / "film.mp4", range(43)).astype(int)
    plain = read_frames(video, range(43), size=(96, 144)).astype(int)
    change = np.abs(drawn[:, :96] - plain).mean(axis=3)

    def changed(top: int, bottom: int, left: int, right: int) -> list[int]:
        return np.flatnonzero(change[:, top:bottom, left:right].mean(axis=(1, 2)) > 40).tolist()

    assert changed(46, 48, 50, 70) == list(range(16, 24))  # lower edge of the found box, at twice the size
    assert changed(32, 40, 54, 66) == list(range(16, 24))  # its inside: heat alone
    assert changed(86, 88, 82, 118) == list(range(30, 34))  # lower edge of the annotated box


def test_the_cursor_goes_from_left_to_right(tmp_path: Path, video: Path) -> None:
    write(tmp_path / "film.mp4", video)
    bar = read_frames(tmp_path / "film.mp4", [0, 21, 42])[:, -BAR_HEIGHT:].astype(int).min(axis=3)
    bright = bar[:, 62:112].min(axis=1)  # a column that is white from top to bottom
    assert bright.argmax(axis=1) == pytest.approx([1, 72, 142], abs=2)


def test_detectors_of_whole_pictures_have_films_without_heat_and_boxes(tmp_path: Path, video: Path) -> None:
    whole = VideoScores(SCORES.name, SCORES.scores, SCORES.edges)
    assert write_film(tmp_path / "film.mp4", str(video), whole) == ""
    drawn = read_frames(tmp_path / "film.mp4", range(43))[:, :96].astype(int)
    plain = read_frames(video, range(43), size=(96, 144)).astype(int)
    assert np.abs(drawn - plain).mean() < 6  # what encoding leaves


def test_the_frame_of_events_is_round_the_picture_while_they_last(tmp_path: Path, video: Path) -> None:
    whole = VideoScores(SCORES.name, SCORES.scores, SCORES.edges)
    write_film(tmp_path / "film.mp4", str(video), whole, threshold=THRESHOLD, events=[(8, 16), (32, 48)])
    drawn = read_frames(tmp_path / "film.mp4", range(43)).astype(int)
    amber = np.array([int(EVENT[at : at + 2], 16) for at in (1, 3, 5)])
    sides = (drawn[:, 94:96, 10:40], drawn[:, 30:80, :2], drawn[:, 30:80, 142:144], drawn[:, :2, 10:40])
    for side in sides:
        off = np.abs(side - amber).mean(axis=(1, 2, 3))
        assert np.flatnonzero(off < 30).tolist() == [*range(8, 16), *range(32, 43)]


def test_events_that_are_not_in_the_video_are_refused(tmp_path: Path, video: Path) -> None:
    with pytest.raises(
        UserError, match=r"no events of 43 frames: \[\(5, 5\), \(43, 50\)\]; give frames \[start, end\)"
    ):
        write_film(tmp_path / "film.mp4", str(video), SCORES, events=[(0, 43), (5, 5), (43, 50)])
    assert list(tmp_path.iterdir()) == []


def test_a_turned_video_has_an_upright_film(tmp_path: Path, video: Path) -> None:
    turned = tmp_path / "turned.mp4"
    with av.open(str(video)) as source, av.open(str(turned), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    content = bytearray(turned.read_bytes())
    at = content.index(b"tkhd") + 4 + 40  # the display matrix, 16.16 fixed: turned by 90 degrees
    matrix = np.array([0, 1 << 16, 0, -(1 << 16), 0, 0, 48 << 16, 0, 1 << 30], ">i4")
    content[at : at + 36] = matrix.tobytes()
    turned.write_bytes(content)
    write_film(tmp_path / "film.mp4", str(turned), make_scores("v", [0.5], [0, 43]))
    drawn = read_frames(tmp_path / "film.mp4", [20])[0, :144]
    assert drawn.shape == (144, 96, 3)
    upright = np.rot90(read_frames(video, [20], size=(96, 144))[0], -1)
    assert np.abs(drawn.astype(int) - upright).mean() < 6


@given(st.lists(st.floats(0, 0.2), min_size=1, max_size=50))
def test_ticks_rise_and_are_as_near_to_the_times_as_can_be(gaps: list[float]) -> None:
    times = np.cumsum(gaps) - gaps[0]
    ticks = film_ticks(times)
    assert (np.diff(ticks) >= 1).all()
    assert (np.abs(ticks / TICKS - times) <= (len(times) + 1) / TICKS).all()
    apart = np.arange(len(times)) / 29.97
    assert np.abs(film_ticks(apart) / TICKS - apart).max() <= 0.5 / TICKS + 1e-9


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [(320, 240, (640, 480)), (1921, 1081, (852, 480)), (60, 41, (120, 82)), (4000, 300, (1280, 96))],
)
def test_the_size_is_even_and_bounded(width: int, height: int, expected: tuple[int, int]) -> None:
    assert film_size(VideoInfo(1, 25.0, width, height, 0.04, "h264", 0, True), 480) == expected


def test_without_the_encoder_the_message_says_what_to_install(
    tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(film, "ENCODER", "libx264_of_another_build")
    with pytest.raises(
        UserError, match=r"without the encoder libx264_of_another_build; install its wheel: pip install"
    ):
        write(tmp_path / "film.mp4", video)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.95, 0.9999])
def test_a_disk_that_becomes_full_is_told_and_the_old_film_stays(tmp_path: Path, video: Path, share: float) -> None:
    target = tmp_path / "film.mp4"
    write(target, video)
    room = int(share * target.stat().st_size)
    target.write_bytes(b"the old one")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(UserError) as error:
            write(target, video)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(error.value) == (
        f"cannot write the film {target} (File too large); free some space or choose another folder, then run it again"
    )
    assert target.read_bytes() == b"the old one"
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, video: Path) -> None:
    (tmp_path / "films").write_text("a file")
    with pytest.raises(UserError, match=r"cannot write the film .*film\.mp4 \(.+\); choose another folder, then"):
        write(tmp_path / "films" / "film.mp4", video)


def test_a_video_that_is_damaged_past_its_beginning_leaves_no_film(tmp_path: Path) -> None:
    folder = tmp_path / "street"
    folder.mkdir()
    for number in range(70):
        Image.new("RGB", (72, 48), (90, number, 90)).save(folder / f"{number}.jpg")
    damaged = folder / "68.jpg"
    damaged.write_bytes(damaged.read_bytes()[:-60])
    with pytest.raises(VideoError, match=r"68\.jpg"):
        write(tmp_path / "film.mp4", folder)
    assert [path.name for path in tmp_path.iterdir()] == ["street"]


def test_a_film_of_a_few_pixels_is_refused(tmp_path: Path, video: Path) -> None:
    with pytest.raises(UserError, match="max_height is 8; a film is at least 16 pixels high"):
        write_film(tmp_path / "film.mp4", str(video), SCORES, boxes_of(SCORES), [], THRESHOLD, max_height=8)


def test_a_film_is_the_same_bytes_each_time_and_anywhere(tmp_path: Path, video: Path) -> None:
    for name in ("a", "another folder/b", "c"):
        write(tmp_path / name / "film.mp4", video)
    assert len({path.read_bytes() for path in tmp_path.rglob("film.mp4")}) == 1


def test_without_a_calibration_levels_are_told_against_what_lies_below_the_threshold(
    tmp_path: Path, video: Path
) -> None:
    def drawn(name: str, levels: LevelScale | None) -> bytes:
        write_film(tmp_path / name, str(video), LASTING, threshold=0.5, levels=levels)
        return (tmp_path / name).read_bytes()

    as_it_comes = drawn("a.mp4", None)
    assert as_it_comes == drawn("b.mp4", own_scale(LASTING.scores, 0.5))
    assert as_it_comes != drawn("c.mp4", own_scale(LASTING.scores))
