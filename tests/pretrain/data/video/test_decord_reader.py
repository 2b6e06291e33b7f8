from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pretrain.data.video import VideoError, frame_times, probe, read_frames
from pretrain.errors import UserError

CLOSED = {"x264-params": "keyint=12:min-keyint=12:scenecut=0:bframes=0"}


@pytest.fixture
def decord() -> Any:
    return pytest.importorskip("decord")


@pytest.mark.usefixtures("decord")
def test_agrees_with_the_default_on_a_plain_file(encode: Any) -> None:
    path = encode("plain.mp4", options=CLOSED)
    first, second = probe(path), probe(path, reader="decord")
    assert (second.num_frames, second.width, second.height) == (first.num_frames, first.width, first.height)
    assert second.fps == pytest.approx(first.fps)
    indices = [40, 2, 2, 13]
    np.testing.assert_array_equal(read_frames(path, indices, reader="decord"), read_frames(path, indices))
    assert read_frames(path, indices, reader="decord", size=(24, 32)).shape == (4, 24, 32, 3)
    np.testing.assert_allclose(frame_times(path, reader="decord"), frame_times(path), atol=1e-3)


@pytest.mark.usefixtures("decord")
def test_its_errors_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("hello\n" * 100)
    with pytest.raises(VideoError, match=r"text.mp4: decord cannot read it \(.*\); try reader 'pyav'") as caught:
        probe(path, reader="decord")
    assert "\n" not in str(caught.value)
    with pytest.raises(VideoError, match="no such file"):
        probe(tmp_path / "nowhere.mp4", reader="decord")


def test_missing_package_is_a_message(encode: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = encode("any.mp4", frames=3)
    monkeypatch.setitem(sys.modules, "decord", None)
    with pytest.raises(UserError, match=r"reader 'decord': the package is not installed; `pip install decord`, or use"):
        probe(path, reader="decord")
    assert probe(path).num_frames == 3  # the default does without
