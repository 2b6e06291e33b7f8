"""What is ordinary for one camera, kept over gaps and restarts: the snippets that its scores are compared with.

A detector without labels compares with what a camera has shown of late. That goes on learning, less what alarmed, and
lies in a file of the camera's folder, so that a restart does not begin with nothing:

    OUT/NAME/ordinary.safetensors      at most the window's snippets: features and distances, no picture

What scores at least the rule's release is left out, for an anomaly must not become ordinary by lasting. But a camera
that was turned, or a night that is new to it, alarms without end: after `CHANGED_SHARE` of the window without a break,
what alarms is what it looks like now, and is learnt [ours, not studied].
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from downstream.detection.live.scorer import LiveScore, LiveScorer
from downstream.detection.model import Model
from downstream.events.rule import AlarmRule
from pretrain.data.video import VideoInfo
from pretrain.errors import UserError
from pretrain.files import replacing
from pretrain.reading import Unreadable
from pretrain.weight_files import read_safetensors

logger = logging.getLogger(__name__)

ORDINARY_FILE = "ordinary.safetensors"
FORMAT = "anomaly-pretext/ordinary/1"
SAVE_SECONDS = 60.0
"""Between two times that it is written; a kill loses no more."""
CHANGED_SHARE = 0.5
MOST_BYTES = 256 << 20
"""Of a file that is read: far more than any camera's."""


class Ordinary:
    """The memory of one camera's scorer, in a file."""

    def __init__(
        self, file: Path, scorer: LiveScorer, rule: AlarmRule, window_snippets: int, start: Path | None = None
    ) -> None:
        """`start`: another such file to begin with, where `file` is not there yet."""
        self.file = file
        self._scorer, self._rule, self._start = scorer, rule, start
        self._most_in_a_row = max(1, round(CHANGED_SHARE * window_snippets))
        self._in_a_row, self._of, self._due = 0, "", 0.0

    def begin(self, info: VideoInfo) -> str:
        """Go on from the file, for a stream that looks like this and before its first frame; what came of it, in
        words; empty where this detector compares with nothing. What cannot be used is said and begun anew."""
        if not self._scorer.compares:
            return ""
        self._of, self._due = identity(self._scorer.model, info), time.monotonic() + SAVE_SECONDS
        source = self.file if self.file.exists() or self._start is None else self._start
        if not source.exists():
            return "what is ordinary here is not known yet: it is learnt from now on"
        try:
            memory, age = read_ordinary(source, self._of)
            self._recall(memory, source)
        except UserError as error:
            return f"what was ordinary cannot be used: {error}; it is learnt from now on"
        snippets = max((len(rows) for rows in memory.values()), default=0)
        return f"goes on from what was ordinary {_ago(age)} ago: {snippets} snippets in {source}"

    def _recall(self, memory: Mapping[str, NDArray[Any]], source: Path) -> None:
        """UserError: the file is of another detector with the same names."""
        try:
            self._scorer.recall(memory)
        except UserError as error:
            raise UserError(f"{source} does not fit ({error}); delete it") from error

    def take(self, score: LiveScore) -> str:
        """A score became known: what alarms is left out. A line to say, or nothing."""
        if not self._of or not score.is_settled or score.score < self._rule.release:
            self._in_a_row = 0
            return ""
        self._in_a_row += 1
        if self._in_a_row > self._most_in_a_row:
            is_first = self._in_a_row == self._most_in_a_row + 1
            return "it has looked unlike itself for so long that this is taken for ordinary now" if is_first else ""
        self._scorer.leave_out(score.start)
        return ""

    def save_if_due(self, now: float) -> None:
        """At `now` (`time.monotonic()`)."""
        if self._of and now >= self._due:
            self._due = now + SAVE_SECONDS
            self.save()

    def save(self) -> None:
        """Write it, atomically. A disk that takes no more is logged: watching goes on."""
        memory = self._scorer.memory() if self._of else {}
        if not memory:
            return
        tensors = {name: torch.from_numpy(values) for name, values in memory.items()}
        header = {"format": FORMAT, "of": self._of, "saved": repr(time.time())}
        try:
            with replacing(self.file) as temporary:
                save_file(tensors, temporary, header)
        except OSError as error:
            logger.warning("%s: %s; what is ordinary is not kept", self.file, error.strerror)


def identity(model: Model, info: VideoInfo) -> str:
    """Tells memories of other detectors, networks, zones or picture sizes from this one."""
    content: list[Any] = [model.names, [source.encoder.weights_sha256 for source in model.sources]]
    content += [[source.settings.snippet_frames, source.settings.crops] for source in model.sources]
    content += [None if model.zones is None else model.zones.as_json(), [info.width, info.height]]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def read_ordinary(file: Path, of: str) -> tuple[Mapping[str, NDArray[Any]], float]:
    """What `Ordinary.save` wrote, and how many seconds ago; UserError where it is damaged or not `of` this."""
    try:
        if file.stat().st_size > MOST_BYTES:
            raise UserError(f"{file} is larger than any such file; delete it")
        tensors, header = read_safetensors(file, "what is ordinary for a camera")
    except (OSError, Unreadable) as error:
        raise UserError(f"{file} cannot be read ({error})") from error
    if header.get("format") != FORMAT:
        raise UserError(f"{file} is not of the form {FORMAT}")
    if header.get("of") != of:
        raise UserError(f"{file} is of another detector, other zones or another size of picture")
    try:
        memory = {name: tensor.numpy() for name, tensor in tensors.items()}
        saved = float(header.get("saved", ""))
    except (TypeError, ValueError):  # numpy has no bfloat16
        raise UserError(f"{file} is damaged; delete it") from None
    rows = memory.values()
    if (
        not memory
        or not math.isfinite(saved)
        or any(r.ndim != 3 or not r.size or not np.isfinite(r).all() for r in rows)
    ):
        raise UserError(f"{file} is damaged; delete it")
    return memory, max(0.0, time.time() - saved)


def _ago(seconds: float) -> str:
    for unit, length in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
