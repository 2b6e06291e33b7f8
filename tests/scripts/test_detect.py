"""The command that says what was found: its inputs, its files, its exit status, and what it says when nothing goes."""

from __future__ import annotations

import csv
import json
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from downstream.detection import detect as detection
from downstream.detection.writers import WRITERS, listed, writers_for
from downstream.events.finder import find_events
from downstream.events.rule import AlarmRule
from downstream.scores.score_file import read_scores
from pretrain.backbones import BackboneConfig, build_backbone, save_backbone
from pretrain.data.video import IndexCache, probe
from scripts import evaluate
from scripts.detect import main
from tests.downstream.detection.made import EventsText
from tests.paths import ROOT
from tests.pretrain.encoding import encode_video

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
EVENT = "0.3"
"""A threshold that both test videos of the world reach."""


def call(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as left:
        main([*map(str, arguments), "--device", "cpu"])
    return int(left.value.code or 0)


def document(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "events.json").read_text(encoding="utf-8"))
    return content


def names(out: Path) -> list[str]:
    return [video["name"] for video in document(out)["videos"]]


def events(out: Path) -> list[dict[str, Any]]:
    return [event for video in document(out)["videos"] for event in video["events"]]


@pytest.fixture
def flags(trained_world: Path, tmp_path: Path) -> list[str]:
    """The smallest call: one detector of whole pictures, no pictures drawn."""
    detector = trained_world / "runs" / "whole" / "seed-0"
    return ["--detector", str(detector), "--out", str(tmp_path / "out"), "--films", "0", "--no-report"]


@pytest.fixture
def video(trained_world: Path) -> Path:
    return trained_world / "videos" / "v9.mp4"


