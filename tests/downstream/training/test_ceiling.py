"""Runs on labels of frames: what they reach where labels of videos mislead, what they say they are, what is refused."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from downstream.ablation.config import AblationConfig
from downstream.ablation.grid import make_cells
from downstream.detector.storage import load_detector
from downstream.detector.topk_bce import TopKBCEConfig
from downstream.evaluation.choose_videos import open_listed
from downstream.report.run_report import report_of_run
from downstream.scores.score_file import read_scores
from downstream.training.config import FinetuneConfig
from downstream.training.feature_source import FeatureSource
from downstream.training.finetune import finetune
from pretrain.data.catalogue import CatalogueConfig
from pretrain.errors import UserError
from scripts.evaluate import main as evaluate
from tests.downstream.simulated import CELLS_SPEC, make_features
from tests.downstream.training.test_loop import check_trained_alike, run_in_two_processes, tensors, with_all_terms
from tests.pretrain.conftest import changed

MARK = "(ceiling: trained on frame labels)"


@pytest.fixture(scope="module")
def misleading(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The normal snippets of abnormal videos are unlike those of normal ones, all in one way, and the anomalies in many
    ways: the labels of videos are explained by what is no anomaly."""
    return make_features(tmp_path_factory.mktemp("misleading"), train=48, context=12.0, train_spans=True)


@pytest.fixture
def ceiling(small_run: FinetuneConfig, misleading: Path, tmp_path: Path) -> FinetuneConfig:
    return changed(
        small_run,
        output=tmp_path / "top",
        ceiling=True,
        plots=False,
        catalogue=CatalogueConfig(kind="json", root=misleading),
        features__sets=(misleading / "features",),
        objective__topk_bce=TopKBCEConfig(divisor=2),  # most of a video: more than its anomaly
    )


def weak(config: FinetuneConfig) -> FinetuneConfig:
    return changed(config, ceiling=False, output=config.output.with_name("weak"))


def reached(config: FinetuneConfig) -> dict[str, Any]:
    finetune(config)
    (method,) = json.loads((config.output / "evaluation" / "evaluation.json").read_text())["methods"]
    assert method.get("supervision") == ("frames" if config.ceiling else None)
    return {name: metric["value"] for name, metric in method["metrics"].items()}


