"""Every way of damage changes something, and follows from its seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.faults_damage_arrays import NPY, NPZ, SAFETENSORS
from benchmarks.faults_damage_containers import HDF5, MAT, ONNX, TORCH
from benchmarks.faults_damage_json import JSON, JSON_LINES, nodes
from benchmarks.faults_damage_text import BYTES, TEXT, YAML, Ways
from benchmarks.faults_mutators import IN_PLACE, mutate
from tests.pretrain.tiny_onnx import write_net


def sample(ending: str, folder: Path) -> bytes:
    """A file of each ending that can be damaged, as its bytes."""
    path = folder / f"sample{ending}"
    array = np.arange(40, dtype=np.float32).reshape(8, 5)
    if ending == ".npy":
        np.save(path, array)
    elif ending == ".npz":
        np.savez(path, header=np.frombuffer(b'{"version": 1, "facts": {"fps": 25.0}}', np.uint8), pts=array)
    elif ending == ".safetensors":
        from safetensors.numpy import save_file

        save_file({"weight": array}, path, {"content": "{}"})
    elif ending == ".h5":
        pytest.importorskip("h5py").File(path, "w")["a"] = array
    elif ending == ".mat":
        pytest.importorskip("scipy.io").savemat(path, {"a": array})
    elif ending == ".pt":
        torch.save(torch.from_numpy(array), path)
    elif ending == ".onnx":
        pytest.importorskip("onnx")
        write_net(path, [1, 3, 8, 8])
    else:
        value = '{"format": "x/1", "videos": [{"name": "a", "frames": 30}], "fps": 25.5}'
        path.write_text(value if ending.startswith(".js") else "name,frames: 30\nv1, 25.5\n")
    return path.read_bytes()


WAYS: dict[str, Ways] = {
    ".json": JSON,
    ".jsonl": JSON_LINES,
    ".yaml": YAML,
    ".txt": TEXT,
    ".npy": NPY,
    ".npz": NPZ,
    ".safetensors": SAFETENSORS,
    ".h5": HDF5,
    ".mat": MAT,
    ".pt": TORCH,
    ".onnx": ONNX,
    ".mp4": BYTES,
}


@pytest.mark.parametrize("ending", WAYS)
def test_every_way_of_damage_changes_something_and_follows_from_the_seed(ending: str, tmp_path: Path) -> None:
    before = sample(ending, tmp_path)
    for name, damage in WAYS[ending]:
        if name in ("a zip bomb", "a bomb in it"):  # a second of packing
            continue
        tries = [damage(before, np.random.default_rng(seed)) for seed in range(30)]
        again = [damage(before, np.random.default_rng(seed)) for seed in range(30)]
        assert tries == again, name
        assert any(after != before for after in tries), f"{name} changes nothing"


def test_a_mutation_follows_from_the_seed_and_leaves_another_file(tmp_path: Path) -> None:
    before = sample(".json", tmp_path)
    path, seen = tmp_path / "a.json", set()
    for seed in range(60):
        results = []
        for _ in range(2):
            path.unlink(missing_ok=True)
            path.write_bytes(before)
            what = mutate(path, np.random.default_rng(seed))
            is_file = path.is_file() and not path.is_symlink()
            results.append((what, path.stat().st_size if is_file else None))
            if is_file and path.stat().st_size < 1 << 30:
                assert path.read_bytes() != before, what
            if path.is_dir():
                path.rmdir()
        assert results[0] == results[1]
        seen.add(what)
    assert len(seen) > 15
    assert seen & {name for name, _ in IN_PLACE}


def test_every_value_of_a_json_text_can_be_reached() -> None:
    value = {"a": [1, {"b": 2}], "c": "d"}
    assert [key for _, key in nodes(value)] == ["a", "c", 0, 1, "b"]
