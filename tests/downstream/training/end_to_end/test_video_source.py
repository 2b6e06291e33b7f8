"""Fine-tuning end to end, on real encoded clips through a small backbone."""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from downstream.detector.inference import score_videos
from downstream.detector.storage import load_detector, read_card, refuse_other_features
from downstream.evaluation.settings import EvaluationSettings
from downstream.features.encoders import EncoderConfig, open_encoder
from downstream.features.extract import ExtractConfig, extract
from downstream.features.fusion import FusedFeatures
from downstream.features.pipeline import extract_video
from downstream.features.snippets import SnippetSettings
from downstream.scores.score_file import read_scores
from downstream.training.config import FeaturesConfig, FinetuneConfig
from downstream.training.end_to_end.video_bags import Bag
from downstream.training.end_to_end.video_source import VideoSource
from downstream.training.end_to_end.video_training import VideoTraining
from downstream.training.finetune import finetune
from pretrain.backbones import BackboneConfig, build_backbone, save_backbone
from pretrain.checkpoint import newest_state
from pretrain.cli import flags_of
from pretrain.data.catalogue import CatalogueConfig
from pretrain.data.catalogues import open_catalogue
from pretrain.errors import UserError
from pretrain.run_folder import as_json
from pretrain.tracking import read_log
from scripts.evaluate import main as evaluate_main
from tests.downstream.training.end_to_end.filmed import film, short_run
from tests.paths import ROOT

