"""Copies: whole or not there, shared, of the right state, never too many, never taken from who reads them."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from pretrain.data.remote import RemoteError, file_state, local_copy, opened
from pretrain.data.remote.settings import LIMIT, copy_settings
from pretrain.data.remote.state import forget, member_paths
from pretrain.data.remote.store import stat_of
from pretrain.errors import UserError
from tests.paths import ROOT
from tests.pretrain.data.remote.test_tar_file import write_tar
from tests.stores import Web


def files_of(copies: Path) -> list[str]:
    return sorted(path.name for path in copies.glob("??/*/*"))


def test_a_plain_path_is_itself_and_costs_no_fsspec(tmp_path: Path) -> None:
    assert local_copy("no/such/file.mp4") == "no/such/file.mp4"
    (tmp_path / "a.mp4").touch()
    assert local_copy(f"file://{tmp_path}/a.mp4") == f"{tmp_path}/a.mp4"
    code = "import sys; from pretrain.data.video import probe; assert 'fsspec.core' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_copy_has_name_bytes_and_time_of_its_source(memory: Any, copies: Path) -> None:
    memory.pipe("/b/v/street.mp4", b"0123")
    path = "memory://b/v/street.mp4"
    first = local_copy(path)
    assert (Path(first).name, Path(first).read_bytes()) == ("street.mp4", b"0123")
    state, stored = file_state(path), os.stat(first)
    assert (state.path, state.size, state.mtime_ns) == (path, stored.st_size, stored.st_mtime_ns)
    os.unlink(first)
    assert local_copy(path) == first
    assert os.stat(first).st_mtime_ns == state.mtime_ns
    assert files_of(copies) == ["street.mp4"]


def test_a_member_is_fetched_by_its_bytes_alone(web: Web) -> None:
    write_tar(web.folder / "x.tar", {"a.mp4": bytes(200_000), "b.mp4": b"b" * 5000})
    paths = member_paths(f"{web.address}/x.tar")
    web.sent.clear()
    assert Path(local_copy(paths["b.mp4"])).read_bytes() == b"b" * 5000
    assert web.bytes_of("x.tar") == 5000
    assert Path(local_copy(f"{web.address}/x.tar#b.mp4")).read_bytes() == b"b" * 5000
    with pytest.raises(RemoteError, match=r"holds no 'c.mp4'"):
        local_copy(f"{web.address}/x.tar#c.mp4")


def test_bytes_that_are_not_those_of_the_index_are_refused(tmp_path: Path, copies: Path) -> None:
    tar = write_tar(tmp_path / "x.tar", {"a.mp4": b"aaaa"})
    known = f"{tar}#512+4+{'0' * 32}#a.mp4"
    assert file_state(known).size == 4
    with pytest.raises(RemoteError, match=r"x.tar#a.mp4: its bytes are not those that the index of the shards names"):
        local_copy(known)
    tar.write_bytes(tar.read_bytes()[:514])
    with pytest.raises(RemoteError, match="2 of 4 bytes are there; it was cut off"):
        local_copy(f"{tar}#512+4#a.mp4")
    assert files_of(copies) == []


def test_a_source_that_changed_is_fetched_anew_by_who_looks_again(web: Web) -> None:
    (web.folder / "a.mp4").write_bytes(b"old")
    path = f"{web.address}/a.mp4"
    assert Path(local_copy(path)).read_bytes() == b"old"
    (web.folder / "a.mp4").write_bytes(b"new")
    os.utime(web.folder / "a.mp4", ns=(1, 1))
    assert Path(local_copy(path)).read_bytes() == b"old"  # asked once in a process
    forget()
    assert Path(local_copy(path)).read_bytes() == b"new"
    assert stat_of(path).mtime_ns == file_state(path).mtime_ns


def test_a_full_folder_loses_what_was_not_read_for_longest(
    memory: Any, copies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LIMIT, "3.2e-6")  # 3200 bytes
    for name in "abcd":
        memory.pipe(f"/b/{name}.mp4", bytes(1000))
    with opened("memory://b/a.mp4") as held:
        for name in "bc":
            local_copy(f"memory://b/{name}.mp4")
        assert files_of(copies) == ["a.mp4", "b.mp4", "c.mp4"]
        local_copy("memory://b/b.mp4")
        local_copy("memory://b/d.mp4")
        assert files_of(copies) == ["a.mp4", "b.mp4", "d.mp4"]  # a is the oldest, and is read
        assert os.path.getsize(held) == 1000
    local_copy("memory://b/c.mp4")
    assert files_of(copies) == ["b.mp4", "c.mp4", "d.mp4"]
    memory.pipe("/b/huge.mp4", bytes(4000))
    with pytest.raises(RemoteError, match=f"huge.mp4: has 4e-06 GB, and {LIMIT} lets copies take 3.2e-06; raise it"):
        local_copy("memory://b/huge.mp4")


def test_a_half_written_copy_is_made_again(memory: Any, copies: Path) -> None:
    memory.pipe("/b/a.mp4", b"0123")
    Path(local_copy("memory://b/a.mp4")).write_bytes(b"01")
    assert Path(local_copy("memory://b/a.mp4")).read_bytes() == b"0123"


def test_a_folder_that_cannot_be_written_is_one_line(memory: Any, copies: Path) -> None:
    memory.pipe("/b/a.mp4", b"0123")
    copies.write_text("a file in the way")
    with pytest.raises(
        RemoteError, match=r"memory://b/a.mp4: its copy cannot be written to .* set ANOMALY_PRETEXT_COPIES"
    ):
        local_copy("memory://b/a.mp4")


def test_threads_that_want_one_video_fetch_it_once(web: Web) -> None:
    (web.folder / "a.mp4").write_bytes(bytes(3_000_000))
    threads = [threading.Thread(target=local_copy, args=(f"{web.address}/a.mp4",)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert web.bytes_of("a.mp4") == 3_000_000


def _copy_all(paths: list[str], lengths: Any) -> None:
    lengths.put([os.path.getsize(local_copy(path)) for path in paths])


def test_processes_that_want_the_same_videos_fetch_each_once(web: Web) -> None:
    for name in "abc":
        (web.folder / f"{name}.mp4").write_bytes(bytes(500_000))
    paths = [f"{web.address}/{name}.mp4" for name in "abc"]
    local_copy(paths[0])  # forked processes have no connection of this one's
    context = multiprocessing.get_context("fork")
    lengths = context.Queue()
    processes = [context.Process(target=_copy_all, args=(order, lengths)) for order in (paths, paths[::-1])]
    for process in processes:
        process.start()
    assert [lengths.get(timeout=30) for _ in processes] == [[500_000] * 3] * 2
    for process in processes:
        process.join()
    assert {name: web.bytes_of(f"{name}.mp4") for name in "abc"} == dict.fromkeys("abc", 500_000)


def test_a_limit_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(LIMIT, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("ANOMALY_PRETEXT_COPIES", raising=False)
    assert copy_settings() == (tmp_path / "anomaly-pretext" / "copies", 20_000_000_000)
    for wrong in ("much", "0", "-1", "nan"):
        monkeypatch.setenv(LIMIT, wrong)
        with pytest.raises(UserError, match=f"{LIMIT} is '{wrong}'; it must be a number of gigabytes above 0"):
            copy_settings()


def test_a_source_that_is_replaced_meanwhile_is_not_taken_for_what_was_asked_for(web: Web, copies: Path) -> None:
    (web.folder / "a.mp4").write_bytes(b"old")
    path = f"{web.address}/a.mp4"
    assert file_state(path).size == 3
    (web.folder / "a.mp4").write_bytes(b"new")
    os.utime(web.folder / "a.mp4", ns=(1, 1))
    with pytest.raises(RemoteError, match=r"~\w{6}: was replaced since this command looked at it; run the same"):
        local_copy(path)
    assert files_of(copies) == []
