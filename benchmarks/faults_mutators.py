"""Damage to a file, drawn by a generator: of its content as its ending suggests, or of what stands in its place.

    what = mutate(path, rng)     # changes the file; says what was done, so that a report can be read

Sizes are such that a reader without limits is seen: 100,000 levels of JSON, numbers of 5,000 digits, alias bombs,
headers of arrays of a petabyte, a sparse file of 3 GB.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.faults_damage_arrays import NPY, NPZ, SAFETENSORS
from benchmarks.faults_damage_containers import HDF5, MAT, ONNX, TORCH
from benchmarks.faults_damage_json import JSON, JSON_LINES
from benchmarks.faults_damage_text import BYTES, TEXT, YAML, Rng, Ways

BY_ENDING: dict[str, Ways] = {
    ".json": [*JSON, *TEXT],
    ".jsonl": [*JSON_LINES, *TEXT],
    ".yaml": [*YAML, *TEXT],
    ".txt": TEXT,
    ".csv": TEXT,
    ".list": TEXT,
    ".npy": NPY,
    ".npz": NPZ,
    ".safetensors": SAFETENSORS,
    ".h5": HDF5,
    ".mat": [*MAT, *HDF5],
    ".pt": TORCH,
    ".onnx": ONNX,
}
"""Beside damage to bytes, which any file can have."""
SPARSE_BYTES = 3 << 30
PLACE_SHARE = 0.1
"""Of mutations that put something else in the file's place."""
TRIES = 50


def sparse(path: Path) -> None:
    """A file of gigabytes that takes no room."""
    with open(path, "wb") as file:
        file.truncate(SPARSE_BYTES)


IN_PLACE: list[tuple[str, Callable[[Path], object]]] = [
    ("missing", lambda path: None),
    ("a folder", lambda path: path.mkdir()),
    ("a pipe", lambda path: os.mkfifo(path)),
    ("a link to itself", lambda path: path.symlink_to(path.name)),
    ("a link to nothing", lambda path: path.symlink_to("nowhere")),
    ("a link to /dev/zero", lambda path: path.symlink_to("/dev/zero")),
    ("3 GB of nothing", sparse),
]
"""What may stand where a file is expected."""


def mutate(path: Path, rng: Rng) -> str:
    """Damage a file in one way, so that it is another one; the way's name."""
    if rng.random() < PLACE_SHARE:
        name, put = IN_PLACE[int(rng.integers(len(IN_PLACE)))]
        path.unlink()
        put(path)
        return name
    ways = [*BY_ENDING.get(path.suffix, []), *BYTES]
    before = path.read_bytes()
    for _ in range(TRIES):
        name, damage = ways[int(rng.integers(len(ways)))]
        with np.errstate(all="ignore"):
            after = damage(before, rng)
        if after != before:
            path.write_bytes(after)
            return name
    path.write_bytes(before[: len(before) // 2])  # whatever it is, half of it is another file
    return "half of it"
