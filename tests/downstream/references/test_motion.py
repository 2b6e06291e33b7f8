"""Motion energy of encoded videos of which it is known when and where they move."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from downstream.references.motion import frame_differences, motion_energy, small_size
from pretrain.data.video import VideoError, VideoInfo

EDGES = np.arange(6) * 16


def encode(path: Path, moving: tuple[int, int], rows: tuple[int, int] = (20, 40), frames: int = 80) -> str:
    """Grey pictures of 96x64 in which, within some frames, a band of rows flickers."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "10"})
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        for number in range(frames):
            picture = np.full((64, 96, 3), 120, np.uint8)
            if moving[0] <= number < moving[1]:
                picture[slice(*rows)] = 80 + 80 * (number % 2)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return str(path)


def test_energy_is_the_mean_frame_difference_of_each_snippet(tmp_path: Path) -> None:
    energy = motion_energy(encode(tmp_path / "a.mp4", (32, 48)), EDGES)
    # 15 steps of 80 grey levels and one of 40 (into the flicker), on 20 of 64 rows
    assert energy[2] == pytest.approx((15 * 80 + 40) / 16 * 20 / 64, rel=0.05)
    assert energy[3] == pytest.approx(40 / 16 * 20 / 64, rel=0.2)  # back out of it, in its first frame
    assert energy[[0, 1, 4]].max() < 0.05


def test_short_snippets_are_smoothed_over_fifteen_frames(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", (40, 45))
    differences = np.array([value for _, value in frame_differences(path, (0, 0, 0, 0), None)])
    by_five = motion_energy(path, np.arange(17) * 5)
    of_nine, of_ten = differences[44:49].mean(), differences[49:54].mean()  # difference i is of frame i + 1
    assert by_five[9] == pytest.approx((differences[39:44].mean() + of_nine + of_ten) / 3)


def test_the_border_is_not_looked_at(tmp_path: Path) -> None:
    path = encode(tmp_path / "clock.mp4", (0, 80), rows=(0, 8))
    assert motion_energy(path, EDGES).min() > 5
    assert motion_energy(path, EDGES, (0.25, 0, 0, 0)).max() < 1


def test_frames_past_the_end_and_snippets_past_it(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", (32, 48), frames=60)
    longer = motion_energy(path, np.arange(7) * 16)
    assert longer[4] == longer[5] == longer[3]
    assert motion_energy(path, np.arange(3) * 16) == pytest.approx(longer[:2])


def test_a_folder_of_frames_and_a_single_frame(tmp_path: Path) -> None:
    for number in range(3):
        Image.fromarray(np.full((10, 12, 3), 20 * number, np.uint8)).save(tmp_path / f"{number}.png")
    assert motion_energy(str(tmp_path), np.array([0, 16])) == pytest.approx([20])
    for number in (1, 2):
        (tmp_path / f"{number}.png").unlink()
    assert motion_energy(str(tmp_path), np.array([0, 16, 32])).tolist() == [0, 0]


def test_what_cannot_be_read_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    with pytest.raises(VideoError, match=r"bad\.mp4: not a video"):
        motion_energy(str(tmp_path / "bad.mp4"), EDGES)


@pytest.mark.parametrize(
    ("width", "height", "size"), [(1920, 1080, (90, 160)), (96, 64, (64, 96)), (320, 240, (120, 160))]
)
def test_frames_are_scaled_down_and_never_up(width: int, height: int, size: tuple[int, int]) -> None:
    assert small_size(VideoInfo(1, 25.0, width, height, 1.0, "h264", 0, True)) == size
