from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import pretraining_value
from benchmarks.linear_probe import linear_probe, logistic_regression
from benchmarks.network_comparison import given_weights, paired_half_width, task_flags
from benchmarks.pretraining_value_tables import Judged, result_of, tables
from benchmarks.real_footage import fight_streams, mask_boxes, ucf_crime_features, ucsd_ped2
from downstream.evaluation.choose_videos import open_listed
from downstream.evaluation.settings import EvaluationSettings
from downstream.evaluation.temporal_evaluation import TemporalEvaluation, evaluate_seeds
from downstream.features.store import FeatureSet
from downstream.runs.run_folder import RunFolder
from downstream.scores.video_scores import VideoScores
from downstream.training.config import FinetuneConfig
from pretrain.config import PretrainConfig
from pretrain.data.catalogue import CatalogueConfig
from pretrain.errors import UserError
from tests.downstream.evaluation.reference import better, random_test_set
from tests.downstream.simulated import make_features
from tests.paths import REAL


def test_the_regression_finds_the_direction_that_matters() -> None:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(400, 3))
    positive = (inputs[:, 1] + 0.1 * rng.normal(size=400) > 0.8).astype(np.int64)
    weight = logistic_regression(inputs, positive, 1 - positive)
    assert weight[1] > 5 * np.abs(weight[[0, 2]]).max()


def test_the_probe_uses_frames_where_training_videos_have_spans_and_videos_otherwise(tmp_path: Path) -> None:
    make_features(tmp_path, shift=3.0)
    features = FeatureSet.open(tmp_path / "features")
    file = tmp_path / "annotations" / "ground_truth.json"
    by_video = linear_probe(features, open_listed(CatalogueConfig(kind="json", root=tmp_path)))
    content = json.loads(file.read_text())
    for name, video in content["videos"].items():
        if video["label"] and "spans" not in video:
            shifted = features.read(name)[:, 0, 0] > 1.5
            start, end = np.flatnonzero(shifted)[[0, -1]]
            video["spans"] = [[16 * int(start), 16 * int(end) + 16]]
    file.write_text(json.dumps(content))
    by_frame = linear_probe(features, open_listed(CatalogueConfig(kind="json", root=tmp_path)))
    assert by_frame > 0.9
    assert by_video != by_frame


def test_half_width_is_students() -> None:
    assert paired_half_width(np.array([1.0])) is None
    assert paired_half_width(np.array([0.0, 1.0, 2.0, 3.0, 4.0])) == pytest.approx(2.776 * np.sqrt(2.5 / 5))


def test_an_arm_switches_off_the_tasks_that_it_does_without() -> None:
    assert task_flags("all") == []
    assert task_flags("without_speed") == ["--tasks.speed.weight", "0"]
    alone = task_flags("speed")
    assert "--tasks.speed.weight" not in alone
    assert alone.count("0") == 3


def test_weights_are_given_by_name() -> None:
    assert given_weights(["a=x/y", "b=z=1"]) == {"a": "x/y", "b": "z=1"}
    with pytest.raises(UserError, match="--weights x: give name=FOLDER"):
        given_weights(["x"])


def test_flags_of_other_commands_come_as_one_word() -> None:
    command = ["a.yaml", "b.yaml", "--extract=--height 96 --width 144", "--pretrain=--output 'a b'", "--seeds", "1"]
    options = pretraining_value.parse_options(command)
    assert options.extract == ("--height", "96", "--width", "144")
    assert options.pretrain == ("--output", "a b")
    assert (options.finetune, options.seeds) == ((), (1,))


def test_each_seed_has_its_own_given_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = pretraining_value.PretrainingValueConfig(configs=(tmp_path, tmp_path))
    commands: list[list[str]] = []
    monkeypatch.setattr(pretraining_value, "call", commands.append)
    arm = pretraining_value.Arm("own", weights="runs/seed-{seed}/pretrain")
    for seed in (0, 3):
        pretraining_value.features_of(options, PretrainConfig(), FinetuneConfig(), arm, seed, tmp_path)
    given = [command[command.index("--backbone") + 1] for command in commands]
    assert given == ["runs/seed-0/pretrain", "runs/seed-3/pretrain"]


