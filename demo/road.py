"""The whole road on videos that are rendered here: `make demo`, or `anomaly-pretext demo`.

Renders videos, makes proxies, pretrains the shipped network on them with `accelerate launch`, exports, extracts
features, fine-tunes detectors on video labels, fits one without labels, scores cameras that nothing was trained on, and
prints what came out: beside it the same road with the network's random weights, scores that need no learning, and what
labels of frames would give. Then once more with cells of the picture: where the anomalies are, from the same labels.
Every step goes on where an earlier call stopped. Ends with `runs/demo/summary.json`, a picture, a film and a report.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import time
from pathlib import Path

from demo.summary import DEMO, METHODS, summarise
from pretrain.errors import UserError
from pretrain.tracking import clock

ROOT = Path(__file__).resolve().parents[1]
"""Where `scripts` lies: the checkout, or the installed package."""
IS_INSTALLED = __package__ != "demo"
LAUNCH = (
    *("-m", "accelerate.commands.launch", "--num_processes", "1", "--num_machines", "1"),
    *("--mixed_precision", "no", "--dynamo_backend", "no"),
)
LAUNCHED = ("-m", "anomaly_pretext", "pretrain") if IS_INSTALLED else ("pretrain" + ".py",)

CATALOGUE = ("--catalogue.kind", "json", "--catalogue.root", str(DEMO / "videos"))
LARGER = ("--height", "128", "--width", "192")
"""Frames of twice the size of those of pretraining, for people are small here; more would take longer."""
CELLS = ("--grid", "8", "12", "--height", "192", "--width", "288")


def extraction(name: str, *encoder: str) -> list[str]:
    """The command that extracts features of all videos into runs/demo/features/NAME."""
    return ["extract_features", "--out", str(DEMO / "features" / name), *encoder, *CATALOGUE]


STEPS: list[tuple[str, list[str]]] = [
    ("render the videos", ["make_demo_videos", str(DEMO / "videos")]),
    ("make proxies to train from", ["build_cache", "configs/demo_pretrain.yaml"]),
    (
        "pretrain the backbone on four pretext tasks",
        [*LAUNCH, *LAUNCHED, "configs/demo_pretrain.yaml", "--resume"],
    ),
    ("export it", ["export_backbone", str(DEMO / "pretrain"), "--out", str(DEMO / "backbone")]),
    (
        "extract features of every snippet with it",
        extraction("pretrained", "--backbone", str(DEMO / "backbone"), *LARGER),
    ),
    (
        "and with random weights, to compare",
        extraction(
            "random", "--backbone", "small3d", "--weights-seed", "0", "--border-crop", "0.1", "0", "0", "0", *LARGER
        ),
    ),
    (
        "train detectors on video labels alone, score the test cameras",
        ["finetune", "configs/demo_detector.yaml", "--resume"],
    ),
    (
        "the same detectors on the random weights' features",
        [
            *("finetune", "configs/demo_detector.yaml", "--output", str(DEMO / "detector_random")),
            *("--features.sets", str(DEMO / "features" / "random"), "--no-plots", "--no-references", "--resume"),
        ],
    ),
    (
        "fit a detector to the normal training videos, without any label of an anomaly",
        [
            *("fit_normal", "--output", str(DEMO / "normal"), "--no-references", "--no-plots"),
            *("--features.sets", str(DEMO / "features" / "pretrained"), *CATALOGUE, "--resume"),
        ],
    ),
    (
        "the ceiling: the same detectors trained on labels of frames",
        [
            *("finetune", "configs/demo_detector.yaml", "--output", str(DEMO / "ceiling")),
            *("--ceiling", "--no-plots", "--no-references", "--resume"),
        ],
    ),
    (
        "scores that need no learning, the motion in the videos among them",
        [
            *("reference_scores", str(DEMO / "detector"), "--motion"),
            *("--border-crop", "0.1", "0", "0", "0"),
        ],
    ),
    (
        "compare them all on cameras that nothing was trained on",
        [
            *("evaluate", *(str(DEMO / name) for name in METHODS)),
            *("--out", str(DEMO / "evaluation"), "--unseen-groups", "--ensemble"),
        ],
    ),
    (
        "extract features of cells of the picture",
        extraction("cells", "--backbone", str(DEMO / "backbone"), *CELLS),
    ),
    (
        "train detectors of cells, on the same video labels",
        ["finetune", "configs/demo_cells_detector.yaml", "--resume"],
    ),
    (
        "find out where the anomalies are, and compare with boxes that no training saw",
        [
            *("localise", str(DEMO / "cells"), "--whole-frame", str(DEMO / "detector"), "--ensemble"),
            *("--strips", "1", "--films", "1", "--abnormal-only"),
        ],
    ),
    (
        "put it all on one page",
        ["report", str(DEMO / "detector"), "--where", str(DEMO / "cells"), "--out", str(DEMO / "report.html")],
    ),
]


IN_PROCESSES_OF_THEIR_OWN = ("-m", "make_demo_videos")
"""What starts others: accelerate's launcher, and the renderer, whose workers are better off before torch is there."""


def demo() -> None:
    """Run every step, into `runs/demo` of the working directory; UserError naming the step that failed."""
    began = time.monotonic()
    for number, (what, command) in enumerate(STEPS, start=1):
        print(f"\n[{number}/{len(STEPS)}] {what}\n    {typed(command)}", flush=True)
        started = time.monotonic()
        status = run_step(command)
        if status:
            raise UserError(f"the demo stopped: step {number} ({what}) left with exit status {status}; see above")
        print(f"    took {clock(time.monotonic() - started)}", flush=True)
    print(summarise(Path.cwd(), time.monotonic() - began))


def typed(command: list[str]) -> str:
    """What somebody would type for a step."""
    if command[0] == "-m":
        return f"python {' '.join(command)}"
    name = f"anomaly-pretext {command[0].replace('_', '-')}" if IS_INSTALLED else f"python scripts/{command[0]}.py"
    return " ".join([name, *command[1:]])


def run_step(command: list[str]) -> int:
    """Run one command and return its exit status; within this process where it may be: starting one takes seconds."""
    script = str(ROOT / "scripts" / f"{command[0]}.py")
    if command[0] in IN_PROCESSES_OF_THEIR_OWN:
        words = command if command[0] == "-m" else [script, *command[1:]]
        return subprocess.run([sys.executable, *words], env=environment(), check=False).returncode
    arguments, sys.argv = sys.argv, [script, *command[1:]]
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    finally:
        sys.argv = arguments
    return 0


def environment() -> dict[str, str]:
    """This process's environment, with as many threads as there are cores: accelerate would set one for the CPU."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"OMP_NUM_THREADS": str(cores)} | os.environ
