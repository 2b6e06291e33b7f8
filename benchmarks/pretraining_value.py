"""What pretraining is worth, and which tasks: random weights, each task alone, all but one, all four, other weights.

    python -m benchmarks.pretraining_value configs/demo_pretrain.yaml configs/demo_detector.yaml --out runs/value
    ... --steps 400 1000 --unseen-groups                                        a row for each, judged on new cameras
    ... --weights kinetics=path/to/exported other=runs/other/seed-{seed}        other starts, of any architecture

For every seed the network is built anew; `random` is that very network, untrained, so that all arms of a seed differ by
their training alone. Every arm goes the same way: features of all videos, and on them four judges: the label-free
detector, the detector, the same detector on labels of frames (where training frames are annotated), a linear probe.
Test figures are compared with `random` on the same draws of videos. The probe is a logistic regression on snippets
where training frames are annotated, otherwise on the means of whole videos, of which it then gives the video-level
AUC. Steps that are done are not done again. Ends with one line `RESULT {json}`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tyro
from numpy.typing import NDArray

from benchmarks.linear_probe import frames_are_annotated, linear_probe
from benchmarks.network_comparison import ARMS, gain, given_weights, paired_half_width, spread, task_flags
from downstream.evaluation.choose_videos import exclude_training_groups, open_listed
from downstream.evaluation.evaluation import compare
from downstream.evaluation.output import write_evaluation
from downstream.evaluation.temporal_evaluation import TemporalEvaluation, evaluate_seeds
from downstream.features.store import FeatureSet
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
METRICS = {"frame_auc": "frame AUC", "per_video_auc": "per-video AUC"}


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
    """More flags for pretrain.py, for instance `--optim.steps 200`."""
    finetune: tuple[str, ...] = ()
    """More flags for scripts/finetune.py."""
    quick: bool = False
    """See that it runs: one network of ten steps against itself untrained. The figures say nothing."""
    extract: tuple[str, ...] = field(default=())
    """Flags for scripts/extract_features.py, for instance `--border-crop 0.1 0 0 0`; default: as in pretraining."""


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


Evaluations = dict[str, dict[str, TemporalEvaluation]]
"""Judge -> row -> evaluation over all networks and detectors."""


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
    probes: dict[str, list[float]] = {}
    for arm in arms_of(options):
        scores: dict[str, dict[str, Sequence[VideoScores]]] = {judge: {} for judge in judges}
        for seed in options.seeds:
            folder = options.out / arm.title / f"seed-{seed}"
            features = features_of(options, pretraining, detector, arm, seed, folder)
            for judge in judges:
                scores[judge] |= judged(options, detector, judge, folder, features, seed)
            probes.setdefault(arm.title, []).append(linear_probe(FeatureSet.open(features), catalogue, videos))
        for judge, found in scores.items():
            kept = {key: [video for video in own if video.name in names] for key, own in found.items()}
            evaluations[judge][arm.title] = evaluate_seeds(kept, videos, detector.evaluation, arm.title)
    print(report(options, evaluations, probes, videos))


def parse_options(arguments: Sequence[str]) -> PretrainingValueConfig:
    """The command line."""
    return tyro.cli(PretrainingValueConfig, args=arguments, description=__doc__)


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
) -> dict[str, Sequence[VideoScores]]:
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


def call(command: Sequence[str]) -> None:
    """Run one of our commands; UserError where it fails."""
    print("    python " + " ".join(command), flush=True)
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"{command[0]} left with {done.returncode}:\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}")


def per_network(evaluation: TemporalEvaluation, metric: str, networks: int) -> NDArray[np.float64]:
    """A figure of each network, the mean over its detectors."""
    return np.array(evaluation.metrics[metric].per_seed).reshape(networks, -1).mean(axis=1)


def report(
    options: PretrainingValueConfig, evaluations: Evaluations, probes: Mapping[str, list[float]], videos: Catalogue
) -> str:
    """The tables, written and returned; the last line is the RESULT."""
    networks = len(options.seeds)
    result: dict[str, dict[str, Any]] = {"probe": probe_figures(probes)}
    blocks = [probe_table(probes)]
    for judge, rows in evaluations.items():
        less = {arm: compare(rows["random"], entry) for arm, entry in rows.items() if arm != "random"}
        write_evaluation(options.out / "evaluation" / JUDGES[judge], list(rows.values()), less, videos)
        for metric, name in METRICS.items():
            figures = {arm: figures_of(entry, rows["random"], metric, networks) for arm, entry in rows.items()}
            result[f"{judge}, {name}"] = figures
            blocks.append(table(f"{judge}, {name}", figures, rows, metric, networks))
    blocks.append(
        f"{networks} networks, {options.detectors} detectors each, {len(videos)} test videos; +- after a mean: "
        "deviation over networks.\nDifferences to random weights are paired; 95 % intervals over test videos "
        "(bootstrap) or over networks (t)."
    )
    write_json(options.out / "value.json", result)
    return "\n\n".join([*blocks, f"RESULT {json.dumps(result)}"])


def figures_of(
    entry: TemporalEvaluation, reference: TemporalEvaluation, metric: str, networks: int
) -> dict[str, float | None]:
    """One row, for machines."""
    difference = compare(reference, entry)[metric]
    low, high = difference.interval or (None, None)
    own = per_network(entry, metric, networks)
    return {
        "value": float(own.mean()),
        "less_random": difference.value,
        "ci_low": low,
        "ci_high": high,
        "half_width_over_networks": paired_half_width(own - per_network(reference, metric, networks)),
    }


def table(
    title: str,
    figures: Mapping[str, Mapping[str, float | None]],
    rows: Mapping[str, TemporalEvaluation],
    metric: str,
    networks: int,
) -> str:
    """One figure of all rows, for people."""
    widths = (44, 18, 28, 0)
    lines = [padded((title, "mean", "less random: videos", "networks"), widths)]
    for arm, row in figures.items():
        own = per_network(rows[arm], metric, networks)
        cells = [arm, spread(own), "", ""]
        if arm != "random":
            low, high = row["ci_low"], row["ci_high"]
            interval = "" if low is None or high is None else f" ({low:+.3f} to {high:+.3f})"
            cells[2:] = [
                f"{row['less_random']:+.3f}{interval}",
                gain(own - per_network(rows["random"], metric, networks)),
            ]
        lines.append(padded(cells, widths))
    return "\n".join(lines)


def probe_figures(probes: Mapping[str, list[float]]) -> dict[str, dict[str, float | None]]:
    """The linear probe's rows, for machines."""
    random = np.array(probes["random"])
    return {
        arm: {
            "value": float(np.mean(own)),
            "less_random": float((np.array(own) - random).mean()),
            "half_width_over_networks": paired_half_width(np.array(own) - random),
        }
        for arm, own in probes.items()
    }


def probe_table(probes: Mapping[str, list[float]]) -> str:
    """The linear probe's rows, for people."""
    widths = (44, 18, 0)
    lines = [padded(("linear probe, AUC", "mean", "less random: networks"), widths)]
    for arm, own in probes.items():
        less = "" if arm == "random" else gain(np.array(own) - np.array(probes["random"]))
        lines.append(padded((arm, spread(np.array(own)), less), widths))
    return "\n".join(lines)


def padded(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Cells in columns."""
    return "".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()


if __name__ == "__main__":
    run_command(main)
