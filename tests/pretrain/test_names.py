from __future__ import annotations

import json
import os
import time

import pytest
from hypothesis import given

from pretrain.errors import nearest
from pretrain.names import KnownNames, file_name, json_escaped, read_back, shown, shown_lines, shown_list, written
from tests.odd_names import NAMES, ODD_NAMES


@given(NAMES)
def test_a_written_name_is_one_line_of_utf8_and_is_read_back(name: str) -> None:
    text = written(name)
    text.encode("utf-8")
    assert len(text.splitlines()) == 1
    assert text == text.strip()
    assert not text.startswith("#")
    assert read_back(text) == name


@pytest.mark.parametrize("name", ["Abuse001_x264", "v=x__#1_label_A", "a b", "é", "a\\b", "it's", 'say "hi"', "=1+1"])
def test_plain_names_are_written_as_they_are(name: str) -> None:
    assert written(name) == name == read_back(name)


@given(NAMES)
def test_what_is_shown_is_one_line_that_no_terminal_obeys(name: str) -> None:
    line = shown(f"'{name}'")
    line.encode("utf-8")
    assert len(line.splitlines()) == 1
    assert not set(line) & set("\x1b\x9b\x07\x08\r\n\t\u202e\u2066\u200f\ufeff")


def test_escapes_tell_what_is_there() -> None:
    assert shown("a\n\x1b[31mb\u202e\udce9\t") == r"a\n\x1b[31mb\u202e\xe9\t"
    assert shown("naïve 東京 👨\u200d👩") == "naïve 東京 👨\u200d👩"
    assert shown_lines("a\nb\x1b") == "a\nb\\x1b"


@given(NAMES)
def test_json_means_the_same_and_is_ascii_where_it_matters(name: str) -> None:
    text = json_escaped(json.dumps({name: [name]}, ensure_ascii=False))
    assert json.loads(text.encode("utf-8")) == {name: [name]}
    assert len(text.splitlines()) == 1
    assert shown(text) == text


@given(NAMES)
def test_any_name_gives_a_file_name(name: str) -> None:
    made = f"01-{file_name(name)}.mp4"
    assert len(os.fsencode(made)) < 255
    assert not set(made) & set('/\\\n\0:*?"<>|')
    made.encode("utf-8")


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        ("Normal_Videos003", "Normal_Videos_003_x264"),
        ("normal_videos_3", "Normal_Videos_003_x264"),
        ("Normal_Videos_003_x264.mp4", "Normal_Videos_003_x264"),
        ("Cafe\u0301", "Café"),
        ("Abuse01_x264", "Abuse001_x264"),
        ("Abusee028", "Abuse028"),
        ("something else", None),
    ],
)
def test_the_nearest_name(wrong: str, found: str | None) -> None:
    known = KnownNames(["Abuse001_x264", "Normal_Videos_003_x264", "Café", "Abuse028"])
    assert known.nearest(wrong) == found
    assert known.hint(wrong) == (f"; did you mean '{found}'?" if found else "")


def test_many_wrong_names_among_many_are_asked_for_quickly() -> None:
    known = KnownNames(f"camera_{number:07d}" for number in range(200_000))
    assert known.nearest("camera-0000003.mp4") == "camera_0000003"
    assert all(known.nearest(f"other{number}") is None for number in range(1000))


def test_odd_names_are_odd() -> None:
    assert len(set(ODD_NAMES)) == len(ODD_NAMES) > 20


def test_what_is_far_too_long_is_compared_with_nothing() -> None:
    begun = time.process_time()
    assert nearest("a" * 100_000, ["small3d", "r3d_18"]) == ""
    assert time.process_time() - begun < 1


def test_of_many_names_the_first_are_shown() -> None:
    assert shown_list(["a", "b\n"]) == "a, b\\n"
    assert shown_list(["a", "b", "c"], most=2) == "a, b, ..."
    assert shown_list([]) == ""
