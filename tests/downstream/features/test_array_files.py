"""Every kind of file gives the numbers that were put in; odd, damaged and hostile ones get one message."""

from __future__ import annotations

import contextlib
import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from downstream.features.array_files import READERS
from downstream.features.find_files import find_files
from downstream.features.importing import ImportOptions, import_features, plan_import
from downstream.features.layouts import load_values, read_shape
from downstream.features.store import FeatureSet
from pretrain.errors import UserError

h5py = pytest.importorskip("h5py", reason="of the extra [formats]")
sio = pytest.importorskip("scipy.io", reason="of the extra [formats]")

VALUES = {
    "Abuse001_x264": np.random.default_rng(0).normal(size=(4, 70)).astype(np.float32),
    "Bad.Boys II.1995__#00-26-51_label_A": np.random.default_rng(1).normal(size=(6, 70)).astype(np.float32),
}


def write_hdf5(path: Path, values: Any, **names: Any) -> None:
    with h5py.File(path, "w") as file:
        for name, array in ({"features": values} | names).items():
            file.create_dataset(name, data=array, compression="gzip")


def write_mat73(path: Path, values: Any) -> None:
    """As MATLAB does: a block before the file, axes reversed."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("features", data=np.asarray(values).T)
    with open(path, "r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(128))


WRITERS: dict[str, Callable[[Path, Any], None]] = {
    "x.npy": lambda path, values: np.save(path, values),
    "x.npz": lambda path, values: np.savez_compressed(path, values),
    "x.pt": lambda path, values: torch.save(torch.from_numpy(np.array(values)), path),
    "dict.pth": lambda path, values: torch.save({"features": torch.from_numpy(np.array(values)), "fps": 25}, path),
    "x.h5": lambda path, values: write_hdf5(path, values, fps=np.float32([25]), labels=np.arange(12).reshape(3, 4)),
    "x.hdf5": write_hdf5,
    "v5.mat": lambda path, values: sio.savemat(path, {"features": values, "fps": 25.0}, do_compression=True),
    "v73.mat": write_mat73,
}


@pytest.mark.parametrize("kind", WRITERS)
def test_every_kind_of_file_is_imported_as_it_was(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    for name, values in VALUES.items():
        WRITERS[kind](folder / f"{name}{Path(kind).suffix}", values)
    plan = plan_import(find_files([folder]).paths, ImportOptions(encoder="x", dtype="float32"))
    made = import_features(plan, tmp_path / "set")
    assert set(made.videos) == set(VALUES)
    assert all(np.array_equal(made.read(name)[:, 0], values) for name, values in VALUES.items())


def test_each_kind_is_written_in_these_tests() -> None:
    assert {Path(name).suffix for name in WRITERS} == set(READERS) - {".txt"}


@pytest.mark.parametrize("kind", ["x.npz", "x.pt", "x.h5", "x.mat"])
def test_one_of_several_arrays_is_asked_for_and_named(kind: str, tmp_path: Path) -> None:
    path = tmp_path / kind
    both = {"rgb": VALUES["Abuse001_x264"], "flow": np.ones((4, 70), np.float32)}
    {
        "x.npz": lambda: np.savez(path, **both),
        "x.pt": lambda: torch.save({name: torch.from_numpy(values) for name, values in both.items()}, path),
        "x.h5": lambda: write_hdf5(path, both["rgb"], **both),
        "x.mat": lambda: sio.savemat(path, both),
    }[kind]()
    with pytest.raises(UserError, match=r"flow.*--key NAME"):
        read_shape(str(path))
    assert read_shape(str(path), "rgb") == (4, 70)
    assert np.array_equal(load_values(str(path), key="rgb"), both["rgb"])
    with pytest.raises(UserError, match="'audio'"):
        read_shape(str(path), "audio")


def test_one_file_of_all_videos(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    with h5py.File(tmp_path / "files" / "all.h5", "w") as file:
        file["Abuse/Abuse001_x264.mp4"] = VALUES["Abuse001_x264"]
        file["Bad.Boys II.1995__#00-26-51_label_A"] = VALUES["Bad.Boys II.1995__#00-26-51_label_A"]
        file["names"] = np.arange(3)
    for sources in ([tmp_path / "files" / "all.h5"], [tmp_path / "files"]):
        files = find_files(sources)
        assert files.notes[-1] == f"{tmp_path / 'files' / 'all.h5'}: 2 arrays"
        made = import_features(plan_import(files.paths, ImportOptions(encoder="x", dtype="float32")), tmp_path / "set")
        assert {name: made.read(name)[:, 0].tolist() for name in VALUES} == {n: v.tolist() for n, v in VALUES.items()}


def test_one_file_with_a_group_a_video(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "all.h5", "w") as file:
        for name, values in VALUES.items():
            file[f"{name}/rgb"], file[f"{name}/flow"] = values, values + 1
    with pytest.raises(UserError, match=r"several of its 4 arrays have one name \(flow, rgb\).*--key NAME"):
        find_files([tmp_path])
    paths = find_files([tmp_path], key="flow").paths
    plan = plan_import(paths, ImportOptions(encoder="x", dtype="float32", key="flow"))
    made = import_features(plan, tmp_path / "set")
    assert {name: made.read(name)[:, 0].tolist() for name in VALUES} == {n: (v + 1).tolist() for n, v in VALUES.items()}


def test_a_folder_of_several_kinds_is_not_guessed(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", VALUES["Abuse001_x264"])
    np.savez(tmp_path / "b.npz", VALUES["Abuse001_x264"])
    with pytest.raises(UserError, match=r"several kinds \(1 \.npy, 1 \.npz\).*a list file"):
        find_files([tmp_path])
    np.savez(tmp_path / "c.npz", VALUES["Abuse001_x264"])
    found = find_files([tmp_path])
    assert [Path(path).name for path in found.paths] == ["b.npz", "c.npz"]
    assert "1 file(s) that are not .npz left alone: 1 .npy (a.npy)" in found.notes[1]


class Evil:
    def __reduce__(self) -> Any:
        return (print, ("it ran",))


def bomb(path: Path) -> None:
    """200 MB of zeros in 200 kB."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (50_000, 1_000)})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.npy", "w") as file:
        file.write(header.getvalue())
        for _ in range(200):
            file.write(bytes(1_000_000))


