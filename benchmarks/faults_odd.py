"""Odd and broken files of real collections: the frames that FFmpeg decodes, or a reason; never a hang."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import faults_children as children
from pretrain.data.video import probe, stream_frames

LIMITS = children.Limits(cpu_seconds=60, wall_seconds=120, idle_seconds=20, memory_mb=2048)
FOLDER, INDEX = "odd_videos", "index.csv"


@dataclass(frozen=True, kw_only=True)
class OddFile:
    """One file and what came of reading it."""

    file: str
    frames: int | None
    """That FFmpeg decodes; None where it decodes none."""
    outcome: children.Outcome

    @property
    def key(self) -> str:
        """What `--only` takes."""
        return f"odd:{self.file}"

    @property
    def result(self) -> str:
        """`the same`, `message`, `other frames`, or how it fell."""
        if self.outcome.kind != "data":
            return self.outcome.kind
        return "the same" if self.outcome.value == {"frames": self.frames} else "other frames"

    @property
    def fell(self) -> bool:
        """Neither its frames nor a reason; a reason for a file that FFmpeg reads whole is one all the same."""
        return self.result not in ("the same", "message")


def missing(data: Path) -> str:
    """Why nothing can be tried; an empty string where it can."""
    index = data / FOLDER / INDEX
    return "" if index.is_file() else f"skipped: there is no {index} (--data names the folder of the real data)"


def listed(data: Path) -> dict[str, int | None]:
    """File -> frames that FFmpeg decodes, None where it decodes none."""
    with open(data / FOLDER / INDEX, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {row["file"]: int(row["frames_decoded_by_ffmpeg"] or 0) or None for row in rows}


def count_frames(path: Path) -> dict[str, int]:
    """Frames as the product gives them, each decoded; what it says beforehand must be what comes."""
    stated = probe(path).num_frames
    decoded = sum(1 for _ in stream_frames(path, range(stated), size=(24, 32)))
    assert decoded == stated, f"{stated} frames were announced, {decoded} came"
    return {"frames": decoded}


def try_files(data: Path, root: Path, names: dict[str, int | None]) -> Iterator[OddFile]:
    """Read each file to its end, in a child that stands in `root`."""
    for name, frames in names.items():
        path = (data / FOLDER / name).resolve()
        outcome = children.run_child(lambda path=path: count_frames(path), root, LIMITS)  # type: ignore[misc]
        yield OddFile(file=name, frames=frames, outcome=outcome)
