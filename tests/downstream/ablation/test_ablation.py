"""Ablations: the grid, real worker processes on tiny feature sets, the table in four forms, stopping and going on."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from downstream.ablation.config import AblationConfig, named_features, read_config, terms_of
from downstream.ablation.grid import Failure, make_cells
from downstream.ablation.run import ablate
from downstream.ablation.tables import escaped, math_minus
from downstream.ablation.train import prepare_cells
from downstream.ablation.workers import Job, environments, run_jobs
from downstream.detector.terms import TERMS
from downstream.training.config import FinetuneConfig
from pretrain.errors import UserError
from pretrain.run_folder import as_json
from tests.downstream.ablation.toy_flags import toy_flags
from tests.paths import ROOT


def flags(world: Path, output: Path) -> list[str]:
    return [
        *(*toy_flags(world, output), "--bases", "mil_ranking", "topk_bce", "--terms", "base", "all"),
        *("--objective.hard-mining.warmup-steps", "2"),
    ]


@pytest.fixture(scope="module")
def run(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole ablation: 2 bases x 2 combinations x 2 seeds, and one variant that cannot work."""
    output = tmp_path_factory.mktemp("run") / "out"
    config = read_config([*flags(world, output), "--variants", "bad_flag=--optim.no-such-thing 1"], "ablate.py")
    assert ablate(config) == 1
    return output


def test_the_table_is_complete_and_says_what_its_figures_are(run: Path) -> None:
    content = json.loads((run / "ablation.json").read_text(encoding="utf-8"))
    rows = {(row["base"], row["terms"]): row for row in content["rows"]}
    assert list(rows) == [(base, terms) for base in ("mil_ranking", "topk_bce") for terms in ("base", "all")]
    for (base, terms), row in rows.items():
        auc = row["metrics"]["frame_auc"]
        assert len(auc["per_seed"]) == 2
        assert auc["value"] == pytest.approx(np.mean(auc["per_seed"]))
        assert auc["ci_low"] <= auc["ci_high"]
        assert len(row["validation_video_auc"]["per_seed"]) == 2
        if terms == "base":
            assert row["less_base"] is None
        else:
            expected = auc["value"] - rows[base, "base"]["metrics"]["frame_auc"]["value"]
            assert row["less_base"]["frame_auc"]["difference"] == pytest.approx(expected)
    assert content["test_set"]["videos"] == 12
    notes = " ".join(content["notes"])
    assert "2 seed(s)" in notes
    assert "12 videos (6 abnormal)" in notes
    assert "95 % bootstrap interval over test videos, 50 draws" in notes
    assert "validation videos apart best" in notes


def test_the_same_figures_stand_in_every_form(run: Path) -> None:
    rows = json.loads((run / "ablation.json").read_text(encoding="utf-8"))["rows"]
    with open(run / "ablation.csv", encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    markdown, tex = ((run / f"ablation.{suffix}").read_text(encoding="utf-8") for suffix in ("md", "tex"))
    assert len(rows) == 4
    assert len(lines) == 8
    for row, line in zip(rows, lines[:4], strict=True):
        value, deviation = (row["metrics"]["frame_auc"][key] for key in ("value", "deviation"))
        assert float(line["frame_auc"]) == pytest.approx(value, abs=1e-5)
        assert f"{value:.3f} ± {deviation:.3f}" in markdown
        assert rf"{value:.3f} $\pm$ {deviation:.3f}" in tex
    assert lines[0]["frame_auc_diff"] == ""
    assert lines[1]["frame_auc_diff"] != ""


def test_references_stand_below_the_rows_once_for_each_feature_set(run: Path) -> None:
    content = json.loads((run / "ablation.json").read_text(encoding="utf-8"))
    references = content["references"]["toy"]
    names = ["deviation", "feature change", "normal distance", "position"]
    assert [reference["method"] for reference in references] == names
    with open(run / "ablation.csv", encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))[4:]
    assert [(line["features"], line["base"], line["terms"]) for line in lines] == [
        ("toy", "reference", name) for name in names
    ]
    markdown, tex = ((run / f"ablation.{suffix}").read_text(encoding="utf-8") for suffix in ("md", "tex"))
    for reference, line in zip(references, lines, strict=True):
        value = reference["metrics"]["frame_auc"]["value"]
        assert float(line["frame_auc"]) == pytest.approx(value, abs=1e-5)
        assert f"| toy | reference | {reference['method']} | {value:.3f} [" in markdown
        assert f"toy & reference & {reference['method']} & {value:.3f} [" in tex
    best = max(references, key=lambda reference: reference["metrics"]["frame_auc"]["value"])
    for row in content["rows"]:
        assert row["best_reference"][0]["name"] == best["method"]
        summary = json.loads((run / "cells" / row["cell"] / "summary.json").read_text(encoding="utf-8"))
        assert summary["best_reference"] == row["best_reference"]
        assert len(list((run / "cells" / row["cell"] / "references").iterdir())) == 4
    above = sum(row["best_reference"][0]["ci_low"] > 0 for row in content["rows"])
    assert f"in frame AUC {above} of 4, in mean per-video AUC " in " ".join(content["notes"])


