"""Whoever gave a wrong path reads what is there instead."""

from __future__ import annotations

from pathlib import Path

from pretrain.path_words import what_is_at


def test_each_thing_has_its_words(tmp_path: Path) -> None:
    file, empty, link = tmp_path / "it's\n.mp4", tmp_path / "é mpty", tmp_path / "link"
    file.write_text("x")
    empty.mkdir()
    link.symlink_to(tmp_path / "gone")
    assert what_is_at(file) == f"'{tmp_path}/it's\\n.mp4' is a file"
    assert what_is_at(empty) == f"'{empty}' is an empty folder"
    assert what_is_at(tmp_path) == f"'{tmp_path}' is a folder"
    assert what_is_at(link) == f"'{link}' is a link to nothing"
    assert what_is_at(tmp_path / "runs") == f"there is no file or folder '{tmp_path}/runs'"
