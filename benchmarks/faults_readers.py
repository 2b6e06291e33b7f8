"""Every reader of files: what is mutated is one of the files that it reads."""

from __future__ import annotations

from pathlib import Path

from benchmarks.faults_compare import digest
from benchmarks.faults_read_cameras import CAMERAS
from benchmarks.faults_read_encoders import ENCODERS
from benchmarks.faults_read_features import FEATURES
from benchmarks.faults_read_foreign import FOREIGN
from benchmarks.faults_read_lists import LISTS
from benchmarks.faults_read_models import MODELS
from benchmarks.faults_read_runs import RUNS
from benchmarks.faults_read_videos import VIDEOS
from benchmarks.faults_reader import Reader

ALL_READERS: tuple[Reader, ...] = (*MODELS, *FEATURES, *LISTS, *VIDEOS, *RUNS, *FOREIGN, *ENCODERS, *CAMERAS)
"""In no order that matters."""
READERS = tuple(reader for reader in ALL_READERS if not reader.lacks)
"""Those whose packages are installed."""
LEFT_OUT = {reader.name: reader.lacks for reader in ALL_READERS if reader.lacks}


def files_of(reader: Reader, root: Path) -> list[list[Path]]:
    """The files that each pattern of a reader stands for, in an order that does not hang on where the world lies, as
    names of caches do. Empty ones are no file to damage; a pattern that stands for nothing is left out.
    """
    found = [
        [path for path in root.glob(pattern) if path.is_file() and path.stat().st_size] for pattern in reader.files
    ]
    return [sorted(paths, key=digest) for paths in found if paths]
