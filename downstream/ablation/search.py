"""A choice among the cells of a grid in which no test video takes part: nested hold-out on training videos.

    OUT/search/part-K/videos.json    the training videos that are not held out; no span, no test video
    OUT/search/part-K/cells/...      every cell trained on these, with validation videos of its own among them
    OUT/search.json, search.md       how well each tells the held-out videos apart, which is chosen, what that is worth

What is known of training videos is one label each, so the figure is that of whole videos: the AUC of `video_score`, of
all seeds as one detector. It says which video, and nothing of when in it.

The plain base of the grid is chosen unless another cell is above it by more than the standard error of their
differences over the parts. What the choosing itself is worth is said by nesting: in each part the cell is taken that
the *inner* validation videos like best, and measured on the videos that were held out from all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from downstream.ablation.config import AblationConfig
from downstream.ablation.grid import Cell, Failure, refuse_other_settings
from downstream.ablation.results import validation_auc
from downstream.ablation.train import none_left, prepare_cells, train
from downstream.detector.inference import score_videos, video_score
from downstream.detector.storage import load_detector
from downstream.evaluation.choose_videos import open_listed
from downstream.evaluation.curves import roc_auc
from downstream.features.fusion import FusedFeatures
from downstream.scores.ensemble import ensemble
from downstream.scores.score_file import ScoreFile
from downstream.training.config import MAX_SEED
from downstream.training.feature_source import open_features, without_features
from downstream.training.split import split_training
from pretrain.data.catalogue import Catalogue, CatalogueConfig, Video
from pretrain.data.catalogues.json_file import FORMAT as VIDEOS_FORMAT
from pretrain.errors import UserError
from pretrain.files import write_json, write_text

FORMAT = "anomaly-pretext/search/1"
FIRST_SEED = 1_000_003
"""Parts are cut by other seeds than the validation videos inside them."""


class Part(NamedTuple):
    """One way to hold training videos out."""

    number: int
    catalogue: CatalogueConfig
    held_out: Catalogue


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """What one cell came to."""

    cell: Cell
    held_out: NDArray[np.float64]
    """(parts,): AUC of the videos that were held out."""
    validation: NDArray[np.float64]
    """(parts,): that of the validation videos inside, the mean over seeds."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Search:
    """All cells, the chosen one, and what choosing like this is worth."""

    found: Sequence[Found]
    base: Found
    chosen: Found
    parts: Sequence[Part]

    @property
    def to_compare(self) -> list[Cell]:
        """On the test videos: the plain base, and what was chosen."""
        return [each.cell for each in dict.fromkeys((self.base, self.chosen))]

    @property
    def nested(self) -> NDArray[np.float64]:
        """(parts,): of the cell that the validation videos inside each part like best, its AUC on those held out."""
        inner = np.stack([each.validation for each in self.found])
        outer = np.stack([each.held_out for each in self.found])
        return outer[inner.argmax(axis=0), np.arange(len(self.parts))]

    def as_json(self) -> dict[str, Any]:
        """For `search.json`."""
        rows = [
            {
                "cell": each.cell.name,
                "held_out_video_auc": each.held_out.tolist(),
                "validation_video_auc": each.validation.tolist(),
                "less_base": difference(each, self.base)._asdict(),
            }
            for each in self.found
        ]
        return {
            "format": FORMAT,
            "parts": [
                {"number": part.number, "held_out": [video.name for video in part.held_out]} for part in self.parts
            ],
            "rows": rows,
            "base": self.base.cell.name,
            "chosen": self.chosen.cell.name,
            "nested_video_auc": self.nested.tolist(),
        }

    def markdown(self) -> str:
        """A table, and what follows from it."""
        lines = ["| | held-out videos, video AUC | less the base | validation inside |", "|---|---|---|---|"]
        for each in self.found:
            less = difference(each, self.base)
            told = "" if each is self.base else f"{less.mean:+.3f} ± {less.standard_error:.3f}"
            name = f"**{each.cell.name}**" if each is self.chosen else each.cell.name
            lines.append(f"| {name} | {each.held_out.mean():.3f} | {told} | {each.validation.mean():.3f} |")
        return "\n".join([*lines, "", *self.notes()]) + "\n"

    def notes(self) -> list[str]:
        """Sentences."""
        count = sum(len(part.held_out) for part in self.parts) / len(self.parts)
        nested = difference_of(self.nested, self.base.held_out)
        why = (
            "no cell is above the plain base by more than its standard error, so that stays"
            if self.chosen is self.base
            else "the highest of those that are above the plain base by more than their standard error"
        )
        return [
            f"{len(self.parts)} times about {count:.0f} training videos held out by whole groups; ± is the standard "
            "error of the difference over these. No test video and no span was read.",
            f"Chosen: {self.chosen.cell.name}: {why}.",
            f"Choosing by validation videos inside each part gives {self.nested.mean():.3f} on those held out from all "
            f"of it, {nested.mean:+.3f} ± {nested.standard_error:.3f} against the base.",
        ]


class Less(NamedTuple):
    """A difference over parts."""

    mean: float
    standard_error: float


def difference(one: Found, other: Found) -> Less:
    """Of the held-out videos' AUC, paired over parts."""
    return difference_of(one.held_out, other.held_out)


