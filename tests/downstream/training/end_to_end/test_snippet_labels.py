"""Training end to end on labels of snippets, a teacher's or a ceiling's, on real encoded clips."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from hypothesis import given
from hypothesis import strategies as st

from downstream.detector.config import DetectorConfig
from downstream.runs.run_folder import RunFolder
from downstream.scores.score_file import write_scores
from downstream.scores.video_scores import make_scores
from downstream.training.config import FinetuneConfig, SelfTrainingConfig
from downstream.training.end_to_end import video_source
from downstream.training.end_to_end.video_bags import TrainingVideo, bags_of
from downstream.training.end_to_end.video_source import VideoSource
from downstream.training.end_to_end.video_training import VideoTraining
from downstream.training.finetune import finetune
from pretrain.data.catalogue import Catalogue, Video
from pretrain.data.video import VideoInfo
from pretrain.errors import UserError
from tests.downstream.training.end_to_end.filmed import film, short_run

LENGTHS = (80, 70, 96, 64, 80, 96, 96, 80, 80, 64)


@pytest.fixture(scope="module")
def spanned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten real videos, every second abnormal with its frames 16 to 40, the last two for testing, and a backbone."""
    folder = tmp_path_factory.mktemp("spanned")
    film(folder, LENGTHS)
    rows = [
        f"v{number}.mp4,{number % 2},{'test' if number >= 8 else 'train'},{'16:40' * (number % 2)}"
        for number in range(len(LENGTHS))
    ]
    (folder / "videos.csv").write_text("\n".join(["path,label,split,spans", *rows]) + "\n", encoding="utf-8")
    return folder


