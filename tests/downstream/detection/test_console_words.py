"""What is said to people: the highest first, long lists cut, nothing where there is nothing to say."""

from __future__ import annotations

from dataclasses import replace

from downstream.detection.console_words import (
    describe_failed,
    describe_nothing,
    describe_short,
    describe_sizes,
    describe_speed,
    describe_totals,
    table,
)
from downstream.detection.records import FailedVideo
from tests.downstream.detection.made import detection


def test_the_table_has_the_highest_first_and_where_their_highest_event_is() -> None:
    videos = [detection("low", [0.1], 16), detection("street", [0.1, *[0.6] * 30, 0.1, 0.7], 33 * 16)]
    assert table(videos).splitlines() == [
        "video   length   alarm level                score  events  the highest event",
        "street  0:00:21  10 of 10, very unusual      0.70       2  0:00:20 to 0:00:21",
        "low     0:00:01  0 of 10, ordinary           0.10       0  none; highest at 0:00:00",
    ]
    late = table([detection("late", [0.1, 0.2, 0.45, 0.1], 64)]).splitlines()[1]
    assert late == "late  0:00:03  4 of 10, unusual      0.45       0  none; highest at 0:00:01"
    many = table([detection(f"v{n:02d}", [0.1], 16) for n in range(23)]).splitlines()
    assert (len(many), many[-1]) == (22, "... and 3 more")


def test_totals_and_what_failed() -> None:
    videos = [detection("low", [0.1], 16), detection("street", [0.7, 0.1, 0.7], 48)]
    assert describe_totals(videos, "0:00:01") == "2 event(s) in 2 video(s); 0:00:03 of footage in 0:00:01"
    failed = [FailedVideo(name="bad", path="b.mp4", problem="b.mp4: not a video")]
    assert describe_failed(failed) == "1 video(s) could not be scored:\n  - b.mp4: not a video"
    assert describe_failed([]) == ""


def test_where_there_is_no_event_the_threshold_that_would_mark_one_is_named() -> None:
    quiet = [detection("low", [0.1], 16), detection("street", [0.1, 0.2349, 0.1], 48)]
    assert describe_nothing(quiet, 0.5) == (
        "no score reaches 0.5; the highest is street's at 0:00:01: --threshold 0.234 marks it"
    )
    assert describe_nothing([*quiet, detection("loud", [0.7], 16)], 0.5) == ""


def test_nothing_is_said_of_what_is_not_there() -> None:
    video = detection("street", [0.7], 16)
    assert describe_short([video], 16) == ""
    assert describe_short([video], 17).endswith("were scored as one, the last frame held: street (16)")
    assert describe_speed([], 1.0) == ""


def test_a_picture_that_changes_its_size_is_said() -> None:
    plain = detection("plain", [0.1], 16)
    assert describe_sizes([plain]) == ""
    changes = replace(plain, name="changes", info=replace(plain.info, other_sizes=((8, 128, 48),)))
    assert describe_sizes([plain, changes]).splitlines() == [
        f"note: changes: the picture changes its size 1 time(s), first to 128x48 at frame 8; all is read at "
        f"{plain.info.width}x{plain.info.height}",
        "boxes are in the pixels of their own frame",
    ]
    many = describe_sizes([changes] * 23).splitlines()
    assert (len(many), many[-2]) == (22, "... and 3 more")
