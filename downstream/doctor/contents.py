"""What the numbers of a feature set give away: not finite, copied, constant, crops or cells that are all one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from downstream.doctor.finding import Finding
from downstream.features.set_parts import not_finite
from downstream.features.store import FeatureSet
from pretrain.data.catalogue import Video


def content_findings(part: FeatureSet, videos: Sequence[Video], where: str) -> list[Finding]:
    """Findings in the features of these videos, all of them in the set; one pass. `where` ends each sentence."""
    found: list[Finding] = []
    same_crops: list[str] = []
    first_of: dict[bytes, Video] = {}
    moving = _MovingColumns()
    alive, places = 0, "crops" if part.spec.grid is None else "cells"
    for video in tqdm(videos, desc=f"reading {part.folder.name}", unit="video", disable=None):
        values, name = part.read(video.name), video.name
        if not len(values):
            continue
        if wrong := not_finite(name, values):
            found.append(Finding("wrong", "not finite", name, f"{wrong}: NaN or infinite{where}"))
            continue
        # compared as bits: numpy has no fast half precision, and every equality here is meant exactly
        bits = np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")
        moving.see(bits)
        constant = _constant(name, bits, where)
        found += constant
        if any(finding.severity == "wrong" for finding in constant):
            continue
        alive += 1
        if bits.shape[1] > 1 and bool((bits == bits[:, :1]).all()):
            same_crops.append(name)
        twin = first_of.setdefault(hashlib.blake2b(bits.tobytes(), digest_size=16).digest(), video)
        if twin is not video:
            leak = f": '{twin.name}' is {twin.split}, this is {video.split}" if twin.split != video.split else ""
            text = f"'{name}': the same {len(bits)} snippets, bit for bit, as '{twin.name}'{leak}{where}"
            found.append(Finding("wrong", "same features twice", name, text))
    if alive and len(same_crops) == alive:
        text = f"{part.folder}: all {part.spec.crops_or_cells} {places} are identical in every video"
        found.append(Finding("wrong", "identical crops", None, text))
    else:
        found += [
            Finding("wrong", "identical crops", name, f"'{name}': all its {places} are identical{where}")
            for name in same_crops
        ]
    return found + moving.findings(part)


def _constant(name: str, bits: NDArray[Any], where: str) -> list[Finding]:
    """Features (snippets, crops or cells, dim) that say nothing, as a whole or in some snippets."""
    # the sign is shifted out: -0 is zero too
    zero = int((~(bits << 1).reshape(len(bits), -1).any(axis=1)).sum())
    if zero == len(bits):
        text = f"'{name}': nothing but zeros in its {len(bits)} snippet(s){where}"
        return [Finding("wrong", "constant features", name, text)]
    if len(bits) > 1 and bool((bits == bits[:1]).all()):
        text = f"'{name}': all {len(bits)} snippets are the same vector{where}"
        return [Finding("wrong", "constant features", name, text)]
    if zero:
        text = f"'{name}': {zero} of {len(bits)} snippets are nothing but zeros{where}"
        return [Finding("note", "constant features", name, text)]
    return []


class _MovingColumns:
    """Which of a set's numbers ever change."""

    def __init__(self) -> None:
        self._first: NDArray[Any] | None = None
        self._still: NDArray[np.int64] | None = None
        self._rows = 0

    def see(self, bits: NDArray[Any]) -> None:
        """Take in one video, (snippets, crops or cells, dim)."""
        if self._first is None or self._still is None:
            self._first, self._still = bits[0, 0].copy(), np.arange(bits.shape[2])
        self._rows += bits.shape[0] * bits.shape[1]
        if len(self._still):
            same = (bits[:, :, self._still] == self._first[self._still]).all(axis=(0, 1))
            self._still = self._still[same]

    def findings(self, part: FeatureSet) -> list[Finding]:
        """A note where some never did; one vector alone shows nothing."""
        if self._still is None or not len(self._still) or self._rows < 2:
            return []
        text = f"{part.folder}: {len(self._still)} of {part.spec.dim} numbers are the same in every snippet"
        return [Finding("note", "constant features", None, f"{text} (the first is number {self._still[0]})")]
