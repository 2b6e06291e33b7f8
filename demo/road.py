"""The whole road on videos that are rendered here: `make demo`, or `python -m demo`.

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


CATALOGUE = ("--catalogue.kind", "json", "--catalogue.root", str(DEMO / "videos"))


def extraction(name: str, *encoder: str) -> list[str]:
    """The command that extracts features of all videos into runs/demo/features/NAME."""
    return ["scripts/extract_features.py", "--out", str(DEMO / "features" / name), *encoder, *CATALOGUE]


STEPS: list[tuple[str, list[str]]] = [
    ("render the videos", ["scripts/make_demo_videos.py", str(DEMO / "videos")]),
    ("make proxies to train from", ["scripts/build_cache.py", "configs/demo_pretrain.yaml"]),
    (
        "pretrain the backbone on four pretext tasks",
        [
            *("-m", "accelerate.commands.launch", "--num_processes", "1", "--num_machines", "1"),
            *("--mixed_precision", "no", "--dynamo_backend", "no"),
            *("pretrain.py", "configs/demo_pretrain.yaml", "--resume"),
        ],
    ),
    ("export it", ["scripts/export_backbone.py", str(DEMO / "pretrain"), "--out", str(DEMO / "backbone")]),
    (
        "extract features of every snippet with it",
        extraction("pretrained", "--backbone", str(DEMO / "backbone")),
    ),
    (
        "and with random weights, to compare",
        extraction("random", "--backbone", "small3d", "--weights-seed", "0", "--border-crop", "0.1", "0", "0", "0"),
    ),
    (
        "train detectors on video labels alone, score the test cameras",
        ["scripts/finetune.py", "configs/demo_detector.yaml", "--resume"],
    ),
    (
        "the same detectors on the random weights' features",
        [
            *("scripts/finetune.py", "configs/demo_detector.yaml", "--output", str(DEMO / "detector_random")),
            *("--features.sets", str(DEMO / "features" / "random"), "--no-plots", "--no-references", "--resume"),
        ],
    ),
    (
        "fit a detector to the normal training videos, without any label of an anomaly",
        [
            *("scripts/fit_normal.py", "--output", str(DEMO / "normal"), "--no-references", "--no-plots"),
            *("--features.sets", str(DEMO / "features" / "pretrained"), *CATALOGUE, "--resume"),
        ],
    ),
    (
        "the ceiling: the same detectors trained on labels of frames",
        [
            *("scripts/finetune.py", "configs/demo_detector.yaml", "--output", str(DEMO / "ceiling")),
            *("--ceiling", "--no-plots", "--no-references", "--resume"),
        ],
    ),
    (
        "scores that need no learning, the motion in the videos among them",
        [
            *("scripts/reference_scores.py", str(DEMO / "detector"), "--motion"),
            *("--border-crop", "0.1", "0", "0", "0"),
        ],
    ),
    (
        "compare them all on cameras that nothing was trained on",
        [
            *("scripts/evaluate.py", *(str(DEMO / name) for name in METHODS)),
            *("--out", str(DEMO / "evaluation"), "--unseen-groups", "--ensemble"),
        ],
    ),
    (
        "extract features of cells of the picture",
        extraction("cells", "--backbone", str(DEMO / "backbone"), "--grid", "map"),
    ),
    (
        "train detectors of cells, on the same video labels",
        ["scripts/finetune.py", "configs/demo_cells_detector.yaml", "--resume"],
    ),
    (
        "find out where the anomalies are, and compare with boxes that no training saw",
        [
            *("scripts/localise.py", str(DEMO / "cells"), "--whole-frame", str(DEMO / "detector"), "--ensemble"),
            *("--strips", "1", "--films", "1", "--abnormal-only"),
        ],
    ),
    (
        "put it all on one page",
        ["scripts/report.py", str(DEMO / "cells"), "--out", str(DEMO / "report.html")],
    ),
]


IN_PROCESSES_OF_THEIR_OWN = ("-m", "scripts/make_demo_videos.py")
"""What starts others: accelerate's launcher, and the renderer, whose workers are better off before torch is there."""


def demo() -> None:
    """Run every step; UserError naming the step that failed."""
    began = time.monotonic()
    os.chdir(ROOT)
    for number, (what, command) in enumerate(STEPS, start=1):
        print(f"\n[{number}/{len(STEPS)}] {what}\n    python {' '.join(command)}", flush=True)
        started = time.monotonic()
        status = run_step(command)
        if status:
            raise UserError(f"the demo stopped: step {number} ({what}) left with exit status {status}; see above")
        print(f"    took {clock(time.monotonic() - started)}", flush=True)
    print(summarise(ROOT, time.monotonic() - began))


def run_step(command: list[str]) -> int:
    """Run one command and return its exit status; within this process where it may be: starting one takes seconds."""
    if command[0] in IN_PROCESSES_OF_THEIR_OWN:
        return subprocess.run([sys.executable, *command], cwd=ROOT, env=environment(), check=False).returncode
    arguments, sys.argv = sys.argv, list(command)
    try:
        runpy.run_path(str(ROOT / command[0]), run_name="__main__")
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    finally:
        sys.argv = arguments
    return 0


def environment() -> dict[str, str]:
    """This process's environment, with as many threads as there are cores: accelerate would set one for the CPU."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"OMP_NUM_THREADS": str(cores)} | os.environ
