"""Controls: labels that say nothing, clips that hold nothing, films that run backward."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from accelerate import Accelerator

from pretext_tasks import ClipGeometry, PretextTasks
from pretrain.config import PretrainConfig
from pretrain.controls import control_accuracies, encode_again, read_config
from pretrain.data.video import read_frames
from pretrain.errors import UserError
from pretrain.prepare import prepare_videos
from pretrain.train import pretrain
from tests.pretrain.conftest import changed

GEOMETRY = ClipGeometry(window_frames=64, clip_frames=8, stride_frames=2)


@pytest.mark.parametrize("name", PretextTasks().by_name())
def test_without_signal_clips_of_all_classes_look_alike(name: str) -> None:
    """Steps between frames, the only thing that told classes apart, are then the same for every label."""
    task = PretextTasks().by_name()[name]
    steps: dict[int, set[tuple[int, ...]]] = {}
    rng = np.random.default_rng(0)
    for _ in range(300):
        drawn = task.sample(GEOMETRY, rng)
        sample = task.without_signal(drawn, GEOMETRY)
        assert sample.frames.shape == drawn.frames.shape
        assert sample.frames.min() >= 0
        assert sample.frames.max() < GEOMETRY.window_frames
        np.testing.assert_array_equal(sample.labels, drawn.labels)
        for frames, label in zip(sample.frames, sample.labels, strict=True):
            steps.setdefault(int(label), set()).add(tuple(np.diff(frames)))
    assert len(steps) >= 2
    if name == "temporal_order":
        assert all((np.array(list(found)) > 0).all() for found in steps.values())
    elif name == "arrow_of_time":
        for found in steps.values():
            assert all(step == tuple(-np.array(step[::-1])) for step in found)
    else:
        assert len(set.union(*steps.values())) == 1


def test_a_run_is_judged_under_every_control(tiny_config: PretrainConfig) -> None:
    config = changed(tiny_config, optim__steps=3)
    with pytest.raises(UserError, match=r"there is no file or folder .*; give the --output folder of pretrain"):
        control_accuracies(config.output, Accelerator(cpu=True), 2, 0)
    pretrain(config)
    found = control_accuracies(config.output, Accelerator(cpu=True), 2, 0, codec=True)
    assert list(found) == ["none", "no_signal", "still", "encoded", "reversed"]
    for control in ("still", "no_signal"):
        for entry in found[control].values():
            assert entry.ci_low <= entry.chance <= entry.ci_high


def test_a_reversed_film_shows_the_last_frame_first(tiny_config: PretrainConfig, tmp_path: Path) -> None:
    source = prepare_videos(tiny_config, 32, 0, 1, lambda: None).train[0]
    backward = encode_again(source, tmp_path, backward=True)
    assert backward.info.num_frames == source.info.num_frames
    there = read_frames(source.path, [0, 40, 79]).astype(int)
    back = read_frames(backward.path, [79, 39, 0]).astype(int)
    assert np.abs(there - back).mean() < 12
    assert np.abs(there - back[::-1]).mean() > np.abs(there - back).mean()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("{", r"config.json is damaged"),
        ("[]", r"config.json is damaged \(no JSON object\)"),
        ('{"objective.base": "topk_bce"}', "is a run of another command"),
        ('{"data.held_out_by": "auto"}', "is of another version: it has data.held_out_by; start the run anew"),
    ],
)
def test_a_configuration_that_is_none_is_told(tmp_path: Path, content: str, text: str) -> None:
    (tmp_path / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=text):
        read_config(tmp_path)
