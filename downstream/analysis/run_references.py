"""The reference scores of several runs as one list, and what to say where there are none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from downstream.runs.run_folder import RunFolder
from downstream.scores.score_file import ScoreFile


def references_of(inputs: Mapping[str, Path]) -> dict[str, ScoreFile]:
    """Title -> scores, of the inputs (method -> path) that are runs; what is the same in several stands once.

    Runs on other features have other references of one name: those are told apart by the method, in brackets.
    """
    found: dict[str, list[tuple[str, ScoreFile]]] = {}
    for method, path in inputs.items():
        for name, file in RunFolder(path).read_references().items() if path.is_dir() else ():
            known = found.setdefault(name.replace("_", " "), [])
            if not any(_same(file, other) for _, other in known):
                known.append((method, file))
    return {
        title if len(known) == 1 else f"{title} ({method})": file
        for title, known in found.items()
        for method, file in known
    }


def without_references(inputs: Mapping[str, Path]) -> list[str]:
    """How references are made, a sentence for each run that has none."""
    return [
        f"no reference scores stand beside '{method}': python scripts/reference_scores.py {path} [--motion] makes them"
        for method, path in inputs.items()
        if path.is_dir() and not RunFolder(path).read_references()
    ]


def _same(first: ScoreFile, second: ScoreFile) -> bool:
    return len(first.videos) == len(second.videos) and all(
        a.name == b.name and np.array_equal(a.edges, b.edges) and np.array_equal(a.scores, b.scores)
        for a, b in zip(first.videos, second.videos, strict=True)
    )
