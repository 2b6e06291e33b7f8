"""Folders of `video_features`: streams, and what the files beside them say of time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from downstream.features.import_config import LayoutFlags
from downstream.features.import_sources import plan_sources
from downstream.features.importing import import_features
from downstream.features.store import FeatureSet
from downstream.features.timing import Timing
from pretrain.errors import UserError


def write(folder: Path, name: str, rows: int, *, step: int = 64, fps: float = 25.0, streams: str = "rgb flow") -> None:
    folder.mkdir(exist_ok=True)
    for number, stream in enumerate(streams.split()):
        np.save(folder / f"{name}_{stream}.npy", np.full((rows, 70), number, np.float32))
    np.save(folder / f"{name}_fps.npy", np.array(fps))
    np.save(folder / f"{name}_timestamps_ms.npy", (np.arange(rows) * step + step) * 1000 / fps)


def made(folder: Path, out: Path, known: dict[str, Timing] | None = None, **flags: object) -> FeatureSet:
    plan = plan_sources([folder], LayoutFlags(**flags), "i3d", "float32", known=known)  # type: ignore[arg-type]
    return import_features(plan, out)


def test_a_stream_is_a_set_with_the_frames_and_rate_of_its_times(tmp_path: Path) -> None:
    write(tmp_path / "i3d", "Abuse001_x264", 5)
    write(tmp_path / "i3d", "cam_2", 1)
    with pytest.raises(
        UserError, match=r"several streams: flow \(2 files\), rgb \(2 files\)\. Say which with --stream"
    ):
        made(tmp_path / "i3d", tmp_path / "set")
    flow = made(tmp_path / "i3d", tmp_path / "set", stream="flow", known={"cam_2": Timing(None, 70, 30.0)})
    assert flow.spec.snippet_frames == 64
    assert {name: (video.fps, video.frames) for name, video in flow.videos.items()} == {
        "Abuse001_x264": (25.0, None),
        "cam_2": (30.0, 70),
    }
    assert (flow.read("cam_2") == 1).all()
    with pytest.raises(UserError, match="--stream 'audio': no files NAME_audio; there are flow"):
        made(tmp_path / "i3d", tmp_path / "none", stream="audio")


def test_videos_of_different_steps_keep_their_own_and_flags_win(tmp_path: Path) -> None:
    write(tmp_path / "clip", "a", 4, step=10, streams="clip")
    write(tmp_path / "clip", "b", 4, step=12, streams="clip")
    own = made(tmp_path / "clip", tmp_path / "set")
    assert own.spec.snippet_frames is None
    assert [own.videos[name].snippet_frames for name in "ab"] == [10, 12]
    assert made(tmp_path / "clip", tmp_path / "said", snippet_frames=16).spec.snippet_frames == 16


def test_times_that_do_not_hang_together_are_said(tmp_path: Path) -> None:
    write(tmp_path / "x", "a", 6, streams="rgb")
    np.save(tmp_path / "x" / "a_timestamps_ms.npy", np.array([0, 100, 5000, 5100, 9000, 9100.0]))
    with pytest.raises(UserError, match=r"a_timestamps_ms\.npy: rows lie 2\.50 to 122\.50 frames apart"):
        made(tmp_path / "x", tmp_path / "set")
    np.save(tmp_path / "x" / "a_fps.npy", np.array([[None]], object))
    with pytest.raises(UserError, match=r"a_fps\.npy: it holds pickled Python objects"):
        made(tmp_path / "x", tmp_path / "set")


def test_without_such_files_a_stream_is_an_ending(tmp_path: Path) -> None:
    np.save(tmp_path / "a_rgb.npy", np.ones((3, 70), np.float32))
    with pytest.raises(UserError, match="--stream is 'rgb', but no file has a NAME_fps"):
        made(tmp_path, tmp_path / "set", stream="rgb")
    assert list(made(tmp_path, tmp_path / "set", strip="_rgb").videos) == ["a"]
