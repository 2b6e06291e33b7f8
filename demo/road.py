"""The whole road on videos that are rendered here: `make demo`, or `python -m demo`.

Renders videos, makes proxies, pretrains with `accelerate launch`, exports, extracts features, fine-tunes detectors on
video labels, scores cameras that nothing was trained on, and prints what came out: beside it, the same road with the
network's random weights. Then once more with cells of the picture: where the anomalies are, from the same labels. Every
step goes on where an earlier call stopped. Ends with `runs/demo/summary.json`, a picture, a film and a report.
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from pretrain.errors import UserError
from pretrain.files import write_json
from pretrain.tracking import clock, validation_table

ROOT = Path(__file__).resolve().parents[1]
DEMO = Path("runs/demo")


def extraction(name: str, *encoder: str) -> list[str]:
    """The command that extracts features of all videos into runs/demo/features/NAME."""
    videos = ("--catalogue.kind", "json", "--catalogue.root", str(DEMO / "videos"))
    return ["scripts/extract_features.py", "--out", str(DEMO / "features" / name), *encoder, *videos]


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
        "and with the weights it started from, to compare",
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
            *("--features.sets", str(DEMO / "features" / "random"), "--no-plots", "--resume"),
        ],
    ),
    (
        "compare the two on cameras that nothing was trained on",
        [
            *("scripts/evaluate.py", str(DEMO / "detector_random"), str(DEMO / "detector")),
            *("--out", str(DEMO / "evaluation"), "--new-groups"),
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
            *("scripts/localise.py", str(DEMO / "cells"), "--whole-frame", str(DEMO / "detector"), "--together"),
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
    report(time.monotonic() - began)


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


def report(seconds: float) -> None:
    """Print the tables and write the summary."""
    run = json.loads((ROOT / DEMO / "pretrain" / "summary.json").read_text(encoding="utf-8"))
    found = detection(json.loads((ROOT / DEMO / "evaluation" / "evaluation.json").read_text(encoding="utf-8")))
    where = localisation(json.loads((ROOT / DEMO / "cells/localisation/localisation.json").read_text(encoding="utf-8")))
    summary = {
        "seconds": round(seconds, 1),
        "pretext": run["pretext"],
        "detection": found,
        "localisation": where,
        "report": str(DEMO / "report.html"),
    }
    write_json(ROOT / DEMO / "summary.json", summary)
    print(
        f"\nPretext tasks on held-out cameras, after {run['steps']} steps:\n"
        f"{validation_table(run['pretext'])}\n\n"
        f"Anomaly detection on {found['videos']} videos of cameras that nothing was trained on, "
        f"{found['seeds']} detectors each, frame AUC (0.5 is chance):\n"
        f"pretrained weights   {found['auc_pretrained']:.3f}   "
        f"95 % interval {found['ci_low']:.3f} to {found['ci_high']:.3f}\n"
        f"random weights       {found['auc_random']:.3f}   "
        f"95 % interval {found['random_ci_low']:.3f} to {found['random_ci_high']:.3f}\n"
        f"difference          {found['difference']:+.3f}   "
        f"95 % interval {found['difference_ci_low']:+.3f} to {found['difference_ci_high']:+.3f}, on the same videos\n\n"
        f"Where, on {where['videos']} test videos: pointing (the hottest cell lies in a box), and pixel AUC\n"
        f"detector of cells    {where['pointing']:.3f}   95 % interval {where['pointing_ci_low']:.3f} to "
        f"{where['pointing_ci_high']:.3f}      {where['pixel_auc']:.3f}   {where['pixel_auc_ci_low']:.3f} to "
        f"{where['pixel_auc_ci_high']:.3f}\n"
        f"always the centre    {where['pointing_centre']:.3f}{' ' * 37}{where['pixel_auc_centre']:.3f}\n"
        f"by chance            {where['pointing_chance']:.3f}{' ' * 37}0.500\n\n"
        f"weights      {DEMO / 'backbone' / 'backbone.safetensors'}\n"
        f"detectors    {DEMO / 'detector'}/seed-*/detector\n"
        f"curves       {DEMO / 'pretrain' / 'curves.png'}, {DEMO / 'evaluation' / 'scores.png'}, roc.png, pr.png\n"
        f"all figures  {DEMO / 'evaluation' / 'table.md'}\n"
        f"summary      {DEMO / 'summary.json'}\n"
        f"found        {', '.join(where['pictures'])}\n"
        f"The demo took {clock(seconds)}.\n\n"
        f"Your own video next: python scripts/detect.py VIDEO --detector {DEMO / 'cells'}\n"
        f"report: {DEMO / 'report.html'}"
    )


def localisation(document: dict[str, Any]) -> dict[str, Any]:
    """Pointing and pixel AUC of the detector of cells, by chance, and of whole frames, pointing at the centre."""
    cells, centre = (method["metrics"] for method in document["methods"][:2])
    drawn = sorted((ROOT / DEMO / "cells" / "localisation").glob("*/*.[pm][np][g4]"))
    return {
        "pointing": cells["pointing"]["value"],
        "pointing_ci_low": cells["pointing"]["ci_low"],
        "pointing_ci_high": cells["pointing"]["ci_high"],
        "pointing_chance": cells["pointing_chance"]["value"],
        "pointing_centre": centre["pointing"]["value"],
        "pixel_auc": cells["pixel_auc"]["value"],
        "pixel_auc_ci_low": cells["pixel_auc"]["ci_low"],
        "pixel_auc_ci_high": cells["pixel_auc"]["ci_high"],
        "pixel_auc_centre": centre["pixel_auc"]["value"],
        "videos": document["methods"][0]["test_set"]["videos"],
        "pictures": [str(path.relative_to(ROOT)) for path in drawn],
    }


def detection(evaluation: dict[str, Any]) -> dict[str, Any]:
    """Frame AUC of both methods with intervals over test videos, and their paired difference."""
    random, pretrained = (method["metrics"]["frame_auc"] for method in evaluation["methods"])
    difference = evaluation["comparisons"][0]["second_less_first"]["frame_auc"]
    return {
        "auc_pretrained": pretrained["value"],
        "auc_random": random["value"],
        "ci_low": pretrained["ci_low"],
        "ci_high": pretrained["ci_high"],
        "random_ci_low": random["ci_low"],
        "random_ci_high": random["ci_high"],
        "difference": difference["difference"],
        "difference_ci_low": difference["ci_low"],
        "difference_ci_high": difference["ci_high"],
        "seeds": len(pretrained["per_seed"]),
        "videos": evaluation["methods"][0]["test_set"]["videos"],
    }