def write_frames(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    for number in range(count):
        Image.new("RGB", (72, 48), (90, number, 90)).save(folder / f"{number:04d}.jpg")
    return folder


def test_a_file_a_folder_and_frames_at_once_as_json(
    trained_world: Path, tmp_path: Path, flags: list[str], video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recordings = tmp_path / "recordings"
    for name in ("door/monday.mp4", "hall/monday.mp4", "hall/hour.avi", "hall/hour.mp4"):
        (recordings / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(trained_world / "videos" / "v8.mp4", recordings / name)
    frames = write_frames(tmp_path / "pictures", 20)
    assert call(video, recordings, f"{frames}/", *flags, "--json", "--frames") == 0
    shown = capsys.readouterr()
    content = json.loads(shown.out)
    assert content == document(tmp_path / "out")
    found = ["v9", "door/monday", "hall/hour.avi", "hall/hour.mp4", "hall/monday", "pictures"]
    assert [each["name"] for each in content["videos"]] == found
    assert [each["frames"] for each in content["videos"]] == [200, 40, 40, 40, 40, 20]
    assert [each.name for each in read_scores(tmp_path / "out" / "scores.csv").videos] == found
    with open(tmp_path / "out" / "frame_scores.csv", encoding="utf-8") as file:
        assert len(list(csv.reader(file))) == 1 + 380
    assert re.search(r"^v9 +0:00:08 +\d+ of 10, [a-z ]+ 0\.\d+ ", shown.err, re.MULTILINE)
    assert "event(s) in 6 video(s); 0:00:15 of footage in 0:00:0" in shown.err
    assert call(video, *flags) == 0  # the files of this call, in words
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*writers_for(is_live=False), "scored"}
    shown = capsys.readouterr()
    assert f"written      {', '.join(listed(writers_for(is_live=False)))} in" in shown.out
    assert "an event: a score of at least" in shown.out


def test_a_new_format_is_its_writer_and_its_line(
    tmp_path: Path, flags: list[str], video: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing else knows of it: a file read to its end and one that is played give the same text."""
    monkeypatch.setitem(WRITERS, "events.txt", EventsText)
    out, watched = tmp_path / "out", tmp_path / "watched"
    assert call(video, *flags, "--threshold", EVENT, "--merge-seconds", "0") == 0
    assert f"written      {', '.join(listed(writers_for(is_live=False)))} in {out}" in capsys.readouterr().out
    assert call(video, *flags, "--threshold", EVENT, "--merge-seconds", "0", "--out", watched, "--live.play") == 0
    said = capsys.readouterr().out
    assert f"written      {', '.join(listed(writers_for(is_live=True)))} in {watched}" in said
    text = (out / "events.txt").read_text(encoding="utf-8")
    assert text == (watched / "events.txt").read_text(encoding="utf-8")
    lines = [f"{event['number']}: {event['start_seconds']} to {event['end_seconds']}" for event in events(out)]
    assert lines
    assert text.splitlines() == ["scores of at least 0.3", *lines, "that is all"]


def test_scores_csv_gives_the_figures_of_the_runs_own_seed(
    trained_world: Path, tmp_path: Path, flags: list[str]
) -> None:
    videos = trained_world / "videos"
    assert call(videos / "v8.mp4", videos / "v9.mp4", *flags) == 0
    own = trained_world / "runs" / "whole" / "seed-0" / "test_scores.json"
    figures = []
    for scores in (tmp_path / "out" / "scores.csv", own):
        with pytest.raises(SystemExit) as left:
            evaluate.main(
                [
                    *(str(scores), "--catalogue.kind", "csv", "--catalogue.root", str(videos)),
                    *("--catalogue.annotations", str(trained_world / "list.csv"), "--no-plots"),
                    *("--out", str(tmp_path / scores.stem), "--resamples", "0"),
                ]
            )
        assert not left.value.code
        (method,) = json.loads((tmp_path / scores.stem / "evaluation.json").read_text())["methods"]
        figures.append({name: metric["value"] for name, metric in method["metrics"].items()})
    assert figures[0] == figures[1]
    assert 0 <= figures[0]["frame_auc"] <= 1


def test_cells_have_boxes_films_and_a_report(
    trained_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, videos = tmp_path / "out", trained_world / "videos"
    both = (videos / "v8.mp4", videos / "v9.mp4")
    flags = ("--detector", str(trained_world / "runs" / "cells"), "--out", out, "--threshold", EVENT)
    assert call(*both, *flags, "--merge-seconds", "0", "--films", "2") == 0
    content = document(out)
    rule = AlarmRule(**content["rule"])
    for video, scores in zip(content["videos"], read_scores(out / "scores.csv").videos, strict=True):
        expected = [event.as_json(25.0) for event in find_events(scores, rule, 25.0)]
        plain = [{k: v for k, v in event.items() if k not in ("boxes", "level")} for event in video["events"]]
        assert plain == expected
        assert max(event["level"]["value"] for event in video["events"]) == video["highest_level"]["value"]
        assert expected
        for event in video["events"]:
            snippets = {box["start_frame"] for box in event["boxes"]}
            assert snippets == set(range(event["start_frame"], event["end_frame"], 16))
            for box in event["boxes"]:
                x1, y1, x2, y2 = box["box"]
                assert 0 <= x1 < x2 <= 72
                assert 0 <= y1 < y2 <= 48
    films = sorted(path.name for path in (out / "films").iterdir())
    assert [film[:3] for film in films] == ["01-", "02-"]
    assert {film[3:] for film in films} == {"v8.mp4", "v9.mp4"}
    assert probe(str(out / "films" / films[0]), cache=IndexCache(None)).codec == "h264"
    page = (out / "report.html").read_text(encoding="utf-8")
    assert all(f"films/{film}" in page for film in films)
    assert f"report       {out / 'report.html'}" in capsys.readouterr().out
    assert call(*both, *flags, "--films", "1", "--no-report") == 0  # nothing of the earlier call is left
    assert [path.name for path in (out / "films").iterdir()] == [films[0]]
    assert {path.name for path in out.iterdir()} == {*writers_for(is_live=False), "films", "scored"}


def test_two_processes_give_the_files_of_one(trained_world: Path, tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    shutil.copytree(trained_world / "videos", videos)
    (videos / "broken.mp4").write_bytes(b"no video" * 100)
    flags = ["--detector", str(trained_world / "runs" / "cells"), "--threshold", EVENT, "--films", "2", "--no-report"]
    assert call(videos, *flags, "--out", tmp_path / "one") == 1
    with socket.socket() as probe_:
        probe_.bind(("127.0.0.1", 0))
        port = probe_.getsockname()[1]
    launched = subprocess.run(
        [
            *(sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2", "--cpu"),
            *("--main_process_port", str(port), "scripts/detect.py", str(videos), *flags, "--device", "cpu"),
            *("--out", str(tmp_path / "two"), "--json"),
        ],
        cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert launched.returncode == 1, launched.stderr
    one, two = document(tmp_path / "one"), document(tmp_path / "two")
    assert json.loads(launched.stdout) == two
    assert one["failed"] == two["failed"]
    assert (one["detector"], one["rule"]) == (two["detector"], two["rule"])
    assert names(tmp_path / "one") == names(tmp_path / "two")
    spans = [
        [(event["start_frame"], event["end_frame"]) for video in content["videos"] for event in video["events"]]
        for content in (one, two)
    ]
    assert spans[0] == spans[1] != []
    both = [read_scores(tmp_path / each / "scores.csv").videos for each in ("one", "two")]
    for first, second in zip(*both, strict=True):
        assert second.scores == pytest.approx(first.scores, abs=1e-6)
    films = [sorted(path.name for path in (tmp_path / each / "films").iterdir()) for each in ("one", "two")]
    assert films[0] == films[1]
    assert len(films[0]) == 2


def test_the_exit_status(tmp_path: Path, flags: list[str], video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video" * 100)
    assert call(video, *flags, "--threshold", EVENT, "--status-on-event", "7") == 7
    assert call(video, *flags, "--threshold", "1", "--status-on-event", "7") == 0
    assert document(tmp_path / "out")["videos"][0]["events"] == []
    assert call(video, broken, *flags) == 1
    assert "1 video(s) could not be scored:\n  - " in capsys.readouterr().out
    (failed,) = document(tmp_path / "out")["failed"]
    assert (failed["name"], failed["path"]) == ("broken", str(broken))
    assert "not a video" in failed["problem"]
    assert names(tmp_path / "out") == ["v9"]
    before = (tmp_path / "out" / "events.json").read_bytes()
    assert call(broken, *flags, "--json") == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"error: none of the 1 video(s) can be scored:\n  - {failed['problem']}" in shown.err
    assert (tmp_path / "out" / "events.json").read_bytes() == before


def test_the_rule_is_what_the_flags_make_of_it(
    tmp_path: Path, flags: list[str], video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert call(video, *flags, "--threshold", EVENT, "--release", "0.2", "--min-seconds", "3") == 0
    content = document(out)
    assert content["rule"] == {"threshold": 0.3, "release": 0.2, "min_seconds": 3.0, "merge_seconds": 1.0}
    assert content["rule_from"] == "given on the command line"
    (event,) = content["videos"][0]["events"]
    assert (event["start_frame"], event["end_frame"]) == (0, 192)
    assert call(video, *flags, "--threshold", EVENT, "--min-seconds", "60") == 0
    assert document(out)["videos"][0]["events"] == []
    assert 0 < document(out)["rule"]["release"] < 0.3  # goes down with the threshold
    capsys.readouterr()
    assert call(video, *flags, "--threshold", "0.3", "--release", "0.4", "--merge-seconds", "-1") == 2
    message = capsys.readouterr().err
    assert "release is 0.4, above threshold 0.3" in message
    assert "merge_seconds is -1.0; it must be 0 or more" in message


def test_a_video_shorter_than_a_snippet_is_scored_and_said(
    tmp_path: Path, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    encode_video(tmp_path / "short.mp4", 1, num_frames=7)
    assert call(tmp_path / "short.mp4", *flags, "--threshold", "0.001") == 0
    assert (
        "note: 1 video(s) have fewer frames than a snippet of 16 and were scored as one, the last frame held: short (7)"
    ) in capsys.readouterr().out.splitlines()
    (found,) = document(tmp_path / "out")["videos"]
    assert (found["frames"], found["snippets"]) == (7, 1)
    assert (found["events"][0]["start_frame"], found["events"][0]["end_frame"]) == (0, 7)


def test_what_is_wrong_with_the_call_is_said_before_anything_is_scored(
    trained_world: Path, tmp_path: Path, flags: list[str], video: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def scored(*_: object) -> None:
        raise AssertionError("it began to score")

    monkeypatch.setattr(detection, "score_all", scored)
    for name in ("empty", "other"):
        (tmp_path / name).mkdir()
    torch_backbone = build_backbone(BackboneConfig(height=32, width=48))
    save_backbone(torch_backbone, tmp_path / "backbone", {})
    (tmp_path / "a file").write_text("x")
    run = trained_world / "runs" / "whole"
    calls: list[tuple[list[str | Path], str]] = [
        ([tmp_path / "empty", *flags], rf"no video.*{tmp_path}/empty"),
        ([tmp_path / "gone.mp4", *flags], rf"there is no '{tmp_path}/gone\.mp4'"),
        ([*flags], "nothing to score: give a video"),
        ([video, *flags, "--films", "-1"], "films is -1; it must be 0 or more"),
        ([video, *flags, "--status-on-event", "256"], "exit statuses are 0 to 255"),
        ([video, "--detector", tmp_path / "other"], r"holds no detector: .*; give a run of\s+scripts/finetune\.py"),
        ([video, "--detector", tmp_path / "gone"], r"there is no file or folder '.*gone'; give a run"),
        ([video, "--detector", tmp_path / "a file"], r"'.*a file' is a file; give a run"),
        ([video, "--detector", run, "--backbone", tmp_path / "backbone"],
         r"is a detector for other features than .*backbone makes \(made, wanted\):(.|\n)*weights_sha256: "
         r"(.|\n)*Give the backbone that it was trained with: --backbone"),
        ([video, "--detector", run, "--out", tmp_path / "a file"],
         "a file: File exists; a file is where a folder should be: choose another path"),
    ]  # fmt: skip
    for arguments, expected in calls:
        assert call(*arguments) == 2
        message = capsys.readouterr().err
        assert re.search(expected, message), message
        assert "Traceback" not in message


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """A disk of so many kB; skips where this user may not mount one."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("may not mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_full_leaves_no_half_file(
    tmp_path: Path, flags: list[str], video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with small_disk(tmp_path / "disk", 12) as disk:  # the lock takes a block too
        assert call(video, *flags, "--out", disk, "--frames") == 2
        assert {path.name for path in disk.iterdir()} == {"scores.csv", "scored"}
        assert [path.suffix for path in (disk / "scored").iterdir()] == [".json"]
        assert len(read_scores(disk / "scores.csv").videos[0].scores) == 12
    message = capsys.readouterr().err
    assert "No space left on device; free some space and run the same command again" in message
    assert len(message.splitlines()) == 1


def test_called_again_it_takes_no_film_of_its_own_for_an_input(tmp_path: Path, flags: list[str], video: Path) -> None:
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    shutil.copy(video, recordings)
    out = recordings / "found"
    for _ in range(2):
        assert call(recordings, *flags, "--threshold", EVENT, "--films", "1", "--out", out) == 0
        assert names(out) == ["v9"]
        assert [film.name for film in (out / "films").iterdir()] == ["01-v9.mp4"]


def test_a_film_that_finds_no_room_leaves_the_rest(
    tmp_path: Path, flags: list[str], video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert call(video, *flags, "--threshold", EVENT, "--films", "1") == 0
    (film,) = (out / "films").iterdir()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (film.stat().st_size // 2, limits[1]))
    try:
        assert call(video, *flags, "--threshold", EVENT, "--films", "1") == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list((out / "films").iterdir()) == []
    assert names(out) == ["v9"]
    errors = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert errors == [
        f"error: cannot write the film {film} (File too large); free some space or choose another folder, then run it "
        "again"
    ]


@pytest.mark.parametrize("when", ["after it was listed", "after it was scored"])
def test_a_video_that_vanishes_fails_alone(
    when: str,
    trained_world: Path,
    tmp_path: Path,
    flags: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    for name in ("a", "b", "c"):
        shutil.copy(trained_world / "videos" / "v9.mp4", recordings / f"{name}.mp4")
    step = "videos_of" if when == "after it was listed" else "score_all"
    done = getattr(detection, step)

    def and_then_it_is_gone(*arguments: Any) -> Any:
        result = done(*arguments)
        (recordings / "b.mp4").unlink()
        return result

    monkeypatch.setattr(detection, step, and_then_it_is_gone)
    out = tmp_path / "out"
    shown = [*flags[:4], "--films", "3", "--threshold", EVENT]
    assert call(recordings, *shown) == (1 if when == "after it was listed" else 2)
    films = sorted(path.name[3:] for path in (out / "films").iterdir())
    assert films == ["a.mp4", "c.mp4"]
    said = capsys.readouterr()
    assert f"{recordings / 'b.mp4'}: no such file" in said.out + said.err
    assert "Traceback" not in said.err
    assert names(out) == (["a", "c"] if when == "after it was listed" else ["a", "b", "c"])
    assert (out / "report.html").exists()


def test_a_picture_beyond_the_limits_fails_alone_and_takes_no_memory(
    trained_world: Path, tmp_path: Path, flags: list[str], video: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    thin = tmp_path / "thin"
    thin.mkdir()
    for number in range(20):
        Image.new("RGB", (1, 100_000)).save(thin / f"{number}.png")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert call(thin, video, *flags) == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kB; 24 GB before
    assert names(tmp_path / "out") == ["v9"]
    assert "its picture is 1x100000 pixels, one side 100000 times the other" in capsys.readouterr().out


def test_files_of_any_name_are_scored_filmed_and_told_of(
    trained_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One odd name costs no other video anything, and says nothing to a terminal."""
    odd = ["#1", " a ", "tab\tb", "line\nbreak", "latin\udce9", "\x1b[31mred", "\u202emp4", "=1+1", "-x", "a\\b", '"q"']
    detector = trained_world / "runs" / "whole" / "seed-0"
    for name in odd:
        (tmp_path / "in").mkdir(exist_ok=True)
        shutil.copy(trained_world / "videos" / "v8.mp4", tmp_path / "in" / f"{name}.mp4")
    (tmp_path / "in" / "bro\x1b[2J\nken.mp4").write_bytes(b"no video")
    out = tmp_path / "out"
    flags = ["--detector", detector, "--out", out, "--films", "11", "--threshold", "0.001"]
    assert call(tmp_path / "in", *flags) == 1
    said = capsys.readouterr()
    assert not set(said.out + said.err) & set("\x1b\u202e\t\r")
    assert "line\\nbreak" in said.out
    assert [line for line in (said.out + said.err).splitlines() if line.startswith("ken")] == []
    assert set(names(out)) == set(odd) == {video.name for video in read_scores(out / "scores.csv").videos}
    assert [failed["name"] for failed in document(out)["failed"]] == ["bro\x1b[2J\nken"]
    films = [path.name for path in (out / "films").iterdir()]
    assert len(films) == len(odd)
    assert not set("".join(films)) & set("\x1b\u202e\t\n\udce9")
    (out / "report.html").read_text(encoding="utf-8")
    assert call(tmp_path / "in", *flags, "--no-report") == 1
    assert "11 of 12 video(s) were scored before" in capsys.readouterr().err
