"""A whole comparison on tiny features: real worker processes, every form of the table, going on."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from downstream.comparison.cells import make_cells
from downstream.comparison.compare import compare_detectors
from downstream.comparison.config import read_request
from downstream.comparison.tables import three_digits
from pretrain.errors import UserError
from tests.downstream.toy_videos import make_toy_videos

PROG = "compare.py"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    make_toy_videos(folder)
    (folder / "wrong.yaml").write_text("optim: {batch_size: 8}\ndetector: {temporal: window_graph, dropout: 3}\n")
    return folder


def arguments(world: Path, output: Path, *more: str) -> list[str]:
    return [
        *(str(world / "toy"), "--output", str(output), "--device", "cpu", "--seeds", "0", "1", "--workers", "1"),
        *("--catalogue.kind", "json", "--catalogue.annotations", str(world / "truth.json"), "--cost-steps", "1"),
        *("--optim.steps", "4", "--optim.batch-size", "8", "--objective.hard-mining.warmup-steps", "2"),
        *("--bags.segments", "4", "--bags.sampling", "mean", "--evaluation.resamples", "50", *more),
    ]


@pytest.fixture(scope="module")
def run(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("run") / "out"
    wrong = f"wrong={world / 'wrong.yaml'}"
    more = ("--detectors", "ours", "vadclip", wrong)
    assert compare_detectors(read_request(arguments(world, output, *more), PROG), PROG) == 1
    return output


def test_every_detector_has_figures_differences_and_cost(run: Path) -> None:
    content = json.loads((run / "comparison.json").read_text(encoding="utf-8"))
    rows = {row["detector"]: row for row in content["rows"]}
    assert list(rows) == ["ours", "vadclip"]
    assert rows["ours"]["less_ours"] is None
    auc = {name: row["metrics"]["frame_auc"] for name, row in rows.items()}
    assert len(auc["vadclip"]["per_seed"]) == 2
    less = rows["vadclip"]["less_ours"]["frame_auc"]["difference"]
    assert less == pytest.approx(auc["vadclip"]["value"] - auc["ours"]["value"])
    assert rows["vadclip"]["best_reference"][0]["metric"] == "frame_auc"
    for row in rows.values():
        assert (row["steps"], row["batch_size"], row["segments"]) == (4, 8, 4)
        assert all(
            row["cost"][key] > 0
            for key in ("steps_per_second", "snippets_per_second", "weight_megabytes", "peak_megabytes")
        )
        file = run / "cells" / "toy" / row["detector"] / "seed-0" / "detector" / "detector.safetensors"
        assert row["cost"]["weight_megabytes"] == pytest.approx(file.stat().st_size / 1e6, abs=0.01)
    assert [failure["cell"] for failure in content["failed"]] == ["toy/wrong"]
    assert "detector.dropout is 3" in content["failed"][0]["text"]
    notes = " ".join(content["notes"])
    assert "All were trained for 4 steps" in notes
    assert "Differences are to ours" in notes


def test_the_same_figures_stand_in_every_form(run: Path) -> None:
    content = json.loads((run / "comparison.json").read_text(encoding="utf-8"))
    markdown, tex = ((run / f"comparison.{suffix}").read_text(encoding="utf-8") for suffix in ("md", "tex"))
    with open(run / "comparison.csv", encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(content["rows"]) + len(content["references"])
    for row, line in zip(content["rows"], lines, strict=False):
        auc = row["metrics"]["frame_auc"]
        assert float(line["frame_auc"]) == pytest.approx(auc["value"], abs=1e-5)
        assert float(line["steps_per_second"]) == pytest.approx(row["cost"]["steps_per_second"], rel=1e-4)
        assert f"| {row['detector']} | {auc['value']:.3f} ± {auc['deviation']:.3f}" in markdown
        assert rf"{auc['value']:.3f} $\pm$ {auc['deviation']:.3f}" in tex
    assert lines[0]["frame_auc_less_ours"] == ""
    assert lines[1]["frame_auc_less_ours"] != ""
    assert lines[-1]["detector"].endswith("(reference)")
    assert tex.count(r"\begin{table}") == 3
    assert "no text, learnt class embeddings" in markdown


def test_the_same_command_goes_on_where_it_was(
    run: Path, world: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("downstream.comparison.compare.measure_cost", lambda *_: pytest.fail("it was measured"))
    before = (run / "comparison.json").read_bytes()
    more = ("--detectors", "ours", "vadclip", f"wrong={world / 'wrong.yaml'}")
    assert compare_detectors(read_request(arguments(world, run, *more), PROG), PROG) == 1
    assert "all 4 runs of 2 cells were done before" in capsys.readouterr().out
    assert (run / "comparison.json").read_bytes() == before
    with pytest.raises(UserError, match=r"begun with other settings:\n.*optim\.steps"):
        compare_detectors(read_request([*arguments(world, run, *more), "--optim.steps", "5"], PROG), PROG)


def test_a_flag_holds_for_all_detectors_and_wins_over_their_presets(world: Path, tmp_path: Path) -> None:
    request = read_request(arguments(world, tmp_path / "out", "--optim.lr", "0.5"), PROG)
    cells, failures = make_cells(request, PROG)
    assert not failures
    assert [cell.base for cell in cells] == list(request.config.detectors)
    assert {cell.config.optim.lr for cell in cells} == {0.5}
    assert len({cell.config.optim.optimizer for cell in cells}) == 3  # not given: each preset's own
    assert len({cell.config.output for cell in cells}) == len(cells)
    assert request.config.measured_against() == "ours"
    others = read_request(arguments(world, tmp_path / "out", "--detectors", "rtfm", "mgfn"), PROG)
    assert others.config.measured_against() == "rtfm"


def test_numbers_as_people_read_them() -> None:
    assert [three_digits(value) for value in (1234.5, 56.72, 0.894, 0.00123)] == ["1,234", "56.7", "0.89", "0.0012"]


def test_features_that_are_not_there_are_one_error_for_all_detectors(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(tmp_path / "none"), *arguments(world, tmp_path / "out")[1:]]
    with pytest.raises(UserError) as error:
        compare_detectors(read_request(given, PROG), PROG)
    assert str(error.value).startswith(
        f"no detector can be trained: there is no file or folder '{tmp_path}/none'; give"
    )
    assert "failed" not in capsys.readouterr().out
