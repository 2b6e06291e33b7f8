"""Files of other programs and of people, as `test_mutated_files.py` damages them, and what reads each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import torch
from safetensors.torch import save_file
from scipy import io

from downstream.detection.live.cameras.camera_file import read_cameras
from downstream.detection.live.ordinary import FORMAT as ORDINARY
from downstream.detection.live.ordinary import read_ordinary
from downstream.features.find_files import find_files
from downstream.features.flat_truth import read_flat_truth
from downstream.features.layouts import load_values, read_shape
from downstream.features.onnx_encoder import OnnxGiven, open_onnx_net
from downstream.features.peer_lists import read_peer_list
from downstream.features.video_features import read_streams
from downstream.features.zone_file import read_zones
from pretrain.backbones.hugging_face_folder import check_weight_files, read_config, read_pixels
from pretrain.launcher import asked_processes
from tests.pretrain.backbones.tiny_hugging_face import PIXELS
from tests.pretrain.tiny_onnx import write_net


class Reader(NamedTuple):
    """A file as we write it, and what reads it."""

    file: Path
    read: Callable[[], Any]


def features(folder: Path) -> list[Reader]:
    """An array of every kind; a folder of video_features; lists and ground truth."""
    rows = np.arange(24, dtype=np.float32).reshape(4, 6)
    np.savez_compressed(folder / "a.npz", a=rows)
    torch.save(torch.from_numpy(rows), folder / "a.pt")
    torch.save({"a": torch.from_numpy(rows), "n": 3}, folder / "a.pth")
    io.savemat(folder / "a.mat", {"a": rows})
    for name, stored in (("one.h5", "a"), ("groups.h5", "v/a"), ("new.mat", "a")):
        with h5py.File(folder / name, "w", userblock_size=512 if name == "new.mat" else 0) as file:
            file.create_dataset(stored, data=rows, compression="gzip")
    (folder / "streams").mkdir()
    for ending, values in (("rgb", rows), ("fps", np.array(25.0)), ("timestamps_ms", np.arange(4) * 640.0)):
        np.save(folder / "streams" / f"v_{ending}.npy", values)
    streams = sorted(map(str, (folder / "streams").iterdir()))
    np.save(folder / "gt.npy", np.repeat([0.0, 1.0, 0.0], 16))
    (folder / "test.list").write_text("x/Abuse001_x264.npy\nx/Normal_Videos_003_x264.npy\n")
    (folder / "test.csv").write_text("path,label\nx/Abuse001_x264__0.npy,Abuse\nx/Abuse001_x264__1.npy,Abuse\n")

    def array(name: str, inner: str = "", key: str = "a") -> Reader:
        path = str(folder / name) + inner
        return Reader(folder / name, lambda: (read_shape(path, key), load_values(path, key=key)))

    return [
        *map(array, ("a.npz", "a.pth", "a.mat", "one.h5", "new.mat")),
        array("a.pt", key=""),
        array("groups.h5", "::v/a", key=""),
        Reader(folder / "groups.h5", lambda: find_files([folder / "groups.h5"])),
        *(Reader(Path(stream), lambda: read_streams(streams, "rgb")) for stream in streams if "rgb" not in stream),
        Reader(folder / "gt.npy", lambda: read_flat_truth(folder / "gt.npy")),
        Reader(folder / "test.list", lambda: read_peer_list(folder / "test.list")),
        Reader(folder / "test.csv", lambda: read_peer_list(folder / "test.csv")),
    ]


def cameras(folder: Path) -> list[Reader]:
    """The file of cameras, zones, and what was ordinary for one."""
    zone = "zones: [{name: yard, polygon: [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]}]\n"
    (folder / "zones.yaml").write_text("cell_share: 0.5\n" + zone)
    (folder / "zones.json").write_text(json.dumps({"zones": [{"polygon": [[0, 0], [1, 0], [1, 1]]}]}))
    camera = "{name: door, address: a.mp4, zones: zones.yaml, threshold: 0.9}"
    (folder / "cameras.yaml").write_text(f"out: x\ndefaults: {{min_seconds: 2}}\ncameras:\n  - {camera}\n")
    header = {"format": ORDINARY, "of": "it", "saved": "1.5"}
    save_file({"0.context": torch.ones(3, 2, 4)}, folder / "o.safetensors", header)
    return [
        Reader(folder / "cameras.yaml", lambda: read_cameras(folder / "cameras.yaml")),
        Reader(folder / "zones.yaml", lambda: read_zones(folder / "zones.yaml")),
        Reader(folder / "zones.json", lambda: read_zones(folder / "zones.json")),
        Reader(folder / "o.safetensors", lambda: read_ordinary(folder / "o.safetensors", "it")),
    ]


def networks(folder: Path) -> list[Reader]:
    """ONNX with its card, a Hugging Face folder, and a launcher's settings."""
    write_net(folder / "net.onnx", [1, 3, 8, 8])
    (folder / "net.json").write_text(json.dumps({"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.2, 0.3]}))
    (folder / "config.json").write_text(json.dumps({"model_type": "videomae", "hidden_size": 24, "image_size": 32}))
    (folder / "preprocessor_config.json").write_text(json.dumps(PIXELS))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "part.safetensors"}}))
    save_file({"a": torch.ones(3)}, folder / "part.safetensors")
    (folder / "launcher.yaml").write_text("num_processes: 4\nnum_machines: 2\nmachine_rank: 1\n")
    launch = ["accelerate", "launch", "--config_file", str(folder / "launcher.yaml"), "pretrain.py"]
    return [
        *(Reader(folder / name, lambda: open_onnx_net(str(folder / "net.onnx"), OnnxGiven())) for name in ONNX),
        Reader(folder / "config.json", lambda: read_config(folder)),
        Reader(folder / "preprocessor_config.json", lambda: read_pixels(folder)),
        Reader(folder / "model.safetensors.index.json", lambda: check_weight_files(folder)),
        Reader(folder / "part.safetensors", lambda: check_weight_files(folder)),
        Reader(folder / "launcher.yaml", lambda: asked_processes(launch)),
    ]


ONNX = ("net.onnx", "net.json")
FOREIGN = {"others' features": features, "cameras": cameras, "others' networks": networks}
