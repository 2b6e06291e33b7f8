"""What pretraining is worth, and which tasks: random weights, each task alone, all but one, all four, other weights.

    python -m benchmarks.pretraining_value configs/demo_pretrain.yaml configs/demo_detector.yaml --out runs/value
    ... --weights kinetics=path/to/exported hockey=runs/hockey/pretrain         other starts, of any architecture

For every seed the network is built anew; `random` is that very network, untrained, so that all arms of a seed differ by
their training alone. Every arm goes the same way: features of all videos, a linear probe, and the detector, whose test
figures are compared with `random` on the same draws of videos. The probe is a logistic regression on snippets where
training frames are annotated (it sees frame labels, the detector never does), otherwise on the means of whole videos,
of which it then gives the video-level AUC. Steps that are done are not done again. Ends with one line `RESULT {json}`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from torch.nn import functional

from benchmarks.network_comparison import ARMS, gain, given_weights, paired_half_width, spread, task_flags
from downstream.evaluation.choose_videos import open_listed
from downstream.evaluation.curves import roc_auc
from downstream.evaluation.evaluation import compare
from downstream.evaluation.ground_truth import align
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


@dataclass(frozen=True)
class PretrainingValueConfig:
    """Measure what pretraining is worth."""

    configs: tyro.conf.Positional[tuple[Path, Path]]
    """Configuration of pretraining, and of the detector (its features, output and seeds are set here)."""
    out: Path = Path("runs/value")
    """Folder of all runs and results."""
    arms: tuple[str, ...] = ARMS
    """Which starts to compare; random is always there."""
    weights: tuple[str, ...] = ()
    """More starts, name=FOLDER of an exported backbone or a run; the same for all seeds."""
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


def main() -> None:
    """Run what is not there yet, and print the table."""
    options = parse_options(sys.argv[1:])
    if options.quick:
        short = (*options.pretrain, "--optim.steps", "10", "--optim.warmup-steps", "1", "--validation-windows", "1")
        options = replace(options, arms=("all",), seeds=(0,), detectors=1, pretrain=short)
        options = replace(options, finetune=(*options.finetune, "--optim.steps", "50"))
    pretraining = parse(PretrainConfig, [str(options.configs[0])], "pretraining_value")
    detector = parse(FinetuneConfig, [str(options.configs[1])], "pretraining_value")
    given = given_weights(options.weights)
    arms = list(dict.fromkeys(["random", *options.arms, *given]))
    evaluations: dict[str, TemporalEvaluation] = {}
    probes: dict[str, list[float]] = {}
    catalogue = open_listed(detector.catalogue)
    for arm in arms:
        scores: dict[str, Sequence[VideoScores]] = {}
        probes[arm] = []
        for seed in options.seeds:
            folder = options.out / arm / f"seed-{seed}"
            features = features_of(options, pretraining, detector, arm, seed, folder, given)
            run = RunFolder(folder / "detector")
            detector_seeds = [str(100 * seed + number) for number in range(options.detectors)]
            if not run.is_summarised:
                command = ["scripts/finetune.py", str(options.configs[1]), "--output", str(run.path), "--resume"]
                command += ["--features.sets", str(features), "--seeds", *detector_seeds, "--no-plots"]
                call([*command, "--bags.cache", str(options.out / "segments"), *options.finetune])
            for name in detector_seeds:
                scores[name] = run.seed(name).read_scores("test").videos
            probes[arm].append(linear_probe(FeatureSet.open(features), catalogue))
        evaluations[arm] = evaluate_seeds(scores, catalogue.subset("test"), detector.evaluation, arm)
    print(report(options, evaluations, probes, catalogue.subset("test")))


def parse_options(arguments: Sequence[str]) -> PretrainingValueConfig:
    """The command line."""
    return tyro.cli(PretrainingValueConfig, args=arguments, description=__doc__)


def features_of(
    options: PretrainingValueConfig,
    pretraining: PretrainConfig,
    detector: FinetuneConfig,
    arm: str,
    seed: int,
    folder: Path,
    given: dict[str, str],
) -> Path:
    """The features of one arm and seed: pretrained and extracted where that is still to do."""
    features = folder / "features"
    if (features / "manifest.json").exists():
        return features
    backbone = pretraining.backbone
    border = [str(share) for share in pretraining.data.border_crop]
    source = ["--backbone", given[arm]] if arm in given else ["--backbone", backbone.name, "--weights-seed", str(seed)]
    if arm not in given:
        size = {"height": backbone.height, "width": backbone.width, "clip-stride": backbone.clip_stride}
        source += [part for key, value in size.items() if value for part in (f"--{key}", str(value))]
    if arm not in given and arm != "random":
        run = folder / "pretrain"
        command = ["pretrain.py", str(options.configs[0]), "--output", str(run), "--seed", str(seed), "--resume"]
        call([*command, *options.pretrain, *task_flags(arm)])
        source = ["--backbone", str(run)]
    catalogue = as_json(detector.catalogue)
    lists = flags_of({f"catalogue.{key}": value for key, value in catalogue.items() if value is not None})
    extra = list(options.extract) or ["--border-crop", *border]
    call(["scripts/extract_features.py", "--out", str(features), *source, *lists, *extra, "--dtype", "float32"])
    return features


def call(command: Sequence[str]) -> None:
    """Run one of our commands; UserError where it fails."""
    print("    python " + " ".join(command), flush=True)
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"{command[0]} left with {done.returncode}:\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}")


def linear_probe(features: FeatureSet, catalogue: Catalogue) -> float:
    """AUC on the test split of a logistic regression on the training split, see the top of this file."""
    train, test = catalogue.subset("train"), catalogue.subset("test")
    if all(video.spans for video in train if video.label):
        parts = [snippets_of(features, part) for part in (train, test)]
    else:
        parts = [videos_of(features, part) for part in (train, test)]
    (inputs, positive, negative), (test_inputs, test_positive, test_negative) = parts
    mean, deviation = inputs.mean(axis=0), inputs.std(axis=0) + 1e-6
    weight = logistic_regression((inputs - mean) / deviation, positive, negative)
    return float(roc_auc(((test_inputs - mean) / deviation) @ weight, test_positive, test_negative))


Sample = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]


def snippets_of(features: FeatureSet, videos: Catalogue) -> Sample:
    """Every snippet's features, anomalous frames and normal frames."""
    placeholder = []
    for video in videos:
        edges = features.videos[video.name].edges()
        assert edges is not None
        placeholder.append(VideoScores(video.name, np.zeros(len(edges) - 1), edges))
    labelled = align(placeholder, videos).videos
    values = [features.read(video.name).mean(axis=1, dtype=np.float64) for video in labelled]
    positive = np.concatenate([video.positive for video in labelled])
    return np.concatenate(values), positive, np.concatenate([video.negative for video in labelled])