def test_references_are_of_each_networks_features_and_motion_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores, _ = random_test_set(np.random.default_rng(1), abnormal=2, normal=2)
    commands: list[list[str]] = []

    def written(command: list[str]) -> None:
        commands.append(command)
        names = ["feature_change", *(["motion_energy"] if "--motion" in command else [])]
        for number, name in enumerate(names):
            own = [replace(video, scores=video.scores + number + len(commands)) for video in scores]
            RunFolder(Path(command[1])).write_reference(name, own, {"reference": name})

    monkeypatch.setattr(pretraining_value, "call", written)
    options = pretraining_value.PretrainingValueConfig(configs=(tmp_path, tmp_path), out=tmp_path, seeds=(3, 4))
    found = {}
    for arm in ("random", "all"):
        for seed in (3, 4):
            folder = tmp_path / arm / f"seed-{seed}"
            (folder / "label_free").mkdir(parents=True)
            found[arm, seed] = pretraining_value.reference_scores(options, PretrainConfig(), folder, seed)
    assert [command[2:3] for command in commands] == [["--motion"], [], [], []]
    first, last = found["random", 3], found["all", 4]
    assert list(last) == list(first) == ["feature_change", "motion_energy"]
    assert np.allclose(last["feature_change"]["4.0"][0].scores, first["feature_change"]["3.0"][0].scores + 3)
    assert np.array_equal(last["motion_energy"]["4.0"][0].scores, first["motion_energy"]["3.0"][0].scores)


def test_a_row_stands_beside_random_weights_and_its_best_reference() -> None:
    truth, videos = random_test_set(np.random.default_rng(5), abnormal=6, normal=6)

    def row(title: str, *by_network: list[VideoScores]) -> TemporalEvaluation:
        scores = {f"{number}.0": own for number, own in enumerate(by_network)}
        return evaluate_seeds(scores, videos, EvaluationSettings(resamples=100), title)

    good, fair = better(truth, videos, 2), better(truth, videos, 1)
    rows = {"random": row("random", truth, truth), "all": row("all", good, fair)}
    references = {
        "random": {"deviation": row("deviation", truth, truth), "position": row("position", truth, truth)},
        "all": {"deviation": row("deviation", truth, truth), "normal_distance": row("normal_distance", fair, fair)},
    }
    outcome = Judged({"label-free": rows}, references, networks=2)
    figures = result_of(outcome, {"random": [0.5, 0.5], "all": [0.6, 0.8]})["label-free, frame AUC"]
    own, base = figures["all"], figures["random"]
    assert "less_random" not in base
    assert base["less_reference"] == pytest.approx(0)
    assert own["best_reference"] == "normal_distance"
    assert own["less_random"] == pytest.approx(own["value"] - base["value"])
    assert own["less_reference"] == pytest.approx(own["value"] - own["best_reference_value"])
    # the second network equals the reference: all of the difference is the first's
    assert own["less_reference_half_width_over_networks"] == pytest.approx(12.706 * own["less_reference"])
    assert own["less_random_ci_low"] < own["less_random"] < own["less_random_ci_high"]
    table = tables(outcome, {"random": [0.5, 0.5], "all": [0.6, 0.8]})
    assert f"normal distance {own['best_reference_value']:.3f}" in table
    assert "linear probe, AUC" in table


@pytest.mark.skipif(not REAL.is_dir(), reason="no ../shared/real beside the checkout")
def test_catalogues_of_the_real_footage() -> None:
    fights = fight_streams(REAL / "fight_streams")["videos"]
    assert len(fights) == 87
    assert sum(video["label"] for video in fights.values() if video["split"] == "train") == 47
    assert fights["d001"]["spans"] == [[50, 103]]
    catalogue, grid = ucf_crime_features(REAL / "ucf_crime_features")
    tests = [video for video in catalogue["videos"].values() if video["split"] == "test"]
    assert (len(catalogue["videos"]), len(tests), sum(video["label"] for video in tests)) == (686, 137, 68)
    assert all(0 <= start < end <= video["num_frames"] for video in tests for start, end in video["spans"])
    assert len(grid) == 686
    clips = ucsd_ped2(REAL / "ucsd_ped2")["videos"]
    assert [sum(clip["split"] == part for clip in clips.values()) for part in ("train", "test")] == [16, 6]
    assert all(clips[name]["boxes"] for name in clips if clips[name]["label"])


def test_boxes_are_drawn_round_regions_of_masks(tmp_path: Path) -> None:
    masks = np.zeros((2, 12, 20), bool)
    masks[1, 2:7, 3:9] = masks[1, 8:12, 14:20] = True
    masks[1, 0, 19] = True  # a speck
    np.savez(tmp_path / "masks.npz", masks=np.packbits(masks, axis=-1), shape=masks.shape)
    assert mask_boxes(tmp_path / "masks.npz") == [[1, 3, 2, 9, 7, 0], [1, 14, 8, 20, 12, 1]]
