"""Settings from Python are those of flags and YAML files, with the same checks."""

from __future__ import annotations

from pathlib import Path

import pytest

from anomaly_pretext.configuration import settings
from downstream.training.config import FinetuneConfig
from pretrain.config import PretrainConfig
from pretrain.errors import UserError


def test_files_and_values_go_together_and_the_last_wins(tmp_path: Path) -> None:
    config = settings(
        PretrainConfig,
        "demo_pretrain.yaml",
        {"optim": {"steps": 7}, "output": tmp_path},
        {"optim.batch-size": 4, "optim.lr": 0.5},
    )
    assert (config.optim.steps, config.optim.batch_size, config.optim.lr, config.output) == (7, 4, 0.5, tmp_path)
    assert settings(PretrainConfig, config) is config


def test_lists_none_and_booleans_are_values(tmp_path: Path) -> None:
    config = settings(
        FinetuneConfig, {"features.sets": [tmp_path / "a", tmp_path / "b"], "resume": True, "seeds": (1, 2)}
    )
    assert config.features.sets == (tmp_path / "a", tmp_path / "b")
    assert config.resume
    assert config.seeds == (1, 2)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (({"optim.stepps": 3},), "stepps"),
        (({"optim.steps": "many"},), "invalid"),
        (({"optim.steps": 0},), "optim.steps is 0"),
        (("nothing.yaml",), "no configuration file nothing.yaml"),
    ],
)
def test_what_is_wrong_is_said_without_leaving_the_interpreter(parts: tuple[object, ...], words: str) -> None:
    with pytest.raises(UserError) as error:
        settings(PretrainConfig, *parts)  # type: ignore[arg-type]
    assert words in str(error.value)
    assert not set("╭│╰") & set(str(error.value))


def test_a_whole_configuration_is_given_alone() -> None:
    with pytest.raises(UserError, match="give it alone"):
        settings(PretrainConfig, PretrainConfig(), {"optim.steps": 3})
