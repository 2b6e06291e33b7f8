"""Small copies of each dataset's layout: list files as published, empty files in place of videos."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from pretrain.data.shards.tar_writer import ShardWriter
from tests.paths import REAL

ANNOTATIONS = REAL / "annotations"


@pytest.fixture
def real() -> Path:
    """The folder of the real list files."""
    if not ANNOTATIONS.is_dir():
        pytest.skip("the real list files are not there (../shared/real/annotations beside the checkout)")
    return ANNOTATIONS


@pytest.fixture
def make(tmp_path: Path) -> Callable[[str], Path]:
    """`make(kind)` lays out a small dataset of that kind and returns its root."""

    def build(kind: str) -> Path:
        root = tmp_path / kind
        root.mkdir()
        MAKE[kind](root)
        return root

    return build


def touch(root: Path, paths: Iterable[str]) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def make_folder(root: Path) -> None:
    touch(root, ["train/normal/a.mp4", "train/abnormal/b.mkv", "test/normal/c.avi", "test/abnormal/d/001.jpg"])


def make_csv(root: Path) -> None:
    touch(root, ["a.mp4", "sub/b.mp4", "sub/c.mp4"])
    write(root / "videos.csv", "path,label,split", "a.mp4,0,train", "sub/b.mp4,abnormal,test", "sub/c.mp4,,")


def make_json(root: Path, **changes: object) -> None:
    touch(root, ["videos/a.mp4", "videos/b.mp4"])
    entry = {
        "path": "videos/a.mp4",
        "label": 1,
        "split": "test",
        "class_name": "Fall",
        "group": "camera03",
        "num_frames": 100,
        "fps": 30.0,
        "spans": [[10, 20], [40, 50]],
        "boxes": [[10, 1, 2, 30.5, 40, 7]],
    }
    videos = {"a": {**entry, **changes}, "b": {"path": "videos/b.mp4"}}
    content = {"format": "anomaly-pretext/ground-truth/1", "videos": videos}
    write(root / "annotations" / "ground_truth.json", json.dumps(content))


def make_ucf_crime(root: Path) -> None:
    touch(
        root,
        [
            "Abuse/Abuse001_x264.mp4",
            "Abuse/Abuse028_x264.mp4",
            "Training_Normal_Videos_Anomaly/Normal_Videos001_x264.mp4",
            "Testing_Normal_Videos_Anomaly/Normal_Videos_003_x264.mp4",
            "Vandalism017_x264.mp4",
        ],
    )
    write(
        root / "Anomaly_Train.txt",
        "Abuse/Abuse001_x264.mp4",
        "Training_Normal_Videos_Anomaly/Normal_Videos001_x264.mp4",
    )
    write(
        root / "Temporal_Anomaly_Annotation.txt",
        "Abuse028_x264.mp4  Abuse  165  240  -1  -1  ",
        "Normal_Videos_003_x264.mp4  Normal  -1  -1  -1  -1  ",
        "Vandalism017_x264.mp4  Vandalism  270  330  780  840  ",
    )


XD_TRAIN = ["v=4FzhVu2PR8Y__#1_label_B1", "A.Beautiful.Mind.2001__#00-01-45_00-02-50_label_A"]
XD_TEST = ["v=S-7rRLrxnVQ__#1_label_B4-0-0", "Élite ülke__#00-01_label_G-B2-B6", "Fury.2014__#2_label_A"]


def make_xd_violence(root: Path) -> None:
    touch(root, [f"1-1004/{name}.mp4" for name in XD_TRAIN] + [f"test_videos/{name}.mp4" for name in XD_TEST])
    write(root / "test_videos.txt", *XD_TEST)
    write(root / "annotations.txt", f"{XD_TEST[0]} 0 1517 1970 3038", f"{XD_TEST[1]}.mp4 150 779")


def make_shanghaitech(root: Path) -> None:
    touch(
        root,
        [
            "training/videos/01_001.avi",
            "training/videos/02_002.avi",
            "testing/frames/01_0014/000.jpg",
            "testing/frames/03_0031/000.jpg",
        ],
    )
    write(root / "SH_Train.txt", "01_001", "01_0014")
    write(root / "SH_Test.txt", "02_002", "03_0031")
    masks = root / "testing" / "test_frame_mask"
    masks.mkdir()
    np.save(masks / "01_0014.npy", np.array([0, 0, 1, 1, 0], dtype=np.uint8))
    np.save(masks / "03_0031.npy", np.array([1, 0, 0, 1, 1], dtype=np.uint8))


def make_ucf_crime2local(root: Path) -> None:
    touch(
        root,
        [
            "Arrest/Arrest001_x264.mp4",
            "Arrest/Arrest003_x264.mp4",
            "Normal_Videos_015_x264.mp4",
            "Robbery/Robbery001.mp4",
        ],
    )
    write(root / "Train_split_AD.txt", "Arrest001", "Normal_Videos_015")
    write(root / "Test_split_AD.txt", "Arrest003", "Robbery001")
    boxes = root / "annotation"
    write(
        boxes / "Arrest003.txt",
        '0 0 0 0 0 0 1 0 0 "Arrest"',
        '0 10 20 30 40 1 0 0 0 "Arrest"',
        '0 11 20 31 40 2 0 0 1 "Arrest"',
    )
    write(boxes / "Robbery001.txt", '5 1 2 3 4 1 0 0 0 "Robbery"', '5 1 2 3 4 2 1 0 0 "Robbery"')
    write(boxes / "Arrest001.txt", '0 10 20 30 40 7 0 0 0 "Arrest"')


def make_shards(root: Path) -> None:
    entries = []
    with open(root / "shard-00000.tar", "wb") as file:
        writer = ShardWriter(file)
        for name, split in (("a", "train"), ("b", "test"), ("c", "train")):
            stored = writer.add(f"{name}.mp4", io.BytesIO(name.encode()), 1)
            place = {"shard": "shard-00000.tar", "offset": stored.offset, "bytes": 1, "sha256": stored.sha256}
            entries.append({"name": name, "path": f"{name}.mp4", "split": split, "label": 0} | place)
        size = writer.close()
    content = {"format": "anomaly-pretext/shards/1", "shards": {"shard-00000.tar": {"bytes": size}}, "videos": entries}
    write(root / "shards.json", json.dumps(content))


MAKE = {
    "folder": make_folder,
    "csv": make_csv,
    "json": make_json,
    "ucf_crime": make_ucf_crime,
    "xd_violence": make_xd_violence,
    "shanghaitech": make_shanghaitech,
    "shards": make_shards,
    "ucf_crime2local": make_ucf_crime2local,
}
