"""MATLAB files of features: version 5 to 7 as MathWorks describes them ("MAT-File Format"), version 7.3, which is
HDF5, with h5py.

An array has the axes that it has in MATLAB. Cells, structs, objects, texts, sparse and complex matrices are no
features. Not with scipy: a damaged byte makes its parser in C end the process (scipy 1.17: 15 of 400 files in which one
or two bytes were changed), and these files come from strangers.
"""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from downstream.features.hdf5_files import MOST_TIMES, SMALL, hdf5_shape, hdf5_values
from pretrain.arrays import ARRAY_BYTES
from pretrain.reading import Unreadable, open_regular

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
"""Types that numbers are stored in: MATLAB stores whole numbers of any class in the smallest that holds them."""
_CLASSES = (
    *("?", "cell", "struct", "object", "char", "sparse", "double", "single", "int8", "uint8", "int16", "uint16"),
    *("int32", "uint32", "int64", "uint64", "function", "opaque"),
)
_FEATURES: dict[str, np.dtype[Any]] = {"single": np.dtype("f4"), "double": np.dtype("f8")}
_COMPLEX = 1 << 11
_HEAD = 1 << 16
"""Bytes of a variable in which its name and sizes stand."""
MOST_VARIABLES, MOST_AXES = 10_000, 32


class _Part(NamedTuple):
    """A part of a variable: its type, and where in the variable its bytes lie."""

    kind: int
    start: int
    size: int
    end: int
    """Where the next one begins."""


class _Variable(NamedTuple):
    name: str
    kind: str
    """Its class; of complex numbers another."""
    shape: tuple[int, ...]
    numbers: _Part | None
    place: int
    """In the file, of its bytes after the tag."""
    size: int
    is_packed: bool
    order: str
    """`<` or `>`."""


def mat_shape(path: str, key: str) -> tuple[int, ...]:
    """Shape of the one array of floating-point numbers, or of the one called `key`. Unreadable."""
    if _is_hdf5(path):
        return hdf5_shape(path, key)[::-1]  # MATLAB's first axis is the fastest
    return _chosen(path, key).shape


def mat_values(path: str, key: str) -> NDArray[Any]:
    """Its numbers; Unreadable."""
    if _is_hdf5(path):
        return hdf5_values(path, key).T
    variable = _chosen(path, key)
    part = variable.numbers
    assert part is not None, "of one that was chosen"
    with open_regular(path) as file:
        file.seek(variable.place)
        content = file.read(variable.size)
    if variable.is_packed:
        content = _unpacked(content, part.end)
    if len(content) < part.start + part.size:
        raise Unreadable(f"'{variable.name[:80]}' is damaged: it was cut short; copy it again")
    stored = np.frombuffer(content, variable.order + _NUMBERS[part.kind], math.prod(variable.shape), part.start)
    return stored.astype(_FEATURES[variable.kind]).reshape(variable.shape, order="F")


def _is_hdf5(path: str) -> bool:
    with open_regular(path) as file:
        start = file.read(_HEADER)
        file.seek(512)
        return start.startswith(b"\x89HDF") or (b"MATLAB 7.3" in start) or file.read(4) == b"\x89HDF"


def _chosen(path: str, key: str) -> _Variable:
    variables = {variable.name: variable for variable in _variables(path)}
    fitting = {name: variable for name, variable in variables.items() if variable.kind in _FEATURES}
    there = ", ".join(f"{name[:80]} ({variable.kind})" for name, variable in list(variables.items())[:8]) or "none"
    if key:
        if key not in fitting:
            raise Unreadable(f"it has no array of floating-point numbers '{key}' (--key); its variables: {there}")
        return _checked(fitting[key])
    wide = [v for v in fitting.values() if min(v.shape, default=0) > 0 and max(v.shape) > 1]
    if len(wide) != 1:
        raise Unreadable(
            f"it holds {len(wide)} arrays of floating-point numbers (variables: {there}); say which are the features "
            "with --key NAME"
        )
    return _checked(wide[0])


