"""Readers of what other programs leave: arrays in archives, HDF5, MATLAB, PyTorch; folders of video_features; lists."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.faults_reader import Reader, main_of, outputs_of
from pretrain.files import write_text

VIDEOS = 3
WIDTH = 12
NAMES = ("Abuse001_x264", "Arson002_x264", "Normal_Videos_003_x264", "Normal_Videos_004_x264")
"""Names that say their label, two of each."""
SNIPPETS = (4, 6, 3, 5)
FRAMES = 16


def rows(number: int, length: int = 8) -> np.ndarray:
    """float32 (length, WIDTH): a video's features."""
    return np.random.default_rng(number).normal(size=(length, WIDTH)).astype(np.float32)


def imported(source: str, *flags: str) -> Callable[[], str]:
    """What `import_features` makes of a folder or a file."""

    def run() -> str:
        given = (source, "--encoder", "theirs", "--out", "taken_over", *flags)
        return outputs_of(lambda: main_of("scripts.import_features", *given), "taken_over")

    return run


def write_archives() -> None:
    """Compressed and not, with an array more beside the features."""
    Path("archives").mkdir()
    for number in range(VIDEOS):
        save = np.savez_compressed if number % 2 else np.savez
        save(Path(f"archives/v{number}.npz"), features=rows(number), frames=np.arange(8))


def write_tensors() -> None:
    """A tensor a file."""
    Path("tensors").mkdir()
    for number in range(VIDEOS):
        torch.save(torch.from_numpy(rows(number)), Path(f"tensors/v{number}.pt"))


def write_hdf5_files() -> None:
    """A file a video."""
    import h5py

    Path("hdf5").mkdir()
    for number in range(VIDEOS):
        with h5py.File(f"hdf5/v{number}.h5", "w") as file:
            file["features"] = rows(number)


def write_hdf5_arrays() -> None:
    """One file, an array a video."""
    import h5py

    with h5py.File("hdf5_arrays.h5", "w") as file:
        for number in range(VIDEOS):
            file.create_dataset(f"v{number}", data=rows(number), compression="gzip")


def write_hdf5_groups() -> None:
    """One file, a group a video."""
    import h5py

    with h5py.File("hdf5_groups.h5", "w") as file:
        for number in range(VIDEOS):
            file[f"v{number}/features"] = rows(number)
            file[f"v{number}/times"] = np.arange(8.0)


def write_mat5() -> None:
    """Version 5, packed and not."""
    from scipy import io

    Path("mat5").mkdir()
    for number in range(VIDEOS):
        io.savemat(f"mat5/v{number}.mat", {"features": rows(number), "note": "a"}, do_compression=bool(number % 2))


def write_mat73() -> None:
    """Version 7.3: HDF5 behind a block of text, axes turned."""
    import h5py

    Path("mat73").mkdir()
    for number in range(VIDEOS):
        path = Path(f"mat73/v{number}.mat")
        with h5py.File(path, "w", userblock_size=512) as file:
            file["features"] = rows(number).T
        content = bytearray(path.read_bytes())
        content[:128] = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM"
        path.write_bytes(content)


def write_streams() -> None:
    """Two streams of I3D with the rate and the times of their rows."""
    Path("streams").mkdir()
    for number in range(VIDEOS):
        for stream in ("rgb", "flow"):
            np.save(f"streams/v{number}_{stream}.npy", rows(number))
        np.save(f"streams/v{number}_fps.npy", np.array(25.0))
        np.save(f"streams/v{number}_timestamps_ms.npy", np.arange(1, 9) * 640.0)


def write_grid(folder: str) -> None:
    """The length of each test video."""
    lines = "".join(f"{name},16,{FRAMES * n},25\n" for name, n in zip(NAMES, SNIPPETS, strict=True))
    write_text(Path(folder, "grid.csv"), "name,snippet_frames,frames,fps\n" + lines)


