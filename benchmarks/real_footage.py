"""Catalogues of the real footage that tests and results use, in our JSON form: `python -m benchmarks.real_footage`.

    OUT/fight_streams.json       surveillance streams with fights (Surveillance Camera Fight, 2019)
    OUT/ucf_crime_features.json  UCF-Crime videos of which features are at hand, and OUT/ucf_crime_grid.csv: the frames
                                 that their segments stand for, for scripts/import_features.py --grid
    OUT/ucsd_ped2.json           UCSD Ped2's training clips the test clips at hand, boxes from masks

The development parts become the test split. Paths are relative to the data's own folder.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from downstream.events.boxes import components
from pretrain.cli import run_command
from pretrain.errors import UserError
from pretrain.files import replacing, write_json

ROOT = Path(__file__).resolve().parents[1]
FORMAT = "anomaly-pretext/ground-truth/1"
SPECK = 20


@dataclass(frozen=True, kw_only=True)
class RealFootageConfig:
    """Where the data is, and where its catalogues go."""

    data: Path = ROOT.parent / "shared" / "real"
    """Folder with fight_streams/, ucf_crime_features/ and ucsd_ped2/."""
    out: Path = Path("runs/real")
    """Folder for the catalogues."""


def fight_streams(folder: Path) -> dict[str, Any]:
    """69 training and 18 development streams; spans of the latter are 0-based and half-open."""
    videos: dict[str, Any] = {}
    with open(folder / "train.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            videos[row["id"]] = entry(f"videos/{row['id']}.mp4", int(row["label"]), "train", int(row["frames"]), 25.0)
    for name, truth in read_json(folder / "dev_ground_truth.json").items():
        videos[name] = entry(f"videos/{name}.mp4", truth["label"], "test", truth["frames"], 25.0)
        videos[name]["spans"] = truth["intervals_0based_halfopen"]
    return {"format": FORMAT, "videos": videos}


def ucf_crime_features(folder: Path) -> tuple[dict[str, Any], list[tuple[str, int | str, int | str]]]:
    """549 training and 137 development videos; spans of the latter are 1-based and inclusive, as UCF-Crime's.

    Also (name, frames per segment, frames); empty where nobody says how long a video is, as for the training part.
    """
    videos: dict[str, Any] = {}
    grid: list[tuple[str, int | str, int | str]] = []
    with open(folder / "train.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            videos[row["id"]] = entry(f"{row['id']}.mp4", int(row["label"]), "train", None, 30.0)
            grid.append((row["id"], "", ""))
    for name, truth in read_json(folder / "dev_ground_truth.json").items():
        videos[name] = entry(f"{name}.mp4", truth["label"], "test", truth["num_frames"], 30.0)
        spans = truth["intervals_1based_inclusive"]
        videos[name]["spans"] = [[max(start, 1) - 1, min(end, truth["num_frames"])] for start, end in spans]
        grid.append((name, truth["frames_per_segment"], truth["num_frames"]))
    return {"format": FORMAT, "videos": videos}, grid


def ucsd_ped2(folder: Path) -> dict[str, Any]:
    """16 normal training clips of one camera, and the test clips that are there, 10 frames a second."""
    videos: dict[str, Any] = {}
    for name, truth in read_json(folder / "truth.json").items():
        label = int(bool(truth["spans"]))
        videos[name] = entry(f"{name}.mp4", label, truth["split"], truth["frames"], 10.0)
        videos[name] |= {"group": "ped2", "spans": truth["spans"]}
        masks = folder / f"{name}_masks.npz"
        if masks.is_file():
            videos[name]["boxes"] = mask_boxes(masks)
    return {"format": FORMAT, "videos": videos}


def mask_boxes(file: Path) -> list[list[int]]:
    """[frame, x1, y1, x2, y2, number] of each region of the masks (frames, height, width), bits packed along the width.

    Regions of less than `SPECK` pixels are left out: edges of the masks fray.
    """
    with np.load(file, allow_pickle=False) as held:
        masks = np.unpackbits(held["masks"], axis=-1)[..., : int(held["shape"][-1])].astype(bool)
    found = []
    for frame, mask in enumerate(masks):
        regions = [cells for cells in components(mask) if cells.sum() >= SPECK]
        for number, cells in enumerate(regions):
            rows, columns = np.flatnonzero(cells.any(axis=1)), np.flatnonzero(cells.any(axis=0))
            edges = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
            found.append([frame, *(int(edge) for edge in edges), number])
    return found


def entry(path: str, label: int, split: str, frames: int | None, fps: float) -> dict[str, Any]:
    """One video of the catalogue."""
    known = {} if frames is None else {"num_frames": frames}
    return {"path": path, "label": label, "split": split, "fps": fps} | known


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def main() -> None:
    """Write the catalogues."""
    config = tyro.cli(RealFootageConfig, description=__doc__)
    if not config.data.is_dir():
        raise UserError(f"the real footage is not at {config.data}: set --data to its folder")
    write_json(config.out / "fight_streams.json", fight_streams(config.data / "fight_streams"))
    catalogue, grid = ucf_crime_features(config.data / "ucf_crime_features")
    write_json(config.out / "ucf_crime_features.json", catalogue)
    with replacing(config.out / "ucf_crime_grid.csv") as temporary, open(temporary, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("name", "snippet_frames", "frames"))
        writer.writerows(grid)
    write_json(config.out / "ucsd_ped2.json", ucsd_ped2(config.data / "ucsd_ped2"))
    print(f"wrote {config.out}/fight_streams.json, ucf_crime_features.json, ucf_crime_grid.csv, ucsd_ped2.json")


if __name__ == "__main__":
    run_command(main)
