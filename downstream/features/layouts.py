"""Feature files as other code bases store them: whose they are, which axis is which, their numbers.

Read are `.npy` arrays of floating-point numbers, (snippets, dim), (snippets, crops, dim) or (crops, snippets, dim), and
`.txt` files of one snippet a line (C3D: 32 lines of 4096 numbers). Either may be one crop of several: `NAME__0.npy`,
`NAME__1.npy`, ...

A video's name is the file's, less its suffix, less `__N` where files are of one crop each, less a video's suffix
(`pretrain.data.catalogues.disk.video_name`): the name it has in the catalogues.
"""

from __future__ import annotations

import io
import os
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pretrain.arrays import map_array
from pretrain.arrays import read_shape as read_npy_shape
from pretrain.data.catalogues.disk import video_name
from pretrain.errors import UserError
from pretrain.reading import open_regular, read_utf8

SNIPPETS_FIRST = "snippets,crops,dim"
CROPS_FIRST = "crops,snippets,dim"
AXES = (SNIPPETS_FIRST, CROPS_FIRST)
SUFFIXES = (".npy", ".txt")
TEXT_BYTES = 256 << 20
"""Largest text file of features: 32 lines of 4096 numbers take 2 MB."""
_PICKLED = (
    "it holds pickled Python objects; loading those may run any code, so they are refused. Ask whoever made the file "
    "for plain arrays: numpy.save of floating-point numbers"
)
_CROP = re.compile(r"(.+)__(\d{1,2})")


class FeatureFile(NamedTuple):
    """One readable file; nothing of its values is read yet."""

    path: str
    name: str
    crop: int | None
    """The N of `NAME__N.npy`; None: the file holds the whole video."""
    shape: tuple[int, ...]


class SetShape(NamedTuple):
    """What the files of one set have in common."""

    axes: str | None
    """One of AXES for arrays of three axes, None for those of two."""
    crops: int
    """Crops in one file."""
    dim: int
    rule: str
    """How that was decided, in words."""

    @property
    def snippet_axis(self) -> int:
        """Which axis of a file counts snippets."""
        return 1 if self.axes == CROPS_FIRST else 0


def split_name(path: str, crop_files: bool, strip: str = "") -> tuple[str, int | None]:
    """The video's name and the crop's number (None unless `crop_files`); `strip` is an ending that is no part of it."""
    stem = os.path.splitext(os.path.basename(path))[0]
    match = _CROP.fullmatch(stem) if crop_files else None
    name, crop = (match.group(1), int(match.group(2))) if match else (stem, None)
    return video_name(name.removesuffix(strip)), crop


def decide_crop_files(paths: Sequence[str], wanted: bool | None) -> bool:
    """Whether each file is one crop of its video: all names end in `__N`, or the user says so.

    UserError where only some end so: `__N` may then as well be part of a video's own name.
    """
    numbered = [path for path in paths if _CROP.fullmatch(os.path.splitext(os.path.basename(path))[0])]
    if wanted is False or not numbered:
        if wanted:
            raise UserError("--crop-files is yes, but no file is named like 'NAME__0.npy'; leave it out")
        return False
    if len(numbered) == len(paths):
        return True
    other = next(path for path in paths if path not in set(numbered))
    hint = "mend or leave out the others" if wanted else "say --crop-files no if '__N' is part of their names"
    raise UserError(
        f"{len(numbered)} of {len(paths)} files are named like one crop ({numbered[0]}), the others not ({other}); "
        f"{hint}"
    )


def read_shape(path: str) -> tuple[int, ...]:
    """Shape of a file's array, without reading its values (of text: the width is that of the first line).

    UserError, naming the file, where it holds no features.
    """
    try:
        shape = _text_shape(path) if path.endswith(".txt") else _array_shape(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, EOFError) as error:
        raise UserError(f"{path}: {' '.join(str(error).split())}") from error
    if len(shape) not in (2, 3):
        raise UserError(f"{path}: shape {shape}; features have 2 axes (snippets, dim) or 3 (with crops)")
    if 0 in shape:
        raise UserError(f"{path}: empty, shape {shape}")
    return shape