def test_the_latex_table_has_equal_rows_and_no_bare_special(run: Path) -> None:
    tex = (run / "ablation.tex").read_text(encoding="utf-8")
    rows = [line for line in tex.splitlines() if line.endswith(r"\\")]
    (columns,) = re.findall(r"\\begin\{tabular\}\{(l+)\}", tex)
    assert len(rows) == 9
    assert {line.count(" & ") + 1 for line in rows} == {len(columns)}
    assert r"mil\_ranking" in tex
    assert not re.search(r"(?<!\\)_", tex)
    assert "%" not in re.sub(r"\\%|^% needs.*\n", "", tex)
    assert tex.count("{") == tex.count("}")


def test_latex_escapes() -> None:
    assert escaped(r"a_b & 5 % {x} \ ± Δ") == r"a\_b \& 5 \% \{x\} \textbackslash{} $\pm$ $\Delta$"
    assert math_minus("-0.010 [-0.030, -0.001]") == "$-$0.010 [$-$0.030, $-$0.001]"
    assert math_minus("-") == "--"


def test_a_wrong_variant_is_reported_and_the_others_finish(run: Path) -> None:
    failed = json.loads((run / "ablation.json").read_text(encoding="utf-8"))["failed"]
    assert [item["cell"] for item in failed] == ["toy/mil_ranking-base-bad_flag", "toy/topk_bce-base-bad_flag"]
    assert "no-such-thing" in failed[0]["text"]
    assert "2 failed: toy/mil_ranking-base-bad_flag" in (run / "ablation.md").read_text(encoding="utf-8")


def test_cells_share_one_segment_cache_and_keep_their_configuration(run: Path) -> None:
    assert len(list((run / "segments").glob("*.npy"))) == 1
    config = json.loads((run / "cells/toy/topk_bce-all/config.json").read_text(encoding="utf-8"))
    assert config["seeds"] == [0, 1]
    assert config["objective.cross_batch_clustering.weight"] == 0.1
    base = json.loads((run / "cells/toy/topk_bce-base/config.json").read_text(encoding="utf-8"))
    assert [
        base[f"objective.{name}.weight"] for name in ("hard_mining", "contrastive_clustering", "cross_batch_clustering")
    ] == [0, 0, 0]


