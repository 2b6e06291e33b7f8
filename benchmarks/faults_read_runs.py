"""Readers of runs and of what detection left: going on, evaluating, reporting, packaging."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from benchmarks.faults_folders import remove
from benchmarks.faults_reader import Reader, again, outputs_of, sha
from downstream.events.box_file import read_boxes
from downstream.scores.map_file import read_maps
from downstream.scores.score_file import read_scores


def leave_half_a_run() -> None:
    """A run of fine-tuning that was killed in its second seed."""
    shutil.copytree("run", "half_run")
    for name in ("seed-1/summary.json", "seed-1/test_scores.json", "summary.json"):
        Path("half_run", name).unlink(missing_ok=True)


def go_on_with_half_a_run() -> str:
    """Go on with it."""
    flags = ("--output", "half_run", "--resume", "--no-references")
    return outputs_of(again("finetune", *flags), "half_run/seed-1/test_scores.json")


def detect_again() -> str:
    """Detection over scores that were kept: other than those of the detector they may not be."""
    remove(Path("detected/scores.csv"))
    return outputs_of(again("detect", "--films", "0", "--no-report"), "detected/scores.csv")


RUNS = (
    Reader(
        name="scores",
        files=("run/seed-0/test_scores.json", "detected/scores.csv"),
        run=lambda: sha(
            *(
                value
                for name in ("run/seed-0/test_scores.json", "detected/scores.csv")
                for video in read_scores(Path(name)).videos
                for value in (video.name, np.asarray(video.scores), np.asarray(video.edges))
            )
        ),
    ),
    Reader(
        name="maps",
        files=("run/seed-*/*.safetensors",),
        run=lambda: sha(
            *(
                np.asarray(video.scores)
                for seed in (0, 1)
                for part in ("test", "validation")
                for video in read_maps(Path(f"run/seed-{seed}/{part}_maps.safetensors")).videos
            )
        ),
    ),
    Reader(
        name="boxes",
        files=("located/seed-*/boxes.json",),
        run=lambda: sha(*(repr(read_boxes(Path(f"located/seed-{seed}/boxes.json"))) for seed in (0, 1))),
    ),
    Reader(name="kept scores", files=("detected/scored/*",), run=detect_again, is_cache=True, weight=0.4),
    Reader(
        name="half a run",
        files=("half_run/*.json", "half_run/seed-1/*", "half_run/seed-1/*/*", "half_run/seed-1/checkpoints/*/*"),
        run=go_on_with_half_a_run,
        prepare=leave_half_a_run,
        weight=0.3,
    ),
    Reader(
        name="run, evaluated",
        files=("run/*.json", "run/seed-*/*.json", "run/references/*"),
        run=again("evaluate"),
        weight=0.6,
    ),
    Reader(
        name="run, reported",
        files=("run/*.json", "run/seed-*/*.json", "run/evaluation/*.json"),
        run=again("report"),
        weight=0.6,
    ),
    Reader(
        name="run, located",
        files=("run/*.json", "run/seed-*/*.json", "run/seed-*/*.safetensors"),
        run=again("localise", "--films", "0", "--strips", "0"),
        weight=0.4,
    ),
    Reader(
        name="run, gone on with",
        files=("run/*.json", "run/seed-*/*.json", "run/seed-*/checkpoints/*/*"),
        run=again("finetune"),
        weight=0.4,
    ),
    Reader(
        name="run, packaged",
        files=("run/*.json", "run/seed-*/*", "run/seed-*/detector/*", "features/manifest.json", "backbone/*"),
        run=again("package", "--out", "packaged/other"),
        weight=0.3,
    ),
    Reader(name="run without labels", files=("normal/*.json", "normal/seed-*/*.json"), run=again("normal"), weight=0.4),
    Reader(
        name="pretraining, gone on with",
        files=("pretrain/*.json", "pretrain/log.jsonl", "pretrain/checkpoints/*/*"),
        run=again("pretrain"),
        weight=0.3,
    ),
    Reader(
        name="pretraining, exported",
        files=("pretrain/*.json", "pretrain/backbone/*", "pretrain/checkpoints/*/*"),
        run=again("export", "--out", "other_backbone"),
        weight=0.3,
    ),
    Reader(
        name="ablation, gone on with",
        files=("ablation/*.json", "ablation/*/*/*/*.json", "ablation/*/*/*/seed-0/*.json"),
        run=again("ablate"),
        weight=0.05,
    ),
)