def write_truth() -> None:
    """A list of feature files, and flat ground truth in its order."""
    write_text(Path("truth/test.list"), "".join(f"UCF_Test/{name}_i3d.npy\n" for name in NAMES))
    write_text(Path("truth/train.list"), "UCF_Train/Abuse009_x264_i3d.npy\nUCF_Train/Normal_Videos_008_x264_i3d.npy\n")
    write_grid("truth")
    parts = [np.zeros(FRAMES * n) for n in SNIPPETS]
    parts[0][10:40], parts[1][5:20] = 1, 1
    np.save("truth/gt.npy", np.concatenate(parts))


def write_peers() -> None:
    """VadCLIP's table, two crops a video, and annotations as XD-Violence has them."""
    words = ("Abuse", "Arson", "Normal", "Normal")
    lines = [f"clip/{name}__{crop}.npy,{w}\n" for name, w in zip(NAMES, words, strict=True) for crop in range(2)]
    write_text(Path("peers/test.csv"), "path,label\n" + "".join(lines))
    write_text(Path("peers/annotations.txt"), f"{NAMES[0]} 10 40\n{NAMES[1]} 5 20 50 60\n")
    write_grid("peers")


def truth(folder: str, *flags: str) -> Callable[[], str]:
    """The catalogue that `import_ground_truth` makes."""
    given = (*flags, "--grid", f"{folder}/grid.csv", "--out", f"{folder}/made/list.csv")
    return lambda: outputs_of(lambda: main_of("scripts.import_ground_truth", *given), f"{folder}/made")


def score() -> str:
    """Scores of features by a run of two seeds."""
    given = ("run", "features", "--out", "scored", "--device", "cpu", "--frames")
    return outputs_of(lambda: main_of("scripts.score", *given), "scored")


def foreign(
    name: str, files: str | tuple[str, ...], run: Callable[[], str], prepare: Callable[[], None], *needs: str
) -> Reader:
    """A command on files that are there for it alone."""
    patterns = (files,) if isinstance(files, str) else files
    return Reader(name=name, files=patterns, run=run, prepare=prepare, weight=0.4, needs=needs)


FOREIGN = (
    foreign("archives of arrays", "archives/*", imported("archives", "--key", "features"), write_archives),
    foreign("tensors", "tensors/*", imported("tensors"), write_tensors),
    foreign("HDF5, files", "hdf5/*", imported("hdf5"), write_hdf5_files, "h5py"),
    foreign("HDF5, arrays", "hdf5_arrays.h5", imported("hdf5_arrays.h5"), write_hdf5_arrays, "h5py"),
    foreign(
        "HDF5, groups",
        "hdf5_groups.h5",
        imported("hdf5_groups.h5", "--key", "features"),
        write_hdf5_groups,
        "h5py",
    ),
    foreign("MATLAB 5", "mat5/*", imported("mat5"), write_mat5, "scipy"),
    foreign("MATLAB 7.3", "mat73/*", imported("mat73"), write_mat73, "h5py"),
    foreign(
        "video_features",
        ("streams/*_rgb.npy", "streams/*_fps.npy", "streams/*_ms.npy"),
        imported("streams", "--stream", "rgb"),
        write_streams,
    ),
    foreign(
        "flat ground truth",
        ("truth/test.list", "truth/train.list", "truth/gt.npy", "truth/grid.csv"),
        truth(
            *("truth", "--test", "truth/test.list", "--strip", "_i3d"),
            *("--train", "truth/train.list", "--gt", "truth/gt.npy"),
        ),
        write_truth,
    ),
    foreign(
        "peers' lists",
        ("peers/test.csv", "peers/annotations.txt"),
        truth("peers", "--test", "peers/test.csv", "--annotations", "peers/annotations.txt"),
        write_peers,
    ),
    Reader(
        name="features, scored",
        files=("features/*", "run/*.json", "run/seed-*/detector/*"),
        run=score,
        weight=0.4,
    ),
)