def test_going_on_trains_only_what_is_missing(world: Path, run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    summaries = sorted(run.glob("cells/*/*/seed-*/summary.json"))
    assert len(summaries) == 8
    gone = summaries.pop()
    gone.unlink()
    before = [file.stat().st_mtime_ns for file in summaries]
    figures = json.loads((run / "ablation.json").read_text(encoding="utf-8"))["rows"]
    assert ablate(read_config(flags(world, run), "ablate.py")) == 0
    assert [file.stat().st_mtime_ns for file in summaries] == before
    assert gone.exists()
    assert "1 of 8 runs to do" in capfd.readouterr().out
    assert json.loads((run / "ablation.json").read_text(encoding="utf-8"))["rows"] == figures


def test_other_settings_in_an_old_folder_are_refused(world: Path, run: Path) -> None:
    changed = [*flags(world, run), "--optim.lr", "0.5"]
    with pytest.raises(UserError, match=r"toy/mil_ranking-base: optim.lr was 0.001, is 0.5[\s\S]*another --output"):
        ablate(read_config(changed, "ablate.py"))


def test_a_run_that_fails_in_its_process_is_named_with_its_last_lines(
    world: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    given = [*flags(world, tmp_path / "out"), "--bases", "topk_bce", "--terms", "base", "--seeds", "0"]
    assert ablate(read_config([*given, "--variants", "odd=--optim.batch-size 8 --optim.lr 1e30"], "ablate.py")) == 1
    out = capfd.readouterr().out
    assert "failed: toy/topk_bce-base-odd, seed 0" in out
    assert "not finite" in out
    (row,) = json.loads((tmp_path / "out/ablation.json").read_text(encoding="utf-8"))["rows"]
    assert (row["terms"], row["variant"]) == ("base", None)


def test_sigterm_lets_the_runs_save_their_states_and_says_how_to_go_on(world: Path, tmp_path: Path) -> None:
    given = [*flags(world, tmp_path / "out"), "--bases", "topk_bce", "--terms", "base", "--optim.steps", "1000000"]
    command = [sys.executable, str(ROOT / "scripts/ablate.py"), *given]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
    cell = tmp_path / "out/cells/toy/topk_bce-base"
    deadline = time.monotonic() + 180
    # a first line of the log: the loop runs, and with it its handler of signals
    while not all((cell / f"seed-{seed}/log.jsonl").exists() for seed in (0, 1)) and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "stopped by SIGTERM" in out
    assert "go on with the same command" in out
    assert "Traceback" not in out
    for seed in (0, 1):
        assert list((cell / f"seed-{seed}/checkpoints").iterdir()), (cell / f"seed-{seed}/output.log").read_text()


def test_a_process_that_dies_is_named_and_another_takes_its_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = as_json(FinetuneConfig(output=tmp_path / "out"))
    # a log that cannot be written ends the process itself, not only the run
    jobs = [Job("a", 0, settings, tmp_path / "file/no.log"), Job("b", 0, settings, tmp_path / "b.log")]
    (first, second) = list(run_jobs(jobs, [{"OMP_NUM_THREADS": "1"}]))
    assert (first[0].cell, first[1]) == ("a", 1)
    assert "the process ended with status 1" in str(first[2])
    assert second[0].cell == "b"
    assert "no features were given" in str(second[2])


def test_yaml_may_hold_mappings(tmp_path: Path) -> None:
    file = tmp_path / "grid.yaml"
    file.write_text(
        "feature_sets: {i3d: feat/i3d, both: [feat/i3d, feat/clip]}\n"
        "variants:\n"
        '  smooth: [--objective.smoothness.weight, "8e-5"]\n'
        '  "all:no_memory": {objective: {cross_batch_clustering: {memory: 0}}}\n'
        "bases: [topk_bce]\nterms: [base]\nseeds: [3]\n"
    )
    config = read_config([str(file), "--seeds", "7"], "ablate.py")
    assert config.finetune.seeds == (7,)
    assert named_features(config) == {"i3d": (Path("feat/i3d"),), "both": (Path("feat/i3d"), Path("feat/clip"))}
    cells, failures = make_cells(config)
    assert not failures
    by_name = {cell.name: cell for cell in cells}
    assert len(by_name) == 6
    assert by_name["both/topk_bce-base-smooth"].config.objective.smoothness.weight == 8e-5
    without_memory = by_name["i3d/topk_bce-all-no_memory"]
    assert without_memory.config.objective.cross_batch_clustering.memory == 0
    assert without_memory.config.objective.hard_mining.weight == 0.1
    assert without_memory.method == "all: no_memory"


def test_a_given_weight_is_kept_and_terms_combine() -> None:
    given = [
        "--features.sets",
        "f/a",
        "--objective.contrastive-clustering.weight",
        "0.5",
        "--terms",
        "base",
        "hard_mining+contrastive_clustering",
    ]
    cells, _ = make_cells(read_config([*given, "--bases", "topk_bce"], "ablate.py"))
    plain, both = (cell.config.objective for cell in cells)
    assert plain.contrastive_clustering.weight == 0
    assert (both.hard_mining.weight, both.contrastive_clustering.weight, both.cross_batch_clustering.weight) == (
        0.1,
        0.5,
        0,
    )
    assert cells[0].name == "a/topk_bce-base"


def test_every_term_can_be_named_and_those_that_the_grid_does_not_switch_stay_as_configured() -> None:
    given = ["--features.sets", "f/a", "--bases", "topk_bce", "--objective.sparsity.weight", "0.5"]
    cells, _ = make_cells(read_config([*given, "--terms", "base", *TERMS], "ablate.py"))
    weights = {cell.terms: {name: getattr(cell.config.objective, name).weight for name in TERMS} for cell in cells}
    off = dict.fromkeys(TERMS, 0.0) | {"sparsity": 0.5}
    assert weights.pop("base") == off
    assert weights.pop("sparsity") == off
    assert weights == {name: off | {name: TERMS[name].ablation_weight} for name in TERMS if name != "sparsity"}
    assert weights["smoothness"]["smoothness"] == 8e-5


def test_the_grid_unless_told_otherwise() -> None:
    config = AblationConfig(feature_sets=("a=x",))
    assert config.bases == ("mil_ranking", "topk_bce", "feature_magnitude")
    assert config.terms == ("base", "hard_mining", "contrastive_clustering", "cross_batch_clustering", "all")


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"terms": ("contrastive",)}, r"'contrastive'; did you mean 'contrastive_clustering'\?"),
        ({"terms": ("base", "base")}, "each once"),
        ({"feature_sets": ("feat/i3d",)}, "is not NAME=FOLDER"),
        ({"feature_sets": ("a=x", "a=y")}, "'a' stands twice"),
        ({"feature_sets": ("a=x,",)}, "empty folder name"),
        ({"feature_sets": ("a=x",), "variants": ("../up=--x 1",)}, "is not NAME=FLAGS"),
        ({"feature_sets": ("a=x",), "compare": ("frame_au",)}, r"did you mean 'frame_auc'\?"),
        ({"feature_sets": ("a=x",), "workers": 0}, "workers is 0; it must be at least 1"),
        ({}, "no features were given"),
    ],
)
def test_wrong_settings_are_told(settings: dict[str, tuple[str, ...]], text: str) -> None:
    with pytest.raises(UserError, match=text):
        AblationConfig(**settings)