def videos_of(features: FeatureSet, videos: Catalogue) -> Sample:
    """Every video's mean features and its label."""
    values = np.stack([features.read(video.name).mean(axis=(0, 1), dtype=np.float64) for video in videos])
    labels = np.array([video.label for video in videos], np.int64)
    return values, labels, 1 - labels


def logistic_regression(
    inputs: NDArray[np.float64], positive: NDArray[np.int64], negative: NDArray[np.int64], penalty: float = 1e-2
) -> NDArray[np.float64]:
    """Weights (D,) of a regression with both classes weighing alike and an L2 penalty, by L-BFGS."""
    x = torch.from_numpy(inputs)
    y = torch.from_numpy(positive / (positive + negative))
    balance = torch.where(y > 0.5, 0.5 / y.mean(), 0.5 / (1 - y).mean())
    weight = torch.zeros(inputs.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        misfit = functional.binary_cross_entropy_with_logits(x @ weight + bias, y, balance)
        loss = misfit + penalty * weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    found: NDArray[np.float64] = weight.detach().numpy()
    return found


def per_network(evaluation: TemporalEvaluation, networks: int) -> NDArray[np.float64]:
    """Frame AUC of each network, the mean over its detectors."""
    return np.array(evaluation.metrics["frame_auc"].per_seed).reshape(networks, -1).mean(axis=1)


def report(
    options: PretrainingValueConfig,
    evaluations: dict[str, TemporalEvaluation],
    probes: dict[str, list[float]],
    videos: Catalogue,
) -> str:
    """The table, written and returned; its last line is the RESULT."""
    reference, networks = evaluations["random"], len(options.seeds)
    heads = ("weights", "frame AUC", "less random, videos", "less random, networks", "probe AUC", "less random")
    widths = (24, 18, 26, 24, 18, 0)
    lines = ["".join(f"{name:<{width}}" for name, width in zip(heads, widths, strict=True))]
    result = {}
    for arm, entry in evaluations.items():
        difference = compare(reference, entry)["frame_auc"]
        auc = per_network(entry, networks)
        auc_gain = auc - per_network(reference, networks)
        probe, probe_gain = np.array(probes[arm]), np.array(probes[arm]) - np.array(probes["random"])
        low, high = difference.interval or (None, None)
        over_videos = f"{difference.value:+.3f}" + ("" if low is None else f" ({low:+.3f} to {high:+.3f})")
        result[arm] = {
            "frame_auc": float(auc.mean()),
            "less_random": difference.value,
            "ci_low": low,
            "ci_high": high,
            "half_width_over_networks": paired_half_width(auc_gain),
            "per_video_auc": entry.metrics["per_video_auc"].value,
            "probe_auc": float(probe.mean()),
            "probe_less_random": float(probe_gain.mean()),
            "probe_half_width": paired_half_width(probe_gain),
        }
        gains = ("", "", "") if arm == "random" else (over_videos, gain(auc_gain), gain(probe_gain))
        cells = (arm, spread(auc), gains[0], gains[1], spread(probe), gains[2])
        lines.append("".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip())
    lines.append(
        f"\n{networks} networks, {options.detectors} detectors each; +- after a mean: deviation over networks.\n"
        "Differences to random weights are paired; 95 % intervals over test videos (bootstrap) or over networks (t)."
    )
    others = {name: compare(reference, entry) for name, entry in evaluations.items() if name != "random"}
    write_evaluation(options.out / "evaluation", list(evaluations.values()), others, videos)
    write_json(options.out / "value.json", result)
    return "\n".join([*lines, f"RESULT {json.dumps(result)}"])


if __name__ == "__main__":
    run_command(main)
