"""One seed's part of a fine-tuning run: `RUN/seed-0/` (what lies there: `runs.run_folder`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from downstream.detector.storage import CARD_FILE
from downstream.scores.map_file import read_maps, write_maps
from downstream.scores.score_file import ScoreFile, read_scores, write_scores
from downstream.scores.video_scores import VideoScores
from pretrain.files import write_json
from pretrain.json_shapes import Shape, anything, mapping, number, optional, record, sequence, text
from pretrain.run_folder import read_saved

_SUMMARY = record(
    {},
    {
        "validation": optional(record({}, {"video_auc": optional(number()), "threshold": optional(number())})),
        "unscored": mapping(mapping(text)),
    },
)
_CARD = record(
    {},
    {
        "trained_on": sequence(text),
        "selected_on": sequence(text),
        "taught_on": sequence(text),
        "sha256": text,
        "features": record({"specs": sequence(mapping())}),
    },
)
"""What is read of a card that need not be of this version."""
Part = Literal["validation", "test"]


@dataclass(frozen=True)
class SeedFolder:
    """One seed's part of a run."""

    path: Path

    @property
    def seed(self) -> str:
        """Its number, as text."""
        return self.path.name.removeprefix("seed-")

    @property
    def detector(self) -> Path:
        """Folder of the selected detector."""
        return self.path / "detector"

    @property
    def checkpoints(self) -> Path:
        """Folder of training states."""
        return self.path / "checkpoints"

    @property
    def log(self) -> Path:
        """JSON lines."""
        return self.path / "log.jsonl"

    @property
    def output(self) -> Path:
        """What a worker of an ablation printed."""
        return self.path / "output.log"

    @property
    def is_done(self) -> bool:
        """Whether it is trained and scored."""
        return self._summary.exists()

    @property
    def has_detector(self) -> bool:
        """Whether a detector was selected."""
        return (self.detector / CARD_FILE).is_file()

    @property
    def _summary(self) -> Path:
        return self.path / "summary.json"

    @property
    def _inputs(self) -> Path:
        return self.path / "inputs.json"

    def read_summary(self) -> dict[str, Any]:
        """What was written when it was done; UserError where that is damaged or not there."""
        return read_document(self._summary, _SUMMARY)

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """The last thing a seed writes."""
        write_json(self._summary, dict(summary))

    def read_inputs(self) -> dict[str, Any] | None:
        """What it is trained on, as `write_inputs` noted; None where nothing was."""
        return read_document(self._inputs, mapping(text)) if self._inputs.exists() else None

    def write_inputs(self, inputs: Mapping[str, str]) -> None:
        """Note what it is trained on."""
        write_json(self._inputs, dict(inputs))

    def read_card(self) -> dict[str, Any]:
        """The selected detector's card as it stands; empty where there is none."""
        file = self.detector / CARD_FILE
        return read_document(file, _CARD) if file.is_file() else {}

    def has_scores(self, part: Part) -> bool:
        """Whether videos of that part were scored."""
        return self._scores(part).is_file()

    def has_maps(self, *parts: Part) -> bool:
        """Whether there are score maps of all these parts: the detector scores cells."""
        return all(self._maps(part).is_file() for part in parts)

    def read_scores(self, part: Part) -> ScoreFile:
        """UserError as `scores.score_file.read_scores`."""
        return read_scores(self._scores(part))

    def read_maps(self, part: Part) -> ScoreFile:
        """Scores with maps; UserError as `scores.map_file.read_maps`."""
        return read_maps(self._maps(part))

    def write_scores(self, part: Part, scored: Sequence[VideoScores], meta: Mapping[str, Any]) -> None:
        """Scores, and maps where the detector scores cells."""
        write_scores(self._scores(part), scored, meta)
        if scored and all(video.map is not None for video in scored):
            write_maps(self._maps(part), scored, meta)

    def _scores(self, part: Part) -> Path:
        return self.path / f"{part}_scores.json"

    def _maps(self, part: Part) -> Path:
        return self.path / f"{part}_maps.safetensors"


def read_document(file: Path, shape: Shape = anything) -> dict[str, Any]:
    """A JSON file of a run; UserError where it is damaged or of another shape, with what to do about it."""
    return read_saved(file, "delete it and run the same command with --resume", shape)
