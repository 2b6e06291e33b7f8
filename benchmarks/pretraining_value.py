"""What pretraining is worth, and which tasks: random weights, each task alone, all but one, all four, other weights.

    python -m benchmarks.pretraining_value configs/demo_pretrain.yaml configs/demo_detector.yaml --out runs/value
    ... --steps 400 1000 --unseen-groups                                        a row for each, judged on new cameras
    ... --weights kinetics=path/to/exported other=runs/other/seed-{seed}        other starts, of any architecture

For every seed the network is built anew; `random` is that very network, untrained, so that all arms of a seed differ by
their training alone. Every arm goes the same way: features of all videos, and on them four judges: the label-free
detector, the detector, the same detector on labels of frames (where training frames are annotated), a linear probe.
Test figures are compared with `random`, and with the best score of the same features that needs no learning
(scripts/reference_scores.py; motion energy among them), on the same draws of videos. The probe is a logistic regression
on snippets where training frames are annotated, otherwise on the means of whole videos, of which it then gives the
video-level AUC. Steps that are done are not done again. Ends with one line `RESULT {json}`.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import tyro

from benchmarks.linear_probe import frames_are_annotated, linear_probe
from benchmarks.network_comparison import ARMS, given_weights, task_flags
from benchmarks.pretraining_value_tables import Evaluations, Judged, result_of, tables
from downstream.evaluation.choose_videos import exclude_training_groups, open_listed
from downstream.evaluation.evaluation import compare
from downstream.evaluation.output import write_evaluation
from downstream.evaluation.temporal_evaluation import TemporalEvaluation, evaluate_seeds
from downstream.features.store import FeatureSet
from downstream.references.command import MOTION
from downstream.runs.run_folder import RunFolder
from downstream.scores.video_scores import VideoScores
from downstream.training.config import FinetuneConfig
from pretrain.cli import flags_of, parse, run_command
from pretrain.config import PretrainConfig
from pretrain.data.catalogue import Catalogue
from pretrain.errors import UserError
from pretrain.files import write_json
from pretrain.run_folder import as_json

ROOT = Path(__file__).resolve().parents[1]
LABEL_FREE, LABELS, CEILING = "label-free", "labels of videos", "labels of frames (ceiling)"
JUDGES = {LABEL_FREE: "label_free", LABELS: "detector", CEILING: "ceiling"}
"""What is built on a network's features, and the folder of its runs."""


