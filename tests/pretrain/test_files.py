"""Files that are whole or not there, and disk space that is taken before a memory map is written."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from safetensors.torch import save_file

from pretrain.errors import UserError
from pretrain.files import copy_file, json_text, replacing, reserve, sha256_of, write_text


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system has no posix_fallocate")
def test_reserve_takes_the_space_and_says_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "array.npy"
    with open(file, "wb") as opened:
        opened.truncate(1 << 20)
    before = file.stat().st_blocks
    reserve(file)
    assert before < file.stat().st_blocks >= (1 << 20) // 512

    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*array.npy'"):
        reserve(file)


def test_a_full_disk_names_the_file_and_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "table.csv"
    target.write_text("before")

    def write() -> None:
        with replacing(target) as temporary:
            temporary.write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: '.*table.csv'"):
        write()
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]
    assert target.read_text() == "before"


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077, 0o002])
def test_the_umask_says_who_may_read_what_is_written(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_text(tmp_path / "new" / "a.txt", "text")
        copy_file(tmp_path / "new" / "a.txt", tmp_path / "copy.txt")
        with replacing(tmp_path / "weights.safetensors") as temporary:
            save_file({"a": torch.zeros(3)}, temporary)  # the library keeps it to the owner
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert modes.pop("new") == 0o777 & ~umask
    assert set(modes.values()) == {0o666 & ~umask}


def test_the_copy_on_a_full_disk_names_the_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "source").write_text("text")

    def full(source: Path, target: Path) -> None:  # as shutil names them
        raise OSError(errno.ENOSPC, "No space left on device", str(source), None, str(target))

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*/target'$"):
        copy_file(tmp_path / "source", tmp_path / "target")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="source"):
        copy_file(tmp_path / "source", tmp_path / "target")


def test_text_with_letters_that_utf8_has_not_is_written(tmp_path: Path) -> None:
    write_text(tmp_path / "a.md", "caf\udce9\n")
    assert (tmp_path / "a.md").read_text(encoding="utf-8") == "caf\\udce9\n"
    assert json_text({"é\u2028": "\x7f"}) == '{"é\\u2028": "\\u007f"}'


WRITERS: dict[str, Callable[[Path], object]] = {
    "safetensors": lambda path: save_file({"a": torch.zeros(10**6)}, path),
    "safetensors of numpy": lambda path: safetensors.numpy.save_file({"a": np.zeros(10**6)}, path),
    "numpy": lambda path: np.zeros(10**6).tofile(path),
    "numpy, several": lambda path: np.savez(path, a=np.zeros(10**6)),
    "torch": lambda path: torch.save({"a": torch.zeros(10**6)}, path),
    "text": lambda path: path.write_text("x" * 10**7),
    "copy": lambda path: shutil.copyfile(path.parent / "large", path),
}


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="this system has no limit of a file's size")
@pytest.mark.parametrize("writer", list(WRITERS))
def test_a_disk_that_takes_no_more_is_one_kind_of_error(tmp_path: Path, writer: str) -> None:
    with open(tmp_path / "large", "wb") as file:
        file.truncate(10**7)
    target = tmp_path / "a.npz"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10**5, before[1]))
    try:
        with pytest.raises(OSError) as caught, replacing(target) as temporary:
            WRITERS[writer](temporary)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.errno == errno.EFBIG
    assert caught.value.filename == str(target)  # of a copy too: it is not the source that is full
    assert sorted(path.name for path in tmp_path.iterdir()) == ["large"]


def test_a_fault_of_ours_is_no_full_disk(tmp_path: Path) -> None:
    for fault in (AssertionError("x"), RuntimeError("y"), UserError("z"), KeyError("k")):
        with pytest.raises(type(fault)), replacing(tmp_path / "a"):
            raise fault
    assert not list(tmp_path.iterdir())


def test_the_hash_of_what_never_ends_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        sha256_of(tmp_path / "pipe")