def test_a_variant_cannot_change_what_is_compared() -> None:
    for name, flag in (
        ("catalogue.kind", "--catalogue.kind csv"),
        ("self_training.share", "--self-training.share 0.1"),
    ):
        config = read_config(["--feature-sets", "a=x", "--variants", f"v={flag}"], "ablate.py")
        _, failures = make_cells(config)
        assert len(failures) == 3
        assert f"may not change {name}" in failures[0].text


def test_a_teacher_is_for_another_command() -> None:
    with pytest.raises(
        UserError, match=r"self_training\.teacher is T.*Leave self_training out; scripts/finetune\.py takes"
    ):
        read_config(["--feature-sets", "a=x", "--self-training.teacher", "T"], "ablate.py")


def test_a_variant_may_stand_on_one_base() -> None:
    given = [
        "--feature-sets",
        "a=x",
        "--terms",
        "base",
        "--variants",
        "topk_bce:v=--optim.steps 7",
        "w=--optim.steps 8",
    ]
    cells, _ = make_cells(read_config([*given, "--bases", "mil_ranking", "topk_bce"], "ablate.py"))
    assert [(cell.base, cell.method) for cell in cells] == [
        *(("mil_ranking", "base"), ("mil_ranking", "w")),
        *(("topk_bce", "base"), ("topk_bce", "v"), ("topk_bce", "w")),
    ]
    with pytest.raises(UserError, match=r"'topk_bce:v' stands on topk_bce, and bases are mil_ranking; add it there"):
        AblationConfig(feature_sets=("a=x",), bases=("mil_ranking",), variants=("topk_bce:v=--optim.steps 7",))


@pytest.mark.parametrize("terms", [("entropy", "base"), ("base", "entropy")])
def test_a_term_that_wants_cells_fails_alone(world: Path, tmp_path: Path, terms: tuple[str, ...]) -> None:
    """Whatever else stands on the same features, and in which order."""
    given = [*flags(world, tmp_path / "out"), "--bases", "topk_bce", "--terms", *terms]
    failures: list[Failure] = []
    fine, tests = prepare_cells(make_cells(read_config(given, "ablate.py"))[0], failures)
    assert [cell.terms for cell in fine] == ["base"]
    assert len(tests) == 1
    (failure,) = failures
    assert "no cells" in failure.text


def test_mining_that_never_begins_is_told(world: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    given = [*flags(world, tmp_path / "out"), "--objective.hard-mining.warmup-steps", "5", "--terms", "hard_mining"]
    with pytest.raises(UserError, match=r"warmup_steps is 5 and optim.steps is 5"):
        ablate(read_config(given, "ablate.py"))


def test_terms_of() -> None:
    assert terms_of("base") == ()
    assert terms_of("all") == ("hard_mining", "contrastive_clustering", "cross_batch_clustering")
    with pytest.raises(UserError, match="a term twice"):
        terms_of("hard_mining+hard_mining")


def test_one_thread_each_and_no_more_workers_than_runs() -> None:
    where = environments("cpu", per_gpu=1, workers=8, jobs=3)
    assert [item["OMP_NUM_THREADS"] for item in where] == ["1"] * 3
