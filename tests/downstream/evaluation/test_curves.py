from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from downstream.evaluation.curves import (
    OperatingPoints,
    area_under_pr,
    area_under_roc,
    operating_points,
    roc_auc,
    roc_curve,
    step_average_precision,
)
from tests.downstream.evaluation.reference import (
    frames_of,
    slow_ap,
    slow_auc,
    slow_trapezoid,
)
from tests.paths import REAL

CURVES = REAL / "annotations" / "roc_curves"


def arrays(*rows: tuple[float, int, int]) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    scores, positive, negative = zip(*rows, strict=True)
    return np.array(scores, float), np.array(positive), np.array(negative)


def test_by_hand() -> None:
    # thresholds .9: tp 2 fp 0; .5: tp 3 fp 1; .1: tp 4 fp 4
    case = arrays((0.5, 1, 1), (0.9, 2, 0), (0.1, 1, 3))
    assert roc_auc(*case) == (2 * 4 + (3 + 0.5) + 1.5) / 16
    points = operating_points(*case)
    assert step_average_precision(points) == pytest.approx(2 / 4 * 1 + 1 / 4 * 3 / 4 + 1 / 4 * 4 / 8)
    assert area_under_pr(points) == pytest.approx(2 / 4 * 1 + 1 / 4 * (1 + 3 / 4) / 2 + 1 / 4 * (3 / 4 + 1 / 2) / 2)
    false_rate, true_rate = roc_curve(points)
    assert false_rate.tolist() == [0, 0, 0.25, 1]
    assert true_rate.tolist() == [0, 0.5, 0.75, 1]


def test_nothing_is_defined_without_both_kinds_of_frames() -> None:
    for case in (arrays((0.5, 0, 3)), arrays((0.5, 3, 0)), arrays((0.5, 0, 0))):
        points = operating_points(*case)
        values = [roc_auc(*case), step_average_precision(points), area_under_pr(points)]
        assert all(math.isnan(value) for value in values)


SNIPPETS = st.lists(st.tuples(st.integers(-4, 4), st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=25)


@given(SNIPPETS)
def test_equal_to_every_frame_written_out(rows: list[tuple[int, int, int]]) -> None:
    case = arrays(*[(score / 3, ones, zeros) for score, ones, zeros in rows])
    assume(case[1].sum() and case[2].sum())
    frames = frames_of(*case)
    assert roc_auc(*case) == pytest.approx(slow_auc(*frames), abs=1e-12)
    assert step_average_precision(operating_points(*case)) == pytest.approx(slow_ap(*frames), abs=1e-12)
    assert area_under_pr(operating_points(*case)) == pytest.approx(slow_trapezoid(*frames), abs=1e-12)


@given(SNIPPETS)
def test_splitting_a_snippet_changes_nothing(rows: list[tuple[int, int, int]]) -> None:
    whole = arrays(*rows)
    assume(whole[1].sum() and whole[2].sum())
    parts = arrays(*[part for score, p, n in rows for part in ((score, p, 0), (score, 0, n))])
    assert roc_auc(*whole) == roc_auc(*parts)
    assert step_average_precision(operating_points(*whole)) == step_average_precision(operating_points(*parts))


def test_sizes_beyond_32_bits_stay_exact() -> None:
    case = arrays((1.0, 10**9, 0), (0.5, 10**9, 10**9), (0.0, 0, 10**9))
    assert roc_auc(*case) == 0.875


def matlab_vectors(path: Path) -> dict[str, NDArray[np.float64]]:
    """The double vectors of a level-5 MAT file, compressed or not; enough for these four files."""
    found: dict[str, NDArray[np.float64]] = {}

    def elements(data: bytes) -> list[tuple[int, bytes]]:
        at, parts = 0, []
        while at + 8 <= len(data):
            kind, size = struct.unpack_from("<II", data, at)
            if kind >> 16:  # small element: size and type in one word
                parts.append((kind & 0xFFFF, data[at + 4 : at + 4 + (kind >> 16)]))
                at += 8
            else:
                parts.append((kind, data[at + 8 : at + 8 + size]))
                at += 8 + (size if kind == 15 else -(-size // 8) * 8)
        return parts

    def read(data: bytes) -> None:
        for kind, body in elements(data):
            if kind == 15:
                read(zlib.decompress(body))
            elif kind == 14:
                _, _, (_, name), (number, values) = elements(body)[:4]
                types = {1: "<i1", 2: "<u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 9: "<f8"}
                found[name.decode()] = np.frombuffer(values, types[number]).astype(float)

    read(path.read_bytes()[128:])
    return found


@pytest.mark.skipif(not CURVES.is_dir(), reason="real data (../shared/real) is not here")
@pytest.mark.parametrize(
    "name", ["1_Binary_Abnormal_Normal", "2_Cei_lui", "3_CV16_TemporalRegularity", "6_C3D_Final_L1L2"]
)
def test_area_of_the_published_curves(name: str) -> None:
    curve = matlab_vectors(CURVES / f"{name}.mat")
    scale = 10**8  # rates as counts of so many frames
    counts = [np.rint(curve[axis] * scale).astype(np.int64) for axis in ("Y", "X")]
    area = area_under_roc(OperatingPoints(-np.arange(len(counts[0]), dtype=float), *counts))
    assert area == pytest.approx(float(curve["AUC"][0]), abs=1e-6)
