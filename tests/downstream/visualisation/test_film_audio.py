from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from downstream.scores.video_scores import make_scores
from downstream.visualisation import film
from downstream.visualisation.film import write_film
from pretrain.data.video import frame_times
from tests.downstream.visualisation.sounding import FPS, MOMENTS, encode_with_sound, moments_of
from tests.pretrain.encoding import encode_video

SCORES = make_scores("v", [0.1, 0.9], [0, 30, 60])


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def sound_of(path: Path) -> tuple[str, int]:
    with av.open(str(path)) as container:
        (stream,) = container.streams.audio
        return stream.codec_context.codec.canonical_name, stream.rate


@pytest.mark.parametrize(
    ("name", "codec", "rate", "expected"),
    [
        ("a.mp4", "aac", 48000, ("aac", 48000)),
        ("a.ts", "aac", 44100, ("aac", 44100)),
        ("a.mkv", "libmp3lame", 44100, ("mp3", 44100)),
        ("slow.mkv", "libmp3lame", 8000, ("aac", 48000)),
        ("a.avi", "pcm_s16le", 8000, ("aac", 48000)),
        ("b.mkv", "libopus", 24000, ("aac", 48000)),
        ("c.mkv", "ac3", 44100, ("aac", 44100)),
    ],
)
def test_sound_is_in_the_film_within_a_frame_of_its_picture(
    tmp_path: Path, name: str, codec: str, rate: int, expected: tuple[str, int]
) -> None:
    video = encode_with_sound(tmp_path / name, codec, rate)
    target = tmp_path / "film.mp4"
    assert write_film(target, str(video), SCORES) == ""
    flashes, clicks = moments_of(target, 90)
    assert flashes == pytest.approx(MOMENTS, abs=0.001)
    assert clicks == pytest.approx(MOMENTS, abs=1 / FPS)
    assert sound_of(target) == expected


def test_what_browsers_play_is_copied_byte_by_byte(tmp_path: Path) -> None:
    video = encode_with_sound(tmp_path / "a.mkv")
    write_film(tmp_path / "film.mp4", str(video), SCORES)
    source, copied = packets(video), packets(tmp_path / "film.mp4")
    assert len(copied) > 130
    assert any(copied == source[first : first + len(copied)] for first in (0, 1))  # the first lies before time 0


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
@pytest.mark.parametrize(
    ("video_start", "sound_start", "sound_end"),
    [(5.0, 0.0, 3.0), (1.0, -0.7, 4.5), (0.0, 1.5, 3.0)],
    ids=["both late by the clock", "sound before and after the pictures", "sound begins in the middle"],
)
def test_picture_and_sound_stay_together_wherever_they_begin(
    tmp_path: Path, codec: str, video_start: float, sound_start: float, sound_end: float
) -> None:
    video = encode_with_sound(
        tmp_path / "a.mkv", codec, video_start=video_start, sound_start=sound_start, sound_end=sound_end
    )
    write_film(tmp_path / "film.mp4", str(video), SCORES)
    flashes, clicks = moments_of(tmp_path / "film.mp4", 90)
    assert flashes == pytest.approx(MOMENTS, abs=0.001)
    assert clicks == pytest.approx([moment for moment in MOMENTS if moment >= sound_start], abs=1 / FPS)
    with av.open(str(tmp_path / "film.mp4")) as container:
        assert container.duration / 1e6 == pytest.approx(3.0, abs=0.05)


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_frames_that_come_unevenly_keep_their_times(tmp_path: Path, codec: str) -> None:
    rng = np.random.default_rng(3)
    # many frames in the first second, few in the others: at a mean rate the second flash would come 0.6 s late
    times = np.unique([*np.round(np.cumsum(rng.uniform(0.012, 0.02, 55)), 3), 1.0, *np.arange(1.1, 3, 0.1).round(3)])
    video = encode_with_sound(tmp_path / "a.mkv", codec, times=times - times[0])
    expected = frame_times(video)
    write_film(tmp_path / "film.mp4", str(video), SCORES)
    assert frame_times(tmp_path / "film.mp4") == pytest.approx(expected, abs=0.001)
    flashes, clicks = moments_of(tmp_path / "film.mp4", 90)
    assert flashes == pytest.approx(MOMENTS, abs=0.03)
    assert clicks == pytest.approx(MOMENTS, abs=0.03)


