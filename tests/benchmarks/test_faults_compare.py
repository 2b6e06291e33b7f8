"""What a run left behind is compared with what it should have left, and put back."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.faults_compare import differences, digests, temporary_files
from benchmarks.faults_folders import copy, sync
from pretrain.files import write_json, write_text


def test_the_comparison_notices_what_changed_and_not_when(root: Path) -> None:
    write_json(root / "run" / "summary.json", {"seconds": 3.5, "loss": 0.25})
    write_text(root / "run" / "log.jsonl", '{"step": 1, "time": 17.5, "speed/clips": 3, "loss": 1}\n')
    write_text(root / "run" / "page.html", "<dt>Written</dt><dd>2026-01-01 10:00</dd><p>text</p>")
    (root / "run" / "a.npy").write_bytes(b"abc")
    wanted = digests(root, ["run"])
    write_json(root / "run" / "summary.json", {"seconds": 9.5, "loss": 0.25})
    write_text(root / "run" / "log.jsonl", '{"step": 1, "time": 99.5, "speed/clips": 8, "loss": 1}\n')
    write_text(root / "run" / "page.html", "<dt>Written</dt><dd>2027-02-02 11:11</dd><p>text</p>")
    assert differences(wanted, digests(root, ["run"])) == []
    write_json(root / "run" / "summary.json", {"seconds": 9.5, "loss": 0.26})
    write_text(root / "run" / "log.jsonl", '{"step": 1, "loss": 1}\n{"step": 1, "loss": 1}\n')
    (root / "run" / "a.npy").unlink()
    (root / "run" / "b.npy").touch()
    assert differences(wanted, digests(root, ["run"])) == [
        "missing: run/a.npy",
        "differs: run/log.jsonl",
        "differs: run/summary.json",
        "one more: run/b.npy",
    ]


def test_unfinished_files_and_folders_are_found(root: Path) -> None:
    (root / ".old.12.tmp.json").touch()
    before = [root / ".old.12.tmp.json"]
    (root / "run" / ".step-3.77.tmp").mkdir(parents=True)
    (root / "run" / ".lock").touch()
    (root / "run" / ".a.99.tmp.npy").touch()
    assert temporary_files(root, before) == ["run/.a.99.tmp.npy", "run/.step-3.77.tmp"]


def test_a_folder_is_made_what_it_was(root: Path, tmp_path: Path) -> None:
    for name in ("a/b.txt", "a/c.txt", "d.txt"):
        write_text(root / name, name)
    copy(root, tmp_path / "keep")
    (root / "a" / "b.txt").unlink()
    (root / "a" / "b.txt").symlink_to("c.txt")
    (root / "d.txt").unlink()
    os.mkfifo(root / "d.txt")
    (root / "more" / "x").mkdir(parents=True)
    sync(root, tmp_path / "keep")
    assert sorted(str(path.relative_to(root)) for path in root.rglob("*")) == ["a", "a/b.txt", "a/c.txt", "d.txt"]
    assert [(root / name).read_text() for name in ("a/b.txt", "d.txt")] == ["a/b.txt", "d.txt"]
