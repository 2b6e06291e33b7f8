from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from downstream.features.layouts import (
    CROPS_FIRST,
    SNIPPETS_FIRST,
    FeatureFile,
    decide_crop_files,
    decide_shape,
    load_values,
    load_video,
    read_shape,
    split_name,
    squeeze,
)
from pretrain.errors import UserError

COUNTS = (1, 5, 10)


def files(*shapes: tuple[int, ...]) -> list[FeatureFile]:
    return [FeatureFile(f"v{i}.npy", f"v{i}", None, shape) for i, shape in enumerate(shapes)]


@pytest.mark.parametrize(
    ("path", "crop_files", "strip", "expected"),
    [
        ("a/Abuse001_x264__9.npy", True, "", ("Abuse001_x264", 9)),
        ("a/Abuse001_x264__9.npy", False, "", ("Abuse001_x264__9", None)),
        ("Abuse001_x264_i3d.npy", False, "_i3d", ("Abuse001_x264", None)),
        ("Abuse001_x264.mp4.npy", False, "", ("Abuse001_x264", None)),
        ("v=S-7rRLrxnVQ__#1_label_B4-0-0__4.npy", True, "", ("v=S-7rRLrxnVQ__#1_label_B4-0-0", 4)),
        ("v=S-7rRLrxnVQ__#1_label_A.npy", True, "", ("v=S-7rRLrxnVQ__#1_label_A", None)),
        ("Bad.Boys II.1995__#00-26-51_label_A.npy", False, "", ("Bad.Boys II.1995__#00-26-51_label_A", None)),
        ("Ame\u0301lie.npy", False, "", ("Am\u00e9lie", None)),
        ("01_0015.txt", False, "", ("01_0015", None)),
    ],
)
def test_names_are_those_of_the_catalogues(path: str, crop_files: bool, strip: str, expected: tuple) -> None:
    assert split_name(path, crop_files, strip) == expected


def test_crop_files_are_told_by_all_names_or_by_the_user() -> None:
    assert decide_crop_files(["a__0.npy", "b__1.npy"], None)
    assert not decide_crop_files(["a__0.npy", "b__1.npy"], False)
    assert not decide_crop_files(["a.npy", "v=x__#1_label_A.npy"], None)
    with pytest.raises(UserError, match=r"1 of 2 files are named like one crop \(a__0.npy\).*say --crop-files no"):
        decide_crop_files(["a__0.npy", "b.npy"], None)
    with pytest.raises(UserError, match=r"no file is named like 'NAME__0\.npy'"):
        decide_crop_files(["a.npy"], True)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=8), st.sampled_from(COUNTS), st.booleans(), st.integers(1, 9))
def test_the_crop_axis_is_found_or_asked_for_and_never_wrong(
    lengths: list[int], crops: int, snippets_first: bool, dim: int
) -> None:
    shapes = [(n, crops, dim) if snippets_first else (crops, n, dim) for n in lengths]
    ambiguous = len(set(lengths)) == 1 and lengths[0] in COUNTS
    if ambiguous:
        with pytest.raises(UserError, match="both of the first two have one length"):
            decide_shape(files(*shapes), None, COUNTS)
    else:
        found = decide_shape(files(*shapes), None, COUNTS)
        assert found[:3] == (SNIPPETS_FIRST if snippets_first else CROPS_FIRST, crops, dim)
        assert ("second" if snippets_first else "first") in found.rule
        assert found.snippet_axis == (0 if snippets_first else 1)
    wanted = SNIPPETS_FIRST if snippets_first else CROPS_FIRST
    assert decide_shape(files(*shapes), wanted, COUNTS)[:3] == (wanted, crops, dim)


def test_one_square_file_is_decided_by_the_others() -> None:
    assert decide_shape(files((10, 10, 8), (10, 31, 8)), None, COUNTS).axes == CROPS_FIRST
    assert decide_shape(files((10, 10, 8), (31, 10, 8)), None, COUNTS).axes == SNIPPETS_FIRST


def test_orders_mixed_in_one_set_are_refused_with_the_counts() -> None:
    with pytest.raises(UserError) as error:
        decide_shape(files((10, 40, 8), (41, 10, 8), (42, 10, 8)), None, COUNTS)
    text = str(error.value)
    assert "neither of the first two has one length of 1, 5, 10 in all files" in text
    assert "second: 10 in 2 of 3 files" in text
    assert "--axes snippets,crops,dim or --axes crops,snippets,dim" in text


def test_axes_for_two_dimensional_files_are_refused() -> None:
    assert decide_shape(files((4, 8), (1, 8)), None, COUNTS)[:3] == (None, 1, 8)
    with pytest.raises(UserError, match="these have two"):
        decide_shape(files((4, 8)), CROPS_FIRST, COUNTS)


def test_shapes_of_sound_files_are_read_from_their_beginning(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((7, 10, 4), np.float64))
    (tmp_path / "b.txt").write_text("1 2 3\r\n\r\n4 5e-3 -6\n\n")
    assert read_shape(str(tmp_path / "a.npy")) == (7, 10, 4)
    assert read_shape(str(tmp_path / "b.txt")) == (2, 3)
    assert load_values(str(tmp_path / "b.txt")).tolist() == [[1, 2, 3], [4, np.float32(5e-3), -6]]


