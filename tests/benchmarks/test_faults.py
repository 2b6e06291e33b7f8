"""The benchmark of faults as a whole: its world, its readers and writers, odd files, its table and its command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import faults_odd, faults_rounds
from benchmarks.faults_config import FaultsConfig
from benchmarks.faults_folders import copy
from benchmarks.faults_kills import Kill
from benchmarks.faults_mutations import Mutation, Result
from benchmarks.faults_reader import Reader
from benchmarks.faults_readers import ALL_READERS, READERS, files_of
from benchmarks.faults_world import WRITERS, make_videos
from pretrain.data.catalogue import CatalogueConfig
from pretrain.data.catalogues import open_catalogue
from pretrain.data.video import probe
from pretrain.errors import UserError
from pretrain.files import write_text
from tests.paths import ROOT


def test_the_world_has_videos_that_a_catalogue_opens(root: Path) -> None:
    make_videos(root)
    for config in (
        CatalogueConfig(kind="json", root=root / "videos"),
        CatalogueConfig(kind="csv", root=root / "videos"),
    ):
        videos = open_catalogue(config)
        assert len(videos) == 10
        assert [video.label for video in videos.subset("test")] == [0, 1]
    assert probe(root / "videos" / "v9.mp4").num_frames == 80
    assert probe(root / "frames" / "walk").num_frames == 20
    first = (root / "videos" / "v9.mp4").read_bytes()
    make_videos(root)
    assert (root / "videos" / "v9.mp4").read_bytes() == first


def test_a_reader_whose_packages_are_missing_is_left_out() -> None:
    assert Reader(name="x", files=(), run=str, needs=("torch", "no_such_package")).lacks == ("no_such_package",)
    assert set(READERS) | {reader for reader in ALL_READERS if reader.lacks} == set(ALL_READERS)
    assert not any(reader.lacks for reader in READERS)


def test_names_are_unique_and_trials_have_keys_that_only_takes() -> None:
    for names in ([writer.name for writer in WRITERS], [reader.name for reader in READERS]):
        assert len(set(names)) == len(names)
        assert not [name for name in names if ":" in name]
    assert faults_rounds.chosen("kill", "detect", 4, 2, ()) == [8, 9, 10, 11]
    assert faults_rounds.chosen("kill", "detect", 4, 0, ("kill:detect:7", "kill:report:1")) == [7]
    assert faults_rounds.chosen("kill", "detect", 2, 0, ("kill:detect",)) == [0, 1]
    with pytest.raises(UserError, match=r"there is no 'detct'; did you mean 'detect'\?"):
        faults_rounds.check_names(FaultsConfig(only=("kill:detct:7",)))
    with pytest.raises(UserError, match=r"only names 'detect'; give kill:WRITER:NUMBER"):
        FaultsConfig(only=("detect",))


def test_files_are_in_one_order_wherever_the_world_lies(tmp_path: Path) -> None:
    own = Reader(name="x", files=("*/*.txt", "*/*.csv"), run=str)
    for place, names in (("one", "ab"), ("two", "ba")):
        for name, text in zip(names, ("first", "second"), strict=True):
            write_text(tmp_path / place / name / "x.txt", text)
        write_text(tmp_path / place / "empty" / "x.txt", "")
    (texts,), (others,) = (files_of(own, tmp_path / place) for place in ("one", "two"))
    assert [path.read_text() for path in texts] == [path.read_text() for path in others]
    assert {path.read_text() for path in texts} == {"first", "second"}


def test_odd_files_have_their_frames_or_a_reason(root: Path, tmp_path: Path) -> None:
    make_videos(root)
    folder = tmp_path / "data" / "odd_videos"
    assert "skipped: there is no " in faults_odd.missing(tmp_path / "data")
    for name in ("right.mp4", "wrong.mp4"):
        copy(root / "videos" / "v2.mp4", folder / name)
    write_text(folder / "broken.mp4", "no video" * 100)
    write_text(folder / "index.csv", "file,frames_decoded_by_ffmpeg\nright.mp4,48\nwrong.mp4,47\nbroken.mp4,\n")
    assert faults_odd.missing(tmp_path / "data") == ""
    tried = list(faults_odd.try_files(tmp_path / "data", root, faults_odd.listed(tmp_path / "data")))
    assert [(file.file, file.result, file.fell) for file in tried] == [
        ("right.mp4", "the same", False),
        ("wrong.mp4", "other frames", True),
        ("broken.mp4", "message", False),
    ]


def test_the_table_and_the_last_line_count_what_fell() -> None:
    results: tuple[Result, ...] = ("message", "the same", "traceback", "hang", "wrong frames", "other data")
    tally = faults_rounds.Tally(
        kills=[
            Kill(writer="detect", number=0, how="after 0.10 s"),
            Kill(writer="detect", number=1, how="before write 2 of 9", problems=["differs: a"], temporary=[".a.tmp"]),
        ],
        mutations=[
            Mutation(reader="cards", number=n, file="a", damage="cut off", result=result, last_words="KeyError: 'x'")
            for n, result in enumerate(results)
        ],
    )
    result = faults_rounds.result_of(FaultsConfig(seed=7), tally, 12.3)
    counted = ("seed", "kills", "kills_lost", "temporary_files", "mutations", "tracebacks", "hangs", "wrong_frames")
    assert [result[key] for key in counted] == [7, 2, 1, 1, 6, 1, 1, 1]
    text = "\n".join([*faults_rounds.table(tally), *faults_rounds.list_of_fallen(tally, 7)])
    assert "4 fell; again, alone: python -m benchmarks.faults --seed 7 --only KEY" in text
    assert "mutation:cards:2  a, cut off: traceback: KeyError: 'x'" in text
    assert "kill:detect:1  before write 2 of 9: differs: a; left: .a.tmp" in text
    assert "1  traceback, cards: KeyError" in text


def test_help_and_wrong_settings() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "benchmarks.faults", "--kills", "-1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 2
    assert "kills is -1; it must be 0 or more" in shown.stderr


@pytest.mark.slow
def test_chosen_trials_run_in_a_world_of_their_own(tmp_path: Path) -> None:
    """The whole command: the world is built, what was chosen is tried, the last line counts it."""
    chosen = ("kill:export:1", "mutation:quarantine:3", "mutation:lists of json:1", "odd:x.mp4")
    command = [
        sys.executable,
        "-m",
        "benchmarks.faults",
        "--out",
        tmp_path / "out",
        "--data",
        tmp_path,
        "--only",
        *chosen,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    assert f"odd files: skipped: there is no {tmp_path}/odd_videos/index.csv" in done.stdout
    *_, last = done.stdout.splitlines()
    result = json.loads(last.removeprefix("RESULT "))
    assert (result["seed"], result["kills"], result["mutations"], result["odd_files"]) == (0, 1, 2, 0)
    written = json.loads((tmp_path / "out" / "result.json").read_text())
    assert len(written.pop("fallen")) == sum(line.startswith("fell: ") for line in done.stdout.splitlines())
    assert written == result
