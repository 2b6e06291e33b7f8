"""MATLAB files of features: those of version 5 to 7 with scipy, those of version 7.3, which are HDF5, with h5py.

An array has the axes that it has in MATLAB. Cells, structs and objects are no features. Both libraries are in the extra
`formats`; of a packed file, what it unpacks to is counted before it is given to one.
"""

from __future__ import annotations

import zlib
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from downstream.features.hdf5_files import hdf5_shape, hdf5_values
from pretrain.arrays import ARRAY_BYTES
from pretrain.errors import UserError
from pretrain.reading import Unreadable, open_regular

_HEADER = 128
_COMPRESSED = 15
_CLASSES = ("single", "double")
_BLOCK = 1 << 20


def mat_shape(path: str, key: str) -> tuple[int, ...]:
    """Shape of the one array of floating-point numbers, or of the one called `key`. Unreadable."""
    if _is_hdf5(path):
        return hdf5_shape(path, key)[::-1]  # MATLAB's first axis is the fastest
    return _chosen(path, key)[1]


def mat_values(path: str, key: str) -> NDArray[Any]:
    """Its numbers; Unreadable."""
    if _is_hdf5(path):
        return hdf5_values(path, key).T
    name, _ = _chosen(path, key)
    values = _with_scipy(lambda io: io.loadmat(path, variable_names=[name])).get(name)
    if not isinstance(values, np.ndarray) or values.dtype.kind != "f":
        raise Unreadable(f"'{name}' holds no floating-point numbers")
    return cast(NDArray[Any], values)


def _is_hdf5(path: str) -> bool:
    with open_regular(path) as file:
        start = file.read(_HEADER)
        file.seek(512)
        return start.startswith(b"\x89HDF") or (b"MATLAB 7.3" in start) or file.read(4) == b"\x89HDF"


def _chosen(path: str, key: str) -> tuple[str, tuple[int, ...]]:
    _refuse_bomb(path)
    variables = _with_scipy(lambda io: io.whosmat(path))
    fitting = {name: tuple(map(int, shape)) for name, shape, kind in variables if kind in _CLASSES}
    there = ", ".join(f"{name[:80]} ({kind})" for name, _, kind in variables[:8]) or "none"
    if key:
        if key not in fitting:
            raise Unreadable(f"it has no array of floating-point numbers '{key}' (--key); its variables: {there}")
        return key, fitting[key]
    wide = {name: shape for name, shape in fitting.items() if min(shape, default=0) > 0 and max(shape) > 1}
    if len(wide) != 1:
        raise Unreadable(
            f"it holds {len(wide)} arrays of floating-point numbers (variables: {there}); say which are the features "
            "with --key NAME"
        )
    return next(iter(wide.items()))


def _with_scipy(read: Any) -> Any:
    try:
        from scipy import io
    except ImportError as error:
        raise UserError(
            "MATLAB files (.mat) are read with scipy, which is not installed: pip install 'anomaly-pretext[formats]'"
        ) from error
    try:
        return read(io)
    except MemoryError:
        raise
    except Exception as error:  # damaged files lead scipy's parser into errors of any kind
        raise Unreadable(f"no readable .mat file ({' '.join(str(error).split())[:200]}); save it again") from error


def _refuse_bomb(path: str) -> None:
    """Unreadable where the packed variables of a file unpack to more bytes than are read, whatever they say."""
    with open_regular(path, ARRAY_BYTES) as file:
        content = file.read()
    order: Any = "little" if content[126:128] == b"IM" else "big"
    if len(content) < _HEADER or content[126:128] not in (b"IM", b"MI"):
        raise Unreadable("no MATLAB file of version 5 to 7.3; save it with save(..., '-v7') in MATLAB")
    place, unpacked = _HEADER, 0
    while place + 8 <= len(content):
        kind, size = (int.from_bytes(content[at : at + 4], order) for at in (place, place + 4))
        if kind == _COMPRESSED:
            unpacked += _unpacked(content[place + 8 : place + 8 + size], ARRAY_BYTES - unpacked)
        place += 8 + size


def _unpacked(packed: bytes, limit: int) -> int:
    """How many bytes a stream unpacks to, a block in memory at a time; Unreadable past `limit`."""
    stream, count = zlib.decompressobj(), 0
    try:
        while packed and not stream.eof:
            count += len(stream.decompress(packed, _BLOCK))
            packed = stream.unconsumed_tail
            if count > limit:
                raise Unreadable(f"it unpacks to more than {ARRAY_BYTES:,} bytes, and no more are read")
    except zlib.error as error:
        raise Unreadable(f"a damaged variable ({error}); copy it again") from error
    return count