def _array_shape(path: str) -> tuple[int, ...]:
    with open_regular(path) as file:
        start = file.read(6)
    if start.startswith(b"PK"):
        raise ValueError("a zip archive of arrays under the name of one array; save each array as a file of its own")
    if start != b"\x93NUMPY":
        raise ValueError(_PICKLED if start[:1] == b"\x80" else "not a numpy array" if start else "the file is empty")
    shape, dtype = read_npy_shape(path)
    if dtype.kind != "f":
        raise ValueError(f"numbers of type {dtype}; features are floating-point: save it with .astype('float32')")
    return shape


def _text_shape(path: str) -> tuple[int, ...]:
    rows, width = 0, 0
    for line in read_utf8(path, TEXT_BYTES).splitlines():
        if line.strip():
            width = width or len(line.split())
            rows += 1
    return rows, width


def load_values(path: str) -> NDArray[Any]:
    """All numbers of a file as stored (text: float32); UserError, naming the file, where they cannot be read."""
    try:
        if path.endswith(".txt"):
            lines = io.StringIO(read_utf8(path, TEXT_BYTES))
            return np.loadtxt(lines, dtype=np.float32, ndmin=2, comments=None)
        return np.array(map_array(path, kinds="f"))
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: cannot be read ({' '.join(str(error).split())})") from error


def load_video(paths: Sequence[str], axes: str | None) -> NDArray[Any]:
    """(snippets, crops, dim) of one video, from its one file or from its crops' files in order."""
    arrays = [load_values(path) for path in paths]
    if axes is None:
        return np.stack(arrays, axis=1)
    return arrays[0] if axes == SNIPPETS_FIRST else arrays[0].swapaxes(0, 1)


def decide_shape(files: Sequence[FeatureFile], wanted: str | None, crop_counts: Sequence[int]) -> SetShape:
    """Which axis of the files is which, and how many crops and numbers most of them hold.

    Rule for three axes: of the first two, the crop axis is the one that has the same length in all files, one of
    `crop_counts`, where the other has not. UserError where that is true of both or of neither, and `wanted` (one of
    AXES) does not say. Files with fewer or more axes than most are left out of the count.
    """
    num_axes = _most(len(file.shape) for file in files)
    alike = [file for file in files if len(file.shape) == num_axes]
    dim = _most(file.shape[-1] for file in alike)
    if num_axes == 2:
        if wanted is not None:
            raise UserError(
                f"--axes {wanted} is for arrays of three axes; these have two, (snippets, dim): leave it out"
            )
        return SetShape(None, 1, dim, "the files have two axes: (snippets, dim)")
    if alike[0].crop is not None:
        raise UserError(
            f"{alike[0].path} is named as one crop of several, but has three axes {alike[0].shape}; "
            "say --crop-files no if '__N' is part of the name"
        )
    axis, rule = _crop_axis(alike, crop_counts) if wanted is None else (1 - AXES.index(wanted), f"--axes {wanted}")
    return SetShape(AXES[1 - axis], _most(file.shape[axis] for file in alike), dim, rule)


def _crop_axis(files: Sequence[FeatureFile], crop_counts: Sequence[int]) -> tuple[int, str]:
    lengths = [Counter(file.shape[axis] for file in files) for axis in (0, 1)]
    fitting = [axis for axis in (0, 1) if len(lengths[axis]) == 1 and next(iter(lengths[axis])) in crop_counts]
    if len(fitting) == 1:
        axis = fitting[0]
        order = AXES[1 - axis]
        return axis, f"the crop axis is the {_NTH[axis]}: {_tally(lengths[axis])}, so ({order})"
    possible = ", ".join(map(str, crop_counts))
    raise UserError(
        f"which axis of the arrays holds the crops is not clear: {'both' if fitting else 'neither'} of the first two "
        f"{'have' if fitting else 'has'} one length of {possible} in all files ("
        + "; ".join(f"{_NTH[axis]}: {_tally(lengths[axis])}" for axis in (0, 1))
        + f"; e.g. {files[0].path} {files[0].shape}). Say --axes {SNIPPETS_FIRST} or --axes {CROPS_FIRST}"
    )


_NTH = ("first", "second")


def _tally(lengths: Counter[int]) -> str:
    length, count = lengths.most_common(1)[0]
    total = sum(lengths.values())
    return f"{length} in all {total} files" if count == total else f"{length} in {count} of {total} files"


def _most(values: Any) -> int:
    """The most frequent value, of equally frequent ones the greatest."""
    return max(Counter(values).items(), key=lambda item: (item[1], item[0]))[0]