def _checked(variable: _Variable) -> _Variable:
    """Unreadable unless its numbers are stored, as many as its shape says, and no more than are read."""
    part, count = variable.numbers, math.prod(variable.shape)
    if part is None or part.kind not in _NUMBERS or part.size != count * int(_NUMBERS[part.kind][1]):
        raise Unreadable(f"'{variable.name[:80]}' is damaged: its numbers are not those of its shape; copy it again")
    wanted = max(part.size, count * _FEATURES[variable.kind].itemsize)
    if wanted > ARRAY_BYTES:
        raise Unreadable(f"it unpacks to {wanted:,} bytes, and no more than {ARRAY_BYTES:,} are read")
    if wanted > SMALL and wanted > MOST_TIMES * variable.size:
        raise Unreadable(f"it says it holds {wanted:,} bytes and stores {variable.size:,}: no features")
    return variable


def _variables(path: str) -> list[_Variable]:
    """All of a file, by their heads. Unreadable: it is none of MATLAB, or damaged."""
    with open_regular(path) as file:
        size, start = os.fstat(file.fileno()).st_size, file.read(_HEADER)
        if len(start) < _HEADER or start[126:128] not in (b"IM", b"MI"):
            raise Unreadable("no MATLAB file of version 5 to 7.3; save it with save(..., '-v7') in MATLAB")
        try:
            return list(_heads(file, size, "<" if start[126:128] == b"IM" else ">"))
        except (zlib.error, IndexError) as error:
            raise Unreadable(f"a damaged variable ({error}); copy it again") from error


def _heads(file: BinaryIO, size: int, order: str) -> Iterator[_Variable]:
    place, count = _HEADER, 0
    while place + 8 <= size:
        file.seek(place)
        kind, length = _words(file.read(8), 0, order)
        place, count = place + 8, count + 1
        if kind not in (_MATRIX, _COMPRESSED) or place + length > size or count > MOST_VARIABLES:
            raise Unreadable("a damaged variable (it is cut short, or no variable); copy it again")
        head = file.read(min(length, _HEAD))
        if kind == _COMPRESSED:
            head = zlib.decompressobj().decompress(head, _HEAD)
            if _words(head, 0, order)[0] != _MATRIX:
                raise Unreadable("a damaged variable (it packs something else); copy it again")
        yield _variable(head, 8 * (kind == _COMPRESSED), order)._replace(
            place=place, size=length, is_packed=kind == _COMPRESSED
        )
        place += length


def _variable(head: bytes, start: int, order: str) -> _Variable:
    """What the first bytes of one say; its parts begin at `start`."""
    flags = _part(head, start, order)
    word = _words(head, flags.start, order)[0]
    kind = _CLASSES[word & 255] if word & 255 < len(_CLASSES) else "?"
    shape: tuple[int, ...] = ()
    name = sizes = _part(head, flags.end, order)
    if kind not in ("opaque", "function"):  # those have no sizes
        if sizes.size % 4 or sizes.size > 4 * MOST_AXES or sizes.start + sizes.size > len(head):
            raise IndexError("its sizes")
        shape = tuple(np.frombuffer(head, order + "i4", sizes.size // 4, sizes.start).tolist())
        name = _part(head, sizes.end, order)
    if min(shape, default=0) < 0:
        raise IndexError("its sizes")
    text = head[name.start : name.start + name.size].decode("utf-8", "replace")
    numbers = _part(head, name.end, order) if kind in _FEATURES else None
    return _Variable(text, f"complex {kind}" if word & _COMPLEX else kind, shape, numbers, 0, 0, False, order)


def _part(head: bytes, place: int, order: str) -> _Part:
    """The one that begins there: 8 bytes of type and size before it, or 4 where it has at most 4 bytes."""
    kind, size = _words(head, place, order)
    if kind >> 16:
        return _Part(kind & 0xFFFF, place + 4, min(4, kind >> 16), place + 8)
    return _Part(kind, place + 8, size, place + 8 + size + -size % 8)


def _words(content: bytes, place: int, order: str) -> tuple[int, int]:
    """Two whole numbers of 32 bits; IndexError where there are none."""
    if place + 8 > len(content):
        raise IndexError("it ends in its head")
    first, second = np.frombuffer(content, order + "u4", 2, place).tolist()
    return first, second


def _unpacked(packed: bytes, size: int) -> bytes:
    """What a stream unpacks to; Unreadable where that is more than `size` bytes, or damaged."""
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(packed, size + 1)
    except zlib.error as error:
        raise Unreadable(f"a damaged variable ({error}); copy it again") from error
    if not stream.eof or len(content) > size:
        raise Unreadable("a damaged variable (it is cut short, or packs more than it says); copy it again")
    return content
