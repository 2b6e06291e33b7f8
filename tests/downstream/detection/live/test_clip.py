"""A clip plays what was kept, each frame at its own time, whole or not there."""

from __future__ import annotations

import io
from pathlib import Path

import av
import pytest
from PIL import Image

from downstream.detection.live.clip import write_clip
from downstream.detection.live.picture_ring import KeptFrame


def frame(number: int, seconds: float, brightness: int, size: tuple[int, int] = (64, 48)) -> KeptFrame:
    file = io.BytesIO()
    Image.new("RGB", size, (brightness,) * 3).save(file, "JPEG")
    return KeptFrame(number, seconds, file.getvalue(), size)


def test_frames_are_shown_at_their_own_times(tmp_path: Path) -> None:
    seconds, grey = [100.0, 100.08, 100.5, 100.54, 103.0], [10, 60, 110, 160, 210]
    write_clip(
        tmp_path / "a.mp4", [frame(n, at, value) for n, (at, value) in enumerate(zip(seconds, grey, strict=True))]
    )
    with av.open(str(tmp_path / "a.mp4")) as clip:
        stream = clip.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        shown = [(each.time, each.to_ndarray(format="gray").mean()) for each in clip.decode(stream)]
    assert [at for at, _ in shown] == pytest.approx([at - 100 for at in seconds], abs=1e-4)
    assert [value for _, value in shown] == pytest.approx(grey, abs=8)
    assert (tmp_path / "a.mp4").read_bytes().find(b"moov") < 100  # the index is in front: it plays while it loads


def test_one_frame_and_odd_ones(tmp_path: Path) -> None:
    write_clip(tmp_path / "one.mp4", [frame(0, 5.0, 100)])
    frames = [
        frame(0, 5.0, 100, (63, 47)),
        frame(1, 5.0, 90, (63, 47)),
        frame(2, 5.1, 80, (32, 32)),
        frame(3, 5.2, 70, (63, 47)),
    ]
    write_clip(tmp_path / "odd.mp4", frames)
    for name, size, count in (("one", (64, 48), 1), ("odd", (62, 46), 3)):
        with av.open(str(tmp_path / f"{name}.mp4")) as clip:
            pictures = [each.to_ndarray(format="rgb24") for each in clip.decode(video=0)]
        assert [picture.shape[1::-1] for picture in pictures] == [size] * count


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    broken = KeptFrame(1, 1.0, b"no picture", (64, 48))
    with pytest.raises(OSError, match=r"a\.mp4"):
        write_clip(tmp_path / "a.mp4", [frame(0, 0.0, 9), broken])
    assert list(tmp_path.iterdir()) == []
