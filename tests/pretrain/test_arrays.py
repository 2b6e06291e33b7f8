"""Reading arrays: whole, of plain numbers, of the shape that is asked for; a header alone takes no memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from pretrain.arrays import array_for, array_of, map_array, read_array, read_shape
from pretrain.errors import UserError
from pretrain.reading import Unreadable


@pytest.mark.parametrize("array", [np.arange(12, dtype=np.float32).reshape(3, 4), np.zeros((0, 4)), np.array(5)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_there_and_back(tmp_path: Path, array: np.ndarray, order: str) -> None:
    file = tmp_path / "a.npy"
    np.save(file, np.array(array, order=order))  # type: ignore[call-overload]
    for again in (read_array(file), map_array(file), array_of(file.read_bytes())):
        assert np.array_equal(again, array)
        assert again.dtype == array.dtype
    assert read_shape(file) == (array.shape, array.dtype)


def test_other_shapes_and_kinds_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.npy"
    np.save(file, np.zeros((3, 4), np.float32))
    assert read_array(file, kinds="f", shape=(None, 4)).shape == (3, 4)
    with pytest.raises(Unreadable, match=r"its shape is \(3, 4\), not \(any, 5\)"):
        read_array(file, shape=(None, 5))
    with pytest.raises(Unreadable, match=r"its shape is \(3, 4\), not \(any\)"):
        map_array(file, shape=(None,))
    with pytest.raises(Unreadable, match="numbers of type float32 are not what is kept there"):
        map_array(file, kinds="i")
    with pytest.raises(UserError, match=r"cannot read the profile .*a\.npy .*; make it again"):
        array_for(file, "the profile", "make it again", kinds="u")
    np.save(file, np.zeros(10**5))
    with pytest.raises(Unreadable, match="and at most 10,010 are read"):
        read_array(file, limit=10)


def test_forged_headers_take_no_memory(tmp_path: Path) -> None:
    file = tmp_path / "a.npy"
    np.save(file, np.zeros((3, 4), np.float32))
    whole = file.read_bytes()
    for shape, reason in (
        (b"(99999999999, 4)", "cut off: it is shorter than its header says"),
        (b"(3, 3)", "damaged: it is longer than its header says"),
        (b"(-3, 4)", "its header says the shape"),
        (b"(1,1,1,1,1,1,1,1,12)", "it has 9 axes"),
    ):
        file.write_bytes(whole.replace(b"(3, 4)", shape, 1))
        tracemalloc.start()
        for read in (read_array, map_array):
            with pytest.raises(Unreadable, match=f"{reason}|no .npy array"):
                read(file)
        assert tracemalloc.get_traced_memory()[1] < 10**6
        tracemalloc.stop()
    np.save(file, np.array([{}], object), allow_pickle=True)
    for read in (read_array, map_array):
        with pytest.raises(Unreadable, match="pickled Python objects"):
            read(file)
