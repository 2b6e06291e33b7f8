"""Readers of damaged files: planted tracebacks and wrong data are found out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import faults_children, faults_mutations
from benchmarks.faults_mutations import Mutation, kinds, prepare, result_of, shares, try_mutation
from benchmarks.faults_reader import Reader
from benchmarks.faults_readers import READERS
from pretrain.errors import UserError
from pretrain.files import write_json

SHORT = faults_children.Limits(cpu_seconds=1, wall_seconds=10, idle_seconds=1, memory_mb=400)


def read_strictly() -> str:
    """A reader as it should be."""
    try:
        content = Path("card.json").read_bytes() if Path("card.json").stat().st_size < 1 << 20 else b""
        return str(sorted(json.loads(content)["videos"]))
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise UserError(f"card.json cannot be read ({error})") from error


def read_carelessly() -> str:
    """A reader as it should not be."""
    return str(sorted(json.loads(Path("card.json").read_text())["videos"]))


def reader(run: Callable[[], Any], *, is_cache: bool = False) -> Reader:
    def make() -> None:
        write_json(Path("card.json"), {"videos": ["a", "b"], "fps": 25})

    return Reader(name="cards", files=("*.json",), run=run, prepare=make, is_cache=is_cache)


def mutations_of(own: Reader, root: Path, count: int = 16) -> list[Mutation]:
    keep = root.parent / "keep"
    truth = prepare([own], root, keep)
    limits = faults_mutations.LIMITS
    faults_mutations.LIMITS = SHORT
    try:
        return [try_mutation(own, truth["cards"], root, keep, 0, number) for number in range(count)]
    finally:
        faults_mutations.LIMITS = limits


def test_a_careless_reader_is_found_out(root: Path) -> None:
    tried = mutations_of(reader(read_carelessly), root)
    assert {"traceback", "the same"} <= {mutation.result for mutation in tried}
    fallen = [mutation for mutation in tried if mutation.result == "traceback"]
    assert any("Error" in kind for kind in kinds(fallen))
    assert (root / "card.json").read_bytes() == (root.parent / "keep" / "card.json").read_bytes()


def test_only_a_pipe_stops_a_reader_that_asks_for_the_size_first(root: Path) -> None:
    tried = mutations_of(reader(read_strictly), root)
    assert not [
        mutation for mutation in tried if mutation.fell and mutation.damage not in ("a pipe", "a link to /dev/zero")
    ]
    assert {"message", "the same"} <= {mutation.result for mutation in tried}


def test_a_cache_that_is_believed_counts_and_a_list_that_reads_otherwise_does_not() -> None:
    other = faults_children.Outcome(kind="data", value="b")
    assert result_of(other, reader(read_strictly), "a") == "other data"
    assert result_of(other, reader(read_strictly, is_cache=True), "a") == "wrong frames"
    assert result_of(other, reader(read_strictly), "b") == "the same"


def test_a_reader_that_fails_undamaged_or_has_no_file_is_an_error(root: Path) -> None:
    with pytest.raises(UserError, match=r"reader 'cards' fails on undamaged files \(traceback\)"):
        prepare([reader(lambda: 1 // 0)], root, root.parent / "keep")
    nothing = Reader(name="none", files=("*.csv",), run=lambda: "x")
    with pytest.raises(UserError, match=r"reader 'none' has no file: \*\.csv stands for none"):
        prepare([nothing], root, root.parent / "keep2")


def test_mutations_are_shared_out_by_weight() -> None:
    readers = [Reader(name=str(weight), files=(), run=read_strictly, weight=weight) for weight in (2.0, 1.0, 0.01)]
    assert shares(readers, 100) == {"2.0": 66, "1.0": 33, "0.01": 1}
    assert sum(shares(READERS, 2000).values()) == 2000
    assert min(shares(READERS, 2000).values()) >= 1
