"""The run as a whole: it learns, logs, stops, goes on bit for bit, and refuses what does not fit."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import pretrain.train as train_module
from pretrain.backbones import load_backbone
from pretrain.checkpoint import newest_state, whole_states
from pretrain.config import PretrainConfig
from pretrain.errors import UserError
from pretrain.prepare import Videos, split_catalogue
from pretrain.run_folder import as_json
from pretrain.tracking import read_log
from pretrain.train import pretrain
from tests.paths import ROOT
from tests.pretrain.conftest import changed


def final_tensors(run: Path) -> dict[str, torch.Tensor]:
    state = newest_state(run / "checkpoints")
    assert state is not None
    return load_file(state / "state.safetensors")


def assert_same_state(one: Path, other: Path) -> None:
    first, second = final_tensors(one), final_tensors(other)
    assert first.keys() == second.keys()
    for key, value in first.items():
        assert torch.equal(value, second[key]), key
    weights = [(run / "backbone" / "backbone.safetensors").read_bytes() for run in (one, other)]
    assert weights[0] == weights[1]


def flags(config: PretrainConfig) -> list[str]:
    """The command line of a configuration: what differs from the defaults, which are those of no preset."""
    default, given = as_json(PretrainConfig()), as_json(config)
    out = ["--preset", "gpu"]
    for key, value in given.items():
        if value != default[key]:
            out += [f"--{key.replace('_', '-')}", *map(str, value if isinstance(value, list) else [value])]
    return out


def start(config: PretrainConfig, *extra: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "pretrain.py", *flags(config), *extra],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for_state(run: Path, process: subprocess.Popen[str], limit_seconds: float = 120) -> None:
    deadline = time.monotonic() + limit_seconds
    while not whole_states(run / "checkpoints"):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "no training state appeared"
        time.sleep(0.02)


def test_a_run_writes_everything_and_its_backbone_loads(tiny_config: PretrainConfig) -> None:
    assert pretrain(tiny_config) == 0
    run = tiny_config.output
    for name in ("config.json", "videos.json", "summary.json", "log.jsonl", "curves.png", "tensorboard"):
        assert (run / name).exists(), name
    summary = json.loads((run / "summary.json").read_text())
    assert list(summary["pretext"]) == ["temporal_order", "speed", "arrow_of_time", "abrupt_change"]
    for entry in summary["pretext"].values():
        assert entry["ci_low"] <= entry["accuracy"] <= entry["ci_high"]
    assert summary["pretext"]["speed"]["chance"] == pytest.approx(1 / 3)
    backbone, card = load_backbone(run / "backbone")
    assert card["steps"] == 6
    assert backbone(torch.zeros(1, 3, 8, 32, 48)).shape[:2] == (1, backbone.spec.feature_dim)
    steps = [entry["step"] for entry in read_log(run / "log.jsonl") if "train/loss" in entry]
    assert steps == [1, 2, 3, 4, 5, 6]
    videos = json.loads((run / "videos.json").read_text())
    assert not set(videos["train"]) & set(videos["validation"])


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tiny_config: PretrainConfig) -> None:
    runs = [tiny_config.output.with_name(name) for name in ("a", "b", "c")]
    for run, seed in zip(runs, (0, 0, 1), strict=True):
        pretrain(changed(tiny_config, output=run, seed=seed, optim__steps=2))
    assert_same_state(runs[0], runs[1])
    one, other = final_tensors(runs[0]), final_tensors(runs[2])
    assert any(not torch.equal(one[key], other[key]) for key in one)


def test_workers_and_accumulation_do_not_change_what_is_seen(tiny_config: PretrainConfig) -> None:
    plain, workers, rounds = (tiny_config.output.with_name(name) for name in ("a", "b", "c"))
    pretrain(changed(tiny_config, output=plain, optim__steps=3))
    pretrain(changed(tiny_config, output=workers, optim__steps=3, data__workers=2))
    pretrain(changed(tiny_config, output=rounds, optim__steps=3, optim__accumulate=2))
    assert_same_state(plain, workers)
    losses = [[e["train/loss"] for e in read_log(run / "log.jsonl") if "train/loss" in e] for run in (plain, rounds)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_kill_9_and_resume_equals_an_uninterrupted_run(tiny_config: PretrainConfig) -> None:
    """Real processes; the killed one is somewhere past its first state."""
    whole, killed = (
        changed(tiny_config, output=tiny_config.output.with_name(name), optim__steps=12) for name in ("whole", "killed")
    )
    uninterrupted = start(whole)
    assert uninterrupted.wait(timeout=300) == 0, uninterrupted.communicate()[0]
    process = start(killed)
    wait_for_state(killed.output, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (killed.output / "summary.json").exists()
    resumed = start(killed, "--resume")
    text = resumed.communicate(timeout=300)[0]
    assert resumed.returncode == 0, text
    assert "from step 0" not in text
    assert_same_state(whole.output, killed.output)


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_leaves_with_a_clear_line(
    tiny_config: PretrainConfig, signal_number: signal.Signals
) -> None:
    """To the whole process group, reading workers included, as clusters and terminals do it."""
    config = changed(tiny_config, optim__steps=2000, save_every=1, data__workers=1)
    process = start(config)
    wait_for_state(config.output, process)
    os.killpg(process.pid, signal_number)
    text = process.communicate(timeout=120)[0]
    assert process.returncode == 128 + signal_number, text
    assert f"stopped by {signal_number.name} after step" in text
    assert "go on with --resume" in text
    assert "Traceback" not in text
    assert newest_state(config.output / "checkpoints") is not None


def test_a_full_disk_keeps_the_last_good_state(tiny_config: PretrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = changed(tiny_config, output=tiny_config.output.with_name("whole"))
    pretrain(whole)
    real, calls = train_module.save_state.__globals__["save_file"], []

    def full_on_the_second(tensors: dict[str, torch.Tensor], path: Path) -> None:
        calls.append(path)
        if len(calls) == 2:
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")
        real(tensors, path)

    monkeypatch.setattr("pretrain.checkpoint.save_file", full_on_the_second)
    with pytest.raises(
        UserError, match=r"cannot write the training state of step 6 .* Make room and run again with --resume"
    ):
        pretrain(tiny_config)
    assert [path.name for path in (tiny_config.output / "checkpoints").iterdir()] == ["step-00000003"]
    assert pretrain(changed(tiny_config, resume=True)) == 0
    assert_same_state(whole.output, tiny_config.output)


def test_a_damaged_state_is_passed_over(tiny_config: PretrainConfig) -> None:
    pretrain(tiny_config)
    folder = tiny_config.output / "checkpoints"
    assert [path.name for path in whole_states(folder)] == ["step-00000003", "step-00000006"]
    with open(folder / "step-00000006" / "state.safetensors", "r+b") as file:
        file.seek(5000)
        file.write(b"\xff" * 8)
    assert newest_state(folder) == folder / "step-00000003"


def test_resuming_a_finished_run_changes_nothing(tiny_config: PretrainConfig) -> None:
    pretrain(tiny_config)
    before = final_tensors(tiny_config.output)
    written = (newest_state(tiny_config.output / "checkpoints") / "state.json").stat().st_ino  # type: ignore[operator]
    assert pretrain(changed(tiny_config, resume=True)) == 0
    after = final_tensors(tiny_config.output)
    assert all(torch.equal(before[key], after[key]) for key in before)
    # the only good state is never deleted, not even to be written again
    assert (newest_state(tiny_config.output / "checkpoints") / "state.json").stat().st_ino == written  # type: ignore[operator]


def test_a_loss_that_is_not_finite_stops_before_the_optimiser_moves(
    tiny_config: PretrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = train_module.objective, []

    def broken(*arguments: object) -> object:
        loss, parts = real(*arguments)  # type: ignore[arg-type]
        calls.append(1)
        if len(calls) == 4:
            parts["speed/loss"] = parts["speed/loss"] * float("nan")
            loss = loss * float("nan")
        return loss, parts

    monkeypatch.setattr(train_module, "objective", broken)
    with pytest.raises(UserError, match=r"not finite at step 4 \(tasks: speed\).*\n  - clip\d") as caught:
        pretrain(tiny_config)
    assert "lower optim.lr" in str(caught.value)
    assert newest_state(tiny_config.output / "checkpoints").name == "step-00000003"  # type: ignore[union-attr]
    assert len(calls) == 4


def test_a_video_that_fails_while_training_is_named_and_counts_in_no_loss(
    tiny_config: PretrainConfig, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from pretrain.data import windows
    from pretrain.data.video import VideoError

    real, damaged = windows.read_frames, split_catalogue(tiny_config)[0][0].path

    def failing(path: str, *arguments: object, **options: object) -> object:
        if path == damaged:
            raise VideoError(f"{path}: damaged in the middle")
        return real(path, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(windows, "read_frames", failing)
    with pytest.raises(UserError, match=r"1 of 5 videos cannot be read, more than data.max_bad_fraction = 0.01"):
        pretrain(tiny_config)
    assert pretrain(changed(tiny_config, output=tiny_config.output / "2", data__max_bad_fraction=0.5)) == 0
    assert "left out from here on" in capfd.readouterr().err
    assert "damaged in the middle" in (tiny_config.output / "2" / "quarantine.txt").read_text()


def test_messages_before_anything_starts(tiny_config: PretrainConfig, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data.window_frames is 20, but the tasks need \d+ frames"):
        pretrain(changed(tiny_config, data__window_frames=20))
    with pytest.raises(UserError, match=r"tasks.temporal_order.segments is 4, but clips of 6 frames"):
        pretrain(changed(tiny_config, backbone__clip_frames=6))
    with pytest.raises(UserError, match=r"none of the \d training videos .* data.short_videos to hold"):
        pretrain(changed(tiny_config, data__window_frames=500))
    with pytest.raises(UserError, match=r"no folder|does not exist|is not a folder"):
        pretrain(changed(tiny_config, catalogue__root=tmp_path / "nothing"))
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="device is cuda, but no CUDA device is available here"):
            pretrain(changed(tiny_config, device="cuda"))


def test_a_run_folder_is_not_overwritten_and_not_continued_with_other_settings(tiny_config: PretrainConfig) -> None:
    pretrain(changed(tiny_config, optim__steps=3))
    with pytest.raises(UserError, match=r"already holds a run: add --resume"):
        pretrain(tiny_config)
    with pytest.raises(UserError, match=r"optim.lr: was 0.001, is 0.5"):
        pretrain(changed(tiny_config, optim__lr=0.5, optim__steps=3, resume=True))


def test_short_videos_can_be_held(tiny_config: PretrainConfig) -> None:
    assert pretrain(changed(tiny_config, data__window_frames=100, data__short_videos="hold", optim__steps=2)) == 0


def test_a_video_that_vanishes_during_the_run_fails_alone(
    tiny_config: PretrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = Path(shutil.copytree(tiny_config.catalogue.root, tmp_path / "videos"))
    prepared = train_module.prepare_videos

    def and_then_one_is_gone(*arguments: Any, **options: Any) -> Videos:
        found = prepared(*arguments, **options)
        Path(found.train[0].path).unlink()
        return found

    monkeypatch.setattr(train_module, "prepare_videos", and_then_one_is_gone)
    config = changed(tiny_config, catalogue__root=videos, data__max_bad_fraction=0.5)
    assert pretrain(config) == 0
    (bad,) = (config.output / "quarantine.txt").read_text(encoding="utf-8").splitlines()
    assert "no such file" in bad


def test_a_resumed_runs_log_is_that_of_an_uninterrupted_one(
    tiny_config: PretrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped between two lines of the log, then after the last step: means are of the same steps, no row is twice."""
    whole, stopped = (
        changed(
            tiny_config, output=tiny_config.output.with_name(name), optim__steps=8, log_every=4, validate_every=4,
            save_every=3,
        )
        for name in ("whole", "stopped")
    )  # fmt: skip
    assert pretrain(whole) == 0
    asked = iter([0] * 5 + [signal.SIGTERM])
    with monkeypatch.context() as patched:
        patched.setattr("pretrain.stopping.StopRequest.agreed", lambda *_: next(asked))
        assert pretrain(stopped) == 128 + signal.SIGTERM
    with monkeypatch.context() as patched:  # after the last state, before the end
        patched.setattr("pretrain.train.Run._finish", lambda _: (_ for _ in ()).throw(ZeroDivisionError()))
        with pytest.raises(ZeroDivisionError):
            pretrain(changed(stopped, resume=True))
    assert pretrain(changed(stopped, resume=True)) == 0
    logs = [
        [
            {key: value for key, value in entry.items() if key != "time" and not key.startswith("speed/")}
            for entry in read_log(run.output / "log.jsonl")
        ]
        for run in (whole, stopped)
    ]
    assert [entry["step"] for entry in logs[0]] == [4, 4, 8, 8]
    assert logs[0] == logs[1]
    for file in ("summary.json", "backbone/backbone.json"):
        one, other = (json.loads((run.output / file).read_text()) for run in (whole, stopped))
        assert one.keys() == other.keys()
        assert {key for key in one if one[key] != other[key]} <= {"seconds", "backbone"}
