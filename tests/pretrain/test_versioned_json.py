from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pretrain.errors import UserError
from pretrain.versioned_json import read_versioned_json, read_videos

FORMAT = "anomaly-pretext/things/1"


def read(path: Path) -> dict[str, Any]:
    return read_versioned_json(path, "the things", FORMAT, "make them again")


def test_the_content_of_a_file_of_this_format(tmp_path: Path) -> None:
    content = {"format": FORMAT, "more": [1, 2]}
    (tmp_path / "a.json").write_text("\ufeff" + json.dumps(content), encoding="utf-8")
    assert read(tmp_path / "a.json") == content


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, r"cannot read the things .*a\.json \(.*No such file.*\); make them again"),
        (b"{", r"cannot read the things .*a\.json \(Expecting property name.*\); make them again"),
        (b"\xff", r"cannot read the things .*a\.json \(.*can't decode.*\); make them again"),
        (b"[" * 10**5, r"cannot read the things .*a\.json \(.*recursion.*\); make them again"),
        (b"[]", r"a\.json has the format 'list', not 'anomaly-pretext/things/1'; make them again"),
        (b"{}", r"a\.json has the format None, not 'anomaly-pretext/things/1'; make them again"),
        (b'{"format": "anomaly-pretext/things/2"}', "has the format 'anomaly-pretext/things/2', not"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: bytes | None, words: str) -> None:
    if text is not None:
        (tmp_path / "a.json").write_bytes(text)
    with pytest.raises(UserError, match=words):
        read(tmp_path / "a.json")


def length(number: int, entry: Mapping[str, Any]) -> tuple[int, int]:
    if entry["length"] == 13:
        raise UserError(f"'{entry['name']}' is unlucky")
    return number, int(entry["length"])


def test_videos_by_name_in_the_order_of_the_file() -> None:
    entries = [{"name": "b", "length": 2}, {"name": "a", "length": "1"}]
    found = read_videos(Path("f.json"), "the things", entries, "a name and a length", length)
    assert list(found.items()) == [("b", (0, 2)), ("a", (1, 1))]


def test_everything_that_is_wrong_is_named_at_once() -> None:
    entries = [{"name": "a", "length": 13}, {"name": "a", "length": 1}, {"name": "b", "length": "x"}, {"name": "c"}, 7]
    with pytest.raises(UserError) as caught:
        read_videos(Path("f.json"), "the things", entries, "a name and a length", length)
    assert str(caught.value).splitlines() == [
        "5 problem(s) in the things f.json:",
        "  - 'a' is unlucky",
        "  - 'a' stands twice; keep one",
        "  - entry 2 is not a name and a length (invalid literal for int() with base 10: 'x')",
        "  - entry 3 is not a name and a length (KeyError('length'))",
        "  - entry 4 is not a name and a length (TypeError(\"'int' object is not subscriptable\"))",
    ]
    for nothing in (None, [], {}):
        with pytest.raises(UserError, match=r"there is no video in the things f\.json"):
            read_videos(Path("f.json"), "the things", nothing, "a name and a length", length)
