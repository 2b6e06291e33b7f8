"""What pretraining is worth on real footage: fights, municipal cameras, Ped2, road accidents, falls.

    python -m benchmarks.real_cctv --data ../shared/real --out runs/real_cctv
    ... --networks 2                     first two; the same command with more goes on from there
    ... --steps 600 3000 --arms all speed without_speed      longer, and other tasks
    ... --weights rendered=runs/demo/backbone                other starts, of any architecture
    ... --image-network timm/tf_efficientnet_lite0 --image-weights FILE
            rows of a frozen image network: with random weights, alone, with an untrained temporal module, and with one
            that the tasks trained on its kept maps; FILE: timm's, or of the package of benchmarks/efficientnet_lite0.py

Every network is scored on what it never saw. Pretraining takes hockey, surveillance, Ped2's normal training clips and,
for the fight streams and the foreign tests, VioPeru; for VioPeru the fight streams. One setting, fixed before anything
was scored: configs/real_cctv_pretrain.yaml, and configs/fight_streams_detector.yaml for detectors.

    fight streams    five folds that part no source: change of features; detectors that learn from labels of streams
    VioPeru clips    five folds that part no camera: the same, a clip's score is the mean over its snippets
    UCSD Ped2        distance to the five nearest snippets of normal training clips
    road accidents, falls    foreign tests: change of features whitened by the fight streams

Change is |x(t) - x(t-1)| of whitened features. Rows without a network: motion energy (mean |frame difference|) and its
acceleration, the same scores wherever a row needs them. Intervals: over sources (bootstrap of whole sources, cameras or
clips) and over networks (Student's t). What is finished is kept in --out. Ends with one line `RESULT {json}`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import tyro

from benchmarks import real_cctv_scores as scoring
from benchmarks.efficientnet_lite0 import convert, is_of_package
from benchmarks.network_comparison import ARMS, given_weights
from benchmarks.real_cctv_runs import Arm, ImageNetwork, Workshop
from benchmarks.real_cctv_sets import TESTS, RealTest, few, few_videos, folds, footage, open_tests
from benchmarks.real_cctv_tables import IMAGE, Rows, describe, result, tables
from benchmarks.real_footage import RealFootageConfig
from benchmarks.source_intervals import Figure, Floats, figures, source_weights
from pretrain.backbones.weights import read_weights
from pretrain.cli import parse, run_command
from pretrain.config import PretrainConfig
from pretrain.errors import UserError, nearest
from pretrain.files import write_json
from pretrain.run_folder import as_json, read_saved

ROOT = Path(__file__).resolve().parents[1]
PRETRAINING = ROOT / "configs" / "real_cctv_pretrain.yaml"
FINE_TUNING = ROOT / "configs" / "fight_streams_detector.yaml"
FOLDS = 5
RESAMPLES = 2000
RANDOM = Arm(title="random")
WITH_MOTION = "bag labels and motion"


@dataclass(frozen=True, kw_only=True)
class RealCctvConfig:
    """Judge pretraining on real footage."""

    data: Path = RealFootageConfig.data
    """Folder of the real footage: fight_streams/, vioperu/, ucsd_ped2/, road_accidents/, falls/, hockey/,
    surveillance/."""
    out: Path = Path("runs/real_cctv")
    """Folder of everything that is made, each piece once."""
    networks: int = 5
    """Networks, each of its own seed: untrained, and pretrained by every arm."""
    detectors: int = 3
    """Detectors for each network and fold."""
    arms: tuple[str, ...] = ("all",)
    """Which tasks to pretrain with: all, one task, or without_TASK."""
    steps: tuple[int, ...] = (600,)
    """Steps of pretraining; several are a row each."""
    tests: tuple[str, ...] = tuple(TESTS)
    """What to score on; without vioperu half as much is pretrained."""
    weights: tuple[str, ...] = ()
    """More starts, name=FOLDER of an exported backbone or a run; one network each."""
    with_motion: bool = False
    """Also what detectors by default do, with how much the picture moves as a part of the score."""
    image_network: str | None = None
    """timm/<model>: rows of this image network, frozen, beside the video network's."""
    image_weights: Path | None = None
    """Its weights."""
    image_size: tuple[int, int] = (96, 144)
    """Height and width of the frames it sees."""
    feature_size: tuple[int, int] | None = None
    """Height and width of the frames that video networks give features of; default: as in pretraining."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes a GPU where there is one."""
    quick: bool = False
    """See that it runs: few videos, one network of four steps, two folds. The figures say nothing."""

    def __post_init__(self) -> None:
        for name in ("networks", "detectors"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if (self.image_network is None) != (self.image_weights is None):
            raise UserError("image_network and image_weights belong together: give both, or neither")
        if not self.steps or min(self.steps) < 1:
            raise UserError(f"steps are {list(self.steps)}; give one or more numbers, each at least 1")
        for test in self.tests:
            if test not in TESTS:
                raise UserError(f"tests name '{test}'; give some of {', '.join(TESTS)}{nearest(test, TESTS)}")
        for arm in self.arms:
            if arm not in ARMS[1:]:
                raise UserError(f"arms name '{arm}'; give some of {', '.join(ARMS[1:])}{nearest(arm, ARMS[1:])}")

    @property
    def ways(self) -> tuple[str, ...]:
        """How detectors learn."""
        return ("bag labels", WITH_MOTION) if self.with_motion else ("bag labels",)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is not there yet, print the tables, leave with the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    run_command(lambda: measure(tyro.cli(RealCctvConfig, args=given, description=__doc__)))


def measure(config: RealCctvConfig) -> None:
    """The whole benchmark."""
    config, shop = prepare(config)
    weights = {name: weights_of(shop.tests[name]) for name in config.tests}
    rows: Rows = {title: stacked([own]) for title, own in references(shop, weights, config.ways).items()}
    collected: dict[str, list[dict[str, Floats]]] = {}
    arms = arms_of(config)
    for network in range(config.networks):
        for arm in arms:
            if network and arm.is_one_network:
                continue  # one network, whatever the seed
            print(f"network {network}, {arm.title}", flush=True)
            collected.setdefault(arm.title, []).append(score(shop, arm, network, config, weights))
    rows |= {title: stacked(networks) for title, networks in collected.items()}
    content = result(rows) | {"networks": config.networks, "detectors": config.detectors}
    write_json(config.out / "result.json", content)
    print(
        describe([shop.tests[name] for name in config.tests], config.networks, config.detectors),
        tables(rows),
        sep="\n\n",
    )
    print(f"RESULT {json.dumps(content)}")


def prepare(config: RealCctvConfig) -> tuple[RealCctvConfig, Workshop]:
    """Tests, folds, footage and settings; a quick run has less of everything, in a folder of its own."""
    tests = open_tests(config.data)
    pools = {without: footage(config.data, tests, without) for without in ("fights", "vioperu")}
    pretraining: tuple[str, ...] = (str(PRETRAINING),)
    fine_tuning: tuple[str, ...] = (str(FINE_TUNING),)
    count = FOLDS
    if config.quick:
        config = replace(config, networks=1, detectors=1, arms=config.arms[:1], steps=(4,), out=config.out / "quick")
        tests = {name: few(test, 4 if test.cross_validated else 2) for name, test in tests.items()}
        pools = {without: few_videos(pool, 1) for without, pool in pools.items()}
        pretraining += ("--optim.batch-size", "4", "--optim.warmup-steps", "1", "--validation-windows", "1")
        fine_tuning += ("--optim.steps", "20", "--validate-every", "20", "--validation-by", "video")
        count = 2
    parts = {name: folds(test.videos, count) for name, test in tests.items() if test.cross_validated}
    shop = Workshop(
        out=config.out,
        device=config.device,
        tests=tests,
        pools=pools,
        parts=parts,
        pretraining=pretraining,
        fine_tuning=fine_tuning,
        feature_size=config.feature_size,
    )
    keep_settings(config.out / "settings.json", pretraining, parts)
    return config, shop


def keep_settings(file: Path, pretraining: Sequence[str], parts: Mapping[str, Sequence[set[str]]]) -> None:
    """Note what all pieces of the folder have in common; UserError where it holds pieces of other settings.

    A setting that the folder does not know is newer than what lies there, and no difference.
    """
    now = as_json(parse(PretrainConfig, pretraining, "real_cctv"))
    now |= {f"folds.{name}": [sorted(groups) for groups in own] for name, own in parts.items()}
    if file.exists():
        before = read_saved(file, "choose another --out")
        if changed := [key for key, value in now.items() if key in before and before[key] != value]:
            raise UserError(
                f"{file.parent} holds results of other settings (changed: {', '.join(changed)}): choose another --out"
            )
    else:
        write_json(file, now)


def arms_of(config: RealCctvConfig) -> list[Arm]:
    """Random weights first: everything is compared with them."""
    given = [Arm(title=name, weights=folder) for name, folder in given_weights(config.weights).items()]
    pretrained = [Arm(title=f"{arm}-{steps}", tasks=arm, steps=steps) for arm in config.arms for steps in config.steps]
    return [RANDOM, *given, *pretrained, *image_arms(config)]


def image_arms(config: RealCctvConfig) -> list[Arm]:
    """A frozen image network: random, with its weights, with a temporal module untrained and trained by tasks."""
    if config.image_network is None or config.image_weights is None:
        return []
    weights = timm_weights(config.image_weights, config.out)
    height, width = config.image_size
    image = ImageNetwork(name=config.image_network, weights=weights, height=height, width=width)
    trained = [
        Arm(title=f"{IMAGE} + {arm}-{steps}", tasks=arm, steps=steps, image=image)
        for arm in config.arms
        for steps in config.steps
    ]
    alone = replace(image, module=False)
    return [
        Arm(title=f"random {IMAGE}", image=replace(alone, weights=None)),
        Arm(title=IMAGE, image=alone),
        Arm(title=f"{IMAGE} + untrained", image=image),
        *trained,
    ]


def timm_weights(file: Path, out: Path) -> Path:
    """The file itself, or what lies in it under timm's names."""
    if not is_of_package(read_weights(file).state):
        return file
    converted = out / "image_weights.safetensors"
    convert(file, converted)
    return converted


def weights_of(test: RealTest) -> Floats:
    """(1 + draws, videos of the test split): how often each counts in draws of its sources."""
    groups = [str(video.group) for video in test.videos.subset("test")]
    return source_weights(groups, RESAMPLES, np.random.default_rng(0))


def references(shop: Workshop, weights: Mapping[str, Floats], ways: Sequence[str]) -> dict[str, dict[str, Floats]]:
    """What motion alone reaches, under every name that networks are scored by."""
    rows: dict[str, dict[str, Floats]] = {"motion energy": {}, "acceleration": {}}
    for name in weights:
        test = shop.tests[name]
        motion = scoring.cached_motion(test, shop.out / "motion" / f"{name}.json")
        both = scoring.motion_scores(motion, list(test.videos.subset("test")), test.snippet_frames)
        for row, scores in zip(rows.values(), both, strict=True):
            values = keyed(test, "label-free", [scores], weights[name])
            row |= values
            if test.cross_validated:
                for way in ways:
                    row |= keyed(test, way, [scores], weights[name])
    return rows


def score(
    shop: Workshop, arm: Arm, network: int, config: RealCctvConfig, weights: Mapping[str, Floats]
) -> dict[str, Floats]:
    """All figures of one network: what is measured -> (1 + draws,)."""
    values: dict[str, Floats] = {}
    fights = scoring.read_features(shop.features(arm, network, "fights"))  # foreign tests are whitened by them
    for name in weights:
        test, features = shop.tests[name], scoring.read_features(shop.features(arm, network, name))
        if test.cross_validated:
            scores = scoring.left_out_change_scores(features, test.videos, shop.parts[name])
            for way in config.ways:
                learnt = shop.detector_scores(arm, network, name, config.detectors, motion=way == WITH_MOTION)
                values |= keyed(test, way, learnt, weights[name])
        elif len(test.videos.subset("train")):
            scores = scoring.normality_scores(features, test.videos)
        else:
            scores = scoring.change_scores(features, test.videos, list(fights.values()))
        values |= keyed(test, "label-free", [scores], weights[name])
    return values


def keyed(test: RealTest, way: str, detectors: Sequence[scoring.Scores], weights: Floats) -> dict[str, Floats]:
    """`fights, label-free, frame_auc` and so on -> (1 + draws,)."""
    values = figures([scoring.labelled(test, scores) for scores in detectors], weights)
    if test.whole_clips:
        return {f"{test.name}, {way}, clip_auc": values["frame_auc"]}
    return {f"{test.name}, {way}, {metric}": own for metric, own in values.items()}


def stacked(networks: Sequence[Mapping[str, Floats]]) -> dict[str, Figure]:
    """Figures of several networks as one."""
    return {key: Figure(np.stack([own[key] for own in networks])) for key in networks[0]}


if __name__ == "__main__":
    main()
