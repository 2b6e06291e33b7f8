"""Detectors by name: presets as published, and how one is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from downstream.comparison.named import DETECTORS, choose
from downstream.detector.objective import DetectorTraining, build_detector
from downstream.training.config import FinetuneConfig
from pretrain.cli import flags_of, parse
from pretrain.errors import UserError

PUBLISHED = {
    # optimiser, learning rate, weight decay, bags a step, snippets
    "mil_ranking": ("adagrad", 0.001, 0, 60, 32),
    "rtfm": ("adam", 0.001, 0.005, 64, 32),
    "ur_dmu": ("adam", 0.0001, 0.00005, 128, 200),
    "bn_wvad": ("adam", 0.0001, 0.00005, 128, 200),
    "vadclip": ("adamw", 0.00002, 0.01, 128, 256),
    "mgfn": ("adam", 0.001, 0.0005, 32, 32),
}


def config_of(name: str) -> FinetuneConfig:
    return parse(FinetuneConfig, flags_of(choose(name).settings), "test")


@pytest.mark.parametrize("name", PUBLISHED)
def test_presets_have_the_published_constants_and_plain_scores(name: str) -> None:
    config = config_of(name)
    optim = config.optim
    found = (optim.optimizer, optim.lr, optim.weight_decay, optim.batch_size, config.bags.segments)
    assert found == PUBLISHED[name]
    assert (config.detector.composition, config.detector.score_smoothing) == ("none", 0)


WEIGHTS = {"mil_ranking": 1.1e6, "rtfm": 25e6, "ur_dmu": 6e6, "bn_wvad": 7e6, "mgfn": 29e6}
"""About how many a detector of I3D's 2048 numbers has."""


@pytest.mark.parametrize("name", WEIGHTS)
def test_sizes_on_features_of_2048_numbers(name: str) -> None:
    config = config_of(name)
    detector = build_detector(config.detector, config.objective, 2048)
    DetectorTraining(detector, config.objective)
    assert sum(parameter.numel() for parameter in detector.parameters()) == pytest.approx(WEIGHTS[name], rel=0.15)


def test_ways_of_scoring_and_presets_of_yours(tmp_path: Path) -> None:
    composed = choose("ur_dmu+composed")
    assert (composed.name, composed.folder) == ("ur_dmu+composed", "ur_dmu-composed")
    detector = parse(FinetuneConfig, flags_of(composed.settings), "test").detector
    assert (detector.composition, detector.temporal) == ("which_when", "global_local")
    assert config_of("ours+own").detector.composition == "none"
    file = tmp_path / "mine.yaml"
    file.write_text("output: elsewhere\nseeds: [7]\ndetector: {width: 24}\n")
    assert choose(f"mine={file}").settings == {"detector": {"width": 24}}  # what is the comparison's is left to it


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rtmf", r"detectors: 'rtmf'; did you mean 'rtfm'\? \(known: ours, mil_ranking,.* or NAME=FILE\.yaml\)"),
        ("rtfm+compose", r"detectors: 'rtfm\+compose' ends in 'compose'.*composed"),
        ("=x.yaml", "has no name of letters"),
        ("../x=x.yaml", "has no name of letters"),
        ("mine=nowhere.yaml", r"no configuration file nowhere\.yaml"),
    ],
)
def test_what_is_not_there_is_named(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        choose(text)


def test_every_preset_is_there() -> None:
    assert all(choose(name).settings["detector"] for name in DETECTORS)
