from __future__ import annotations

from pathlib import Path

import pytest

from pretrain.addresses import may_be_address
from pretrain.data.remote.address import (
    Place,
    address_of,
    base_name,
    folder_name,
    is_remote,
    joined,
    local_root,
    member_path,
    parse,
    place_text,
    plain_addresses,
)

DIGEST = "0123456789abcdef" * 2


@pytest.mark.parametrize("path", ["a.mp4", "/data/a.mp4", "C:/a.mp4", "data/x.tar", "odd:name/a.mp4", "a#b.mp4"])
def test_paths_of_this_machine_are_left_alone(path: str) -> None:
    assert not is_remote(path)
    assert address_of(path) is None


def test_a_file_that_is_named_like_a_member_is_a_file(tmp_path: Path) -> None:
    odd = tmp_path / "x.tar#a.mp4"
    odd.touch()
    assert not is_remote(str(odd))
    assert is_remote(str(tmp_path / "x.tar#b.mp4"))


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("s3://b/v/a.mp4", Place("s3://b/v/a.mp4")),
        ("s3://b/x.tar#train/a.mp4", Place("s3://b/x.tar", "train/a.mp4")),
        ("x/y.tar#512+20#v__#00-26_label_A.mp4", Place("x/y.tar", "v__#00-26_label_A.mp4", 512, 20)),
        (f"x/y.tar#512+20+{DIGEST}#a.mp4", Place("x/y.tar", "a.mp4", 512, 20, DIGEST)),
        ("file:///data/a.mp4", Place("/data/a.mp4")),
        ("x/y.tar#1+2.mp4", Place("x/y.tar", "1+2.mp4")),
    ],
)
def test_a_path_is_taken_apart(path: str, place: Place) -> None:
    assert is_remote(path)
    assert parse(path) == place


def test_a_path_with_its_bytes_is_of_the_same_source_as_one_without() -> None:
    known = member_path("s3://b/x.tar", "a/b.mp4", 512, 20, "f" * 64)
    assert known == f"s3://b/x.tar#512+20+{'f' * 32}#a/b.mp4"
    assert parse(known).source == parse("s3://b/x.tar#a/b.mp4").source
    assert (base_name(known), folder_name(known)) == ("b.mp4", "a")
    assert folder_name("s3://b/x.tar#b.mp4") == ""


def test_an_address_survives_being_a_path() -> None:
    assert address_of(Path("s3://bucket/videos/")) == "s3://bucket/videos"
    assert address_of(Path("https://host:8000/a")) == "https://host:8000/a"
    assert address_of(Path("data/videos")) is None
    assert address_of(Path("file:///data")) is None
    assert local_root(Path("file:///data")) == Path("/data")
    assert place_text(Path("s3://bucket/videos")) == "s3://bucket/videos"


def test_a_folder_that_is_named_like_an_address_is_that_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "s3:" / "videos").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert address_of(Path("s3:/videos")) is None


def test_names_are_joined_to_folders_and_tar_files(tmp_path: Path) -> None:
    assert joined("s3://b/v", "a.mp4") == "s3://b/v/a.mp4"
    assert joined("s3://b/v.tar", "a.mp4") == "s3://b/v.tar#a.mp4"
    (tmp_path / "v.tar").mkdir()
    assert joined(str(tmp_path / "v.tar"), "a.mp4") == f"{tmp_path}/v.tar/a.mp4"


def test_logins_and_byte_ranges_are_not_shown() -> None:
    shown = plain_addresses("https://anna:secret@host.org/x/a.mp4: broken, s3://b/x.tar#512+20#a.mp4 too")
    assert "secret" not in shown
    assert shown.startswith("https://host.org/~")
    assert shown.endswith(": broken, s3://b/x.tar#a.mp4 too")
    assert "key" not in plain_addresses("s3://key:secret@bucket/a.mp4: no")
    assert "token" not in plain_addresses("s3://bucket/a.mp4?token=1: no")


def test_what_names_a_bucket_and_nothing_else_is_not_concealed() -> None:
    assert not may_be_address("s3://bucket/ucf-crime")
    assert may_be_address("s3://key:secret@bucket/ucf-crime")
    assert may_be_address("https://host/ucf-crime")
