from __future__ import annotations

import pytest

from downstream.doctor.names import Suggestions, bare_name


@pytest.mark.parametrize(
    ("listed", "stored"),
    [
        ("Abuse028_x264", "Abuse028"),
        ("Abuse028", "Abuse028_x264_i3d"),
        ("Abuse028_x264", "abuse028__0"),
        ("v=S-7rRLrxnVQ__#1_label_B4-0-0", "v=S-7rRLrxnVQ__#1"),
        ("v=S-7rRLrxnVQ__#1", "v=S-7rRLrxnVQ__#1_label_B4-0-0"),
        ("01_0014", "01_0014.npy"),
        ("E\u0301lite", "\u00c9lite_rgb"),
    ],
)
def test_names_that_differ_at_the_end(listed: str, stored: str) -> None:
    assert Suggestions(["other_x264", stored]).like(listed) == stored


@pytest.mark.parametrize(
    ("listed", "stored"),
    [
        ("Abuse028_x264", ["Abuse029_x264"]),
        ("Normal_Videos_003_x264", ["Normal_Videos003_x264"]),
        ("Abuse028_x264", ["Abuse028__0", "Abuse028__1"]),
        ("01_0014", ["01", "01_0015"]),
    ],
)
def test_no_name_is_better_than_a_wrong_one(listed: str, stored: list[str]) -> None:
    assert Suggestions(stored).like(listed) is None


def test_one_video_under_two_names() -> None:
    assert bare_name("Arrest003_x264.mp4") == bare_name("arrest003")
    assert bare_name("Normal_Videos_003_x264") != bare_name("Normal_Videos003_x264")
    assert bare_name("film__0") != bare_name("film__1")
