"""The whole road on videos that are rendered here: `make demo`, or `python scripts/demo.py`.

Renders videos, makes proxies, pretrains with `accelerate launch`, exports, and prints what came out. Every step goes on
where an earlier call stopped. Ends with `runs/demo/summary.json`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from pretrain.cli import run_command
from pretrain.errors import UserError
from pretrain.files import write_json
from pretrain.tracking import clock, validation_table

ROOT = Path(__file__).resolve().parents[1]
DEMO = Path("runs/demo")

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
]


def demo() -> None:
    """Run every step; UserError naming the step that failed."""
    began = time.monotonic()
    for number, (what, command) in enumerate(STEPS, start=1):
        print(f"\n[{number}/{len(STEPS)}] {what}\n    python {' '.join(command)}", flush=True)
        started = time.monotonic()
        status = subprocess.run([sys.executable, *command], cwd=ROOT, env=environment(), check=False).returncode
        if status:
            raise UserError(f"the demo stopped: step {number} ({what}) left with exit status {status}; see above")
        print(f"    took {clock(time.monotonic() - started)}", flush=True)
    report(time.monotonic() - began)


def environment() -> dict[str, str]:
    """This process's environment, with as many threads as there are cores: accelerate would set one for the CPU."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"OMP_NUM_THREADS": str(cores)} | os.environ


def report(seconds: float) -> None:
    """Print the table and write the summary."""
    run = json.loads((ROOT / DEMO / "pretrain" / "summary.json").read_text(encoding="utf-8"))
    write_json(ROOT / DEMO / "summary.json", {"seconds": round(seconds, 1), "pretext": run["pretext"]})
    print(
        f"\nHeld-out cameras, after {run['steps']} steps:\n"
        f"{validation_table(run['pretext'])}\n\n"
        f"weights   {DEMO / 'backbone' / 'backbone.safetensors'}\n"
        f"curves    {DEMO / 'pretrain' / 'curves.png'}\n"
        f"summary   {DEMO / 'summary.json'}\n"
        f"The demo took {clock(seconds)}."
    )


if __name__ == "__main__":
    run_command(demo)
