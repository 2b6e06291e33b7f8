"""What can be wrong with a feature file to import, each said in one line that names the file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from downstream.features.layouts import FeatureFile, SetShape, load_values
from downstream.features.set_parts import not_finite
from pretrain.errors import UserError


def odd_shape(file: FeatureFile, shape: SetShape) -> str:
    """What a file has otherwise than most, in words; empty where nothing."""
    axes = 2 if shape.axes is None else 3
    if len(file.shape) != axes:
        return f"{file.path}: {len(file.shape)} axes {file.shape}, most files have {axes}"
    if file.shape[-1] != shape.dim:
        return f"{file.path}: {file.shape[-1]} numbers wide, most files are {shape.dim}"
    crops = file.shape[1 - shape.snippet_axis] if axes == 3 else 1
    return f"{file.path}: {crops} crop(s), most files have {shape.crops}" if crops != shape.crops else ""


def wrong_files(name: str, files: Sequence[FeatureFile], numbers: Sequence[int | None], shape: SetShape) -> list[str]:
    """Missing and doubled crops of one video, and crops of different length."""
    problems = []
    for number, count in Counter(file.crop for file in files).items():
        if count > 1:
            paths = " and ".join(file.path for file in files if file.crop == number)
            problems.append(f"{count} files for '{name}'{'' if number is None else f', crop {number}'}: {paths}")
    if missing := [str(number) for number in numbers if number not in {file.crop for file in files}]:
        problems.append(
            f"'{name}': no file of crop {', '.join(missing)} (files are numbered {numbers[0]} to {numbers[-1]})"
        )
    if not problems and len({file.shape[shape.snippet_axis] for file in files}) > 1:
        lengths = ", ".join(f"{file.path}: {file.shape[shape.snippet_axis]}" for file in files)
        problems.append(f"'{name}': its files differ in length ({lengths} snippets)")
    return problems


def wrong_values(paths: Iterable[str], shape: SetShape, dtype: str) -> list[str]:
    """Files with values that are not finite, as they are or as `dtype`, and unreadable ones."""
    problems = []
    for path in paths:
        try:
            values = load_values(path, shape.squeezed, shape.key)
        except UserError as error:
            problems.append(str(error))
            continue
        rows = np.moveaxis(values, min(shape.snippet_axis, values.ndim - 1), 0)
        with np.errstate(over="ignore"):
            stored = rows.astype(dtype)
        if wrong := not_finite(path, rows):
            problems.append(f"NaN or infinity in {wrong}")
        elif wrong := not_finite(path, stored):
            mend = "; import with --dtype float32" if dtype == "float16" else ""
            problems.append(f"too large for {dtype}: {wrong}{mend}")
    return problems
