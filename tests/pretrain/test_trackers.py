"""A run is followed by trackers beside its log; what goes wrong there is one message, and no key is repeated."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from accelerate.tracking import GeneralTracker

import pretrain.trackers as trackers
from pretrain.cli import parse
from pretrain.config import PretrainConfig
from pretrain.errors import UserError
from pretrain.run_folder import as_json
from pretrain.trackers import Followed, check_trackers, simple, start_trackers
from pretrain.tracking import read_log
from pretrain.tracking_config import TrackingConfig
from pretrain.train import pretrain
from tests.pretrain.conftest import changed


class Fake(GeneralTracker):
    """What a tracker of somebody else's looks like."""

    name = "aim"
    requires_logging_directory = False

    def __init__(self, followed: Followed) -> None:
        super().__init__()
        self.followed = followed
        self.settings: dict[str, Any] = {}
        self.logged: list[tuple[int | None, dict[str, Any]]] = []
        self.finished = 0

    @property
    def tracker(self) -> Followed:
        return self.followed

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self.settings = values

    def log(self, values: dict[str, Any], step: int | None = None, **_: Any) -> None:
        self.logged.append((step, values))

    def finish(self) -> None:
        self.finished += 1


class Away(Fake):
    """One whose server cannot be reached."""

    def log(self, values: dict[str, Any], step: int | None = None, **_: Any) -> None:
        raise ConnectionError("no answer from https://someone:hunter2-hunter2@tracks.example")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Fake]:
    """Stand-ins for aim, as they are made."""
    found: list[Fake] = []

    def make(followed: Followed) -> tuple[Fake, str]:
        found.append(Fake(followed))
        return found[-1], followed.known or f"run-{len(found)}"

    monkeypatch.setitem(trackers.MAKERS, "aim", make)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    return found


def test_a_tracker_sees_what_the_log_holds_and_the_run_goes_on_in_it(
    tiny_config: PretrainConfig, made: list[Fake]
) -> None:
    tracking = TrackingConfig(log_with=("tensorboard", "aim"), project="yard", tags=("night", "cpu"))
    config = changed(tiny_config, tracking=tracking, optim__steps=4)
    assert pretrain(config) == 0
    (first,) = made
    assert first.followed[:3] == ("yard", "run", ("night", "cpu"))
    assert first.settings["optim.steps"] == 4
    assert first.settings["catalogue.root"] == str(config.catalogue.root)
    log = read_log(config.output / "log.jsonl")
    assert [step for step, _ in first.logged] == [entry["step"] for entry in log]
    assert first.logged[0][1].items() <= log[0].items()
    assert first.finished == 1
    (events,) = (config.output / "tensorboard").iterdir()
    assert b"| optim.steps | 4 |" in events.read_bytes()
    assert b"| tags | night, cpu |" in events.read_bytes()
    assert json.loads((config.output / "trackers.json").read_text()) == {"aim": "run-1"}
    again = changed(config, resume=True, tracking=TrackingConfig(log_with=("aim",), name="another"))
    assert pretrain(again) == 0
    assert (made[1].followed.known, made[1].followed.first_step, made[1].followed.name) == ("run-1", 4, "another")
    assert made[1].settings == {}, "a setting cannot be said twice, with other values, of one run"


def test_a_server_that_goes_away_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIM_SERVER_URL", "https://someone:hunter2-hunter2@tracks.example")
    monkeypatch.setitem(trackers.MAKERS, "aim", lambda followed: (Away(followed), None))
    (tracker,) = start_trackers(TrackingConfig(log_with=("aim",)), tmp_path, {}, 0)
    for step in (1, 2, 3):
        tracker.log({"loss": 1.0}, step=step)
    assert caplog.messages == [
        "the tracker aim failed (ConnectionError: no answer from $AIM_SERVER_URL); the run goes on, and log.jsonl has "
        "everything"
    ]


def test_one_that_does_not_start_is_told_before_training_without_its_key(
    tiny_config: PretrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Followed) -> None:
        raise ValueError("the key 0123456789abcdef is not one of ours\nsecond line")

    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef")
    monkeypatch.setitem(trackers.MAKERS, "wandb", refuse)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    with pytest.raises(UserError) as error:
        pretrain(changed(tiny_config, tracking=TrackingConfig(log_with=("wandb",))))
    told = "the tracker wandb did not start (ValueError: the key $WANDB_API_KEY is not one of ours); see to its server"
    assert str(error.value).startswith(told)
    assert read_log(tiny_config.output / "log.jsonl") == []


def test_missing_packages_are_one_message(tiny_config: PretrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    wanted = changed(tiny_config, tracking=TrackingConfig(log_with=("wandb", "clearml")))
    with pytest.raises(
        UserError, match=r"log_with names wandb, clearml, and no such package .* pip install wandb clearml"
    ):
        pretrain(wanted)
    assert not tiny_config.output.exists()
    check_trackers(TrackingConfig(log_with=()))


def test_flags(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--tracking.log-with", "tensorboard", "mlflow", "--tracking.tags", "a", "b"]
    config = parse(PretrainConfig, given, "pretrain.py")
    assert config.tracking == TrackingConfig(log_with=("tensorboard", "mlflow"), tags=("a", "b"))
    assert parse(PretrainConfig, ["--tracking.log-with"], "pretrain.py").tracking.log_with == ()
    with pytest.raises(UserError, match="name each tracker once"):
        TrackingConfig(log_with=("aim", "aim"))
    with pytest.raises(SystemExit):
        parse(PretrainConfig, ["--tracking.log-with", "wandbb"], "pretrain.py")
    assert "wandbb" in capsys.readouterr().err


def test_settings_are_plain_values() -> None:
    assert simple({"a": [1, 2], "b": None, "c": True, "d": 0.5}) == {"a": "[1, 2]", "b": "None", "c": True, "d": 0.5}
    assert all(isinstance(value, str | int | float) for value in simple(as_json(PretrainConfig())).values())


def test_mlflow_keeps_one_run_over_a_resume(
    tiny_config: PretrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real package, with files in place of a server."""
    mlflow = pytest.importorskip("mlflow", reason="mlflow-skinny is in the extra [dev]")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    config = changed(tiny_config, tracking=TrackingConfig(log_with=("mlflow",), project="yard", tags=("night",)))
    pretrain(changed(config, optim__steps=6))
    pretrain(changed(config, optim__steps=6, resume=True))
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("yard")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status, run.data.tags["tag.night"]) == ("run", "FINISHED", "night")
    assert run.data.params["optim.steps"] == "6"
    history = client.get_metric_history(run.info.run_id, "train/loss")
    logged = [entry["train/loss"] for entry in read_log(config.output / "log.jsonl") if "train/loss" in entry]
    assert [metric.step for metric in history] == [1, 2, 3, 4, 5, 6]
    assert [metric.value for metric in history] == logged
