from __future__ import annotations

from pathlib import Path

import pytest

from pretrain.data.catalogues.listed_paths import in_other_form, listed_path


@pytest.mark.parametrize(
    ("there", "listed", "found"),
    [
        ("a/b.mp4", "a/b.mp4", "a/b.mp4"),
        ("a/b.mp4", " a/b.mp4 ", "a/b.mp4"),
        (" b.mp4", " b.mp4", " b.mp4"),
        ("a/b.mp4", "a\\b.mp4", "a/b.mp4"),
        ("a\\b.mp4", "a\\b.mp4", "a\\b.mp4"),
        ("frames", "frames/", "frames"),
    ],
)
def test_a_path_as_written_or_as_meant(tmp_path: Path, there: str, listed: str, found: str) -> None:
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).touch()
    assert listed_path(str(tmp_path), listed) == f"{tmp_path}/{found}"


def test_an_absolute_path_stays(tmp_path: Path) -> None:
    assert listed_path("/root", str(tmp_path / "a.mp4")) == str(tmp_path / "a.mp4")


def test_the_other_unicode_form() -> None:
    assert in_other_form("café", {"cafe\u0301", "other"}) == "cafe\u0301"
    assert in_other_form("cafe", {"cafe\u0301"}) is None
    assert in_other_form("café", {"tee"}) is None