def difference_of(one: NDArray[np.float64], other: NDArray[np.float64]) -> Less:
    """(parts,), (parts,), parts >= 2."""
    less = one - other
    return Less(float(less.mean()), float(less.std(ddof=1) / np.sqrt(len(less))))


def search(cells: Sequence[Cell], config: AblationConfig, failures: list[Failure]) -> Search:
    """Train every cell on every part, choose, write down. UserError: no cell is left, too few videos to hold out."""
    parts = hold_out(config)
    of_parts = [cells_of(part, cells, config) for part in parts]
    for own in of_parts:
        refuse_other_settings(own)
    before = len(failures)
    kept = list(range(len(cells)))
    for own in of_parts:  # what does not fit one part is told once
        fine, _ = prepare_cells([own[index] for index in kept], failures)
        folders = {cell.config.output for cell in fine}
        kept = [index for index in kept if own[index].config.output in folders]
    if kept:
        train([own[index] for own in of_parts for index in kept], config, failures)
    seeds = config.finetune.seeds
    whole = [index for index in kept if all(own[index].done(seed) for own in of_parts for seed in seeds)]
    found = [measured(cells[index], [own[index] for own in of_parts], parts, seeds) for index in whole]
    if not found:
        raise none_left("no cell of the search could be trained on every part", failures[before:])
    searched = choose(found, parts)
    out = config.finetune.output
    write_json(out / "search.json", searched.as_json())
    write_text(out / "search.md", searched.markdown())
    print(f"{searched.markdown()}\nwritten to {out}: search.json, search.md\n", flush=True)
    return searched


def hold_out(config: AblationConfig) -> list[Part]:
    """The parts, each with its list of videos written. UserError: videos or labels that are too few."""
    plain = config.finetune
    training = open_listed(plain.catalogue).subset("train")
    parts = []
    for number in range(config.search):
        seed = (plain.split_seed + FIRST_SEED + number) % MAX_SEED
        rest, held_out = split_training(training, plain.validation_fraction, seed, plain.validation_by)
        file = plain.output / "search" / f"part-{number}" / "videos.json"
        write_json(file, {"format": VIDEOS_FORMAT, "videos": {video.name: entry_of(video) for video in rest}})
        catalogue = CatalogueConfig(kind="json", root=plain.catalogue.root, annotations=file, check_files=False)
        parts.append(Part(number, catalogue, held_out))
    return parts


def entry_of(video: Video) -> dict[str, Any]:
    """What a cell may know of a training video: nothing of when."""
    known = {"label": video.label, "group": video.group, "num_frames": video.num_frames, "fps": video.fps}
    return {"path": video.path, "split": "train"} | {key: value for key, value in known.items() if value is not None}


def cells_of(part: Part, cells: Sequence[Cell], config: AblationConfig) -> list[Cell]:
    """The same cells on the videos of one part."""
    out = config.finetune.output
    folder = out / "search" / f"part-{part.number}"
    return [
        replace(
            cell,
            config=replace(
                cell.config,
                output=folder / cell.config.output.relative_to(out),
                catalogue=part.catalogue,
                score_test=False,
                references=False,
            ),
        )
        for cell in cells
    ]


def measured(cell: Cell, own: Sequence[Cell], parts: Sequence[Part], seeds: Sequence[int]) -> Found:
    """`own`: that cell on each part."""
    features = open_features(cell.config.features)
    return Found(
        cell=cell,
        held_out=np.array([held_out_auc(one, part, features, seeds) for one, part in zip(own, parts, strict=True)]),
        validation=np.array([validation_auc(one, seeds).value for one in own]),
    )


def held_out_auc(cell: Cell, part: Part, features: FusedFeatures, seeds: Sequence[int]) -> float:
    """How well these seeds as one tell the held-out videos apart; a video that has no features is left out."""
    missing = without_features(features, [video.name for video in part.held_out if video.name not in features.videos])
    videos = part.held_out.without(set(missing))
    if {video.label for video in videos} != {0, 1}:
        raise UserError(f"part {part.number}: the held-out videos that have features are all of one class")
    names, cpu = [video.name for video in videos], torch.device("cpu")
    detectors = [load_detector(cell.run.seed(seed).detector)[0] for seed in seeds]
    # frames of training videos may be unknown: a snippet is a snippet
    files = [ScoreFile(score_videos(each, features, names, cpu, placed=False), {}) for each in detectors]
    scores = np.array([video_score(video.scores) for video in ensemble(files).videos])
    abnormal = np.array([video.label for video in videos], np.int64)
    return float(roc_auc(scores, abnormal, 1 - abnormal))


def choose(found: Sequence[Found], parts: Sequence[Part]) -> Search:
    """The highest of the cells that are above the plain base by more than the standard error of that; else the base.

    The plain base is the first cell without terms and variant, or where the grid has none the first cell.
    """
    base = next((each for each in found if each.cell.is_reference), found[0])
    above = [each for each in found if difference(each, base).mean > difference(each, base).standard_error]
    chosen = max(above, key=lambda each: float(each.held_out.mean()), default=base)
    return Search(found=found, base=base, chosen=chosen, parts=parts)
