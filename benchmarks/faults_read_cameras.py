"""Readers of what cameras are watched by: their file, zones, calibrations, and what was ordinary for one of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from benchmarks.faults_reader import Reader, main_of, outputs_of, sha
from downstream.detection.live.ordinary import Ordinary
from downstream.detection.live.scorer import LiveScore, LiveScorer, region_for
from downstream.detection.open_model import open_model
from downstream.detection.unfitted import or_unfitted
from downstream.events.calibration_file import read_calibration
from downstream.features.zone_file import read_zones
from pretrain.data.video import VideoInfo
from pretrain.errors import UserError
from pretrain.files import write_json, write_text

LOOKS = VideoInfo(0, 25.0, 72, 48, 0.0, "h264", 0, False)
WINDOW, FRAMES = 64, 64
CAMERAS_FILE = """out: watched
device: cpu
alarms: {status_every: 5.0}
defaults: {detector: ../packaged/model, min_seconds: 0.5}
cameras:
  - {name: door, address: ../videos/v8.mp4, zones: zones.yaml, calibration: calibration.json}
  - {name: yard, address: ../videos/v9.mp4, threshold: 0.98, zones: [{polygon: [[0, 0], [1, 0], [1, 1]]}]}
"""
ZONES = """size: [72, 48]
cell_share: 0.5
zones:
  - {name: yard, kind: include, polygon: [[7, 4], [65, 4], [65, 48], [7, 48]]}
  - {name: tree, kind: exclude, polygon: [[50, 0], [72, 0], [72, 24]]}
"""


def write_cameras() -> None:
    """Two cameras, which are files that are played."""
    write_text(Path("cameras/cameras.yaml"), CAMERAS_FILE)
    write_text(Path("cameras/zones.yaml"), ZONES)
    shutil.copy("calibrated/calibration.json", "cameras/calibration.json")


def check_cameras() -> str:
    """Read the file and open each camera once; the pictures on which zones are drawn."""
    return outputs_of(lambda: main_of("scripts.watch", "cameras/cameras.yaml", "--check"), "cameras/watched")


def write_zones() -> None:
    """By hand, and as JSON."""
    write_text(Path("zones/zones.yaml"), ZONES)
    write_json(Path("zones/zones.json"), read_zones(Path("zones/zones.yaml")).as_json())


def write_calibration() -> None:
    """With every key that one can have."""
    rule = {"threshold": 0.9, "release": 0.8, "min_seconds": 2.0, "merge_seconds": 10.0}
    others = {"folds": 3, "events": 2, "hours": 4.0, "lowest_threshold": 0.85, "highest_threshold": 0.95}
    content = {"format": "anomaly-pretext/calibration/1", "rule": rule, "wanted_per_hour": 0.5, "margin": 1.0}
    content |= {"events": 3, "hours": 6.0, "videos": 8, "left_out": others, "detector": {"sha256": "00"}}
    content |= {"notes": ["a note"], "ordinary": 0.04, "peaks": [0.91, 0.92, 0.95]}
    write_json(Path("levels/calibration.json"), content)


def camera_of(scorer: LiveScorer) -> Ordinary:
    """A camera's memory, by a rule that leaves nothing out."""
    scorer.look(LOOKS)
    rule = read_calibration(Path("calibrated/calibration.json")).rule
    return Ordinary(Path("ordinary.safetensors"), scorer, rule, WINDOW)


def watched(scorer: LiveScorer, seed: int) -> np.ndarray:
    """The scores of some seconds of a stream."""
    region = region_for(scorer.model)(LOOKS)
    rng, scores = np.random.default_rng(seed), list[LiveScore]()
    for number in range(FRAMES):
        pixels = rng.integers(0, 255, (region.height, region.width, 3), dtype=np.uint8)
        scores += scorer.push(number, pixels, 0.0)
    return np.array([score.score for score in scores])


def write_ordinary() -> None:
    """What a stream of the detector that comes with the program leaves."""
    model = open_model(or_unfitted(None))
    scorer = LiveScorer(model, None, WINDOW, 1, remembers=True)
    ordinary = camera_of(scorer)
    ordinary.begin(LOOKS)
    watched(scorer, 0)
    ordinary.save()


def go_on() -> str:
    """Scores of the same camera after a restart. What it says of a file that cannot be used is a message here."""
    scorer = LiveScorer(open_model(or_unfitted(None)), None, WINDOW, 1, remembers=True)
    told = camera_of(scorer).begin(LOOKS)
    if "goes on from" not in told:
        raise UserError(told)
    return sha(watched(scorer, 1))


CAMERAS = (
    Reader(
        name="cameras",
        files=("cameras/cameras.yaml", "cameras/zones.yaml", "cameras/calibration.json"),
        run=check_cameras,
        prepare=write_cameras,
        weight=0.4,
    ),
    Reader(
        name="zones",
        files=("zones/*.yaml", "zones/*.json"),
        run=lambda: sha(*(repr(read_zones(Path(f"zones/zones.{ending}"))) for ending in ("yaml", "json"))),
        prepare=write_zones,
    ),
    Reader(name="ordinary of a camera", files=("ordinary.safetensors",), run=go_on, prepare=write_ordinary),
    Reader(
        name="calibration with levels",
        files=("levels/calibration.json",),
        run=lambda: sha(repr(read_calibration(Path("levels/calibration.json")))),
        prepare=write_calibration,
    ),
)
