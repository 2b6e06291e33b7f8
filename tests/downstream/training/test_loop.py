"""Training on features: trains, selects, resumes exactly, the same in two processes; refuses what does not fit."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from downstream.detector.inference import score_videos
from downstream.detector.storage import load_detector, refuse_other_features
from downstream.features.fusion import FusedFeatures
from downstream.scores.score_file import read_scores
from downstream.training.config import FinetuneConfig
from downstream.training.feature_source import FeatureSource
from downstream.training.finetune import finetune
from downstream.training.selection import validate
from pretrain.cli import flags_of
from pretrain.config import PretrainConfig
from pretrain.data.catalogue import CatalogueConfig
from pretrain.errors import UserError
from pretrain.files import write_json
from pretrain.run_folder import as_json
from pretrain.tracking import read_log
from pretrain.tracking_config import TrackingConfig
from tests.downstream.simulated import SPEC, make_features
from tests.paths import ROOT
from tests.pretrain.conftest import changed

ALL_TERMS = {
    "objective__hard_mining": {"weight": 0.1, "warmup_steps": 5},
    "objective__contrastive_clustering": {"weight": 0.1},
    "objective__cross_batch_clustering": {"weight": 0.1, "memory": 4},
}


def with_all_terms(config: FinetuneConfig) -> FinetuneConfig:
    objective = config.objective
    for key, fields in ALL_TERMS.items():
        name = key.split("__")[1]
        objective = dataclasses.replace(objective, **{name: dataclasses.replace(getattr(objective, name), **fields)})
    return dataclasses.replace(config, objective=objective)


def tensors(run: Path, seed: int = 0) -> dict[str, torch.Tensor]:
    (state,) = (run / f"seed-{seed}" / "checkpoints").glob("step-*")
    return load_file(state / "state.safetensors")


def test_it_learns_selects_and_scores(small_run: FinetuneConfig) -> None:
    tracking = TrackingConfig(log_with=("tensorboard",))
    assert finetune(changed(small_run, seeds=(0, 3), tracking=tracking)) == 0
    for seed in (0, 3):
        folder = small_run.output / f"seed-{seed}"
        assert list((folder / "tensorboard").iterdir())
        summary = json.loads((folder / "summary.json").read_text())
        assert summary["validation"]["video_auc"] > 0.9
        assert summary["validation"]["step"] in (20, 40, 60)
        test = read_scores(folder / "test_scores.json").videos
        assert len(test) == 12
        last = read_log(folder / "log.jsonl")[-1]
        assert last["step"] == 60
    assert json.loads((small_run.output / "config.json").read_text())["seeds"] == [0, 3]


def test_the_selected_detector_is_the_one_saved(small_run: FinetuneConfig) -> None:
    finetune(small_run)
    detector, card = load_detector(small_run.output / "seed-0")
    source = FeatureSource.open(small_run)
    videos = source.videos.validation
    scored = score_videos(detector, source.features, [video.name for video in videos], torch.device("cpu"))
    assert validate(scored, videos, 0).threshold == card["selected"]["threshold"] == card["threshold"]
    assert detector.composition is not None
    assert detector.composition.is_fitted
    detector.composition = None  # selected by scores that are not composed yet
    again = validate(score_videos(detector, source.features, [v.name for v in videos], torch.device("cpu")), videos, 0)
    assert again.video_auc == card["selected"]["video_auc"]
    assert again.loss == pytest.approx(card["selected"]["loss"], abs=1e-6)
    assert card["trained_on"] == sorted(video.name for video in source.videos.train)


@pytest.mark.parametrize("terms", [False, True])
def test_resumed_equals_uninterrupted(small_run: FinetuneConfig, tmp_path: Path, terms: bool) -> None:
    config = with_all_terms(small_run) if terms else small_run
    finetune(config)
    half = changed(config, output=tmp_path / "half", keep_states=9)
    finetune(half)
    folder = half.output / "seed-0"
    shutil.rmtree(folder / "checkpoints" / "step-00000060")
    shutil.rmtree(folder / "checkpoints" / "step-00000040")
    for name in ("summary.json", "test_scores.json"):
        (folder / name).unlink()
    finetune(changed(half, resume=True))
    whole, again = tensors(config.output), load_file(folder / "checkpoints" / "step-00000060" / "state.safetensors")
    assert whole.keys() == again.keys()
    assert all(torch.equal(whole[key], again[key]) for key in whole)
    assert (folder / "test_scores.json").read_text() == (config.output / "seed-0" / "test_scores.json").read_text()
    assert [e["step"] for e in read_log(folder / "log.jsonl")] == [
        e["step"] for e in read_log(config.output / "seed-0" / "log.jsonl")
    ]


def test_a_killed_run_goes_on(small_run: FinetuneConfig, tmp_path: Path) -> None:
    config = changed(small_run, optim__steps=4000, save_every=20, validate_every=1000)
    command = [sys.executable, "scripts/finetune.py", *flags_of(as_json(config))]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"})
    folder = config.output / "seed-0" / "checkpoints"
    while not list(folder.glob("step-*")):
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    assert not (config.output / "seed-0" / "summary.json").exists()
    with pytest.raises(UserError, match="already holds a run"):
        finetune(config)
    with pytest.raises(UserError, match=r"optim.lr: was 0.01, is 0.5"):
        finetune(changed(config, resume=True, optim__lr=0.5))


def test_seeds_that_are_done_are_left_alone(small_run: FinetuneConfig) -> None:
    finetune(small_run)
    before = (small_run.output / "seed-0" / "summary.json").stat().st_mtime_ns
    finetune(changed(small_run, resume=True, seeds=(0, 1)))
    assert (small_run.output / "seed-0" / "summary.json").stat().st_mtime_ns == before
    assert (small_run.output / "seed-1" / "summary.json").exists()


def test_test_videos_are_scored_by_what_needs_no_learning(
    small_run: FinetuneConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    assert finetune(changed(small_run, plots=False, references=False)) == 0
    assert not (small_run.output / "references").exists()
    assert "(reference)" not in capsys.readouterr().out
    assert finetune(changed(small_run, plots=False, resume=True)) == 0
    files = sorted((small_run.output / "references").iterdir())
    assert [file.stem for file in files] == ["deviation", "feature_change", "normal_distance", "position"]
    shown = capsys.readouterr().out
    assert "normal distance (reference)" in shown
    assert "run, frame AUC: " in shown
    own = read_scores(small_run.output / "seed-0" / "test_scores.json").videos
    for file in files:
        for video, scored in zip(read_scores(file).videos, own, strict=True):
            assert video.name == scored.name
            assert np.array_equal(video.edges, scored.edges)
    best = json.loads((small_run.output / "summary.json").read_text())["best_reference"]
    assert best[0]["name"] == "normal distance"  # five deviations off in one of eight numbers
    before = [file.stat().st_mtime_ns for file in files]
    assert finetune(changed(small_run, plots=False, resume=True, seeds=(0, 1))) == 0
    assert [file.stat().st_mtime_ns for file in files] == before


def test_two_processes_equal_one(small_run: FinetuneConfig, tmp_path: Path) -> None:
    """With every stateful term on; dropout draws per process, so it is off."""
    config = changed(with_all_terms(small_run), detector__dropout=0.0)
    finetune(config)
    two = changed(config, output=tmp_path / "two")
    run_in_two_processes(two)
    check_trained_alike(config.output, two.output)


def run_in_two_processes(config: FinetuneConfig) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0"]
    command += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1"}
    run = subprocess.run(
        [*command, "scripts/finetune.py", *flags_of(as_json(config))],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    assert "2 process(es)" in run.stdout


def check_trained_alike(first: Path, second: Path) -> None:
    whole, shared = tensors(first), tensors(second)
    assert whole.keys() == shared.keys()
    for key, value in whole.items():
        if not key.startswith("optimizer."):
            assert torch.allclose(value.float(), shared[key].float(), rtol=1e-3, atol=1e-4), key
    one, other = (read_scores(run / "seed-0" / "test_scores.json").videos for run in (first, second))
    for a, b in zip(one, other, strict=True):
        assert np.allclose(a.scores, b.scores, atol=1e-3)


def test_scores_do_not_depend_on_the_company(small_run: FinetuneConfig) -> None:
    finetune(changed(small_run, detector__temporal="multi_scale"))
    detector, _ = load_detector(small_run.output / "seed-0")
    source = FusedFeatures.open(small_run.features.sets)
    names = list(source.videos)
    together = {item.name: item for item in score_videos(detector, source, names, torch.device("cpu"))}
    for name in names[:6]:
        (alone,) = score_videos(detector, source, [name], torch.device("cpu"))
        assert np.allclose(alone.scores, together[name].scores, atol=1e-6)
        assert len(alone.scores) == source.videos[name].snippets


def test_other_features_are_refused_by_the_detector(small_run: FinetuneConfig, tmp_path: Path) -> None:
    finetune(small_run)
    _, card = load_detector(small_run.output / "seed-0")
    refuse_other_features(card, FusedFeatures.open(small_run.features.sets))
    other = make_features(tmp_path / "other", spec=dataclasses.replace(SPEC, encoder="i3d", dim=9))
    with pytest.raises(UserError, match=r"(?s)encoder: 'simulated', 'i3d'.*dim: 8, 9"):
        refuse_other_features(card, FusedFeatures.open([other / "features"]))
    with pytest.raises(UserError, match="normalise: 'none', 'l2'"):
        refuse_other_features(card, FusedFeatures.open(small_run.features.sets, "l2"))
    one_crop = dataclasses.replace(SPEC, crops=("centre",), crop_margin=1.0, tail="pad")
    fewer = make_features(tmp_path / "crops", spec=one_crop)
    refuse_other_features(card, FusedFeatures.open([fewer / "features"]))
    other_pixels = make_features(tmp_path / "pixels", spec=dataclasses.replace(SPEC, crop_height=64))
    with pytest.raises(UserError, match="crop_height: None, 64"):
        refuse_other_features(card, FusedFeatures.open([other_pixels / "features"]))


def test_a_run_of_another_command_is_not_written_over(small_run: FinetuneConfig) -> None:
    kept = as_json(PretrainConfig())
    write_json(small_run.output / "config.json", kept)
    with pytest.raises(UserError, match="holds a run of another command; choose another --output"):
        finetune(small_run)
    assert json.loads((small_run.output / "config.json").read_text()) == kept


def test_the_python_of_the_documentation_runs(small_run: FinetuneConfig) -> None:
    """docs/detectors.md, "From Python"; the scores are those that the run wrote."""
    finetune(small_run)
    (block,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / "detectors.md").read_text(), re.M | re.S)
    (features,) = small_run.features.sets
    names: dict[str, Any] = {}
    exec(block.replace("runs/detector", str(small_run.output)).replace("features/ours", str(features)), names)
    scored = {video.name: video for video in names["videos"]}
    for video in read_scores(small_run.output / "seed-0" / "test_scores.json").videos:
        np.testing.assert_allclose(scored[video.name].scores, video.scores, atol=1e-6)


def test_what_is_wrong_is_said_before_training(small_run: FinetuneConfig, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no features were given"):
        FeatureSource.open(changed(small_run, features__sets=()))
    lists = json.loads((small_run.catalogue.root / "annotations" / "ground_truth.json").read_text())

    def catalogue(**entries: object) -> CatalogueConfig:
        file = tmp_path / "lists.json"
        file.write_text(json.dumps(lists | {"videos": lists["videos"] | entries}))
        return CatalogueConfig(kind="json", root=tmp_path, annotations=file)

    unknown = {"path": "a.mp4", "label": 0}
    with pytest.raises(UserError, match=r"1 of \d+ training videos have no features .*\n  - nobody|validation"):
        FeatureSource.open(changed(small_run, catalogue=catalogue(nobody=unknown)))
    allowed = changed(small_run, catalogue=catalogue(nobody=unknown), features__allow_missing=True)
    assert FeatureSource.open(allowed).videos.left_out == ("nobody",)
    with pytest.raises(UserError, match=r"1 of 24 training videos have no label:\n  - v003"):
        FeatureSource.open(changed(small_run, catalogue=catalogue(v003=lists["videos"]["v003"] | {"label": None})))
    normal = {name: entry | {"label": 0} for name, entry in lists["videos"].items() if entry["split"] == "train"}
    with pytest.raises(UserError, match="all 24 training videos are normal"):
        FeatureSource.open(changed(small_run, catalogue=catalogue(**normal)))
    with pytest.raises(UserError, match=r"seeds are \[1, 1\]"):
        changed(small_run, seeds=(1, 1))