def say(teacher: Path, scores: list[float]) -> None:
    """These scores, of quarters of the videos that it held out."""
    videos = [make_scores(f"v{number}", scores, np.arange(5) * (LENGTHS[number] // 4)) for number in (1, 3, 5)]
    write_scores(teacher / "seed-0" / "validation_scores.json", videos, {"supervision": "videos"})


@pytest.fixture
def taught(spanned: Path, tmp_path: Path) -> FinetuneConfig:
    """A teacher that held out v1, v3 and v5 and calls their third snippet the highest, and two steps of its student."""
    say(tmp_path / "teacher", [0.2, 0.4, 0.9, 0.3])
    return short_run(
        *(spanned, tmp_path / "run"),
        kind="csv",
        steps=2,
        videos={"snippets": 4, "pool": "mean_max", "height": 40, "width": 56},
        validation_fraction=0.25,
        self_training=SelfTrainingConfig(teacher=tmp_path / "teacher", share=0.25, doubtful=0.25),
    )


def training_of(config: FinetuneConfig) -> VideoTraining:
    return VideoSource.open(config).seed_training(0, Accelerator(cpu=True))


@given(st.lists(st.lists(st.sampled_from([0.0, 0.3, 0.7, 1.0, float("nan")]), max_size=9), max_size=5))
def test_every_snippet_with_a_label_is_a_bag_and_no_other(labels: list[list[float]]) -> None:
    told = [np.array([0.0, 1.0], np.float32), *(np.array(each, np.float32) for each in labels)]
    info = VideoInfo(
        num_frames=160,
        fps=25.0,
        width=56,
        height=40,
        duration_seconds=6.4,
        codec="h264",
        rotation=0,
        is_constant_rate=True,
    )
    bags = bags_of([TrainingVideo(str(number), "v.mp4", 1, info, each) for number, each in enumerate(told)])
    kept = [(str(n), s, share >= 0.5) for n, each in enumerate(told) for s, share in enumerate(each) if share >= 0]
    assert [(bag.video.name, bag.snippet, bag.is_abnormal) for bag in bags] == kept
    unlabelled = [TrainingVideo("a", "a.mp4", 1, info), TrainingVideo("n", "n.mp4", 0, info)]
    assert [(bag.video.name, bag.snippet, bag.is_abnormal) for bag in bags_of(unlabelled)] == [
        ("a", None, True),
        ("n", None, False),
    ]


def test_a_student_learns_what_the_teacher_calls_anomalous(
    taught: FinetuneConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    training = training_of(taught)
    abnormal = [video for video in training.plan.videos if video.label]
    assert {video.name for video in abnormal} <= {"v1", "v3", "v5"}
    for video in abnormal:
        assert video.snippet_labels is not None
        middle = np.arange(len(video.snippet_labels)) * 16 + 8
        quarter = middle * 4 // LENGTHS[int(video.name[1:])]
        assert (quarter[video.snippet_labels == 1] == 2).all()
    batch = training.batch(0)
    assert batch.instance_labels is not None
    assert batch.inputs.shape[-2:] == (40, 56)
    told = batch.instance_labels.flatten().tolist()
    assert sorted(told) == [0, 0, 1, 1]  # half of the snippets, each by itself
    assert {name for name, label in zip(batch.names, told, strict=True) if label} <= {"v1", "v3", "v5"}

    assert finetune(taught) == 0
    said = capsys.readouterr().out
    assert f"labels of snippets by {taught.self_training.teacher}; cross-entropy of every snippet" in said
    assert "256 numbers" in said
    card = json.loads((taught.output / "seed-0" / "detector" / "detector.json").read_text())
    assert card["supervision"] == "videos"  # nobody was told more
    assert card["objective"] == {"objective.base": "self_training", "share": 0.25, "doubtful": 0.25}
    summary = json.loads((taught.output / "seed-0" / "summary.json").read_text())
    assert summary["steps"] == 2


def test_each_snippet_has_an_augmentation_of_its_own(taught: FinetuneConfig) -> None:
    coloured = dataclasses.replace(taught, videos=dataclasses.replace(taught.videos, augment="colours"))
    bags = training_of(coloured).bags
    crop, colour, *_ = bags[0].augmentation
    assert len(colour.unique(dim=0)) == len(colour) == 4
    assert float((crop[:, 2] * crop[:, 3]).abs().min()) >= 0.79
    as_videos = dataclasses.replace(coloured, self_training=SelfTrainingConfig())
    read = training_of(as_videos).bags[0]
    assert len(read.augmentation[1].unique(dim=0)) == len(read.names)  # one for all snippets of a bag


def test_a_run_does_not_go_on_when_its_teacher_says_something_else(taught: FinetuneConfig) -> None:
    assert finetune(taught) == 0
    (taught.output / "seed-0" / "summary.json").unlink()
    assert taught.self_training.teacher is not None
    say(taught.self_training.teacher, [0.9, 0.4, 0.2, 0.3])
    with pytest.raises(UserError, match=r"labels of snippets: was .* is "):
        finetune(dataclasses.replace(taught, resume=True))


def test_a_ceiling_learns_end_to_end_too(taught: FinetuneConfig, capsys: pytest.CaptureFixture[str]) -> None:
    top = dataclasses.replace(taught, self_training=SelfTrainingConfig(), ceiling=True)
    training = training_of(top)
    for video in training.plan.videos:
        assert video.snippet_labels is not None
        expected = np.zeros(len(video.snippet_labels), np.float32)
        expected[1:3] = (1, 0.5) if video.label else 0
        torch.testing.assert_close(torch.from_numpy(video.snippet_labels), torch.from_numpy(expected))
    assert finetune(top) == 0
    assert "ceiling: trained on frame labels, no weakly supervised figure" in capsys.readouterr().out
    evaluation = json.loads((top.output / "evaluation" / "evaluation.json").read_text())
    assert evaluation["methods"][0]["supervision"] == "frames"


def test_a_ceiling_of_spans_much_shorter_than_a_snippet_is_told_what_to_do(taught: FinetuneConfig) -> None:
    coarse = dataclasses.replace(taught.videos, snippet_frames=96)
    top = dataclasses.replace(taught, self_training=SelfTrainingConfig(), ceiling=True, videos=coarse)
    with pytest.raises(UserError, match=r"none of the \d+ training snippets is abnormal.*or have shorter ones with "):
        VideoSource.open(top)


def test_videos_that_the_teacher_has_seen_are_no_test_of_its_student(taught: FinetuneConfig) -> None:
    assert taught.self_training.teacher is not None
    card = taught.self_training.teacher / "seed-0" / "detector" / "detector.json"
    card.parent.mkdir()
    card.write_text(json.dumps({"trained_on": ["v0", "elsewhere"], "selected_on": ["v1"]}))
    assert finetune(taught) == 0
    of_student = json.loads((taught.output / "seed-0" / "detector" / "detector.json").read_text())
    assert of_student["taught_on"] == ["elsewhere", "v0", "v1"]
    with pytest.raises(UserError, match="- elsewhere"):  # by another list, in which it is a test video
        RunFolder(taught.output).refuse_seen_in_training(Catalogue([Video("elsewhere", "")], "other list"))
    card.write_text(json.dumps({"trained_on": ["v9"]}))
    again = dataclasses.replace(taught, output=taught.output.with_name("again"))
    with pytest.raises(UserError, match=r"the training list of .*teacher"):
        finetune(again)
    assert not again.output.exists()


def test_what_does_not_go_together_is_refused_before_anything_runs(
    taught: FinetuneConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = dataclasses.replace(taught.videos, grid="map")
    top = dataclasses.replace(taught, self_training=SelfTrainingConfig(), ceiling=True)
    neighbours = DetectorConfig(temporal="multi_scale")
    for one, what in ((taught, r"self_training\.teacher is .*"), (top, "ceiling is on")):
        with pytest.raises(
            UserError, match=rf"{what}, and videos\.grid is map: labels of snippets say when, not where"
        ):
            finetune(dataclasses.replace(one, videos=cells))
        with pytest.raises(UserError, match=rf"{what}, and detector\.temporal is multi_scale: every snippet"):
            finetune(dataclasses.replace(one, detector=neighbours))
    monkeypatch.setattr(video_source, "open_videos", None)  # what follows is said before any video is opened
    with pytest.raises(UserError, match="give a finished run"):
        finetune(dataclasses.replace(taught, self_training=SelfTrainingConfig(teacher=Path("nowhere"))))
    with pytest.raises(UserError, match=r"videos\.backbone is not set: on stored features nothing was gained"):
        dataclasses.replace(taught, videos=dataclasses.replace(taught.videos, backbone=None))
    with pytest.raises(UserError, match="ceiling and self_training"):
        dataclasses.replace(taught, ceiling=True)
    with pytest.raises(UserError, match=r"videos\.height is 0; it must be at least 1"):
        dataclasses.replace(taught.videos, height=0)
