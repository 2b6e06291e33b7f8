"""Feature files as other code bases store them: whose they are, which axis is which, their numbers.

Read are arrays of floating-point numbers, (snippets, dim), (snippets, crops, dim) or (crops, snippets, dim), with
further axes of length 1 where some program left them, in any file of `array_files`, and `.txt` files of one snippet a
line (C3D: 32 lines of 4096 numbers). Each may be one crop of several: `NAME__0.npy`, `NAME__1.npy`, ..., counted from 0
or from 1.

A video's name is the file's, less its suffix, or that of its array in a file of many, less `__N` where files are of one
crop each, less a video's suffix (`pretrain.data.catalogues.disk.video_name`): the name it has in the catalogues.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from downstream.features.array_files import reader_of
from downstream.features.hdf5_files import split_inner
from pretrain.data.catalogues.disk import video_name
from pretrain.errors import UserError

SNIPPETS_FIRST = "snippets,crops,dim"
CROPS_FIRST = "crops,snippets,dim"
AXES = (SNIPPETS_FIRST, CROPS_FIRST)
LEAST_WIDTH = 64
"""Numbers that features are wide, at least, where that is guessed."""
USUAL_WIDTHS = (256, 384, 400, 432, 512, 640, 768, 1024, 1280, 1408, 1536, 2048, 2304, 4096)
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
    squeezed: tuple[int, ...] = ()
    """Axes of the arrays as stored, of length 1 in all files, that are left out."""
    key: str = ""
    """Which array of a file that holds several; empty: the only one."""

    @property
    def snippet_axis(self) -> int:
        """Which axis of a file counts snippets."""
        return 1 if self.axes == CROPS_FIRST else 0


def stem_of(path: str, key: str = "") -> str:
    """The name that a file gives its video; of `FILE.h5::a/NAME/KEY`, where the key is given, and `FILE.h5::a/NAME` the
    array's."""
    file, inner = split_inner(path)
    if not inner:
        return os.path.splitext(os.path.basename(file))[0]
    parts = inner.split("/")
    return parts[-2] if key and parts[-1] == key and len(parts) > 1 else parts[-1]


def split_name(path: str, crop_files: bool, strip: str = "", key: str = "") -> tuple[str, int | None]:
    """The video's name and the crop's number (None unless `crop_files`); `strip` is an ending that is no part of it."""
    stem = stem_of(path, key)
    match = _CROP.fullmatch(stem) if crop_files else None
    name, crop = (match.group(1), int(match.group(2))) if match else (stem, None)
    return video_name(name.removesuffix(strip)), crop


def decide_crop_files(paths: Sequence[str], wanted: bool | None, key: str = "") -> bool:
    """Whether each file is one crop of its video: all names end in `__N`, or the user says so.

    UserError where only some end so: `__N` may then as well be part of a video's own name.
    """
    numbered = [path for path in paths if _CROP.fullmatch(stem_of(path, key))]
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


def read_shape(path: str, key: str = "") -> tuple[int, ...]:
    """Shape of a file's array, without reading its values where its kind allows (of text: the width is that of the
    first line). `key`: of several arrays, this one.

    UserError, naming the file, where it holds no features.
    """
    try:
        shape = reader_of(split_inner(path)[0]).shape(path, key)
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, EOFError) as error:
        raise UserError(f"{path}: {' '.join(str(error).split())}") from error
    if len(shape) < 2 or sum(length != 1 for length in shape) > 3:
        raise UserError(f"{path}: shape {shape}; features have 2 axes (snippets, dim) or 3 (with crops)")
    if 0 in shape:
        raise UserError(f"{path}: empty, shape {shape}")
    return shape


def load_values(path: str, squeezed: Sequence[int] = (), key: str = "") -> NDArray[Any]:
    """All numbers of a file as stored (text: float32), without axes of length 1 that are `squeezed`.

    UserError, naming the file, where they cannot be read.
    """
    try:
        values = reader_of(split_inner(path)[0]).values(path, key)
        return values.squeeze(tuple(squeezed)) if squeezed and values.ndim > max(squeezed) else values
    except UserError:
        raise
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: cannot be read ({' '.join(str(error).split())})") from error


