"""The command `check_videos`: its settings, the quarantine list, a table or JSON of what was found."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tqdm import tqdm

from pretrain.data.catalogue import CatalogueConfig, Video
from pretrain.data.catalogues import open_catalogue
from pretrain.data.check import CheckOptions, VideoReport, check_videos, write_quarantine
from pretrain.errors import UserError
from pretrain.names import shown

SHOWN_VIDEOS = 20


@dataclass(frozen=True, kw_only=True)
class CheckVideosConfig:
    """Decode every video once, say what is wrong with which, and fill the index cache that runs use.

    Found are: unreadable, encrypted and audio-only files; truncated or damaged ones; wrong frame counts; too short
    ones; files that the two readers read differently. Exit status: 0 all fine, 1 something was put on the quarantine
    list, 2 the command itself was wrong.

        python scripts/check_videos.py --catalogue.root data/videos --min-frames 64
        then:  data.quarantine: quarantine.txt  (pretraining),  --quarantine quarantine.txt  (extraction, proxies)
    """

    catalogue: CatalogueConfig = field(default_factory=CatalogueConfig)
    check: Annotated[CheckOptions, tyro.conf.arg(name="")] = field(default_factory=CheckOptions)
    splits: Literal["all", "train", "test"] = "all"
    out: Path = Path("quarantine.txt")
    """The quarantine list; written anew, empty but for a comment when all is fine."""
    cache: Path | None = None
    """Folder of caches, the same as pretraining's data.cache: packet indices are kept in its `index`. Default: they
    are not kept."""
    workers: int = os.cpu_count() or 1
    """Videos checked at a time, one process each."""
    json: bool = False
    """Print one JSON object instead of the table."""

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise UserError(f"workers is {self.workers}; it must be at least 1")


def check_catalogue(config: CheckVideosConfig) -> int:
    """Check, write the list, print the summary; 1 where a video was quarantined."""
    if config.check.compare_readers:
        _require_decord()
    catalogue = open_catalogue(config.catalogue)
    videos: list[Video] = [video for video in catalogue if config.splits in ("all", video.split)]
    if not videos:
        raise UserError(f"{catalogue.source}: no video of split '{config.splits}' to check")
    index = None if config.cache is None else config.cache / "index"
    reports = check_videos(videos, config.check, index, min(config.workers, len(videos)))
    done = sorted(
        tqdm(reports, total=len(videos), desc="checking", unit="video", disable=config.json or None),
        key=lambda report: report.name,
    )
    write_quarantine(config.out, done, catalogue.source)
    print(json.dumps(as_json(done, config), indent=2) if config.json else as_table(done, config))
    return 1 if any(report.problems for report in done) else 0


def _require_decord() -> None:
    try:
        import decord  # noqa: F401
    except ImportError:
        raise UserError(
            "--compare-readers needs decord, which is not installed; `pip install decord`, or leave it out"
        ) from None


def as_json(reports: Sequence[VideoReport], config: CheckVideosConfig) -> dict[str, object]:
    """Counts and every video's findings."""
    return {
        "videos": len(reports),
        "quarantined": sum(1 for report in reports if report.problems),
        "kinds": dict(_kinds(reports)),
        "quarantine": str(config.out),
        "reports": [asdict(report) for report in reports],
    }


def as_table(reports: Sequence[VideoReport], config: CheckVideosConfig) -> str:
    """Counts by kind, the first videos with problems, where the list is."""
    bad = [report for report in reports if report.problems]
    hours = sum(report.duration_seconds for report in reports) / 3600
    rows = [("videos checked", len(reports)), ("fine", len(reports) - len(bad)), *_kinds(reports).most_common()]
    rows += [(f"note: {note}", count) for note, count in _note_kinds(reports).most_common()]
    width = max(len(label) for label, _ in rows)
    lines = [f"  {label:<{width}}  {count:>7}" for label, count in rows]
    lines.append(f"{sum(report.num_frames for report in reports)} frames, {hours:.2f} hours")
    lines += [f"  {shown(report.name)}: {shown('; '.join(report.problems))}" for report in bad[:SHOWN_VIDEOS]]
    if len(bad) > SHOWN_VIDEOS:
        lines.append(f"  ... and {len(bad) - SHOWN_VIDEOS} more")
    lines.append(f"{len(bad)} of {len(reports)} videos quarantined, list: {config.out}")
    return "\n".join(lines)


def _kinds(reports: Sequence[VideoReport]) -> Counter[str]:
    return Counter(problem.partition(":")[0] for report in reports for problem in report.problems)


def _note_kinds(reports: Sequence[VideoReport]) -> Counter[str]:
    """Notes without their figures."""
    kinds = (
        "variable frame rate",
        "do not decode cleanly",
        "slow to read",
        "named like the images of",
        "changes its size",
    )
    return Counter(kind for report in reports for note in report.notes for kind in kinds if kind in note)
