"""Each thing that can be wrong with a file is one line that names the file, the reason and the mend."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import pytest

from pretrain.data.video import IndexCache, VideoError, frame_times, probe, read_frames
from pretrain.errors import UserError


def failure(path: Path) -> str:
    with pytest.raises(VideoError) as caught:
        probe(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text


def test_missing(tmp_path: Path) -> None:
    assert "no such file; check the path" in failure(tmp_path / "nowhere.mp4")


def test_empty(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    assert "the file is empty (0 bytes)" in failure(tmp_path / "empty.mp4")


def test_text(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("hello\n" * 100)
    assert "not a video, or cut off before its header is complete" in failure(tmp_path / "text.mp4")


def test_audio_only(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "sound.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16000))
    assert "audio only, no video stream; take it off the list" in failure(tmp_path / "sound.wav")


def test_header_cut_off(encode: Any, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(encode("whole.mp4").read_bytes()[:2000])
    assert "cut off before its header is complete" in failure(cut)


def test_header_alone(encode: Any, tmp_path: Path) -> None:
    data = encode("whole.mp4").read_bytes()
    header = tmp_path / "header.mp4"  # the tables of a video whose pictures are gone
    header.write_bytes(data[: data.index(b"ftyp") + 28] + data[data.index(b"moov") - 4 :])
    assert "no frame decodes from its 5 packets (damaged)" in failure(header)


def test_encrypted(real: Path) -> None:
    for name in ("exoplayer__sample_fragmented_clearkey.mp4", "go_mp4__sample_init.enca.mp4"):
        assert "encrypted" in failure(real / "odd_videos" / name)


def test_a_playlist_opens_nothing_else(tmp_path: Path) -> None:
    playlist = tmp_path / "list.m3u8"
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://localhost:9/segment.ts\n#EXT-X-ENDLIST\n")
    failure(playlist)


@pytest.mark.parametrize(("index", "number"), [(60, 60), (-1, -1), (1000, 1000)])
@pytest.mark.parametrize("reader", ["pyav", "decord"])
def test_no_such_frame(encode: Any, index: int, number: int, reader: str) -> None:
    if reader == "decord":
        pytest.importorskip("decord")
    path = encode("sixty.mp4")
    with pytest.raises(VideoError, match=rf"sixty.mp4: no frame {number}: it has 60 frames, numbered 0 to 59"):
        read_frames(path, [0, index], reader=reader)


def test_unknown_reader_is_suggested(encode: Any) -> None:
    with pytest.raises(UserError, match=r"unknown reader 'pyva'; did you mean 'pyav'\?; there are: pyav, decord"):
        probe(encode("any.mp4", frames=3), reader="pyva")


def test_size_of_nothing(encode: Any) -> None:
    with pytest.raises(UserError, match="height and width must be at least 1 pixel"):
        read_frames(encode("any.mp4", frames=3), [0], size=(0, 10))


def test_a_name_like_a_protocol(encode: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pipe:1.mp4").write_bytes(encode("any.mp4", frames=3).read_bytes())
    monkeypatch.chdir(tmp_path)
    assert probe("pipe:1.mp4").num_frames == 3
    assert len(frame_times("pipe:1.mp4", cache=IndexCache(None))) == 3
