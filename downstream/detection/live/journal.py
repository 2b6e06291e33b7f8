"""What watching a stream leaves on disk: two journals that are whole at any time, and events.json at the end.

    events.jsonl    a JSON object when an event begins and when it ends; `kind` says which
    scores.csv      name,start,end,score: a line a snippet (frames half-open, counted from the stream's first)
    events.json     as of files (`downstream.detection.outputs`), written when the run ends; `boxes` of an event are
                    those of its highest snippet

An earlier run's files are never written over: where the folder holds any, a new one is made in it, `live-<time>`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from typing import Any

from downstream.detection.live.scorer import LiveScore
from downstream.detection.outputs import EVENTS, FRAME_SCORES, SCORES
from downstream.scores.score_file import CSV_COLUMNS
from pretrain.files import write_json

JOURNAL = "events.jsonl"


class Journal:
    """A new file that grows by whole lines: a line is there or it is not, also where the disk is full."""

    def __init__(self, path: Path) -> None:
        """FileExistsError where there is one already."""
        self.path = path
        self._file = open(path, "xb", buffering=0)  # noqa: SIM115 (closed by `close`)
        self._size = 0

    def append(self, line: str) -> None:
        """Write it, with its line break, at once. OSError naming the file; it then ends with the line before."""
        data = line.encode()
        try:
            written = self._file.write(data)
            while written < len(data):
                written += self._file.write(data[written:])
        except OSError as error:
            self._file.truncate(self._size)
            raise OSError(error.errno, error.strerror, str(self.path)) from error
        self._size += len(data)

    def close(self) -> None:
        self._file.close()


class LiveFiles:
    """The files of one run. A context manager: leaving it closes the journals."""

    def __init__(self, out: Path, name: str) -> None:
        """Claim a folder, `out` or a new one in it. `name`: of the stream, in the table of scores."""
        self.events = _claim(out)
        self.folder = self.events.path.parent
        self.name = name
        self._scores = Journal(self.folder / SCORES)
        self._scores.append(_row(CSV_COLUMNS))

    def __enter__(self) -> LiveFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self.events.close()
        self._scores.close()

    def add_score(self, score: LiveScore) -> None:
        """A line of the table, with all digits."""
        self._scores.append(_row((self.name, score.start, score.end, repr(score.score))))

    def add_event(self, record: dict[str, Any]) -> None:
        """A line of the journal."""
        self.events.append(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")

    def ended(self) -> Iterator[dict[str, Any]]:
        """The records of events that have ended, from the journal: nothing is kept in memory over days."""
        with open(self.events.path, encoding="utf-8") as lines:
            for line in lines:
                record = json.loads(line)
                if record["kind"] == "ended":
                    yield record

    def finish(self, content: dict[str, Any]) -> None:
        """Write events.json."""
        write_json(self.folder / EVENTS, content)


def _claim(out: Path) -> Journal:
    """The journal of events in a folder that holds no other run's files; made so that two runs never share one."""
    stamp = datetime.now().strftime("live-%Y%m%dT%H%M%S")
    own = [] if any((out / name).exists() for name in (EVENTS, SCORES, FRAME_SCORES, JOURNAL)) else [out]
    for folder in chain(own, [out / stamp], (out / f"{stamp}-{number}" for number in count(2))):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return Journal(folder / JOURNAL)
        except FileExistsError:
            continue
    raise AssertionError("the names never end")


def _row(values: tuple[Any, ...]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()
