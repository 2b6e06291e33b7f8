"""Reading `.npy` arrays: plain numbers, of the shape and type that are asked for, whole.

Headers are data of somebody else: numpy believes their shape and asks for the memory. Here the numbers must be there
first: as many bytes as the header promises, no more and no less.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pretrain.errors import UserError
from pretrain.reading import Unreadable, open_regular

MAX_AXES = 8
ARRAY_BYTES = 1 << 30
"""Largest array that is read into memory whole; those that are mapped may have any size."""
KINDS = "biuf"
"""Booleans, whole numbers and floating-point numbers, of numpy's kinds of types."""
MAX_HEADER = 10_000

Lengths = Sequence[int | None]
"""The length of each axis; None: any, from 0 on."""


class _Header(NamedTuple):
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    is_fortran: bool
    start: int
    """Where the numbers begin, in bytes."""

    @property
    def size(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def array_of(content: bytes, *, kinds: str = KINDS, shape: Lengths | None = None) -> NDArray[Any]:
    """The array that the bytes of a .npy file hold; Unreadable. It shares their memory and is read-only."""
    header = _read_header(io.BytesIO(content), len(content))
    _require(header, kinds, shape)
    flat = np.frombuffer(content, header.dtype, math.prod(header.shape), header.start)
    return flat.reshape(header.shape, order="F" if header.is_fortran else "C")


def read_array(
    path: Path | str, *, kinds: str = KINDS, shape: Lengths | None = None, limit: int = ARRAY_BYTES
) -> NDArray[Any]:
    """A .npy file's array in memory; Unreadable where it is not whole, or of other kinds of numbers or lengths."""
    try:
        with open_regular(path, limit + MAX_HEADER) as file:
            return array_of(file.read(), kinds=kinds, shape=shape)
    except OSError as error:
        raise Unreadable(str(error)) from error


def map_array(path: Path | str, *, kinds: str = KINDS, shape: Lengths | None = None) -> NDArray[Any]:
    """As `read_array`, memory-mapped and read-only, of any size."""
    with open_regular(path) as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        header = _read_header(file, size)
        _require(header, kinds, shape)
        order: Any = "F" if header.is_fortran else "C"
        if not header.size:
            return np.empty(header.shape, header.dtype, order)
        try:
            return np.memmap(file, header.dtype, "r", header.start, header.shape, order)
        except (OSError, ValueError) as error:
            raise Unreadable(str(error)) from error


def array_for(path: Path | str, what: str, mend: str, **wanted: Any) -> NDArray[Any]:
    """`read_array` with a UserError that names `what` it should be, the path, the reason and the `mend`."""
    try:
        return read_array(path, **wanted)
    except Unreadable as error:
        raise UserError(f"cannot read {what} {path} ({error}); {mend}") from error


def read_shape(path: Path | str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of a .npy file's array, whose numbers are all there but not read; Unreadable."""
    with open_regular(path) as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        return read_header(file, size)


def read_header(file: BinaryIO, size: int) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """As `read_shape`, of an open file that has `size` bytes; no more than `MAX_HEADER` of them need be there."""
    header = _read_header(file, size)
    return header.shape, header.dtype


def _read_header(file: BinaryIO, size: int) -> _Header:
    """The header of a file of `size` bytes. Unreadable: none, or other numbers than it promises."""
    shape, is_fortran, dtype = _parsed(file)
    if dtype.hasobject:
        raise Unreadable(
            "it holds pickled Python objects; loading those may run any code, so they are refused. Ask whoever made "
            "the file for plain arrays: numpy.save of floating-point numbers"
        )
    if not (isinstance(shape, tuple) and all(type(length) is int and 0 <= length < 2**63 for length in shape)):
        raise Unreadable(f"its header says the shape {str(shape)[:80]}")
    if len(shape) > MAX_AXES:
        raise Unreadable(f"it has {len(shape)} axes, at most {MAX_AXES} are read")
    header = _Header(shape, dtype, bool(is_fortran), file.tell())
    if header.start + header.size != size:
        state = "cut off: it is shorter" if header.start + header.size > size else "damaged: it is longer"
        raise Unreadable(f"{state} than its header says ({dtype} {shape}); copy it again")
    return header


def _parsed(file: BinaryIO) -> tuple[Any, Any, np.dtype[Any]]:
    try:
        version = np.lib.format.read_magic(file)
        read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}.get(version[0])
        if read is None:
            raise Unreadable(f"it is of version {version} of the .npy format; 1 and 2 are read")
        return read(file, max_header_size=MAX_HEADER)
    except Unreadable:
        raise
    except Exception as error:  # forged headers lead numpy's parser into errors of any kind
        raise Unreadable(f"no .npy array: {' '.join(str(error).split())[:200] or type(error).__name__}") from error


def _require(header: _Header, kinds: str, shape: Lengths | None) -> None:
    if header.dtype.kind not in kinds or header.dtype.names is not None or header.dtype.subdtype is not None:
        raise Unreadable(f"numbers of type {str(header.dtype)[:80]} are not what is kept there")
    if shape is None:
        return
    fits = len(shape) == len(header.shape) and all(
        wanted in (None, length) for wanted, length in zip(shape, header.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if length is None else str(length) for length in shape)
        raise Unreadable(f"its shape is {header.shape}, not ({wanted})")
