"""Seeded damage to arrays and tensors: headers, shapes, kinds and values, with the file around them whole."""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Callable

import numpy as np

from benchmarks.faults_damage_json import JSON
from benchmarks.faults_damage_text import DIGITS, Damage, Rng, Ways

SHAPES = ("()", "(0,)", "(-1,)", "(-1, 3)", "(10**15,)", "(1000000000000000,)", "(1, 2, 3, 4, 5)", "5", "(2.0,)", "'a'")
DTYPES = (
    "|O",
    "|V8",
    "<U10",
    "|S4",
    "<c16",
    "<M8[s]",
    "|b1",
    "<i8",
    "<f8",
    "<f2",
    ">f4",
    "zzz",
    "[('a','<f4')]",
    "|V0",
)


def npy_header(content: bytes, rng: Rng) -> bytes:
    """Another shape, dtype or order in the header of a `.npy`."""
    header, data = _header_of(content)
    which = int(rng.integers(3))
    if which == 0:
        header = re.sub(r"'shape': \([^)]*\)", f"'shape': {SHAPES[int(rng.integers(len(SHAPES)))]}", header)
    elif which == 1:
        header = re.sub(r"'descr': '[^']*'", f"'descr': {DTYPES[int(rng.integers(len(DTYPES)))]!r}", header)
    else:
        header = header.replace("False", ("True", "None", "3")[int(rng.integers(3))])
    return _with_header(header, data)


def npy_strange_header(content: bytes, rng: Rng) -> bytes:
    """A header that is no header."""
    _, data = _header_of(content)
    texts = ("", "{}", "[]", "(" * 2000, "{'shape': (1,)}", "9" * DIGITS, "__import__('os')", "{'descr': '<f4'}")
    return _with_header(texts[int(rng.integers(len(texts)))], data)


def npy_values(content: bytes, rng: Rng) -> bytes:
    """Values that are no finite numbers, or far too large ones; the file is whole."""
    return _saved(strange_values(_loaded(content), rng))


def npy_shape(content: bytes, rng: Rng) -> bytes:
    """A whole array of another length, axes or dtype."""
    return _saved(other_array(_loaded(content), rng))