def shown_by_evaluate(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    with pytest.raises(SystemExit) as left:
        evaluate([*map(str, arguments), "--no-plots", "--resamples", "50"])
    assert not left.value.code
    return capsys.readouterr().out


def test_it_finds_what_labels_of_videos_mislead_about_and_the_cost_is_printed(
    ceiling: FinetuneConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    top, bottom = reached(changed(ceiling, seeds=(0, 1))), reached(changed(weak(ceiling), seeds=(0, 1)))
    said = capsys.readouterr().out
    assert "ceiling: trained on frame labels, no weakly supervised figure; cross-entropy of every segment" in said
    assert re.search(r"validation frame AUC \d\.\d{3} \(step \d+\)", said)
    assert f"top {MARK}: 2 seed(s)" in said
    assert "weak: 2 seed(s)" in said
    assert top["frame_auc"] > 0.95
    assert bottom["frame_auc"] < 0.7
    assert bottom["per_video_auc"] < 0.5 < 0.95 < top["per_video_auc"]
    assert bottom["video_auc"] > 0.9  # it does tell the videos apart
    weak_run = weak(ceiling).output
    for inputs in ((weak_run, ceiling.output), (ceiling.output, weak_run), (weak_run, ceiling.output, "--ensemble")):
        said = shown_by_evaluate(capsys, *inputs)
        (line,) = re.findall(r"^what weak labels cost.*$", said, re.M)
        found = re.fullmatch(
            r"what weak labels cost \(weak less top\): frame AUC (\S+) \((\S+) to (\S+)\), "
            r"mean per-video AUC (\S+) \(\S+ to \S+\)",
            line,
        )
        assert found, line
        if "--ensemble" not in inputs:
            assert float(found[1]) == pytest.approx(bottom["frame_auc"] - top["frame_auc"], abs=6e-4)
        assert float(found[2]) <= float(found[1]) <= float(found[3]) < 0
        assert f"top {MARK}: " in said
    assert f"| top {MARK} | 1 |" in (weak_run.parent / "evaluation" / "table.md").read_text()  # that of the last
    assert "what weak labels cost" not in shown_by_evaluate(capsys, weak_run)


def test_of_a_score_file_alone_it_is_known_too(ceiling: FinetuneConfig, capsys: pytest.CaptureFixture[str]) -> None:
    finetune(ceiling)
    catalogue = ["--catalogue.kind", "json", "--catalogue.root", ceiling.catalogue.root, "--catalogue.no-check-files"]
    said = shown_by_evaluate(capsys, ceiling.output / "seed-0" / "test_scores.json", *catalogue)
    assert f"test_scores {MARK}: 1 seed(s)" in said


def test_what_it_was_told_stands_on_its_card_and_in_the_report(ceiling: FinetuneConfig) -> None:
    finetune(with_all_terms(ceiling))
    detector, card = load_detector(ceiling.output / "seed-0")
    assert card["supervision"] == "frames"
    assert card["objective"] == {"objective.base": "frame_bce"}
    assert detector.branch is None
    assert card["selected"]["frame_auc"] > 0.95
    assert read_scores(ceiling.output / "seed-0" / "test_scores.json").meta["supervision"] == "frames"
    report = report_of_run(ceiling.output, open_listed(ceiling.catalogue), ceiling.output / "r.html", thumbnails=0)
    assert report.facts["Run"] == f"top {MARK}"
    finetune(weak(ceiling))
    card = load_detector(weak(ceiling).output / "seed-0")[1]
    assert card["supervision"] == "videos"
    assert "frame_auc" not in card["selected"]


def test_the_network_and_its_bags_are_those_of_the_weak_run(ceiling: FinetuneConfig) -> None:
    """No step of use: the same first weights, and the same loss whatever the objective says."""
    still = changed(ceiling, optim__steps=1, optim__lr=1e-12)
    finetune(still)
    finetune(weak(still))
    top, bottom = tensors(still.output), tensors(weak(still).output)
    for key, value in bottom.items():
        if key.startswith("model."):
            assert torch.allclose(value.float(), top[key].float(), atol=1e-9), key
    other = replace(with_all_terms(still), output=still.output.with_name("other"))
    finetune(replace(other, objective=replace(other.objective, base="mil_ranking")))
    assert all(torch.equal(value, top[key]) for key, value in tensors(other.output).items())


@pytest.mark.parametrize("sampling", ["mean", "sample"])
def test_resumed_equals_uninterrupted(ceiling: FinetuneConfig, tmp_path: Path, sampling: str) -> None:
    whole = changed(ceiling, bags__sampling=sampling)
    finetune(whole)
    half = changed(whole, output=tmp_path / "half", keep_states=9)
    finetune(half)
    folder = half.output / "seed-0"
    for step in (40, 60):
        shutil.rmtree(folder / "checkpoints" / f"step-000000{step}")
    for name in ("summary.json", "test_scores.json"):
        (folder / name).unlink()
    finetune(changed(half, resume=True))
    again = load_file(folder / "checkpoints" / "step-00000060" / "state.safetensors")
    assert all(torch.equal(value, again[key]) for key, value in tensors(whole.output).items())
    assert (folder / "test_scores.json").read_text() == (whole.output / "seed-0" / "test_scores.json").read_text()
    assert load_detector(folder)[1]["selected"] == load_detector(whole.output / "seed-0")[1]["selected"]


def test_two_processes_equal_one(ceiling: FinetuneConfig, tmp_path: Path) -> None:
    one = changed(ceiling, detector__dropout=0.0)
    finetune(one)
    two = changed(one, output=tmp_path / "two")
    run_in_two_processes(two)
    check_trained_alike(one.output, two.output)


def test_it_does_not_go_on_as_something_else(ceiling: FinetuneConfig, tmp_path: Path) -> None:
    data = shutil.copytree(ceiling.catalogue.root, tmp_path / "data")
    config = changed(ceiling, catalogue__root=data)
    finetune(config)
    with pytest.raises(UserError, match="ceiling: was True, is False"):
        finetune(changed(config, resume=True, ceiling=False))
    (config.output / "seed-0" / "summary.json").unlink()
    lists = data / "annotations" / "ground_truth.json"
    content = json.loads(lists.read_text())
    content["videos"]["v001"]["spans"] = [[0, 1]]
    lists.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"was changed since it began:\n  - frame labels: was \w+ \(hash of the spans"):
        finetune(changed(config, resume=True))


def test_what_no_ceiling_can_be_trained_on_is_refused_before_training(
    small_run: FinetuneConfig, ceiling: FinetuneConfig, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"ceiling is on.*in 12 of 12 abnormal videos, the first is 'v001'"):
        FeatureSource.open(changed(small_run, ceiling=True))  # spans of test videos alone
    cells = make_features(tmp_path / "cells", spec=CELLS_SPEC, train_spans=True)
    of_cells = changed(ceiling, catalogue__root=cells, features__sets=(cells / "features",))
    with pytest.raises(UserError, match="ceiling is on, but the features are of 2x3 cells"):
        FeatureSource.open(of_cells)
    assert not ceiling.output.exists()


def test_an_ablation_has_no_ceiling(ceiling: FinetuneConfig) -> None:
    with pytest.raises(UserError, match=r"ceiling is on; an ablation compares losses.*scripts/evaluate.py"):
        AblationConfig(finetune=ceiling)
    _, failures = make_cells(AblationConfig(finetune=weak(ceiling), variants=("top=--ceiling",)))
    assert {failure.text for failure in failures} == {
        "a variant may not change ceiling: cells are compared on the same videos, labels and seeds"
    }
