"""A label-free detector from stored features, in a run's folder like a trained one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from downstream.features.store import FeatureSet
from downstream.normality.command import note_of_little_footage
from downstream.report.run_contents import run_rule
from downstream.runs.run_folder import RunFolder
from scripts import evaluate, localise, report
from scripts.fit_normal import main
from tests.downstream.simulated import CELLS_SPEC, make_features


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    return int(left.value.code or 0)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_features(tmp_path_factory.mktemp("simulated"))


def flags(folder: Path, out: Path) -> list[str]:
    sets = ["--features.sets", str(folder / "features")]
    return [*sets, "--catalogue.kind", "json", "--catalogue.root", str(folder), "--output", str(out), "--no-plots"]


def test_it_finds_what_no_label_named(simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert run(*flags(simulated, out)) == 0
    printed = capsys.readouterr().out
    assert (
        "change + nearest of 8 numbers, relative to the footage; 10 videos to fit to, 2 held out, 12 to score"
        in printed
    )
    features = FeatureSet.open(simulated / "features")
    of_held_out = RunFolder(out).seed(0).read_scores("validation").videos
    snippets = sum(features.videos[video.name].snippets for video in of_held_out)
    assert (f"note: {snippets} held-out snippet(s) say how far" in printed) == (snippets < 100)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["test"]["metrics"]["frame_auc"]["value"] > 0.9
    card = RunFolder(out).seeds()[0].read_card()
    assert (card["kind"], card["supervision"], len(card["trained_on"])) == ("normal", "none", 12)
    assert (out / "references" / "feature_change.json").is_file()
    for command in (evaluate.main, report.main):
        more = ["--no-plots", "--resamples", "20"] if command is evaluate.main else []
        with pytest.raises(SystemExit) as left:
            command([str(out), *more])
        assert not left.value.code
    assert run_rule(out)[1].startswith("not calibrated: one in a hundred snippets of the footage it was fitted to; ")
    assert run(*flags(simulated, out)) == 2
    assert "holds a run already: choose another --output, --resume, or delete it" in capsys.readouterr().err


def test_it_is_asked_for_again(simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert run(*flags(simulated, out), "--no-score-test") == 0
    assert run(*flags(simulated, out), "--no-score-test", "--resume") == 0
    assert f"{out} is done" in capsys.readouterr().out
    assert run(*flags(simulated, out), "--no-score-test", "--resume", "--normal.coreset", "50") == 2
    assert "these settings differ from those in" in capsys.readouterr().err


def test_the_same_seed_gives_the_same_detector(simulated: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert run(*flags(simulated, tmp_path / name), "--footage", "all", "--no-score-test") == 0
    files = [(tmp_path / name / "seed-0" / "detector" / "detector.safetensors").read_bytes() for name in ("a", "b")]
    assert files[0] == files[1]


def test_cells_say_where(tmp_path: Path) -> None:
    folder = make_features(tmp_path / "cells", spec=CELLS_SPEC)
    assert run(*flags(folder, tmp_path / "run"), "--normal.parts", "gaussian") == 0
    seed = RunFolder(tmp_path / "run").seeds()[0]
    assert seed.has_maps("validation", "test")
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["test"]["metrics"]["frame_auc"]["value"] > 0.9


def test_boxes_of_footage_without_any_label(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_features(tmp_path / "cells", spec=CELLS_SPEC)
    truth = folder / "annotations" / "ground_truth.json"
    content = json.loads(truth.read_text())
    for entry in content["videos"].values():
        if entry["split"] == "train":
            del entry["label"]
    truth.write_text(json.dumps(content))
    assert run(*flags(folder, tmp_path / "run"), "--normal.parts", "gaussian") == 0
    with pytest.raises(SystemExit) as left:
        localise.main([str(tmp_path / "run"), "--strips", "0", "--films", "0"])
    assert not left.value.code, capsys.readouterr().err
    assert "thresholds: at most 5 % of the frames of normal validation videos" in capsys.readouterr().out


def test_a_run_that_broke_off_is_made_by_the_same_command(
    simulated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("downstream.normality.command.summarise", full)
        assert run(*flags(simulated, tmp_path / "run")) == 2
    assert "free some space and run the same command again" in capsys.readouterr().err
    assert run(*flags(simulated, tmp_path / "run")) == 0


def test_little_footage_says_what_its_threshold_is_worth() -> None:
    assert "one in 100 is to score above one half: scores rank moments" in note_of_little_footage(99)
    assert note_of_little_footage(100) == ""


def test_one_video_of_footage_is_too_few(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_features(tmp_path / "few", train=2, test=2)
    assert run(*flags(folder, tmp_path / "run")) == 2
    assert "1 of 2 training videos to fit to; it takes two at least, one to be held out" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
