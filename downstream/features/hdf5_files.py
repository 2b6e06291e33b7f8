"""HDF5 files of features: one array a video, or one file with an array for each video (`FILE.h5::NAME`).

The format can point at other files (external and virtual data, links), call other code (filters), and promise numbers
that are nowhere stored. All of that is refused; what is read lies in the file itself. Needs h5py (extra `formats`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pretrain.arrays import ARRAY_BYTES
from pretrain.errors import UserError
from pretrain.reading import Unreadable, require_regular

INNER = "::"
"""Between a file and what of it is meant: `features.h5::Abuse001_x264`."""
SUFFIXES = (".h5", ".hdf5")
MOST_OBJECTS = 200_000
"""Groups and arrays of one file."""
MOST_TIMES, SMALL = 200, 64 << 20
"""As of archives: more numbers than so many times what is stored, and than so many bytes, are none."""
_FILTERS = {1, 2, 3, 4, 5, 6, 32000}
"""deflate, shuffle, fletcher32, szip, nbit, scaleoffset, lzf: those of the library itself."""


class Dataset(NamedTuple):
    """An array of a file."""

    name: str
    """`/`-separated, without the first."""
    is_features: bool
    """Floating-point numbers along two axes or more."""


def split_inner(path: str) -> tuple[str, str]:
    """A file, and what of it is meant; empty: all of it."""
    file, separator, inner = path.partition(INNER)
    return (file, inner) if separator and file.lower().endswith(SUFFIXES) else (path, "")


def hdf5_library() -> Any:
    """h5py; UserError where it is not installed."""
    try:
        import h5py
    except ImportError as error:
        raise UserError(
            "HDF5 files (.h5, .hdf5, .mat of MATLAB 7.3) are read with h5py, which is not installed: "
            "pip install 'anomaly-pretext[formats]'"
        ) from error
    return h5py


@contextmanager
def opened(file: str) -> Iterator[Any]:
    """The file, read-only. Unreadable where it is none, or damaged."""
    require_regular(file)
    h5py = hdf5_library()
    try:
        with h5py.File(file, "r", locking=False) as handle:
            yield handle
    except Unreadable:
        raise
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise Unreadable(f"no readable HDF5 file ({' '.join(str(error).split())[:200]}); copy it again") from error


def datasets(file: str) -> list[Dataset]:
    """All arrays of a file, by name. Unreadable: links to elsewhere, or too many objects."""
    found: list[Dataset] = []
    h5py = hdf5_library()
    with opened(file) as handle:
        pending, seen, count = [("", handle)], set[Any](), 0
        while pending:
            prefix, group = pending.pop()
            for name in group:
                count += 1
                if count > MOST_OBJECTS:
                    raise Unreadable(f"it holds more than {MOST_OBJECTS:,} arrays and groups, and no more are read")
                item = _linked(group, name, h5py)
                if isinstance(item, h5py.Group):
                    identity = h5py.h5o.get_info(item.id).addr
                    if identity not in seen:  # a group may hold itself
                        seen.add(identity)
                        pending.append((f"{prefix}{name}/", item))
                elif isinstance(item, h5py.Dataset):
                    found.append(Dataset(f"{prefix}{name}", item.dtype.kind == "f" and item.ndim > 1))
    return sorted(found)


def _linked(group: Any, name: str, h5py: Any) -> Any:
    """What a name of a group stands for; Unreadable where that lies elsewhere."""
    link = group.get(name, getlink=True)
    if not isinstance(link, h5py.HardLink):
        raise Unreadable(f"'{name[:80]}' is a link ({type(link).__name__}), which may lead to other files; copy it in")
    return group[name]


def hdf5_shape(path: str, key: str) -> tuple[int, ...]:
    """Shape of the one array of a file, of `FILE::NAME`, or of the one called `key`. Unreadable."""
    with _dataset(path, key) as dataset:
        return tuple(dataset.shape)


def hdf5_values(path: str, key: str) -> NDArray[Any]:
    """Its numbers; Unreadable."""
    with _dataset(path, key) as dataset:
        return np.asarray(dataset[()])


@contextmanager
def _dataset(path: str, key: str) -> Iterator[Any]:
    file, inner = split_inner(path)
    if not inner:
        inner = _only(file, key)
    h5py = hdf5_library()
    with opened(file) as handle:
        item = handle
        for part in inner.split("/"):
            item = _linked(item, part, h5py)
        _refuse_elsewhere(item, h5py)
        yield item


def _only(file: str, key: str) -> str:
    names = [each.name for each in datasets(file) if each.is_features and not each.name.startswith("#")]  # MATLAB's own
    fitting = [name for name in names if not key or key in (name, name.rpartition("/")[2])]
    if len(fitting) == 1:
        return fitting[0]
    there = ", ".join(name[:80] for name in names[:8]) or "none"
    if not names:
        raise Unreadable("it holds no array of floating-point numbers with two axes or more")
    problem = f"it holds {len(fitting)} arrays of features" if fitting else f"it has no array '{key}' (--key)"
    raise Unreadable(f"{problem} ({there}); say which with --key NAME")


def _refuse_elsewhere(dataset: Any, h5py: Any) -> None:
    """Unreadable for what is no array of features, or lies elsewhere, or nowhere."""
    if not isinstance(dataset, h5py.Dataset):
        raise Unreadable("it is a group, not an array")
    if dataset.dtype.kind != "f":
        raise Unreadable(f"numbers of type {dataset.dtype}; features are floating-point: store them as float32")
    if dataset.external is not None or dataset.is_virtual:
        raise Unreadable("its numbers lie in other files; copy them into this one")
    creation = dataset.id.get_create_plist()
    filters = {creation.get_filter(number)[0] for number in range(creation.get_nfilters())}
    if filters - _FILTERS:
        raise Unreadable(f"it is packed by a filter that is not the library's ({min(filters - _FILTERS)}); use gzip")
    unpacked, stored = math.prod(dataset.shape or ()) * dataset.dtype.itemsize, dataset.id.get_storage_size()
    chunk = math.prod(dataset.chunks or ()) * dataset.dtype.itemsize
    if max(unpacked, chunk) > ARRAY_BYTES:
        raise Unreadable(f"it says it holds {max(unpacked, chunk):,} bytes, and at most {ARRAY_BYTES:,} are read")
    if unpacked and not stored:
        raise Unreadable("its numbers were never written")
    if unpacked > SMALL and unpacked > MOST_TIMES * stored:
        raise Unreadable(f"it says it holds {unpacked:,} bytes and stores {stored:,}: no features")
