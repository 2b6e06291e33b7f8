"""Lists, frames and rendered videos from Python. That rendering works, the notebooks say."""

from __future__ import annotations

from pathlib import Path

import pytest

from anomaly_pretext.footage import open_catalogue, read_frames, render_videos
from pretrain.errors import UserError


def test_a_list_of_videos_and_frames_of_one(listed_videos: Path) -> None:
    videos = open_catalogue({"kind": "csv", "root": listed_videos, "annotations": listed_videos / "list.csv"})
    assert [video.split for video in videos].count("test") == 2
    (abnormal,) = [video for video in videos if video.spans]
    assert abnormal.spans == ((20, 60),)
    assert read_frames(abnormal.path, [3, 50, 3]).shape == (3, 48, 72, 3)
    with pytest.raises(UserError, match="unknown catalogue kind 'cvs'"):
        open_catalogue({"kind": "cvs"})


def test_nothing_is_rendered_over_something_else(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(UserError, match=str(tmp_path)):
        render_videos(tmp_path)
