"""Every reader of files on damaged ones: a message of ours or data of the right kind, never another exception."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from downstream.detection.open_model import open_trained
from downstream.detection.unfitted import UNFITTED_FOLDER
from downstream.detection.writers.events_jsonl import read_ended
from downstream.detector.storage import load_detector
from downstream.events.box_file import FORMAT as BOXES
from downstream.events.box_file import read_boxes
from downstream.events.calibration import calibrate
from downstream.events.calibration_file import read_calibration, write_calibration
from downstream.features.find_files import find_files
from downstream.features.layouts import load_values, read_shape
from downstream.features.store import FeatureSet
from downstream.features.timing import read_grid
from downstream.report.run_contents import run_curve, run_facts, run_metrics
from downstream.runs.run_folder import RunFolder
from downstream.scores.map_file import read_maps, write_maps
from downstream.scores.score_file import read_scores, write_scores
from downstream.scores.score_map import ScoreMap
from downstream.scores.video_scores import VideoScores, make_scores
from pretrain.arrays import map_array, read_array
from pretrain.backbones import load_backbone
from pretrain.backbones.shipped import SHIPPED_FOLDER
from pretrain.backbones.weights import read_weights
from pretrain.checkpoint import load_state, newest_state, save_state
from pretrain.cli import flags_of
from pretrain.data.catalogue import CatalogueConfig
from pretrain.data.catalogues.csv_file import open_csv
from pretrain.data.catalogues.json_file import open_json
from pretrain.data.catalogues.lists import numbered_lines
from pretrain.data.catalogues.shards import open_shards
from pretrain.data.check import read_quarantine
from pretrain.data.proxy.cache import ProxyCache
from pretrain.data.proxy.manifest import Manifest, SourceState
from pretrain.data.remote.state import member_paths
from pretrain.errors import UserError
from pretrain.reading import Unreadable
from pretrain.run_folder import read_saved
from pretrain.tracking import read_log
from pretrain.yaml_file import read_configuration
from tests.downstream.simulated import make_features
from tests.foreign_files import FOREIGN, Reader
from tests.mutations import mutations
from tests.pretrain.data.catalogues.conftest import make_shards

COUNT = 30
"""Damaged forms of each file."""
SEED = 12


def _scores(folder: Path) -> list[Reader]:
    scored = [make_scores("a", [0.1, 0.9], [0, 16, 32]), make_scores("b", [0.5], [0, 20])]
    write_scores(folder / "s.json", scored, {"unscored": {"c": "cut off"}})
    (folder / "s.csv").write_text("name,start,end,score\na,0,16,0.5\na,16,32,0.25\n")
    cells = ScoreMap(np.full((2, 2, 3), 0.5), (64, 48), (0.0, 0.0, 64.0, 48.0))
    write_maps(folder / "m.safetensors", [VideoScores("a", np.full(2, 0.5), np.array([0, 16, 32]), cells)])
    tube = {"number": 0, "score": 0.5, "start": 0, "end": 16, "boxes": [[0, 16, 1.0, 2.0, 3.0, 4.0, 0.5]]}
    (folder / "b.json").write_text(
        json.dumps({"format": BOXES, "meta": {}, "videos": [{"name": "a", "tubes": [tube]}]})
    )
    footage = [(make_scores("a", [0.2, 0.7, 0.2], [0, 10, 20, 30]), 10.0), (make_scores("b", [0.3], [0, 10]), 10.0)]
    found = calibrate(footage, 500.0, margin=1.0, min_seconds=0.0, merge_seconds=2.0)
    write_calibration(folder / "c.json", found)
    return [
        Reader(folder / "s.json", lambda: read_scores(folder / "s.json")),
        Reader(folder / "s.csv", lambda: read_scores(folder / "s.csv")),
        Reader(folder / "m.safetensors", lambda: read_maps(folder / "m.safetensors")),
        Reader(folder / "b.json", lambda: read_boxes(folder / "b.json")),
        Reader(folder / "c.json", lambda: read_calibration(folder / "c.json")),
    ]


def _features(folder: Path) -> list[Reader]:
    made = make_features(folder / "made", train=3, test=1) / "features"
    (array,) = made.glob("features-*.npy")
    np.save(folder / "peer.npy", np.ones((3, 4), np.float32))
    (folder / "peer.txt").write_text("1 2 3\n4 5 6\n")
    (folder / "grid.csv").write_text("name,snippet_frames,frames,fps\na,16,320,25\n")
    (folder / "list.txt").write_text("peer.npy\n")
    peer = str(folder / "peer.npy")
    return [
        Reader(made / "manifest.json", lambda: FeatureSet.open(made).check_finite()),
        Reader(array, lambda: FeatureSet.open(made).check_finite()),
        Reader(folder / "peer.npy", lambda: (read_shape(peer), load_values(peer))),
        Reader(folder / "peer.npy", lambda: (read_array(peer), map_array(peer))),
        Reader(folder / "peer.txt", lambda: (read_shape(f"{folder}/peer.txt"), load_values(f"{folder}/peer.txt"))),
        Reader(folder / "grid.csv", lambda: read_grid(folder / "grid.csv")),
        Reader(folder / "list.txt", lambda: find_files([folder / "list.txt"], folder)),
    ]


def _networks(folder: Path) -> list[Reader]:
    package, backbone = folder / "package", folder / "backbone"
    shutil.copytree(UNFITTED_FOLDER, package)
    shutil.copytree(SHIPPED_FOLDER, backbone)
    torch.save({"state_dict": {"a": torch.ones(3)}}, folder / "w.pth")
    save_file({"a": torch.ones(3)}, folder / "w.safetensors")
    net = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(net.parameters())
    net(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    state = save_state(folder / "checkpoints", 3, net, optimizer, {"config": {"a": 1}, "scaler": None}, 2)
    detector = package / "detectors" / "0"
    return [
        Reader(package / "package.json", lambda: open_trained(package)),
        Reader(detector / "detector.json", lambda: load_detector(detector)),
        Reader(detector / "detector.safetensors", lambda: load_detector(detector)),
        Reader(backbone / "backbone.json", lambda: load_backbone(backbone)),
        Reader(backbone / "backbone.safetensors", lambda: load_backbone(backbone)),
        Reader(folder / "w.pth", lambda: read_weights(folder / "w.pth")),
        Reader(folder / "w.safetensors", lambda: read_weights(folder / "w.safetensors")),
        Reader(state / "state.json", lambda: (newest_state(folder / "checkpoints"), load_state(state, net, optimizer))),
        Reader(state / "state.safetensors", lambda: load_state(state, net, optimizer)),
    ]


def _runs(folder: Path) -> list[Reader]:
    seed = folder / "run" / "seed-0"
    (seed / "detector").mkdir(parents=True)
    (folder / "run" / "evaluation").mkdir()
    shutil.copy(UNFITTED_FOLDER / "detectors" / "0" / "detector.json", seed / "detector" / "detector.json")
    write_scores(seed / "test_scores.json", [make_scores("a", [0.1], [0, 16])])
    (seed / "summary.json").write_text(json.dumps({"validation": {"video_auc": 0.5, "threshold": 0.5}, "unscored": {}}))
    point = {"false_alarms_per_hour": 0.0, "found_share": 0.5, "ci_low": None, "ci_high": None, "found": 1.0}
    curve = {
        "hours": 1.0,
        "anomalies": 2,
        "points": [{**point, "thresholds": [0.5]}],
        "at_threshold": {"threshold": 0.5, "false_alarms_per_hour": 1.0, "found_share": 0.5, "found": 1.0},
    }
    metrics = {"frame_auc": {"value": 0.5, "ci_low": 0.4, "ci_high": None}}
    method = {"metrics": metrics, "settings": {"threshold": 0.5}, "operating_curve": curve}
    evaluation = folder / "run" / "evaluation" / "evaluation.json"
    evaluation.write_text(json.dumps({"format": "anomaly-pretext/evaluation/1", "methods": [method]}))
    (folder / "run" / "log.jsonl").write_text('{"step": 1, "train/loss": 0.5}\n{"step": 2, "train/loss": NaN}\n')
    event = {"kind": "ended", "number": 1, "start_frame": 0, "end_frame": 16, "start_seconds": 0.0, "end_seconds": 1.0}
    event |= {"peak_seconds": 0.5, "peak_score": 0.9, "peak_start_frame": 0, "peak_end_frame": 16, "box": [0, 1, 2, 3]}
    (folder / "run" / "events.jsonl").write_text(json.dumps(event) + "\n")
    run = RunFolder(folder / "run")
    return [
        Reader(seed / "summary.json", lambda: run.seed(0).read_summary()),
        Reader(seed / "summary.json", lambda: read_saved(seed / "summary.json")),
        Reader(
            seed / "detector" / "detector.json",
            lambda: run_facts(run.path, type("Scores", (), {"seeds": ("0",)})),  # type: ignore[arg-type]
        ),
        Reader(evaluation, lambda: (run_metrics(run.path), run_curve(run.path))),
        Reader(run.path / "log.jsonl", lambda: read_log(run.path / "log.jsonl")),
        Reader(run.path / "events.jsonl", lambda: list(read_ended(run.path / "events.jsonl"))),
    ]


def _lists(folder: Path) -> list[Reader]:
    (folder / "a.mp4").touch()
    video = {"path": "a.mp4", "label": 1, "split": "test", "num_frames": 90, "fps": 25.0, "spans": [[3, 9]]}
    video |= {"boxes": [[3, 1, 2, 3, 4, 0]], "width": 64, "height": 48, "class_name": "Fall", "group": None}
    truth = {"format": "anomaly-pretext/ground-truth/1", "videos": {"a": video}}
    (folder / "truth.json").write_text(json.dumps(truth))
    (folder / "videos.csv").write_text("path,label,num_frames,fps,spans\na.mp4,abnormal,90,25,3:9\n")
    (folder / "quarantine.txt").write_text("# left out\na\tcut off\n")
    (folder / "run.yaml").write_text("output: runs/x\noptim: {lr: 0.001, steps: 300}\ngrid: [3, 4]\n")
    make_shards(folder)
    manifest = Manifest(
        source=SourceState.of(str(folder / "a.mp4")),
        settings={},
        num_frames=9,
        duration_seconds=1.0,
        height=48,
        width=64,
        proxy_bytes=99,
        proxy_mtime_ns=1,
        proxy_sha256="00",
        build_cpu_seconds=0.1,
    )
    manifest.write(folder / "proxy.json")
    (folder / "proxies.json").write_text(json.dumps({"format": "h264", "short_side": 128}))
    in_json = CatalogueConfig(kind="json", root=folder, annotations=folder / "truth.json")
    in_csv = CatalogueConfig(kind="csv", root=folder, annotations=folder / "videos.csv")
    return [
        Reader(folder / "truth.json", lambda: list(open_json(in_json))),
        Reader(folder / "videos.csv", lambda: list(open_csv(in_csv))),
        Reader(folder / "quarantine.txt", lambda: read_quarantine(folder / "quarantine.txt")),
        Reader(folder / "quarantine.txt", lambda: list(numbered_lines(folder / "quarantine.txt"))),
        Reader(folder / "run.yaml", lambda: flags_of(read_configuration(folder / "run.yaml"))),
        Reader(folder / "shards.json", lambda: list(open_shards(CatalogueConfig(kind="shards", root=folder)))),
        Reader(folder / "shard-00000.tar", lambda: member_paths(str(folder / "shard-00000.tar"))),
        Reader(folder / "proxy.json", lambda: Manifest.read(folder / "proxy.json")),
        Reader(folder / "proxies.json", lambda: ProxyCache(folder).settings_record()),
    ]


GROUPS = {"scores": _scores, "features": _features, "networks": _networks, "runs": _runs, "lists": _lists} | FOREIGN


@pytest.mark.parametrize("group", list(GROUPS))
@pytest.mark.filterwarnings("ignore")  # numpy's and PyTorch's, of damaged files
def test_damaged_files_give_a_message_or_data(tmp_path: Path, group: str) -> None:
    rng = np.random.default_rng(SEED)
    for reader in GROUPS[group](tmp_path):
        whole = reader.file.read_bytes()
        reader.read()  # sound, it is read
        is_json = reader.file.suffix == ".json"
        for number, damaged in enumerate(mutations(whole, is_json, rng, COUNT)):
            reader.file.write_bytes(damaged)
            try:
                reader.read()
            except (UserError, Unreadable):
                pass
            except Exception as error:
                pytest.fail(f"{reader.file.name}, damage {number}: {error!r} of {damaged[:300]!r}")
        reader.file.write_bytes(whole)


@pytest.mark.parametrize("group", list(GROUPS))
def test_pipes_links_in_circles_and_devices_are_refused_at_once(tmp_path: Path, group: str) -> None:
    class TooLong(BaseException):
        pass

    def too_long(*_: object) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, too_long)
    try:
        for reader in GROUPS[group](tmp_path):
            whole = reader.file.read_bytes()
            for make in (os.mkfifo, lambda file: file.symlink_to(file), lambda file: file.symlink_to("/dev/zero")):
                reader.file.unlink()
                make(reader.file)
                signal.alarm(20)
                with contextlib.suppress(UserError, Unreadable, OSError):
                    reader.read()
                signal.alarm(0)
            reader.file.unlink()
            reader.file.write_bytes(whole)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