def strange_values(array: np.ndarray, rng: Rng) -> np.ndarray:
    """A quarter of the values: NaN, infinity, extremes, -1."""
    changed = array.copy()
    flat = changed.reshape(-1)
    strange = [np.nan, np.inf, -np.inf, 1e30] if changed.dtype.kind == "f" else [-1, 127, 2**31 - 1, 2**62]
    with np.errstate(all="ignore"):
        new = np.array(strange[int(rng.integers(len(strange)))]).astype(changed.dtype)
    flat[: max(1, len(flat) // 4)] = new
    return changed


def other_array(array: np.ndarray, rng: Rng) -> np.ndarray:
    """The array with another shape or of another kind."""
    array = np.atleast_1d(array)
    with np.errstate(all="ignore"):
        others = [
            *(array[: len(array) // 2], array[:0], np.concatenate([array, array]), array[None], array.reshape(-1)),
            *(array.T, array.astype(np.complex64), array.astype("U4"), array.astype(bool), array.astype(np.int8)),
            array[::-1],
        ]
    return others[int(rng.integers(len(others)))]


def _header_of(content: bytes) -> tuple[str, bytes]:
    length = struct.unpack("<H", content[8:10])[0]
    return content[10 : 10 + length].decode("latin1"), content[10 + length :]


def _with_header(header: str, data: bytes) -> bytes:
    text = header.strip().encode("latin1") + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", min(len(text), 65535)) + text[:65535] + data


def _loaded(content: bytes) -> np.ndarray:
    array: np.ndarray = np.load(io.BytesIO(content), allow_pickle=False)
    return array


def _saved(array: np.ndarray) -> bytes:
    target = io.BytesIO()
    np.save(target, array, allow_pickle=False)
    return target.getvalue()


NPY: Ways = [
    ("another header", npy_header),
    ("another header ", npy_header),
    ("no header", npy_strange_header),
    ("strange values", npy_values),
    ("another array", npy_shape),
]


def npz_member(change: Callable[[np.ndarray, Rng], np.ndarray | None]) -> Damage:
    """One array of a `.npz` changed, or away where `change` gives None; the zip file is whole."""

    def damage(content: bytes, rng: Rng) -> bytes:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        name = list(arrays)[int(rng.integers(len(arrays)))]
        new = change(arrays.pop(name), rng)
        return _packed(arrays if new is None else arrays | {name: new})

    return damage


def _packed(arrays: dict[str, np.ndarray]) -> bytes:
    target = io.BytesIO()
    np.savez(target, **arrays)  # type: ignore[arg-type]
    return target.getvalue()


def npz_shuffled(array: np.ndarray, rng: Rng) -> np.ndarray:
    """The same values in another order: right by every size."""
    return rng.permutation(array) if array.ndim else array


def npz_shifted(array: np.ndarray, rng: Rng) -> np.ndarray:
    """All values a little off, where they are numbers."""
    return array + array.dtype.type(rng.integers(1, 4)) if array.dtype.kind in "iuf" else array


def npz_header_json(content: bytes, rng: Rng) -> bytes:
    """The JSON in an array of bytes, damaged as a file of JSON is."""
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    for name, array in arrays.items():
        if array.dtype == np.uint8 and array.tobytes()[:1] == b"{":
            damaged = JSON[int(rng.integers(len(JSON)))][1](array.tobytes(), rng)
            return _packed(arrays | {name: np.frombuffer(damaged, np.uint8)})
    return content


def zip_bomb(content: bytes, rng: Rng) -> bytes:
    """A member that unpacks to a gigabyte."""
    target = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as before,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, True, 1) as after,
    ):
        names = before.namelist()
        bomb = names[int(rng.integers(len(names)))]
        for name in names:
            if name != bomb:
                after.writestr(name, before.read(name))
        with after.open(bomb, "w", force_zip64=True) as member:
            head = "{'descr': '<i8', 'fortran_order': False, 'shape': (134217728,), }"
            member.write(_with_header(head, b""))
            for _ in range(64):
                member.write(bytes(1 << 24))
    return target.getvalue()


NPZ: Ways = [
    ("strange values in an array", npz_member(strange_values)),
    ("an array of another shape", npz_member(other_array)),
    ("an array away", npz_member(lambda array, rng: None)),
    ("an array in another order", npz_member(npz_shuffled)),
    ("an array a little off", npz_member(npz_shifted)),
    ("its JSON damaged", npz_header_json),
    ("its JSON damaged ", npz_header_json),
    ("a zip bomb", zip_bomb),
]


# -- safetensors ----------------------------------------------------------------------------------------------------


def tensors_header(content: bytes, rng: Rng) -> bytes:
    """The header, damaged as JSON is."""
    length = struct.unpack("<Q", content[:8])[0]
    header, data = content[8 : 8 + length], content[8 + length :]
    changed = JSON[int(rng.integers(len(JSON)))][1](header, rng)
    return struct.pack("<Q", len(changed)) + changed + data


def tensors_length(content: bytes, rng: Rng) -> bytes:
    """Another length of the header than it has."""
    lengths = (0, 1, 2**31, 2**40, 2**63, 2**64 - 1)
    return struct.pack("<Q", lengths[int(rng.integers(len(lengths)))]) + content[8:]


def tensors_values(content: bytes, rng: Rng) -> bytes:
    """NaN in the last tensor."""
    return content[:-16] + b"\xff" * 16


SAFETENSORS: Ways = [
    ("its header damaged", tensors_header),
    ("its header damaged ", tensors_header),
    ("another length of its header", tensors_length),
    ("no finite numbers", tensors_values),
]
