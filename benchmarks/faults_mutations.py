"""Mutations of everything that is read: a message, or the right data; never a traceback, a hang, or frames of others.

A mutation is told by its reader and number: reader, file and damage follow from these and the seed. After each the
world is what it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

import numpy as np

from benchmarks import faults_children as children
from benchmarks.faults_folders import copy, sync
from benchmarks.faults_mutators import mutate
from benchmarks.faults_reader import Reader
from benchmarks.faults_readers import files_of
from pretrain.errors import UserError

LIMITS = children.Limits(cpu_seconds=20, wall_seconds=60, idle_seconds=10, memory_mb=1024)
PATIENT = children.Limits(cpu_seconds=100, wall_seconds=300, memory_mb=None)
Result = Literal["message", "the same", "other data", "wrong frames", "traceback", "silent", "hang", "memory", "crash"]
FALLEN: tuple[Result, ...] = ("traceback", "silent", "hang", "memory", "crash", "wrong frames")
"""What may not be: `wrong frames` is a cache that was believed."""


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """One damaged file and what came of reading it."""

    reader: str
    number: int
    file: str
    damage: str
    result: Result
    last_words: str
    """Of a traceback the exception."""

    @property
    def key(self) -> str:
        """What `--only` takes."""
        return f"mutation:{self.reader}:{self.number}"

    @property
    def fell(self) -> bool:
        """Whether it ended as nothing may end."""
        return self.result in FALLEN


def prepare(readers: Sequence[Reader], root: Path, keep: Path) -> dict[str, Any]:
    """What each reader needs of its own, then what it reads undamaged; the world is then copied to `keep`.

    UserError where a reader fails, has no file to damage, or does not read the same twice.
    """
    for reader in readers:
        if reader.prepare is not None:
            read_whole(reader.prepare, reader, root)
    for reader in readers:
        if reader.is_cache:
            read_whole(reader.run, reader, root)  # fills it
    copy(root, keep)
    truth = {}
    for reader in readers:
        truth[reader.name] = read_whole(reader.run, reader, root)
        sync(root, keep)
        if not files_of(reader, root):
            raise UserError(f"reader '{reader.name}' has no file: {', '.join(reader.files)} stands for none")
        if reader.is_cache and read_whole(reader.run, reader, root) != truth[reader.name]:
            raise UserError(f"reader '{reader.name}' does not read the same twice")
        sync(root, keep)
    return truth


def read_whole(work: Any, reader: Reader, root: Path) -> Any:
    """What it gives; UserError where an undamaged file makes it fail."""
    outcome = children.run_child(work, root, PATIENT)
    if outcome.kind != "data":
        raise UserError(f"reader '{reader.name}' fails on undamaged files ({outcome.kind}):\n{outcome.said[-2000:]}")
    return outcome.value


def try_mutation(reader: Reader, truth: Any, root: Path, keep: Path, seed: int, number: int) -> Mutation:
    """Damage one file, read, put everything back."""
    rng = np.random.default_rng([seed, crc32(reader.name.encode()), number])
    patterns = files_of(reader, root)
    files = patterns[int(rng.integers(len(patterns)))]  # a folder of many files is no likelier than one file
    file = files[int(rng.integers(len(files)))]
    damage = mutate(file, rng).strip()
    outcome = children.run_child(reader.run, root, LIMITS)
    sync(root, keep)
    return Mutation(
        reader=reader.name,
        number=number,
        file=str(file.relative_to(root)),
        damage=damage,
        result=result_of(outcome, reader, truth),
        last_words=outcome.last_words,
    )


def result_of(outcome: children.Outcome, reader: Reader, truth: Any) -> Result:
    """What a child's end means."""
    if outcome.kind != "data":
        return outcome.kind
    if outcome.value == truth:
        return "the same"
    return "wrong frames" if reader.is_cache else "other data"


def shares(readers: Sequence[Reader], total: int) -> dict[str, int]:
    """How many mutations each reader gets: by weight, at least one, `total` together where that is possible."""
    weights = np.array([reader.weight for reader in readers])
    counts = np.maximum(1, np.floor(weights / weights.sum() * total)).astype(int)
    order = np.argsort(-weights, kind="stable")
    for place in range(max(0, total - int(counts.sum()))):
        counts[order[place % len(readers)]] += 1
    return {reader.name: int(count) for reader, count in zip(readers, counts, strict=True)}


def kinds(mutations: Sequence[Mutation]) -> Mapping[str, list[Mutation]]:
    """Fallen mutations by what is the same about them: the result, the reader, the exception's first words."""
    found: dict[str, list[Mutation]] = {}
    for mutation in mutations:
        if mutation.fell:
            exception = mutation.last_words.partition(":")[0] if mutation.result == "traceback" else ""
            found.setdefault(f"{mutation.result}, {mutation.reader}: {exception}".rstrip(": "), []).append(mutation)
    return found
