"""A fine-tuning run's folder: what lies where in it. Nobody else builds a path below one.

RUN/config.json                  the settings, flat
RUN/summary.json                 every seed's summary, and the evaluation of the test videos
RUN/seed-0/                      one seed, a `SeedFolder`:
    detector/                    the selected detector and its card (trained end to end: with its backbone)
    checkpoints/                 training states
    log.jsonl, inputs.json       the log; what it is trained on, to tell a changed set
    summary.json                 there once the seed is done
    test_scores.json             and validation_scores.json; of cells also *_maps.safetensors
    output.log                   of an ablation: what its worker printed
RUN/references/                  scores that need no learning, of the test videos: a score file each
RUN/evaluation/                  evaluation.json, tables, plots
RUN/localisation/                where: a `LocalisationFolder`
RUN/calibration.json             a threshold for somebody's cameras
RUN/report.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from downstream.detector.storage import CARD_FILE, seen_in_training
from downstream.runs.localisation_folder import LocalisationFolder
from downstream.runs.seed_folder import SeedFolder, read_document
from downstream.scores.score_file import ScoreFile, read_scores, write_scores
from downstream.scores.supervision import Supervision, most_told, supervision_in
from downstream.scores.video_scores import VideoScores
from pretrain.cli import flags_of, parse
from pretrain.data.catalogue import Catalogue, CatalogueConfig
from pretrain.data.validation_split import refuse_overlap_names
from pretrain.errors import UserError, problem_list
from pretrain.files import write_json
from pretrain.path_words import what_is_at
from pretrain.run_folder import CONFIG_FILE, as_json

CALIBRATION_FILE = "calibration.json"
"""Beside detectors: in a run's folder, and in a package."""


@dataclass(frozen=True)
class _Trained:
    """The part of a run's settings that other commands take over."""

    catalogue: CatalogueConfig = field(default_factory=CatalogueConfig)


