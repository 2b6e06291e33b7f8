"""One array of floating-point numbers out of a file of any kind that features come in: its shape, its numbers.

    .npy          numpy's own                       .npz          an archive of these: one, or the one that `key` names
    .txt          a snippet a line                  .pt .pth      a tensor, or a dictionary of them: one, or `key`
    .h5 .hdf5     `hdf5_files`                      .mat          `mat_files`

Files are data of somebody else: nothing is unpickled, links are not followed, and an archive may not unpack to more
than `arrays.ARRAY_BYTES` of numbers, or to more than `MOST_TIMES` its size. Errors are ValueErrors without the path, or
UserErrors with it.
"""

from __future__ import annotations

import io
import math
import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray

from downstream.features.hdf5_files import hdf5_shape, hdf5_values
from downstream.features.mat_files import mat_shape, mat_values
from pretrain.arrays import ARRAY_BYTES, MAX_HEADER, array_of, map_array, read_header
from pretrain.arrays import read_shape as read_npy_shape
from pretrain.reading import Unreadable, open_regular, read_utf8
from pretrain.weight_files import read_torch

TEXT_BYTES = 256 << 20
"""Largest text file of features: 32 lines of 4096 numbers take 2 MB."""
MOST_TIMES = 200
"""An archive that unpacks to more times its size, and to more than `SMALL`, is not opened."""
SMALL = 64 << 20
MOST_ENTRIES = 100_000
PICKLED = (
    "it holds pickled Python objects; loading those may run any code, so they are refused. Ask whoever made the file "
    "for plain arrays: numpy.save of floating-point numbers"
)
Shape = tuple[int, ...]
Values = NDArray[Any]


class Reader(NamedTuple):
    """How one kind of file is read: path and key -> shape; -> numbers, as they are stored."""

    shape: Callable[[str, str], Shape]
    values: Callable[[str, str], Values]


def require_features(dtype: Any, what: str = "") -> None:
    """ValueError where numbers are of a type that features are not of."""
    if np.dtype(dtype).kind != "f":
        name = f"'{what}': " if what else ""
        raise ValueError(f"{name}numbers of type {dtype}; features are floating-point: save it with .astype('float32')")


def chosen(names: Sequence[str], key: str, what: str) -> str:
    """The one that `key` names, or the only one; ValueError which there are. `what`: arrays, tensors, ..."""
    if key:
        if key not in names:
            raise ValueError(f"it has no '{key}' (--key); its {what}: {listed(names)}")
        return key
    if len(names) != 1:
        raise ValueError(f"it holds {len(names)} {what} ({listed(names)}); say which are the features with --key NAME")
    return names[0]