def lying_zip(path: Path) -> None:
    array = io.BytesIO()
    np.save(array, np.ones((4, 70), np.float32))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", array.getvalue().replace(b"(4, 70), }       ", b"(40000000, 70), }"))


def sparse_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (1 << 40, 8), np.float32, chunks=(8, 8))


def unwritten_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (4, 70), np.float32, chunks=(4, 70))


def external_link(path: Path) -> None:
    write_hdf5(path.with_name("secret.bin"), np.ones((4, 70), np.float32))
    with h5py.File(path, "w") as file:
        file["a"] = h5py.ExternalLink("secret.bin", "/features")


def external_data(path: Path) -> None:
    path.with_name("raw.bin").write_bytes(bytes(4 * 70 * 4))
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (4, 70), np.float32, external=[("raw.bin", 0, h5py.h5f.UNLIMITED)])


def virtual_data(path: Path) -> None:
    write_hdf5(path.with_name("other.bin"), np.ones((4, 70), np.float32))
    layout = h5py.VirtualLayout((4, 70), np.float32)
    layout[:] = h5py.VirtualSource(str(path.with_name("other.bin")), "features", (4, 70))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("a", layout)


HOSTILE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "bomb.npz": (bomb, "unpacks to 200,000,128 bytes, 200 times its size and more: no features"),
    "lying.npz": (lying_zip, "cut off: it is shorter than its header says"),
    "objects.npz": (lambda path: np.savez(path, np.array([[None]], object)), "pickled Python objects"),
    "cut.npz": (lambda path: path.write_bytes(b"PK\x03\x04" + bytes(40)), "no readable .npz archive"),
    "code.pt": (lambda path: path.write_bytes(pickle.dumps(Evil())), "could run anything"),
    "numbers.pt": (lambda path: torch.save({"epoch": torch.tensor(3)}, path), "floating-point"),
    "repeated.pt": (
        lambda path: torch.save(torch.zeros(1).expand(1 << 40, 70), path),
        "repeats fewer numbers; save tensor.contiguous",
    ),
    "list.pt": (lambda path: torch.save([torch.ones(4, 70)], path), "it holds a list, not a tensor"),
    "no.h5": (lambda path: path.write_bytes(b"hello"), "no readable HDF5 file"),
    "sparse.h5": (sparse_hdf5, "it says it holds 35,184,372,088,832 bytes, and at most"),
    "unwritten.h5": (unwritten_hdf5, "its numbers were never written"),
    "link.h5": (external_link, r"'a' is a link \(ExternalLink\), which may lead to other files"),
    "external.h5": (external_data, "its numbers lie in other files"),
    "virtual.h5": (virtual_data, "its numbers lie in other files"),
    "text.h5": (lambda path: write_hdf5(path, np.array([[b"a"]])), "no array of floating-point numbers"),
    "no.mat": (lambda path: path.write_bytes(bytes(200)), "no MATLAB file of version 5 to 7.3"),
    "cell.mat": (lambda path: sio.savemat(path, {"a": np.array([[1, "x"]], object)}), "variables: a"),
    "cut.mat": (lambda path: cut(path), "no readable .mat file|a damaged variable"),
    "other.safetensors": (lambda path: path.write_bytes(b"x"), "features are read from .npy, .npz"),
}


def cut(path: Path) -> None:
    sio.savemat(path, {"a": VALUES["Abuse001_x264"]}, do_compression=True)
    path.write_bytes(path.read_bytes()[:-300])


