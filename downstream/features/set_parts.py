"""One video's features in a set that is being made: a safetensors file in `FOLDER/parts/`, written by blocks."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from downstream.features.feature_spec import FeatureSpec
from downstream.features.normalising import BLOCK_BYTES
from downstream.features.record_shapes import FACTS
from downstream.features.scratch import drop_pages
from pretrain.errors import UserError
from pretrain.json_shapes import check
from pretrain.names import name_bytes, read_back
from pretrain.reading import Unreadable
from pretrain.versioned_json import parse_json
from pretrain.weight_files import check_safetensors

STORED = {"float16": "F16", "float32": "F32"}
"""Types of numbers as safetensors names them."""
BROKEN_PART = (SafetensorError, OSError, ValueError, TypeError)
"""What reading a damaged one raises."""


class Part(NamedTuple):
    """What the header of one video's file says; its numbers are not read."""

    path: Path
    name: str
    facts: dict[str, Any]
    snippets: int


def read_part(path: Path, spec: FeatureSpec, dtype: str) -> Part:
    """Unreadable, or an error of the library, where it is not one of this set's parts, whole."""
    check_safetensors(path)
    with safe_open(path, framework="numpy") as file:
        metadata, features = file.metadata() or {}, file.get_slice("features")
        name, facts = read_back(metadata.get("name", "")), parse_json(metadata.get("facts", ""))
        shape, stored = tuple(features.get_shape()), features.get_dtype()
    check(facts, FACTS)
    if path.name != part_file(name):
        raise Unreadable(f"it is the part of another video, '{name[:80]}'")
    if len(shape) != 3 or shape[1:] != (spec.crops_or_cells, spec.dim) or not shape[0] or stored != STORED[dtype]:
        raise Unreadable(f"it holds {stored} {shape}, which is not of this set")
    return Part(path, name, facts, shape[0])


def part_file(name: str) -> str:
    # names may hold any character; a digest is a file name everywhere
    return f"{hashlib.sha256(name_bytes(name)).hexdigest()[:32]}.safetensors"


def not_finite(name: str, features: NDArray[Any]) -> str:
    """Where features (snippets, ...) are NaN or infinite, in words; an empty string where nowhere."""
    if not features.size:
        return ""
    block = block_rows(features[0].nbytes)  # of a memory-mapped array: a block in memory at a time
    finite = []
    for start in range(0, len(features), block):
        part = features[start : start + block]
        finite.append(np.isfinite(part).reshape(len(part), -1).all(axis=1))
        drop_pages(features)
    rows = np.flatnonzero(~np.concatenate(finite))
    return f"'{name}': {len(rows)} of {len(features)} snippets, the first is {rows[0]}" if len(rows) else ""


def block_rows(row_bytes: int) -> int:
    """How many rows make a block."""
    return max(1, BLOCK_BYTES // max(1, row_bytes))


def write_part(file: Path, features: NDArray[Any], dtype: str, meta: Mapping[str, str]) -> None:
    """One tensor as safetensors, a block in memory at a time (the library's own writer wants all of it).

    The format: eight bytes that say how long the header is, the header as JSON, the numbers.
    UserError where a number is too large for the type.
    """
    stored = np.dtype(dtype).newbyteorder("<")
    tensor = {
        "dtype": STORED[dtype],
        "shape": list(features.shape),
        "data_offsets": [0, features.size * stored.itemsize],
    }
    header = json.dumps({"__metadata__": dict(meta), "features": tensor}).encode()
    header += b" " * (-len(header) % 8)
    block = block_rows(features[0].nbytes)
    with open(file, "wb") as target:
        target.write(struct.pack("<Q", len(header)) + header)
        for start in range(0, len(features), block):
            with np.errstate(over="ignore"):
                rows = np.ascontiguousarray(features[start : start + block], dtype=stored)
            if not np.isfinite(rows).all():
                name = read_back(json.loads(header)["__metadata__"]["name"])
                with np.errstate(over="ignore"):
                    wrong = not_finite(name, features.astype(stored))
                raise UserError(f"too large for {dtype} (beyond 65504): {wrong}; store the set as float32")
            target.write(rows.data)