@dataclass(frozen=True)
class PretrainingValueConfig:
    """Measure what pretraining is worth."""

    configs: tyro.conf.Positional[tuple[Path, Path]]
    """Configuration of pretraining, and of the detector (its features, output and seeds are set here)."""
    out: Path = Path("runs/value")
    """Folder of all runs and results."""
    arms: tuple[str, ...] = ARMS
    """Which starts to compare; random is always there."""
    steps: tuple[int, ...] = ()
    """Steps of pretraining, a row each; default: as its configuration says."""
    unseen_groups: bool = False
    """Judge on test videos of groups (cameras) alone that no training video is of."""
    weights: tuple[str, ...] = ()
    """More starts, name=FOLDER of an exported backbone or a run: one for all seeds, or one each by {seed} in it."""
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Each is a network, a pretraining run and `detectors` detectors."""
    detectors: int = 3
    """Detectors for each network."""
    pretrain: tuple[str, ...] = ()
    """More flags for pretrain.py, in one word: `--pretrain="--optim.steps 200"`."""
    finetune: tuple[str, ...] = ()
    """More flags for scripts/finetune.py, likewise."""
    quick: bool = False
    """See that it runs: one network of ten steps against itself untrained. The figures say nothing."""
    extract: tuple[str, ...] = field(default=())
    """Flags for scripts/extract_features.py, likewise; default: the border that pretraining cuts away."""


class Arm(NamedTuple):
    """A start that is compared."""

    title: str
    """Names its folder too."""
    tasks: str | None = None
    """Which tasks it is pretrained with; None: it is not."""
    steps: int | None = None
    """None: as the configuration says."""
    weights: str | None = None
    """Folder of weights that are given; {seed} stands for the seed."""


ByDetector = dict[str, Sequence[VideoScores]]
"""Scores of the test videos, by network and detector (`2.200`)."""


def main() -> None:
    """Run what is not there yet, and print the tables."""
    options = parse_options(sys.argv[1:])
    if options.quick:
        short = (*options.pretrain, "--optim.steps", "10", "--optim.warmup-steps", "1", "--validation-windows", "1")
        options = replace(options, arms=("all",), steps=(), seeds=(0,), detectors=1, pretrain=short)
        options = replace(options, finetune=(*options.finetune, "--optim.steps", "50"))
    pretraining = parse(PretrainConfig, [str(options.configs[0]), *options.pretrain], "pretraining_value")
    detector = parse(FinetuneConfig, [str(options.configs[1]), *options.finetune], "pretraining_value")
    catalogue = open_listed(detector.catalogue)
    videos = catalogue.subset("test")
    videos = exclude_training_groups(catalogue, videos) if options.unseen_groups else videos
    names = {video.name for video in videos}
    judges = [judge for judge in JUDGES if judge != CEILING or frames_are_annotated(catalogue.subset("train"))]
    evaluations: Evaluations = {judge: {} for judge in judges}
    references: Evaluations = {}
    probes: dict[str, list[float]] = {}

    def evaluated(found: ByDetector, title: str) -> TemporalEvaluation:
        kept = {key: [video for video in own if video.name in names] for key, own in found.items()}
        return evaluate_seeds(kept, videos, detector.evaluation, title)

    for arm in arms_of(options):
        scores: dict[str, ByDetector] = {judge: {} for judge in judges}
        without_learning: dict[str, ByDetector] = {}
        for seed in options.seeds:
            folder = options.out / arm.title / f"seed-{seed}"
            features = features_of(options, pretraining, detector, arm, seed, folder)
            for judge in judges:
                scores[judge] |= judged(options, detector, judge, folder, features, seed)
            for name, own in reference_scores(options, pretraining, folder, seed).items():
                without_learning.setdefault(name, {}).update(own)
            probes.setdefault(arm.title, []).append(linear_probe(FeatureSet.open(features), catalogue, videos))
        for judge, found in scores.items():
            evaluations[judge][arm.title] = evaluated(found, arm.title)
        references[arm.title] = {name: evaluated(found, name) for name, found in without_learning.items()}
    print(report(options, Judged(evaluations, references, len(options.seeds)), probes, videos))


def parse_options(arguments: Sequence[str]) -> PretrainingValueConfig:
    """The command line."""
    options = tyro.cli(PretrainingValueConfig, args=arguments, description=__doc__)
    # flags within a flag come as one word after "=": two words that begin with dashes would be taken for our own
    pretrain, finetune, extract = (
        tuple(shlex.split(" ".join(words))) for words in (options.pretrain, options.finetune, options.extract)
    )
    return replace(options, pretrain=pretrain, finetune=finetune, extract=extract)


def arms_of(options: PretrainingValueConfig) -> list[Arm]:
    """The rows, random weights first."""
    trained = [name for name in options.arms if name != "random"]
    rows = [Arm(name, tasks=name) for name in trained if not options.steps]
    rows += [Arm(f"{name}-{steps}", tasks=name, steps=steps) for name in trained for steps in options.steps]
    given = [Arm(name, weights=folder) for name, folder in given_weights(options.weights).items()]
    return list({arm.title: arm for arm in [Arm("random"), *rows, *given]}.values())


def features_of(
    options: PretrainingValueConfig,
    pretraining: PretrainConfig,
    detector: FinetuneConfig,
    arm: Arm,
    seed: int,
    folder: Path,
) -> Path:
    """The features of one arm and seed: pretrained and extracted where that is still to do."""
    features = folder / "features"
    if (features / "manifest.json").exists():
        return features
    backbone = pretraining.backbone
    border = [str(share) for share in pretraining.data.border_crop]
    if arm.weights is not None:
        source = ["--backbone", arm.weights.replace("{seed}", str(seed))]
    elif arm.tasks is None:
        size = {"height": backbone.height, "width": backbone.width, "clip-stride": backbone.clip_stride}
        source = ["--backbone", backbone.name, "--weights-seed", str(seed)]
        source += [part for key, value in size.items() if value for part in (f"--{key}", str(value))]
    else:
        run = folder / "pretrain"
        command = ["pretrain.py", str(options.configs[0]), "--output", str(run), "--seed", str(seed), "--resume"]
        length = ["--optim.steps", str(arm.steps)] if arm.steps else []
        call([*command, *options.pretrain, *length, *task_flags(arm.tasks)])
        source = ["--backbone", str(run)]
    extra = [*catalogue_flags(detector), *(options.extract or ("--border-crop", *border))]
    call(["scripts/extract_features.py", "--out", str(features), *source, *extra, "--dtype", "float32"])
    return features


def catalogue_flags(detector: FinetuneConfig) -> list[str]:
    """The flags of the detector's catalogue, for commands that read other configurations."""
    known = as_json(detector.catalogue).items()
    return flags_of({f"catalogue.{key}": value for key, value in known if value is not None})