@dataclass(frozen=True)
class RunFolder:
    """A run's folder; reading methods also take one seed's own folder, as a run with that seed alone."""

    path: Path

    @property
    def config_file(self) -> Path:
        """The settings."""
        return self.path / CONFIG_FILE

    @property
    def evaluation(self) -> Path:
        """Folder of the test videos' evaluation."""
        return self.path / "evaluation"

    @property
    def references(self) -> Path:
        """Folder of reference scores of the test videos; of one seed's own folder, its run's."""
        run = self.path.resolve().parent if self._is_one_seed else self.path
        return run / "references"

    @property
    def localisation(self) -> LocalisationFolder:
        """Where anomalies are."""
        return LocalisationFolder(self.path / "localisation")

    @property
    def calibration(self) -> Path:
        """A threshold for somebody's cameras."""
        return self.path / CALIBRATION_FILE

    @property
    def report(self) -> Path:
        """The HTML page."""
        return self.path / "report.html"

    def seed(self, seed: int | str) -> SeedFolder:
        """The folder of one seed, there or not."""
        return SeedFolder(self.path / f"seed-{seed}")

    def seeds(self) -> list[SeedFolder]:
        """Those that are there, in order; of one seed's own folder, itself."""
        own = SeedFolder(self.path)
        if own.has_scores("test") or own.has_detector:
            return [own]
        folders = sorted(self.path.glob("seed-*"), key=lambda folder: (len(folder.name), folder.name))
        return [SeedFolder(folder) for folder in folders]

    @property
    def is_begun(self) -> bool:
        """Whether any seed has trained."""
        return any(seed.log.exists() for seed in self.seeds())

    @property
    def is_summarised(self) -> bool:
        """Whether all seeds that were asked for are done."""
        return (self.path / "summary.json").exists()

    def read_config(self) -> dict[str, Any] | None:
        """The settings, flat; None where none were saved. UserError where they are damaged."""
        return read_document(self.config_file) if self.config_file.is_file() else None

    def write_config(self, config: Any) -> None:
        """`config`: nested dataclasses."""
        write_json(self.config_file, as_json(config))

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Of all seeds."""
        write_json(self.path / "summary.json", dict(summary))

    def catalogue_flags(self) -> list[str]:
        """The catalogue that the run was trained with, as flags; none where no settings were saved."""
        return self.settings_flags("catalogue.")

    def settings_flags(self, prefix: str | tuple[str, ...]) -> list[str]:
        """The run's settings whose name begins so, as flags; none where no settings were saved."""
        saved = self.read_config() or {}
        own = {key: value for key, value in saved.items() if key.startswith(prefix) and value is not None}
        return flags_of(own)

    def catalogue(self) -> CatalogueConfig:
        """The catalogue that the run was trained with; UserError where the folder is none of a run."""
        if not self.config_file.is_file():
            self._refuse_one_seed()
            if not self.path.is_dir():
                raise UserError(f"{what_is_at(self.path)}: give a run folder of scripts/finetune.py")
            raise UserError(f"{self.path} holds no config.json: give a run folder of scripts/finetune.py")
        return parse(_Trained, self.catalogue_flags(), self.config_file.name).catalogue

    def catalogue_unless(self, given: CatalogueConfig) -> CatalogueConfig:
        """The catalogue that was given; the run's own where nothing was."""
        return self.catalogue() if given == CatalogueConfig() else given

    def test_scores(self) -> dict[str, ScoreFile]:
        """Seed -> scores of the test videos. UserError: no run folder, or seeds that are not finished."""
        if not self.path.is_dir():
            raise UserError(f"{what_is_at(self.path)}: give a run folder of scripts/finetune.py, or a score file")
        seeds = self.seeds()
        if not seeds:
            raise UserError(f"{self.path} holds no seed-*/test_scores.json: it is no run folder of scripts/finetune.py")
        if unfinished := [str(seed.path) for seed in seeds if not seed.has_scores("test")]:
            raise UserError(
                f"{self.path}: seeds without test_scores.json; finish them with the same command and --resume, or "
                f"remove them:\n{problem_list(unfinished)}"
            )
        return {seed.seed: seed.read_scores("test") for seed in seeds}

    def test_maps(self) -> dict[str, ScoreFile]:
        """`test_scores`, with the maps of detectors of cells: taken as one, they are averaged cell by cell."""
        scores, seeds = self.test_scores(), self.seeds()
        if not all(seed.has_maps("test") for seed in seeds):
            return scores
        return {seed.seed: seed.read_maps("test") for seed in seeds}

    def write_reference(self, name: str, scored: Sequence[VideoScores], meta: Mapping[str, Any]) -> None:
        """Scores of the test videos that need no learning, under a name such as `feature_change`."""
        write_scores(self._reference(name), scored, meta)

    def has_references(self, names: Sequence[str]) -> bool:
        """Whether all of these were written."""
        return all(self._reference(name).is_file() for name in names)

    def read_references(self) -> dict[str, ScoreFile]:
        """Name -> scores, by name; empty where none were written. UserError as `scores.score_file.read_scores`."""
        return {file.stem: read_scores(file) for file in sorted(self.references.glob("[!.]*.json"))}

    def _reference(self, name: str) -> Path:
        return self.references / f"{name}.json"

    def score_maps(self) -> dict[str, tuple[ScoreFile, ScoreFile]]:
        """Seed -> maps of the validation and of the test videos; UserError where the run has none."""
        self.test_scores()  # says what is wrong with a folder that is no finished run
        seeds = self.seeds()
        self._refuse_one_seed()
        bare = [seed.path.name for seed in seeds if not seed.has_maps("validation", "test")]
        if len(bare) == len(seeds):
            raise UserError(
                f"{self.path} holds no score maps: its features are of whole pictures. "
                "Extract cells (scripts/extract_features.py --grid map) and train on them (scripts/finetune.py)"
            )
        if bare:
            raise UserError(
                f"{self.path}: seeds without validation_maps.safetensors or test_maps.safetensors; train them again, "
                f"or remove them:\n{problem_list(bare)}"
            )
        return {seed.seed: (seed.read_maps("validation"), seed.read_maps("test")) for seed in seeds}

    def detectors(self) -> list[Path]:
        """Folders of the detectors, in the order of the seeds; a detector's own folder is one.

        UserError where a seed is not finished.
        """
        if (self.path / CARD_FILE).is_file():
            return [self.path]
        seeds = self.seeds()
        if missing := [str(seed.path) for seed in seeds if not seed.has_detector or not seed.is_done]:
            raise UserError(
                f"{self.path}: {len(missing)} of its seeds are not finished; finish them with the same command and "
                f"--resume, or remove them:\n{problem_list(missing)}"
            )
        return [seed.detector for seed in seeds]

    @property
    def _is_one_seed(self) -> bool:
        return any(seed.path == self.path for seed in self.seeds())

    def _refuse_one_seed(self) -> None:
        if self._is_one_seed:
            raise UserError(f"{self.path} is a part of a run; give the folder that holds seed-* and config.json")

    def seen_in_training(self) -> set[str]:
        """Names of the videos that its detectors were trained on or selected by, themselves or their teachers."""
        return {name for seed in self.seeds() for name in seen_in_training(seed.read_card())}

    def refuse_seen_in_training(self, videos: Catalogue) -> None:
        """UserError naming the videos that training has seen, before they are scored.

        Names are compared as in `pretrain.data.validation_split.refuse_overlap_names`. Folders without detectors pass.
        """
        refuse_overlap_names(self.seen_in_training(), videos, f"the training list of {self.path}")


def supervision_of(path: Path, files: Iterable[ScoreFile]) -> Supervision | None:
    """What the detectors of a run folder or of a score file were told; None where nobody says it.

    `files`: its scores. A run is of a ceiling as soon as one of its seeds is.
    """
    told = {supervision_in(file.meta) for file in files}
    if path.is_dir():  # cards of before there were ceilings say nothing
        cards = [seed.read_card() for seed in RunFolder(path).seeds()]
        told |= {supervision_in(card) or "videos" for card in cards if card}
    return most_told(said for said in told if said is not None)


def scores_by_seed(path: Path, *, maps: bool = False) -> dict[str, ScoreFile]:
    """Seed -> scores of the test videos, of a run folder or of one score file. UserError where it is neither.

    `maps`: with those of detectors of cells, as several detectors are taken as one by them.
    """
    if path.is_file():
        return {"0": read_scores(path)}
    return RunFolder(path).test_maps() if maps else RunFolder(path).test_scores()