LENGTHS = (80, 70, 30, 64, 80, 48, 96, 80, 40, 64)
"""Frames; 30 and 40 give bags that are shorter than the others."""


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten real videos, every second abnormal, the last two for testing, and a backbone that read 32x48 pixels."""
    folder = tmp_path_factory.mktemp("labelled")
    rows = ["path,label,split,spans"]
    film(folder, LENGTHS)
    for number in range(len(LENGTHS)):
        spans = "5:20" if number % 2 and number >= 8 else ""
        rows.append(f"v{number}.mp4,{number % 2},{'test' if number >= 8 else 'train'},{spans}")
    (folder / "videos.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def config(labelled: Path, tmp_path: Path) -> FinetuneConfig:
    """Four steps of four bags of up to four snippets."""
    return short_run(
        *(labelled, tmp_path / "run"),
        kind="csv",
        steps=4,
        videos={"snippets": 4},
        validate_every=2,
        save_every=2,
        validation_fraction=0.3,
    )


def changed(config: FinetuneConfig, **videos: Any) -> FinetuneConfig:
    return dataclasses.replace(config, videos=dataclasses.replace(config.videos, **videos))


def training_of(config: FinetuneConfig) -> VideoTraining:
    return VideoSource.open(config).seed_training(0, Accelerator(cpu=True))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "backbone.safetensors")


def final_state(config: FinetuneConfig) -> dict[str, torch.Tensor]:
    state = newest_state(config.output / "seed-0" / "checkpoints")
    assert state is not None
    return load_file(state / "state.safetensors")


def test_the_last_stage_moves_and_what_is_saved_gives_the_scores_of_the_run(
    config: FinetuneConfig, labelled: Path, tmp_path: Path
) -> None:
    assert finetune(config) == 0
    detector = config.output / "seed-0" / "detector"
    before, after = weights(labelled / "exported"), weights(detector / "backbone")
    moved = {key.split(".")[1] for key in before if not torch.equal(before[key], after[key])}
    assert moved == {"3"}  # layers.3 is the last of four

    out = tmp_path / "features"
    encoder = EncoderConfig(backbone=str(detector / "backbone"), motion=False)
    assert extract(ExtractConfig(out=out, encoder=encoder, catalogue=config.catalogue, dtype="float32")) == 0
    source = FusedFeatures.open([out])
    tuned, card = load_detector(detector)
    refuse_other_features(card, source)
    assert card["features"]["specs"][0]["border_crop"] == [0.1, 0.0, 0.0, 0.0]
    for part in ("test", "validation"):
        written = read_scores(config.output / "seed-0" / f"{part}_scores.json").videos
        again = score_videos(tuned, source, [video.name for video in written], torch.device("cpu"))
        assert len(written) >= 2
        for mine, theirs in zip(written, again, strict=True):
            np.testing.assert_array_equal(mine.edges, theirs.edges)
            np.testing.assert_allclose(mine.scores, theirs.scores, atol=1e-6)

    frozen = tmp_path / "frozen"
    encoder = EncoderConfig(backbone=str(labelled / "exported"), motion=False)
    assert extract(ExtractConfig(out=frozen, encoder=encoder, catalogue=config.catalogue)) == 0
    with pytest.raises(UserError, match="weights_sha256"):
        refuse_other_features(card, FusedFeatures.open([frozen]))


@pytest.mark.parametrize("workers", [0, 1])
def test_resume_equals_uninterrupted_bit_by_bit(config: FinetuneConfig, workers: int) -> None:
    whole = changed(config, workers=workers)
    assert finetune(whole) == 0
    parted = dataclasses.replace(whole, output=config.output.with_name("parted"))
    with pytest.MonkeyPatch.context() as patch:
        original = VideoTraining.batch

        def stopped(self: VideoTraining, step: int) -> Any:
            if step == 3:
                raise KeyboardInterrupt
            return original(self, step)

        patch.setattr(VideoTraining, "batch", stopped)
        with pytest.raises(KeyboardInterrupt):
            finetune(parted)
    assert finetune(dataclasses.replace(parted, resume=True)) == 0
    first, second = final_state(whole), final_state(parted)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_two_processes_equal_one(config: FinetuneConfig) -> None:
    """Dropout draws per process, so it is off; sums in float32 come in another order."""
    config = dataclasses.replace(config, detector=dataclasses.replace(config.detector, dropout=0.0))
    assert finetune(config) == 0
    two = dataclasses.replace(config, output=config.output.with_name("two"))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0"]
    command += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
    run = subprocess.run(
        [*command, "scripts/finetune.py", *flags_of(as_json(two))],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert "2 process(es)" in run.stdout
    curves = [
        [entry["train/loss"] for entry in read_log(where.output / "seed-0" / "log.jsonl") if "train/loss" in entry]
        for where in (config, two)
    ]
    assert len(curves[0]) == 4
    np.testing.assert_allclose(curves[0], curves[1], rtol=2e-3)
    whole, shared = final_state(config), final_state(two)
    assert whole.keys() == shared.keys()
    for key in ("model.backbone.net.layers.3.0.weight", "model.detection.detector.project.weight"):
        torch.testing.assert_close(whole[key], shared[key], rtol=0.05, atol=2e-3)
    one, other = (read_scores(where.output / "seed-0" / "test_scores.json").videos for where in (config, two))
    assert [item.name for item in one] == [item.name for item in other]
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_allclose(mine.scores, theirs.scores, atol=5e-3)


def test_bfloat16_trains_and_a_backbone_of_another_moment_is_refused(config: FinetuneConfig, labelled: Path) -> None:
    config = dataclasses.replace(config, precision="bf16")
    training = training_of(config)
    batch = training.batch(0)
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = training.model(batch.inputs, batch.mask, batch.labels, 0)
    assert bool(torch.isfinite(loss))
    folder = config.output / "detector"
    training.save(folder, {})
    validation = VideoSource.open(config).videos.validation
    expected = training.score(validation)
    for mine, theirs in zip(training.score_saved(folder, validation), expected, strict=True):
        np.testing.assert_allclose(mine.scores, theirs.scores, atol=1e-6)
    with torch.no_grad():
        next(iter(training.model.backbone.parameters())).add_(0.1)
    save_backbone(training.model.backbone, folder / "backbone", {"data": {"border_crop": [0.1, 0.0, 0.0, 0.0]}})
    with pytest.raises(UserError, match=r"not of one moment \(weights_sha256.*--resume"):
        training.score_saved(folder, validation)


def test_without_unfreezing_the_backbone_stays_as_it_was(config: FinetuneConfig, labelled: Path) -> None:
    config = changed(config, unfreeze=0)
    assert finetune(config) == 0
    tuned = config.output / "seed-0" / "detector"
    before, after = weights(labelled / "exported"), weights(tuned / "backbone")
    assert all(torch.equal(before[key], after[key]) for key in before)
    encoder = open_encoder(EncoderConfig(backbone=str(labelled / "exported"), motion=False))
    assert read_card(tuned)["features"]["specs"][0]["weights_sha256"] == encoder.weights_sha256


def test_the_clips_of_a_bag_are_those_of_extraction(config: FinetuneConfig, labelled: Path) -> None:
    """With as many snippets as a video has, and no augmentation, the bag is the video."""
    training = training_of(changed(config, augment="none", snippets=6, unfreeze=0))
    encoder = open_encoder(EncoderConfig(backbone=str(labelled / "exported"), motion=False))
    batch = training.batch(0)
    features = training.model.encode(batch.inputs)
    start = 0
    for name, row in zip(batch.names, batch.mask, strict=True):
        count = int(row.sum())
        path = labelled / f"{name}.mp4"
        expected, info = extract_video(path, encoder, SnippetSettings(), torch.device("cpu"))
        assert count == len(expected) == info.num_frames // 16
        np.testing.assert_allclose(features[start : start + count].numpy(), expected[:, 0], rtol=1e-4, atol=1e-5)
        start += count
    assert start == len(features)


def test_bags_do_not_depend_on_workers_processes_or_where_one_begins(config: FinetuneConfig) -> None:
    one = training_of(config)
    two = training_of(changed(config, workers=2))
    ahead = [two.batch(step) for step in range(3)]
    late = one.batch(2)
    torch.testing.assert_close(late.inputs, ahead[2].inputs, rtol=0, atol=0)
    assert late.names == ahead[2].names
    whole = one.bags[1]
    halves = []
    for rank in (0, 1):
        half = copy.copy(one.bags)
        half.rank, half.world_size = rank, 2
        halves.append(half[1])
    assert torch.equal(torch.cat([half.clips for half in halves]), whole.clips)
    assert torch.equal(torch.cat([half.mask for half in halves]), whole.mask)
    assert [name for half in halves for name in half.names] == whole.names


def without_its_file(bag: Bag) -> Bag:
    return bag._replace(video=bag.video._replace(path=bag.video.path + ".gone"))


def test_a_video_that_breaks_inside_is_left_out_of_the_loss_by_name(
    config: FinetuneConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    config = changed(config, max_bad_fraction=0.5)
    training = training_of(config)
    names = training.batch(0).names
    broken = names[1]
    bags = training.bags.bags
    gone = [without_its_file(bag) if bag.video.name == broken else bag for bag in bags]
    whole, training.bags.bags, training._next = training.batch(1), gone, -1
    batch = training.batch(0)
    assert batch.names == names
    assert not batch.mask[1].any()
    assert batch.mask[0].any()
    assert f"{broken}.mp4.gone" in capsys.readouterr().err
    loss, _ = training.model.eval()(batch.inputs, batch.mask, batch.labels, 0)
    others = [0, *range(2, len(names))]
    alone, _ = training.model(batch.inputs, batch.mask[others], batch.labels[others], 0)
    torch.testing.assert_close(loss, alone)
    assert bool(torch.isfinite(loss))
    assert len(whole.names) == len(names)

    training.bags.bags, training._next = [without_its_file(bag) for bag in bags], -1
    training.plan.bad.max_fraction = 1.0
    with pytest.raises(UserError, match=r"none of the videos of step 1 can be read: .*check_videos"):
        training.batch(0)


def run_that_loses_a_test_video(config: FinetuneConfig, lost: Path) -> int:
    """The file is gone from the last step on."""
    original = VideoTraining.batch

    def losing(self: VideoTraining, step: int) -> Any:
        if step == 3:
            lost.rename(lost.with_suffix(".gone"))
        return original(self, step)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VideoTraining, "batch", losing)
        return finetune(config)


def test_a_test_video_that_breaks_meanwhile_is_left_out_of_the_figures_by_name(
    config: FinetuneConfig, labelled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = Path(shutil.copytree(labelled, tmp_path / "videos")) / "v8.mp4"
    catalogue = CatalogueConfig(kind="csv", root=tmp_path / "videos")
    config = dataclasses.replace(config, catalogue=catalogue, evaluation=EvaluationSettings(resamples=0))
    with pytest.raises(UserError, match=r"1 of 10 videos cannot be read(?s:.*)v8\.mp4(?s:.*)--resume"):
        run_that_loses_a_test_video(config, lost)
    lost.with_suffix(".gone").rename(lost)
    assert finetune(dataclasses.replace(config, resume=True)) == 0
    summary = json.loads((config.output / "summary.json").read_text())
    assert "unscored" not in summary
    assert summary["test"]["test_set"]["videos"] == 2

    config = changed(dataclasses.replace(config, output=tmp_path / "second"), max_bad_fraction=0.2)
    assert run_that_loses_a_test_video(config, lost) == 0
    assert " test video(s) have no scores:\n  - 'v8': " in capsys.readouterr().out
    summary = json.loads((config.output / "summary.json").read_text())
    assert list(summary["unscored"]) == list(summary["seeds"]["0"]["unscored"]["test"]) == ["v8"]
    assert "v8.mp4" in summary["unscored"]["v8"]
    assert summary["test"]["test_set"]["videos"] == 1
    assert "'v8' could not be scored and is left out" in summary["test"]["notes"][0]
    with pytest.raises(SystemExit) as left:
        evaluate_main([str(config.output), "--resamples", "0", "--no-plots"])
    assert not left.value.code
    document = json.loads((config.output / "evaluation" / "evaluation.json").read_text())
    assert document["methods"][0]["metrics"] == summary["test"]["metrics"]


def test_unreadable_files_are_named_before_training(config: FinetuneConfig, labelled: Path, tmp_path: Path) -> None:
    rows = (labelled / "videos.csv").read_text().splitlines()
    (tmp_path / "videos.csv").write_text("\n".join([*rows, f"{tmp_path}/junk.mp4,1,train,"]), encoding="utf-8")
    (tmp_path / "junk.mp4").write_bytes(b"no video")
    catalogue = CatalogueConfig(kind="csv", root=labelled, annotations=tmp_path / "videos.csv")
    config = dataclasses.replace(config, catalogue=catalogue)
    with pytest.raises(UserError, match=r"1 of 11 videos cannot be read(?s:.*)junk\.mp4"):
        VideoSource.open(config)
    source = VideoSource.open(changed(config, max_bad_fraction=0.2))
    assert source.videos.left_out == ("junk",)
    assert len(source.videos.train) + len(source.videos.validation) == 8
    (tmp_path / "bad.txt").write_text("junk\tbroken\n", encoding="utf-8")
    assert not VideoSource.open(changed(config, quarantine=tmp_path / "bad.txt")).videos.left_out


def test_frozen_stages_keep_their_statistics(config: FinetuneConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    backbone = build_backbone(BackboneConfig(name="r3d_18", clip_frames=4, height=32, width=48))
    monkeypatch.setattr(
        "downstream.training.end_to_end.video_training.open_backbone", lambda config: (backbone, (0.0,) * 4, {})
    )
    monkeypatch.setattr("downstream.training.end_to_end.video_training.STANDARDISE_SNIPPETS", 1)
    training = VideoSource.open(config).seed_training(0, Accelerator(cpu=True))
    before = copy.deepcopy(backbone.state_dict())
    batch = training.batch(0)
    loss, _ = training.model(batch.inputs, batch.mask, batch.labels, 0)
    loss.backward()
    after = backbone.state_dict()
    moved = {key.split(".")[1] for key in before if not torch.equal(before[key], after[key])}
    assert moved == {"layer4"}  # running means and variances
    reached = {key.split(".")[1] for key, value in backbone.named_parameters() if value.grad is not None}
    assert reached == {"layer4"}


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda c: changed(c, backbone="small4d"), r"videos\.backbone 'small4d' is neither .*small3d"),
        (lambda c: changed(c, download=True), r"brings its weights: leave videos\.weights"),
        (lambda c: changed(c, unfreeze=9), r"videos\.unfreeze is 9; small3d has 4 stages"),
        (lambda c: changed(c, snippets=0), r"videos\.snippets is 0; it must be at least 1"),
        (lambda c: dataclasses.replace(c, features=FeaturesConfig(normalise="l2")), r"leave one of the two out"),
        (lambda c: dataclasses.replace(c, features=FeaturesConfig(allow_missing=True)), r"leave one of the two out"),
    ],
)
def test_mistakes_are_told_before_anything_runs(
    config: FinetuneConfig, wrong: Callable[[FinetuneConfig], FinetuneConfig], text: str
) -> None:
    with pytest.raises(UserError, match=text):
        finetune(wrong(config))


@pytest.mark.parametrize("name", ["small3d", "timm/vit_tiny_patch16_224"])
def test_a_name_alone_trains_from_random_weights_of_the_seed(
    config: FinetuneConfig, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("downstream.training.end_to_end.video_training.STANDARDISE_SNIPPETS", 1)
    config = changed(config, backbone=name, snippets=1)
    config = dataclasses.replace(config, optim=dataclasses.replace(config.optim, batch_size=2))
    first, again = (training_of(config).model.state_dict() for _ in range(2))
    assert all(torch.equal(first[key], again[key]) for key in first)
    training = training_of(config)
    batch = training.batch(0)
    loss, _ = training.model(batch.inputs, batch.mask, batch.labels, 0)
    loss.backward()
    for key, parameter in training.model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, key  # DDP searches for no unused ones


def test_the_run_folder_says_what_was_trained(config: FinetuneConfig, capsys: pytest.CaptureFixture[str]) -> None:
    config = dataclasses.replace(config, optim=dataclasses.replace(config.optim, steps=1))
    assert finetune(config) == 0
    assert "small3d" in (said := capsys.readouterr().out)
    assert "trains: layers.3" in said
    assert "bags of 4 snippets" in said
    card = json.loads((config.output / "seed-0/detector/backbone/backbone.json").read_text())
    assert card["data"]["border_crop"] == [0.1, 0.0, 0.0, 0.0]
    assert card["fine_tuned"]["stages"] == ["layers.3"]
    assert len(open_catalogue(config.catalogue)) == len(LENGTHS)
