"""Regular files of a stated size, and names that stand in files: none of them leads out of its folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pretrain.errors import UserError
from pretrain.reading import Unreadable, own_file, read_bytes, read_utf8, refuse_link_out, require_regular


def test_a_regular_file_and_its_limit(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"\xef\xbb\xbfcaf\xc3\xa9")
    assert read_bytes(file, 8) == file.read_bytes()
    assert read_utf8(file, 8) == "café"
    assert require_regular(file) == 8
    with pytest.raises(Unreadable, match="it has 8 bytes, and at most 7 are read"):
        read_bytes(file, 7)


def test_what_never_ends_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path, reason in (
        (tmp_path / "pipe", "a pipe, not a regular file"),
        (tmp_path, "a folder, not a regular file"),
        (Path("/dev/zero"), "a device, not a regular file"),
        (tmp_path / "loop", "Too many levels of symbolic links"),
        (tmp_path / "none", "No such file"),
        (f"{tmp_path}/nul\0l", "null byte"),
    ):
        with pytest.raises(Unreadable, match=reason):
            read_bytes(path, 100)


def test_text_that_is_no_utf8(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xff")
    with pytest.raises(Unreadable, match="can't decode"):
        read_utf8(tmp_path / "a", 10)


@pytest.mark.parametrize(
    "name",
    [
        "../a",
        "a/../../b",
        "/etc/passwd",
        "",
        ".",
        "..",
        "a//b",
        "a/./b",
        "C:/a",
        "a\\b",
        "a\0",
        None,
        7,
        ["a"],
        "a" * 2000,
    ],
)
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: object) -> None:
    with pytest.raises(UserError, match=r"^the array of x is .*(leads out|no name of a file)"):
        own_file(tmp_path, name, "the array of x")


def test_links_that_lead_elsewhere_are_refused(tmp_path: Path) -> None:
    inside, outside = tmp_path / "set", tmp_path / "secret"
    inside.mkdir()
    outside.mkdir()
    (outside / "f").write_text("x")
    (inside / "real").write_text("x")
    (inside / "near").symlink_to("real")
    (inside / "folder").symlink_to(outside)
    (inside / "far").symlink_to(outside / "f")
    assert own_file(inside, "real", "it") == inside / "real"
    assert own_file(inside, "near", "it") == inside / "near"
    assert own_file(inside, "not/there/yet", "it") == inside / "not/there/yet"
    for name in ("far", "folder", "folder/f"):
        with pytest.raises(UserError, match="it is a link that leads out of"):
            own_file(inside, name, "it")
    (tmp_path / "set-2").mkdir()  # begins like the folder, and is another
    (inside / "twin").symlink_to(tmp_path / "set-2")
    with pytest.raises(UserError, match="leads out"):
        refuse_link_out(inside, inside / "twin", "it")