def test_files_that_hold_no_features_are_named_with_the_reason(tmp_path: Path) -> None:
    def refusal(name: str, make: object = None) -> str:
        path = tmp_path / name
        if isinstance(make, bytes):
            path.write_bytes(make)
        elif make is not None:
            np.save(path, make)  # type: ignore[arg-type]
        with pytest.raises(UserError) as error:
            read_shape(str(path))
        assert str(path) in str(error.value)
        return str(error.value)

    objects = np.empty(2, object)
    objects[:] = [np.zeros(3), np.zeros(4)]
    assert "pickled Python objects" in (text := refusal("objects.npy", objects))
    assert "allow_pickle" not in text  # nobody is told how to run it
    assert "pickled Python objects" in refusal("pickle.npy", pickle.dumps([1.0]))
    assert "not a numpy array" in refusal("video.npy", b"RIFF" * 100)
    assert "the file is empty" in refusal("nothing.npy", b"")
    assert "empty, shape (0, 512)" in refusal("no_snippets.npy", np.zeros((0, 512), np.float32))
    assert "empty, shape (0, 0)" in refusal("blank.txt", b"\n \n")
    assert "int64" in refusal("labels.npy", np.zeros((3, 4), np.int64))
    assert "shape (512,)" in refusal("vector.npy", np.zeros(512))
    assert "there is no" in refusal("absent.npy") or "No such file" in refusal("absent.npy")
    np.save(tmp_path / "whole.npy", np.zeros((100, 8)))
    assert "cut off" in refusal("half.npy", (tmp_path / "whole.npy").read_bytes()[:3000])
    with open(tmp_path / "zip.npy", "wb") as file:
        np.savez(file, a=np.zeros(3))
    assert "zip archive" in refusal("zip.npy")
    assert "cannot be read" in _load_error(tmp_path / "ragged.txt", "1 2\n3\n")


def _load_error(path: Path, text: str) -> str:
    path.write_text(text)
    with pytest.raises(UserError) as error:
        load_values(str(path))
    return str(error.value)


def test_pickles_are_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "sprung",))

    np.save(tmp_path / "a.npy", np.array([Trap()], object), allow_pickle=True)
    (tmp_path / "b.npy").write_bytes(pickle.dumps(Trap()))
    for name in "ab":
        for read in (read_shape, load_values):
            with pytest.raises(UserError):
                read(str(tmp_path / f"{name}.npy"))
    assert not (tmp_path / "sprung").exists()


def test_every_layout_gives_snippets_crops_dim(tmp_path: Path) -> None:
    video = np.random.default_rng(0).normal(size=(6, 5, 3)).astype(np.float32)
    np.save(tmp_path / "s.npy", video)
    np.save(tmp_path / "c.npy", video.swapaxes(0, 1))
    for crop in range(5):
        np.save(tmp_path / f"v__{crop}.npy", video[:, crop])
    parts = [str(tmp_path / f"v__{crop}.npy") for crop in range(5)]
    assert np.array_equal(load_video([str(tmp_path / "s.npy")], SNIPPETS_FIRST), video)
    assert np.array_equal(load_video([str(tmp_path / "c.npy")], CROPS_FIRST), video)
    assert np.array_equal(load_video(parts, None), video)


@pytest.mark.parametrize(
    ("shapes", "crop", "left", "axes"),
    [
        ([(1, 9, 10, 80), (1, 7, 10, 80)], None, [(9, 10, 80), (7, 10, 80)], (0,)),
        ([(9, 10, 80, 1, 1), (7, 10, 80, 1, 1)], None, [(9, 10, 80), (7, 10, 80)], (3, 4)),
        ([(9, 80, 1), (7, 80, 1)], None, [(9, 80), (7, 80)], (2,)),
        ([(9, 80, 1, 1, 1), (7, 80, 1, 1, 1)], 0, [(9, 80), (7, 80)], (2, 3, 4)),
        ([(1, 9, 80), (1, 7, 80)], 0, [(9, 80), (7, 80)], (0,)),
        ([(1, 1, 10, 80)], None, [(1, 10, 80)], (0,)),
        ([(9, 10, 80), (7, 10, 80)], None, [(9, 10, 80), (7, 10, 80)], ()),
        ([(9, 10, 1), (7, 10, 1)], None, [(9, 10, 1), (7, 10, 1)], ()),
    ],
)
def test_axes_of_length_1_that_no_layout_has_are_left_out(
    shapes: list[tuple[int, ...]], crop: int | None, left: list[tuple[int, ...]], axes: tuple[int, ...]
) -> None:
    found, squeezed = squeeze([file._replace(crop=crop) for file in files(*shapes)])
    assert ([file.shape for file in found], squeezed) == (left, axes)


@pytest.mark.parametrize(
    ("shapes", "mend"),
    [
        ([(1024, 31), (1024, 87)], "values.T"),
        ([(1024, 32), (1024, 32), (1024, 32)], "values.T"),
        ([(10, 1024, 31), (10, 1024, 87)], "numpy.moveaxis(values, 1, -1)"),
        ([(1024, 10, 31), (1024, 10, 87)], "numpy.moveaxis(values, 0, -1)"),
    ],
)
def test_turned_arrays_are_called_that_with_the_mend(shapes: list[tuple[int, ...]], mend: str) -> None:
    with pytest.raises(UserError) as caught:
        decide_shape(files(*shapes), None, COUNTS)
    assert "their last axis is not the width of the features" in str(caught.value)
    assert f"{shapes[0][mend.count(', 1,')]} in all files is, and must come last" in str(caught.value)
    assert f"numpy.save(path, {mend})" in str(caught.value)
