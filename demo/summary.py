"""What came out of the demo: `summary.json`, and the same in words at the end of the console."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from downstream.runs.run_folder import RunFolder
from pretrain.files import write_json
from pretrain.tracking import clock, validation_table

DEMO = Path("runs/demo")
"""Everything that the demo writes, below the repository's root."""


def summarise(root: Path, seconds: float) -> str:
    """Write `runs/demo/summary.json` below `root` from what the steps wrote there; returns what to print."""
    pretraining = read(root / DEMO / "pretrain" / "summary.json")
    detection = detection_figures(read(root / DEMO / "evaluation" / "evaluation.json"))
    folder = RunFolder(root / DEMO / "cells").localisation
    localisation = localisation_figures(read(folder.document))
    pictures = [*sorted(folder.films.glob("*.mp4")), *sorted(folder.strips.glob("*.png"))]
    localisation["pictures"] = [str(path.relative_to(root)) for path in pictures]
    summary = {
        "seconds": round(seconds, 1),
        "pretext": pretraining["pretext"],
        "detection": detection,
        "localisation": localisation,
        "report": str(DEMO / "report.html"),
    }
    write_json(root / DEMO / "summary.json", summary)
    parts = [pretext_text(pretraining), detection_text(detection), localisation_text(localisation)]
    return "\n\n".join([*parts, files_text(localisation["pictures"], seconds)])


def read(path: Path) -> dict[str, Any]:
    """A JSON object that a step has written."""
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def detection_figures(evaluation: dict[str, Any]) -> dict[str, Any]:
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


def localisation_figures(document: dict[str, Any]) -> dict[str, Any]:
    """Pointing and pixel AUC of the detector of cells, by chance, and of whole frames, pointing at the centre."""
    cells, centre = (method["metrics"] for method in document["methods"][:2])
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
    }


def pretext_text(run: dict[str, Any]) -> str:
    """How well the pretext tasks are solved."""
    return f"\nPretext tasks on validation cameras, after {run['steps']} steps:\n{validation_table(run['pretext'])}"


def detection_text(figures: dict[str, Any]) -> str:
    """When: the detectors of pretrained and of random weights."""
    return (
        f"Anomaly detection on {figures['videos']} videos of cameras that nothing was trained on, "
        f"{figures['seeds']} detectors each, frame AUC (0.5 is chance):\n"
        f"pretrained weights   {figures['auc_pretrained']:.3f}   "
        f"95 % interval {figures['ci_low']:.3f} to {figures['ci_high']:.3f}\n"
        f"random weights       {figures['auc_random']:.3f}   "
        f"95 % interval {figures['random_ci_low']:.3f} to {figures['random_ci_high']:.3f}\n"
        f"difference          {figures['difference']:+.3f}   95 % interval "
        f"{figures['difference_ci_low']:+.3f} to {figures['difference_ci_high']:+.3f}, on the same videos"
    )


def localisation_text(figures: dict[str, Any]) -> str:
    """Where: the detector of cells beside the picture's centre and chance."""
    return (
        f"Where, on {figures['videos']} test videos: pointing (the hottest cell lies in a box), and pixel AUC\n"
        f"detector of cells    {figures['pointing']:.3f}   95 % interval {figures['pointing_ci_low']:.3f} to "
        f"{figures['pointing_ci_high']:.3f}      {figures['pixel_auc']:.3f}   {figures['pixel_auc_ci_low']:.3f} to "
        f"{figures['pixel_auc_ci_high']:.3f}\n"
        f"always the centre    {figures['pointing_centre']:.3f}{' ' * 37}{figures['pixel_auc_centre']:.3f}\n"
        f"by chance            {figures['pointing_chance']:.3f}{' ' * 37}0.500"
    )


def files_text(pictures: list[str], seconds: float) -> str:
    """What lies where, and what to do next."""
    return (
        f"weights      {DEMO / 'backbone' / 'backbone.safetensors'}\n"
        f"detectors    {DEMO / 'detector'}/seed-*/detector\n"
        f"curves       {DEMO / 'pretrain' / 'curves.png'}, {DEMO / 'evaluation' / 'scores.png'}, roc.png, pr.png\n"
        f"all figures  {DEMO / 'evaluation' / 'table.md'}\n"
        f"summary      {DEMO / 'summary.json'}\n"
        f"found        {', '.join(pictures)}\n"
        f"The demo took {clock(seconds)}.\n\n"
        f"Your own video next: python scripts/detect.py VIDEO --detector {DEMO / 'cells'}\n"
        f"report: {DEMO / 'report.html'}"
    )
