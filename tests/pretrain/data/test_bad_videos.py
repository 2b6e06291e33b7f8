from __future__ import annotations

import pytest

from pretrain.data.bad_videos import BadVideos
from pretrain.errors import UserError


def test_a_video_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    bad = BadVideos(10, 0.5, "data")
    bad.note({"a": "a.mp4: broken"})
    bad.note({"a": "a.mp4: broken", "b": "b.mp4: gone"})
    assert capsys.readouterr().err.splitlines() == [
        "left out from here on: a.mp4: broken",
        "left out from here on: b.mp4: gone",
    ]
    bad.note({"c": "c.mp4: gone"}, show=False)
    assert capsys.readouterr().err == ""
    assert bad.reasons == {"a": "a.mp4: broken", "b": "b.mp4: gone", "c": "c.mp4: gone"}


def test_too_many_stop_the_run() -> None:
    bad = BadVideos(total=100, max_fraction=0.01, section="videos")
    bad.note({"a": "a.mp4: broken"})
    bad.note({"a": "a.mp4: broken"})
    with pytest.raises(
        UserError, match=r"2 of 100 videos cannot be read, more than videos\.max_bad_fraction(?s:.*)videos\.quarantine"
    ):
        bad.note({"b": "b.mp4: broken"})