def listed(names: Sequence[str], limit: int = 8) -> str:
    """Some names, and how many more there are."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(name[:80] for name in names[:limit]) + more if names else "none"


def _npy_shape(path: str, key: str) -> Shape:
    with open_regular(path) as file:
        start = file.read(6)
    if start.startswith(b"PK"):
        raise ValueError("a zip archive of arrays under the name of one array; call it .npz, or save each array alone")
    if start != b"\x93NUMPY":
        raise ValueError(PICKLED if start[:1] == b"\x80" else "not a numpy array" if start else "the file is empty")
    shape, dtype = read_npy_shape(path)
    require_features(dtype)
    return shape


def _npy_values(path: str, key: str) -> Values:
    return np.array(map_array(path, kinds="f"))


def _npz_entry(archive: zipfile.ZipFile, key: str, size: int) -> zipfile.ZipInfo:
    entries = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
    if len(entries) > MOST_ENTRIES:
        raise ValueError(f"an archive of {len(entries):,} entries; at most {MOST_ENTRIES:,} are read")
    entry = entries[chosen(list(entries), key, "arrays")]
    if entry.flag_bits & 1:
        raise ValueError("an encrypted archive; save it again without a password")
    refuse_bomb(entry.file_size, size)
    return entry


def refuse_bomb(unpacked: int, packed: int) -> None:
    """ValueError for numbers that are too many, or pack to what no features pack to."""
    if unpacked > ARRAY_BYTES + MAX_HEADER:
        raise ValueError(f"it says it unpacks to {unpacked:,} bytes, and at most {ARRAY_BYTES:,} are read")
    if unpacked > SMALL and unpacked > MOST_TIMES * max(1, packed):
        raise ValueError(f"it says it unpacks to {unpacked:,} bytes, {MOST_TIMES} times its size and more: no features")


def _in_npz(path: str, key: str, read: Callable[[zipfile.ZipFile, zipfile.ZipInfo], Any]) -> Any:
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            size = os.fstat(file.fileno()).st_size
            return read(archive, _npz_entry(archive, key, size))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise ValueError(f"no readable .npz archive ({' '.join(str(error).split())}); copy it again") from error
    except Exception as error:  # damaged deflate and lzma streams lead into errors of their own kinds
        if isinstance(error, (ValueError, OSError)):
            raise
        raise ValueError(f"a damaged .npz archive ({type(error).__name__}: {error}); copy it again") from error


def _npz_shape(path: str, key: str) -> Shape:
    def read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Shape:
        with archive.open(entry) as file:
            shape, dtype = read_header(io.BytesIO(file.read(MAX_HEADER)), entry.file_size)
        require_features(dtype)
        return shape

    return cast(Shape, _in_npz(path, key, read))


def _npz_values(path: str, key: str) -> Values:
    def read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Values:
        with archive.open(entry) as file:
            content = file.read(entry.file_size + 1)
        return array_of(content, kinds="f")

    return cast(Values, _in_npz(path, key, read))


def _tensor(path: str, key: str) -> torch.Tensor:
    content = read_torch(
        Path(path), "features", "Ask whoever made it for the features alone: torch.save of a tensor, or numpy.save"
    )
    if isinstance(content, dict):
        tensors = {str(name): value for name, value in content.items() if isinstance(value, torch.Tensor)}
        fitting = [name for name, value in tensors.items() if value.is_floating_point() and value.ndim > 1]
        names = list(tensors) if key or not fitting else fitting
        content = tensors[chosen(names, key, "tensors")]
    if not isinstance(content, torch.Tensor):
        raise ValueError(
            f"it holds a {type(content).__name__}, not a tensor; save the features with torch.save(tensor)"
        )
    if content.layout != torch.strided or content.is_quantized:
        raise ValueError("its tensor is sparse or quantised; save it as a plain one: tensor.to_dense()")
    if not content.is_floating_point():
        raise ValueError(f"numbers of type {content.dtype}; features are floating-point: save tensor.float()")
    if math.prod(content.shape) * content.element_size() > content.untyped_storage().nbytes():
        raise ValueError(f"its tensor of shape {tuple(content.shape)} repeats fewer numbers; save tensor.contiguous()")
    return content


def _torch_shape(path: str, key: str) -> Shape:
    return tuple(_tensor(path, key).shape)


def _torch_values(path: str, key: str) -> Values:
    tensor = _tensor(path, key).detach()
    wide = tensor.dtype in (torch.float16, torch.float32, torch.float64)  # numpy has no bfloat16
    return (tensor if wide else tensor.float()).numpy()


def _text_shape(path: str, key: str) -> Shape:
    rows, width = 0, 0
    for line in read_utf8(path, TEXT_BYTES).splitlines():
        if line.strip():
            width = width or len(line.split())
            rows += 1
    return rows, width


def _text_values(path: str, key: str) -> Values:
    return np.loadtxt(io.StringIO(read_utf8(path, TEXT_BYTES)), dtype=np.float32, ndmin=2, comments=None)


READERS = {
    ".npy": Reader(_npy_shape, _npy_values),
    ".npz": Reader(_npz_shape, _npz_values),
    ".pt": Reader(_torch_shape, _torch_values),
    ".pth": Reader(_torch_shape, _torch_values),
    ".h5": Reader(hdf5_shape, hdf5_values),
    ".hdf5": Reader(hdf5_shape, hdf5_values),
    ".mat": Reader(mat_shape, mat_values),
    ".txt": Reader(_text_shape, _text_values),
}
"""By the ending of the file's name."""
SUFFIXES = tuple(READERS)


def reader_of(file: str) -> Reader:
    """Of a file's name; Unreadable where no reader knows its ending."""
    reader = READERS.get(os.path.splitext(file)[1].lower())
    if reader is None:
        raise Unreadable(f"features are read from {', '.join(SUFFIXES)}")
    return reader
