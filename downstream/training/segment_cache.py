"""Segments of training videos, averaged once: a cache in float16, memory-mapped, that every step takes a few rows of.

Peers read and average all snippets of every video again in every step. UCF-Crime with ten crops of 2048 numbers takes
2.1 GB here.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from downstream.features.blocks import blocks
from downstream.features.fusion import FusedFeatures
from downstream.features.store import read_manifest
from pretrain.arrays import map_array
from pretrain.errors import UserError, problem_list
from pretrain.files import replacing, sha256_of, write_text
from pretrain.reading import Unreadable, read_utf8

logger = logging.getLogger(__name__)


def segment_edges(snippets: int, segments: int) -> NDArray[np.int64]:
    """int64 (min(snippets, segments) + 1,): part i of a video is snippets `[edges[i], edges[i + 1])`, never empty."""
    parts = min(snippets, segments)
    return np.arange(parts + 1, dtype=np.int64) * snippets // parts


def video_means(source: FusedFeatures, name: str, segments: int) -> NDArray[np.float32]:
    """float32 (parts, places, dim): the mean of each of `segment_edges`, with one block of the video in memory."""
    edges = segment_edges(source.videos[name].snippets, segments)
    sums = np.zeros((len(edges) - 1, source.crops_or_cells, source.dim), np.float32)
    for start, rows in blocks(source, name):
        first, last = np.searchsorted(edges, (start, start + len(rows) - 1), side="right") - 1
        for part in range(first, last + 1):
            sums[part] += rows[max(0, edges[part] - start) : edges[part + 1] - start].sum(axis=0)
    return sums / np.diff(edges).astype(np.float32).reshape(-1, 1, 1)


class SegmentCache:
    """The bags of many videos: float16 (videos, places, segments, dim), memory-mapped, and each one's length."""

    def __init__(self, array: NDArray[np.float16], lengths: NDArray[np.int64]) -> None:
        self.array, self.lengths = array, lengths

    @staticmethod
    def build(source: FusedFeatures, names: Sequence[str], segments: int, folder: Path) -> SegmentCache:
        """Open the cache of these videos, or make it: one block of a video in memory at a time, atomically.

        One that is damaged is made anew, which is logged. UserError naming every video with values that are not finite.
        """
        lengths = np.array([min(source.videos[name].snippets, segments) for name in names], np.int64)
        file = folder / f"{_key(source, names, segments)}.npy"
        shape = (len(names), source.crops_or_cells, segments, source.dim)
        array = _kept(file, shape)
        if array is None:
            with replacing(file) as temporary:
                bad = _write(temporary, source, names, lengths, segments)
                if bad:
                    raise UserError(
                        f"{len(bad)} training video(s) have features that are no finite numbers:\n{problem_list(bad)}\n"
                        "Extract them again, or take them out of the list; scripts/doctor.py says where"
                    )
            write_text(_digest_file(file), sha256_of(file) + "\n")
            array = map_array(file, kinds="f", shape=shape)
        return SegmentCache(array, lengths)


def _digest_file(file: Path) -> Path:
    """Holds the hash of a cache: damaged numbers are as good as others to look at."""
    return file.with_suffix(".sha256")


def _kept(file: Path, shape: tuple[int, ...]) -> NDArray[np.float16] | None:
    """What an earlier call left; None where nothing was, or it is damaged."""
    if not file.exists():
        return None
    try:
        array = map_array(file, kinds="f", shape=shape)
        if array.dtype != np.float16:
            raise Unreadable(f"numbers of type {array.dtype}, not float16")
        if read_utf8(_digest_file(file), 100).strip() != sha256_of(file):
            raise Unreadable("it is not what was written")
        return array
    except Unreadable as error:
        logger.warning("the cache of segments %s is made anew: %s", file, error)
        return None


def _write(
    file: Path, source: FusedFeatures, names: Sequence[str], lengths: NDArray[np.int64], segments: int
) -> list[str]:
    """Write the array row by row (a writable memory map would hold all of it); names of videos that are not finite."""
    shape = (len(names), source.crops_or_cells, segments, source.dim)
    bad = []
    with open(file, "wb") as target:
        header = {"descr": np.dtype(np.float16).str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(target, header)
        for name, length in zip(names, lengths, strict=True):
            means = video_means(source, name, segments)
            if not np.isfinite(means).all():
                bad.append(name)
            means = np.clip(means, -65504, 65504)  # float16 ends there: larger values of odd features are cut
            row = np.zeros(shape[1:], np.float16)
            row[:, :length] = means.transpose(1, 0, 2)
            target.write(row.data)
    return bad


def _key(source: FusedFeatures, names: Sequence[str], segments: int) -> str:
    content = {
        "arrays": [read_manifest(part.folder)["array_sha256"] for part in source.sets],
        "normalise": source.normalise,
        "pool_cells": source.pool_cells,
        "names": list(names),
        "segments": segments,
        "version": 3,
    }
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:24]