def read_whole(path: str) -> np.ndarray:
    read_shape(path)
    return load_values(path)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_get_one_message(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, said = HOSTILE[name]
    path = tmp_path / name
    make(path)
    with pytest.raises(UserError, match=said) as refused:
        read_whole(str(path))
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "it ran" not in capsys.readouterr().out


def test_a_mat_file_that_unpacks_to_too_much_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.mat"
    sio.savemat(path, {"a": np.zeros((1000, 500))}, do_compression=True)
    monkeypatch.setattr("downstream.features.mat_files.ARRAY_BYTES", 1_000_000)
    with pytest.raises(UserError, match="it unpacks to 4,000,000 bytes, and no more than 1,000,000 are read"):
        read_shape(str(path))


def mat5(order: str, name: bytes, flags: int, sizes: tuple[int, ...], kind: int, numbers: bytes) -> bytes:
    """A MATLAB file of one variable, by hand. `order`: of the bytes, as struct names it."""

    def part(kind: int, content: bytes) -> bytes:
        if 0 < len(content) <= 4:
            return struct.pack(order + "I", len(content) << 16 | kind) + content.ljust(4, b"\0")
        return struct.pack(order + "2I", kind, len(content)) + content + bytes(-len(content) % 8)

    parts = [part(6, struct.pack(order + "2I", flags, 0)), part(5, struct.pack(f"{order}{len(sizes)}i", *sizes))]
    variable = b"".join([*parts, part(1, name), part(kind, numbers)])
    start = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(order + "2H", 0x0100, 0x4D49)
    return start + struct.pack(order + "2I", 14, len(variable)) + variable


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(("kind", "code"), [(1, "b"), (2, "B"), (3, "h"), (5, "i"), (7, "f"), (9, "d")])
def test_numbers_are_read_from_whatever_matlab_stored_them_in(order: str, kind: int, code: str, tmp_path: Path) -> None:
    """MATLAB stores whole numbers of a double array in the smallest type that holds them."""
    path = tmp_path / "a.mat"
    path.write_bytes(mat5(order, b"features", 6, (2, 3), kind, struct.pack(f"{order}6{code}", *range(6))))
    wanted = np.arange(6.0).reshape(2, 3, order="F")
    assert np.array_equal(sio.loadmat(path)["features"], wanted)
    assert read_shape(str(path)) == (2, 3)
    assert np.array_equal(load_values(str(path)), wanted)
    assert load_values(str(path)).dtype == np.float64


@pytest.mark.parametrize(
    ("flags", "sizes", "kind", "said"),
    [
        (6, (2, 3), 246, "its numbers are not those of its shape"),
        (6, (2, 3), 14, "its numbers are not those of its shape"),
        (6, (2, 4), 9, "its numbers are not those of its shape"),
        (6, (-2, -3), 9, "a damaged variable"),
        (6, (1 << 30, 1 << 30, 1 << 30), 9, "its numbers are not those of its shape"),
        (6 | 1 << 11, (2, 3), 9, r"a \(complex double\)"),
        (250, (2, 3), 9, r"a \(\?\)"),
        (4, (2, 3), 9, r"a \(char\)"),
    ],
)
def test_a_mat_file_that_contradicts_itself_is_refused(
    flags: int, sizes: tuple[int, ...], kind: int, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.mat"
    path.write_bytes(mat5("<", b"a", flags, sizes, kind, bytes(48)))
    with pytest.raises(UserError, match=said):
        read_whole(str(path))


def test_damage_to_a_mat_file_ends_no_process(tmp_path: Path) -> None:
    """Bytes of its variable changed at random: scipy's parser ends the process by some of these."""
    path, rng = tmp_path / "a.mat", np.random.default_rng(0)
    for is_packed in (False, True):
        sio.savemat(path, {"a": np.arange(24, dtype=np.float32).reshape(4, 6)}, do_compression=is_packed)
        whole = path.read_bytes()
        for _ in range(400):
            content = bytearray(whole)
            for at in rng.integers(128, 184, 2):
                content[at] = rng.integers(256)
            path.write_bytes(content)
            with contextlib.suppress(UserError):
                assert read_whole(str(path)).dtype.kind == "f"


def test_a_missing_library_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_hdf5(tmp_path / "a.h5", VALUES["Abuse001_x264"])
    write_mat73(tmp_path / "a.mat", VALUES["Abuse001_x264"])
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    for name in ("a.h5", "a.mat"):
        with pytest.raises(UserError, match=r"pip install 'anomaly-pretext\[formats\]'"):
            read_shape(str(tmp_path / name))


def test_sets_of_other_kinds_are_sets_like_any(tmp_path: Path) -> None:
    """What was imported opens again by itself, without the files."""
    np.savez(tmp_path / "a.npz", VALUES["Abuse001_x264"])
    plan = plan_import([str(tmp_path / "a.npz")], ImportOptions(encoder="x"))
    import_features(plan, tmp_path / "set")
    (tmp_path / "a.npz").unlink()
    assert FeatureSet.open(tmp_path / "set").videos["a"].snippets == 4