def test_a_gap_in_the_sound_does_not_draw_the_rest_forward(tmp_path: Path) -> None:
    video, cut = encode_with_sound(tmp_path / "a.mkv", "pcm_s16le"), tmp_path / "cut.mkv"
    with av.open(str(video)) as source, av.open(str(cut), "w") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            is_sound = packet.stream.type == "audio"
            if packet.dts is not None and not (is_sound and 0.4 < float(packet.pts * packet.time_base) < 0.8):
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    write_film(tmp_path / "film.mp4", str(cut), SCORES)
    assert moments_of(tmp_path / "film.mp4", 90).clicks == pytest.approx(MOMENTS, abs=1 / FPS)


def damage(video: Path, target: Path, every: int) -> Path:
    """Each so manyth packet of an AAC track becomes noise."""
    rng = np.random.default_rng(0)
    with av.open(str(video)) as source, av.open(str(target), "w") as out:
        streams = {stream.index: out.add_stream_from_template(stream) for stream in source.streams}
        number = 0
        for packet in source.demux():
            if packet.dts is None:
                continue
            if packet.stream.type == "audio":
                number += 1
                if number % every == 0:
                    packet.update(rng.bytes(packet.size))
            packet.stream = streams[packet.stream.index]
            out.mux(packet)
    return target


def test_damaged_sound_is_left_out_and_told(tmp_path: Path) -> None:
    video = encode_with_sound(tmp_path / "a.mkv")
    note = write_film(tmp_path / "film.mp4", str(damage(video, tmp_path / "bad.mkv", 2)), SCORES)
    assert note.startswith(f"{tmp_path / 'bad.mkv'}: the film has no sound: ")
    assert note.endswith("sound packets are damaged")
    assert "\n" not in note
    with av.open(str(tmp_path / "film.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video"]


def test_a_few_damaged_packets_leave_the_rest(tmp_path: Path) -> None:
    video = damage(encode_with_sound(tmp_path / "a.mkv"), tmp_path / "scratched.mkv", 60)
    note = write_film(tmp_path / "film.mp4", str(video), SCORES)
    assert "sound packets are damaged; the film is silent there" in note
    assert moments_of(tmp_path / "film.mp4", 90).clicks == pytest.approx(MOMENTS, abs=1 / FPS)


def test_sound_that_the_file_refuses_ends_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = encode_with_sound(tmp_path / "a.mkv")
    real = film.added

    class Backwards:
        def __init__(self, *given: object) -> None:
            self.inner = real(*given)  # type: ignore[arg-type]

        def __enter__(self) -> object:
            return self.turned(self.inner.__enter__())

        def __exit__(self, *error: object) -> None:
            self.inner.__exit__(*error)  # type: ignore[arg-type]

        def turned(self, entries: object) -> object:
            for number, (start, packet) in enumerate(entries):  # type: ignore[arg-type, var-annotated]
                if number == 40:
                    packet.pts = packet.dts = 0
                yield start, packet

    monkeypatch.setattr(film, "added", Backwards)
    note = write_film(tmp_path / "film.mp4", str(video), SCORES)
    assert note == "the film's sound ends at 0.9 s: what follows is damaged (Invalid argument)"
    with av.open(str(tmp_path / "film.mp4")) as container:
        assert len(list(container.decode(video=0))) == 75


def test_videos_without_sound_have_films_without(tmp_path: Path) -> None:
    assert write_film(tmp_path / "film.mp4", str(encode_video(tmp_path / "a.mp4", 1, num_frames=70)), SCORES) == ""
    with av.open(str(tmp_path / "film.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video"]
    with av.open(str(tmp_path / "a.mp4")) as container:
        folder = tmp_path / "a"
        folder.mkdir()
        for number, frame in enumerate(container.decode(video=0)):
            frame.to_image().save(folder / f"{number}.jpg")
    assert write_film(tmp_path / "film.mp4", str(folder), SCORES) == ""
    assert frame_times(tmp_path / "film.mp4") == pytest.approx(np.arange(70) / 25)
