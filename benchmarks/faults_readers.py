"""Every reader of files: what is mutated is one of the files that it reads."""

from __future__ import annotations

from pathlib import Path

from benchmarks.faults_compare import digest
from benchmarks.faults_read_features import FEATURES
from benchmarks.faults_read_lists import LISTS
from benchmarks.faults_read_models import MODELS
from benchmarks.faults_read_runs import RUNS
from benchmarks.faults_read_videos import VIDEOS
from benchmarks.faults_reader import Reader

READERS: tuple[Reader, ...] = (*MODELS, *FEATURES, *LISTS, *VIDEOS, *RUNS)
"""In no order that matters."""


def files_of(reader: Reader, root: Path) -> list[Path]:
    """The files that a reader's patterns stand for, in an order that does not hang on where the world lies: names of
    caches do. Empty ones are no file to damage.
    """
    found = {path for pattern in reader.files for path in root.glob(pattern)}
    return sorted((path for path in found if path.is_file() and path.stat().st_size), key=digest)
