"""What a report says of a video: its link leads from the page to the file."""

from __future__ import annotations

from pathlib import Path

from downstream.report.content import relative_link


def test_links_are_quoted(tmp_path: Path) -> None:
    assert relative_link(tmp_path / "x y" / "a:b#1.mp4", tmp_path / "out" / "report.html") == "../x%20y/a%3Ab%231.mp4"
