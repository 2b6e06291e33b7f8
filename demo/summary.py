"""What came out of the demo: `summary.json`, and the same in words at the end of the console."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from downstream.runs.run_folder import RunFolder
from pretrain.files import write_json
from pretrain.json_shapes import mapping
from pretrain.tracking import clock, validation_table
from pretrain.versioned_json import read_json

DEMO = Path("runs/demo")
"""Everything that the demo writes, below the repository's root."""
METHODS = ("detector", "normal", "detector_random", "ceiling")
"""Runs that are compared, in that order; the others with the first."""
ALARMS_PER_HOUR = 24
"""False alarms at most, at which found anomalies are counted."""


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
    document: dict[str, Any] = read_json(path, "what a step of the demo wrote", "run the demo again", mapping())
    return document


def detection_figures(evaluation: dict[str, Any]) -> dict[str, Any]:
    """Of every method the figures with intervals over test videos; of the detector what it is above, and what it finds
    at no more than `ALARMS_PER_HOUR` false alarms."""
    detector, normal, random, ceiling = (method["metrics"] for method in evaluation["methods"])
    random_less = evaluation["comparisons"][1]["second_less_first"]["frame_auc"]
    best = {
        found["metric"]: found
        for found in reversed(evaluation["best_reference"])
        if found["method"] == evaluation["methods"][0]["method"]
    }
    frame, video = best["frame_auc"], best["per_video_auc"]
    curve = evaluation["methods"][0]["operating_curve"]
    point = [kept for kept in curve["points"] if kept["false_alarms_per_hour"] <= ALARMS_PER_HOUR][-1]
    return {
        "auc": detector["frame_auc"]["value"],
        "ci_low": detector["frame_auc"]["ci_low"],
        "ci_high": detector["frame_auc"]["ci_high"],
        "per_video": detector["per_video_auc"]["value"],
        "best_reference": frame["name"],
        "best_reference_auc": frame["value"],
        "over_reference": frame["difference"],
        "over_reference_ci_low": frame["ci_low"],
        "over_reference_ci_high": frame["ci_high"],
        "best_reference_per_video": video["value"],
        "label_free_auc": normal["frame_auc"]["value"],
        "label_free_per_video": normal["per_video_auc"]["value"],
        "auc_random": random["frame_auc"]["value"],
        "per_video_random": random["per_video_auc"]["value"],
        "over_random": -random_less["difference"],
        "over_random_ci_low": -random_less["ci_high"],
        "over_random_ci_high": -random_less["ci_low"],
        "ceiling_auc": ceiling["frame_auc"]["value"],
        "ceiling_per_video": ceiling["per_video_auc"]["value"],
        "found": point["found"],
        "anomalies": curve["anomalies"],
        "false_alarms_per_hour": point["false_alarms_per_hour"],
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
    """When: the detector, what stands beside it, and what an operator sees."""
    rows = [
        ("detector, from video labels", figures["auc"], figures["per_video"]),
        ("without labels (fit_normal)", figures["label_free_auc"], figures["label_free_per_video"]),
        (f"best of no learning: {figures['best_reference']}", figures["best_reference_auc"], None),
        ("random weights, same road", figures["auc_random"], figures["per_video_random"]),
        ("ceiling: labels of frames", figures["ceiling_auc"], figures["ceiling_per_video"]),
    ]
    lines = [f"{name:38}  {frame:.3f}      {'-' if own is None else f'{own:.3f}'}" for name, frame, own in rows]
    return (
        f"When, on {figures['videos']} videos of cameras that nothing was trained on (0.5 is chance):\n"
        f"{'':38}  frame AUC  mean per-video AUC\n" + "\n".join(lines) + "\n"
        f"the detector's 95 % interval {figures['ci_low']:.3f} to {figures['ci_high']:.3f}; on the same videos "
        f"{figures['over_reference']:+.3f} ({figures['over_reference_ci_low']:+.3f} to "
        f"{figures['over_reference_ci_high']:+.3f}) over the best of no learning, {figures['over_random']:+.3f} "
        f"({figures['over_random_ci_low']:+.3f} to {figures['over_random_ci_high']:+.3f}) over random weights\n"
        f"at {figures['false_alarms_per_hour']:.3g} false alarms an hour it finds {figures['found']:.3g} of "
        f"{figures['anomalies']} anomalies"
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