def judged(
    options: PretrainingValueConfig, detector: FinetuneConfig, judge: str, folder: Path, features: Path, seed: int
) -> ByDetector:
    """Scores of the test videos, by detector: fitted or trained where that is still to do."""
    run = RunFolder(folder / JUDGES[judge])
    common = ["--output", str(run.path), "--resume", "--features.sets", str(features), "--no-plots", "--no-references"]
    if judge == LABEL_FREE:
        command, names = ["scripts/fit_normal.py", *catalogue_flags(detector)], ["0"]
    else:
        names = [str(100 * seed + number) for number in range(options.detectors)]
        cache = ["--bags.cache", str(options.out / "segments")]
        command = ["scripts/finetune.py", str(options.configs[1]), *cache, *options.finetune, "--seeds", *names]
        command += ["--ceiling"] if judge == CEILING else []
    if not run.is_summarised:
        call([*command, *common])
    return {f"{seed}.{name}": run.seed(name).read_scores("test").videos for name in names}


def reference_scores(
    options: PretrainingValueConfig, pretraining: PretrainConfig, folder: Path, seed: int
) -> dict[str, ByDetector]:
    """What needs no learning, of one network's features and of the videos: reference -> scores, as of one detector."""
    run, first = RunFolder(folder / JUDGES[LABEL_FREE]), options.out / "random" / f"seed-{options.seeds[0]}"
    with_motion = RunFolder(first / JUDGES[LABEL_FREE])
    command = ["scripts/reference_scores.py", str(run.path)]
    if not with_motion.has_references([MOTION]):  # of no network, so made once: the first network is the first run
        call([*command, "--motion", "--border-crop", *(str(share) for share in pretraining.data.border_crop)])
    elif not run.has_references(["feature_change"]):
        call(command)
    files = with_motion.read_references() | run.read_references()
    return {name: {f"{seed}.0": file.videos} for name, file in files.items()}


def call(command: Sequence[str]) -> None:
    """Run one of our commands; UserError where it fails."""
    print("    python " + " ".join(command), flush=True)
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"{command[0]} left with {done.returncode}:\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}")


def report(
    options: PretrainingValueConfig, outcome: Judged, probes: Mapping[str, list[float]], videos: Catalogue
) -> str:
    """The tables, written and returned; the last line is the RESULT."""
    for judge, rows in outcome.evaluations.items():
        less = {arm: compare(rows["random"], entry) for arm, entry in rows.items() if arm != "random"}
        write_evaluation(options.out / "evaluation" / JUDGES[judge], list(rows.values()), less, videos)
    result = result_of(outcome, probes)
    write_json(options.out / "value.json", result)
    told = (
        f"{len(options.seeds)} networks, {options.detectors} detectors each, {len(videos)} test videos; +- after a "
        "mean: deviation over networks.\nDifferences are paired; 95 % intervals over test videos (bootstrap) or over "
        "networks (t).\nThe best reference: of the same network's features, or of the videos."
    )
    return "\n\n".join([tables(outcome, probes), told, f"RESULT {json.dumps(result)}"])


if __name__ == "__main__":
    run_command(main)
