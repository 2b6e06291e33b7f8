"""Several sets: the mean over them, drawn within each; beside references and another method."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.several_worlds import main
from scripts import fit_normal
from tests.downstream.simulated import make_features


def fitted(folder: Path, name: str, *flags: str) -> Path:
    sets = ["--features.sets", str(folder / "features"), "--catalogue.kind", "json", "--catalogue.root", str(folder)]
    with pytest.raises(SystemExit) as left:
        fit_normal.main([*sets, "--output", str(folder / name), "--no-plots", *flags])
    assert not left.value.code
    return folder / name


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as left:
        main([*map(str, arguments), "--no-unseen-groups", "--evaluation.resamples", "200"])
    return int(left.value.code or 0)


def test_the_mean_over_sets_beside_another_method_and_references(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worlds = [make_features(tmp_path / f"w{seed}", seed=seed, shift=2.0) for seed in range(2)]
    runs = [fitted(world, "both") for world in worlds]
    others = [fitted(world, "change", "--normal.parts", "change") for world in worlds]
    capsys.readouterr()
    assert run(*runs, "--less", *others) == 0
    printed = capsys.readouterr().out
    found = json.loads(printed.rsplit("RESULT ", 1)[1])["frame_auc"]
    each = [json.loads((folder / "summary.json").read_text())["test"]["metrics"]["frame_auc"] for folder in runs]
    assert found["method"]["each"] == pytest.approx([entry["value"] for entry in each])
    assert found["method"]["value"] == pytest.approx(sum(entry["value"] for entry in each) / 2)
    low, high = found["method"]["interval"]
    widths = [entry["ci_high"] - entry["ci_low"] for entry in each]
    assert high - low < max(widths), "two sets know more than one"
    other = found["other"]
    assert other["method_less_it"] == pytest.approx(found["method"]["value"] - other["value"])
    assert other["method_less_it_interval"][0] <= other["method_less_it"] <= other["method_less_it_interval"][1]
    assert {"feature_change", "position"} <= set(found)
    assert "position" in printed


def test_two_methods_as_one_and_each_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    worlds = [make_features(tmp_path / f"w{seed}", seed=seed, shift=2.0) for seed in range(2)]
    runs = [fitted(world, "near", "--normal.parts", "gaussian") for world in worlds]
    seconds = [fitted(world, "change", "--normal.parts", "change") for world in worlds]
    capsys.readouterr()

    def figures(*arguments: str | Path) -> dict[str, Any]:
        assert run(*arguments) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out.rsplit("RESULT ", 1)[1])["frame_auc"]
        return found

    both, first, second = figures(*runs, "--as-one-with", *seconds), figures(*runs), figures(*seconds)
    assert both["first"]["each"] == first["method"]["each"]
    assert both["second"]["each"] == second["method"]["each"]
    assert len({both[name]["value"] for name in ("method", "first", "second")}) == 3
    assert both["first"]["method_less_it"] == pytest.approx(both["method"]["value"] - first["method"]["value"])
    assert figures(*seconds, "--as-one-with", *runs)["method"]["each"] == pytest.approx(both["method"]["each"])


def test_one_set_and_sets_without_partner_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said() -> str:
        return " ".join(capsys.readouterr().err.replace("│", " ").split())

    assert run(tmp_path / "a") == 2
    assert "1 run(s): give one for each of several sets" in said()
    assert run(tmp_path / "a", tmp_path / "b", "--less", tmp_path / "c") == 2
    assert "2 runs less 1: give one of each method for every set" in said()
