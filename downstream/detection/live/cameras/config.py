"""What `watch` can be told on its command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pretrain.errors import UserError


@dataclass(frozen=True, kw_only=True)
class WatchConfig:
    """Watch several cameras in one process: scores, alarms and files of each, by one file that names them.

    Writes a folder for each camera, with events.jsonl, scores.csv, events.json and what is ordinary there. Exit status:
    0 however it was stopped, 1 where a camera never answered or was lost for good, 2 where the file is wrong.

        python scripts/watch.py cameras.yaml --check     # each is opened once, and told of
        python scripts/watch.py cameras.yaml             # until Ctrl-C or SIGTERM

    docs/cameras.md says what stands in the file.
    """

    cameras: Path
    """The file; as the first argument it needs no flag before it."""
    out: Path | None = None
    """Folder for everything that is written. Default: the file's `out`, or `watched` beside it."""
    check: bool = False
    """Read the file, open each camera once, say what there is, draw zones on a frame of each, and end."""
    json: bool = False
    """Print events as JSON objects, a line each, instead of words; everything else goes to stderr."""

    def require_file(self) -> None:
        """UserError where there is no file of cameras."""
        if not self.cameras.is_file():
            raise UserError(f"there is no file of cameras {self.cameras}; docs/cameras.md says what stands in one")


def watch_arguments(given: Sequence[str]) -> list[str]:
    """The command line with its first argument, where it is no flag, as that of `--cameras`."""
    rest = list(given)
    return ["--cameras", *rest] if rest and not rest[0].startswith("-") else rest
