"""A feature set written as the files that other code bases read, and a list file of them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downstream.features.layouts import split_name
from downstream.features.set_parts import not_finite
from downstream.features.store import FeatureSet
from pretrain.errors import UserError, nearest, problem_list
from pretrain.files import replacing, write_text
from pretrain.names import KnownNames, name_bytes, written

LIST_FILE = "features.list"
TEXT_ROWS = 32
MAX_FILE_NAME_BYTES = 240  # of the 255 that file systems allow: the temporary name is longer

Files = list[tuple[str, NDArray[Any]]]
LAYOUTS: dict[str, Callable[[str, NDArray[Any]], Files]] = {
    "snippets_crops_dim": lambda name, values: [(f"{name}.npy", values)],
    "crops_snippets_dim": lambda name, values: [(f"{name}.npy", values.swapaxes(0, 1))],
    "snippets_dim": lambda name, values: [(f"{name}.npy", values[:, 0])],
    "crop_files": lambda name, values: [(f"{name}__{crop}.npy", values[:, crop]) for crop in range(values.shape[1])],
    "c3d_text": lambda name, values: [(f"{name}.txt", values[:, 0])],
}
"""Files of one video (file name, array), from its features (snippets, crops, dim)."""
ONE_CROP = ("snippets_dim", "c3d_text")


def export_features(
    features: FeatureSet,
    layout: str,
    out: Path,
    *,
    names: Sequence[str] | None = None,
    crop: str | None = None,
    dtype: str | None = None,
    progress: Callable[[Iterable[str]], Iterable[str]] = lambda names: names,
) -> Path:
    """Write every video's files into `out` and, last, `features.list`: their names, one a line, ordered as `names`
    (`pretrain.names.written`: odd ones in quotes).

    `crop` alone is written where given (needed for layouts of one crop from sets of several); `dtype` defaults to the
    stored one. Each file is written atomically. Returns the list file. UserError, before anything is written: an
    unknown layout, crop or video; a set of cells; names that are no file names; `out` holds other files; text of other
    than 32 rows.
    """
    if layout not in LAYOUTS:
        raise UserError(f"unknown layout '{layout}'{nearest(layout, LAYOUTS)} (known: {', '.join(LAYOUTS)})")
    chosen = _crops_to_write(features, layout, crop)
    order = list(features.videos) if names is None else list(names)
    _refuse(features, layout, order)
    _refuse_other_files(features, layout, order, len(chosen), out)
    _refuse_infinite(features, order, dtype)
    listed = []
    for name in progress(order):
        values = features.read(name)[:, chosen].astype(dtype or features.read(name).dtype)
        for file, array in LAYOUTS[layout](name, values):
            _write(out / file, array)
            listed.append(file)
    write_text(out / LIST_FILE, "".join(f"{written(file)}\n" for file in listed))
    return out / LIST_FILE


def _crops_to_write(features: FeatureSet, layout: str, crop: str | None) -> list[int]:
    crops, grid = features.spec.crops, features.spec.grid
    if grid is not None:
        raise UserError(
            f"{features.folder} holds features of {grid[0]}x{grid[1]} cells; the layouts of other code bases hold "
            "crops, and their readers would take cells for such. Extract a set without --grid and export that one"
        )
    if crop is not None:
        if crop not in crops:
            raise UserError(f"the set has no crop '{crop}'{nearest(crop, crops)}; it has: {', '.join(crops)}")
        return [crops.index(crop)]
    if layout in ONE_CROP and len(crops) > 1:
        raise UserError(f"{layout} holds one crop, the set has {len(crops)}: choose with --crop ({', '.join(crops)})")
    return list(range(len(crops)))


def _refuse_infinite(features: FeatureSet, order: Sequence[str], dtype: str | None) -> None:
    """UserError where a smaller type would make infinities of large numbers."""
    if dtype is None or np.finfo(dtype).max >= np.finfo(features.dtype).max:
        return
    for name in order:
        with np.errstate(over="ignore"):
            if wrong := not_finite(name, features.read(name).astype(dtype)):
                raise UserError(f"too large for {dtype} (beyond 65504): {wrong}; leave --dtype out")


def _refuse(features: FeatureSet, layout: str, order: Sequence[str]) -> None:
    known = KnownNames(features.videos)
    missing = [name for name in order if name not in features.videos]
    problems = [f"'{name}': the set has no such video{known.hint(name)}" for name in missing]
    problems += [f"'{name}' is named twice" for name in sorted({name for name in order if order.count(name) > 1})]
    for name in order:
        if "/" in name or "\0" in name or name.startswith(".") or len(name_bytes(name)) > MAX_FILE_NAME_BYTES:
            problems.append(f"'{name}' cannot name a file: it holds '/', begins with '.', or is over 240 bytes long")
        elif split_name(f"{name}.npy", False) != (name, None):
            problems.append(f"{name!r} would be read back as another name")
        elif layout == "c3d_text" and features.videos[name].snippets != TEXT_ROWS:
            problems.append(f"'{name}': {features.videos[name].snippets} snippets; C3D text has {TEXT_ROWS} a video")
    if problems:
        raise UserError(f"{features.folder} cannot be written as {layout}:\n{problem_list(problems)}")


def _refuse_other_files(features: FeatureSet, layout: str, order: Sequence[str], crops: int, out: Path) -> None:
    """Leftovers of another export would be read as part of this one."""
    if not out.exists():
        return
    empty = np.empty((1, crops, 0), np.float16)
    ours = {file for name in order for file, _ in LAYOUTS[layout](name, empty)} | {LIST_FILE}
    others = sorted(path.name for path in out.iterdir() if path.name not in ours and not path.name.startswith("."))
    if others:
        raise UserError(f"{out} holds {len(others)} other file(s), e.g. {others[0]}; choose a new folder")


def _write(path: Path, array: NDArray[Any]) -> None:
    with replacing(path) as temporary, open(temporary, "wb") as file:
        if path.suffix == ".txt":
            with io.TextIOWrapper(file, encoding="ascii", newline="\n") as text:
                np.savetxt(text, array, fmt="%.9g")  # nine digits give a float32 back exactly
        else:
            np.save(file, np.ascontiguousarray(array), allow_pickle=False)