def load_video(paths: Sequence[str], axes: str | None, squeezed: Sequence[int] = (), key: str = "") -> NDArray[Any]:
    """(snippets, crops, dim) of one video, from its one file or from its crops' files in order.

    `squeezed`, `key`: as `SetShape` has them.
    """
    arrays = [load_values(path, squeezed, key) for path in paths]
    if axes is None:
        return np.stack(arrays, axis=1)
    return arrays[0] if axes == SNIPPETS_FIRST else arrays[0].swapaxes(0, 1)


def squeeze(files: Sequence[FeatureFile]) -> tuple[list[FeatureFile], tuple[int, ...]]:
    """The files without axes that no layout has and that have length 1 in all of them; which axes these are.

    (1, snippets, crops, dim) and (snippets, crops, dim, 1, 1) become (snippets, crops, dim); (snippets, dim, 1), as
    pooled maps are left, becomes (snippets, dim), and so do files of one crop.
    """
    num_axes = _most(len(file.shape) for file in files)
    alike = [file.shape for file in files if len(file.shape) == num_axes]
    ones = {axis for axis in range(num_axes) if all(shape[axis] == 1 for shape in alike)}
    left, wanted = list(range(num_axes)), 3 if files[0].crop is None else 2
    while len(left) > wanted and left[-1] in ones:
        left.pop()
    for axis in left[:-1]:
        if len(left) > wanted and axis in ones:
            left.remove(axis)
    if len(left) == 3 and left[-1] in ones and min(shape[left[1]] for shape in alike) >= LEAST_WIDTH:
        left.pop()
    squeezed = tuple(axis for axis in range(num_axes) if axis not in left)
    if not squeezed:
        return list(files), ()
    kept = [
        file._replace(shape=tuple(file.shape[axis] for axis in left)) if len(file.shape) == num_axes else file
        for file in files
    ]
    return kept, squeezed


def _refuse_turned(files: Sequence[FeatureFile]) -> None:
    """UserError where the last axis is not the width of the features: it differs from video to video, and another one,
    as wide as features are, does not; or it is narrow, and in all files the first is a width that networks have."""
    shapes = [file.shape for file in files]
    lasts, many = {shape[-1] for shape in shapes}, len(shapes) > 1
    steady = [axis for axis in range(len(shapes[0]) - 1) if len({shape[axis] for shape in shapes}) == 1]
    wide = [axis for axis in steady if shapes[0][axis] >= LEAST_WIDTH]
    varies = many and 2 * len(lasts) > len(shapes) and len(lasts) > 1
    is_narrow = many and len(shapes[0]) == 2 and max(lasts) < LEAST_WIDTH and shapes[0][0] in USUAL_WIDTHS
    if not wide or not (varies or is_narrow):
        return
    axis = wide[-1]
    turned = "values.T" if len(shapes[0]) == 2 else f"numpy.moveaxis(values, {axis}, -1)"
    mend = f"Turn each once: values = numpy.load(path); numpy.save(path, {turned})"
    if not files[0].path.endswith(".npy"):
        mend = f"Store each turned once, as {turned} of an array in Python"
    raise UserError(
        f"the files seem to be turned: their last axis is not the width of the features (e.g. {files[0].path} "
        f"{shapes[0]}, {files[-1].path} {shapes[-1]}), {shapes[0][axis]} in all files is, and must come last. "
        f"{mend}"
    )


def decide_shape(files: Sequence[FeatureFile], wanted: str | None, crop_counts: Sequence[int]) -> SetShape:
    """Which axis of the files is which, and how many crops and numbers most of them hold.

    Rule for three axes: of the first two, the crop axis is the one that has the same length in all files, one of
    `crop_counts`, where the other has not. UserError where that is true of both or of neither, and `wanted` (one of
    AXES) does not say. Files with fewer or more axes than most are left out of the count.
    """
    num_axes = _most(len(file.shape) for file in files)
    alike = [file for file in files if len(file.shape) == num_axes]
    dim = _most(file.shape[-1] for file in alike)
    _refuse_turned(alike)
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
        + ("" if fitting else "; the width of the features must be the last axis: numpy.moveaxis(values, AXIS, -1)")
    )


_NTH = ("first", "second")


def _tally(lengths: Counter[int]) -> str:
    length, count = lengths.most_common(1)[0]
    total = sum(lengths.values())
    return f"{length} in all {total} files" if count == total else f"{length} in {count} of {total} files"


def _most(values: Any) -> int:
    """The most frequent value, of equally frequent ones the greatest."""
    return max(Counter(values).items(), key=lambda item: (item[1], item[0]))[0]
