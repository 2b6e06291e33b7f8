"""The detector on disk: its weights, and a card that says which features it takes. No pickle."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file

from downstream.detector.card_shape import CARD, LABEL_FREE, TRAINED
from downstream.detector.config import DetectorConfig
from downstream.detector.model import Detector
from downstream.detector.normal_config import NormalConfig
from downstream.detector.normal_detector import NormalDetector
from downstream.features.feature_spec import NOISE_FLOOR, FeatureSpec, Grid
from downstream.features.fusion import FusedFeatures, motion_columns
from downstream.features.places import Places, places_from
from downstream.features.store import FeatureSet
from pretrain.errors import UserError, problem_list
from pretrain.files import replacing, sha256_of, write_json
from pretrain.reading import LIST_BYTES, refuse_link_out
from pretrain.versioned_json import read_versioned_json
from pretrain.weight_files import read_safetensors, refuse_not_finite, stored_shapes

FORMAT = "anomaly-pretext/detector/3"
WEIGHTS_FILE, CARD_FILE = "detector.safetensors", "detector.json"


class StoredWith(NamedTuple):
    """How the features of one set were made and stored."""

    made_with: Mapping[str, Any] | None = None
    """The settings of the encoder; None where nobody knows."""
    dtype: str = "float32"
    places: Places | None = None
    """Where the encoder's files lie, from `folder`."""
    folder: Path = Path()

    @staticmethod
    def of(features: FeatureSet) -> StoredWith:
        """Of a set on disk."""
        return StoredWith(features.made_with, features.dtype, features.places, features.folder)


def save_detector(
    detector: Detector | NormalDetector,
    folder: Path,
    specs: Sequence[FeatureSpec],
    normalise: str,
    details: Mapping[str, Any],
    pool_cells: Grid | None = None,
    encoders: Sequence[StoredWith] | None = None,
) -> None:
    """Write `detector.safetensors` and its card `detector.json`, atomically, the card last.

    `specs`, `normalise` and `pool_cells` are those of the features it was trained on; `encoders`, for each spec: how
    its features were made and stored; `details` are JSON
    values for the card.
    """
    stored = encoders or [StoredWith()] * len(specs)
    with ExitStack() as renames:  # undone in reverse: the card is renamed last
        card = renames.enter_context(replacing(folder / CARD_FILE))
        weights = renames.enter_context(replacing(folder / WEIGHTS_FILE))
        save_file({key: value.detach().cpu().contiguous() for key, value in detector.state_dict().items()}, weights)
        write_json(
            card,
            {
                "format": FORMAT,
                "config": dataclasses.asdict(detector.config),
                "dim": detector.dim,
                **_own_fields(detector),
                "features": {
                    "specs": [spec.as_json() for spec in specs],
                    "normalise": normalise,
                    "pool_cells": pool_cells,
                    "made_with": [each.made_with for each in stored],
                    "places": [places_from(each.folder, each.places, folder) for each in stored],
                    "dtypes": [each.dtype for each in stored],
                },
                **details,
                "sha256": sha256_of(weights),
            },
        )


def _own_fields(detector: Detector | NormalDetector) -> dict[str, Any]:
    """What is of one kind of detector alone."""
    if isinstance(detector, NormalDetector):
        return {"kind": LABEL_FREE, "members": len(detector.members), "cameras": list(detector.cameras)}
    return {"kind": TRAINED, "guidance": detector.guidance, "cluster_temperature": detector.cluster_temperature}


def _of_card(card: Mapping[str, Any], weights: Collection[str]) -> Detector | NormalDetector:
    """A detector of the shape that a card tells; `weights`: names of those in its file."""
    motion = motion_columns(specs_of(card))
    if card["kind"] == LABEL_FREE:
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in card["config"].items()
        }
        values.setdefault("motion_floor", NOISE_FLOOR)  # of cards of before: what features have is all there was
        cameras = card.get("cameras", ())
        return NormalDetector(NormalConfig(**values), card["dim"], card["members"], grid_of(card), motion, cameras)
    config, guidance = DetectorConfig(**card["config"]), card["guidance"]
    if grid_of(card) is not None and "composition.values" not in weights:  # of before cells were composed
        config = dataclasses.replace(config, composition="none")
    return Detector(config, card["dim"], guidance, card["cluster_temperature"], grid_of(card), motion)


def load_detector(folder: Path) -> tuple[Detector | NormalDetector, dict[str, Any]]:
    """The detector in evaluation mode, and its card. `folder` is a detector's, or a seed's of a run.

    UserError where it is missing, damaged, or of another format.
    """
    if not (folder / CARD_FILE).exists() and (folder / "detector" / CARD_FILE).exists():
        folder = folder / "detector"
    card = read_card(folder)
    file = folder / WEIGHTS_FILE
    refuse_link_out(folder, file, f"the weights of {folder}")
    try:
        if sha256_of(file) != card["sha256"]:
            raise UserError(
                f"{file} is not the file its card describes: damaged, or replaced by another; copy both again"
            )
        _refuse_other_sizes(card, file)
        weights, _ = read_safetensors(file)
        detector = _of_card(card, weights)
        refuse_not_finite(weights, str(file))
        detector.load_state_dict(weights)
    except (OSError, RuntimeError, KeyError, TypeError) as error:
        raise UserError(f"{folder} holds no whole detector ({' '.join(str(error).split())}); train it again") from error
    return detector.eval(), card


def _refuse_other_sizes(card: Mapping[str, Any], file: Path) -> None:
    """UserError where the card asks for a network of other sizes than the weights have, before it takes memory."""
    stored = stored_shapes(file, "weights")
    with torch.device("meta"):
        wanted = {key: tuple(value.shape) for key, value in _of_card(card, stored).state_dict().items()}
    wrong = sorted(key for key in stored.keys() | wanted.keys() if stored.get(key) != wanted.get(key))
    if wrong:
        key = wrong[0]
        raise UserError(
            f"{file} does not go with its card: {len(wrong)} tensor(s) differ, first '{key}', "
            f"{stored.get(key, 'none')} in the file and {wanted.get(key, 'none')} on the card; copy both again"
        )


def load_trained(folder: Path) -> tuple[Detector, dict[str, Any]]:
    """As `load_detector`; UserError too where it was not trained on labels."""
    detector, card = load_detector(folder)
    if not isinstance(detector, Detector):
        raise UserError(
            f"{folder} holds a label-free detector, of scripts/fit_normal.py; give one of scripts/finetune.py"
        )
    return detector, card


def read_card(folder: Path) -> dict[str, Any]:
    """The card of a detector; UserError where there is none or it is of another format."""
    file = folder / CARD_FILE
    if not file.is_file():
        raise UserError(
            f"there is no detector in {folder}: no {CARD_FILE}; scripts/finetune.py writes OUTPUT/seed-N/detector"
        )
    refuse_link_out(folder, file, f"the card of {folder}")
    return read_versioned_json(file, "the card", FORMAT, "train the detector again", CARD, LIST_BYTES)


def seen_in_training(card: Mapping[str, Any]) -> set[str]:
    """Names of the videos that the detector, or a teacher of its, was trained on or selected by."""
    return {str(name) for key in ("trained_on", "selected_on", "taught_on") for name in card.get(key) or ()}


def specs_of(card: Mapping[str, Any]) -> list[FeatureSpec]:
    """What the features are that a detector was trained on, one for each fused set."""
    return [FeatureSpec.from_json(values) for values in card["features"]["specs"]]


def grid_of(card: Mapping[str, Any]) -> Grid | None:
    """Rows and columns of the cells a detector scores; None where it scores whole snippets."""
    pooled = card["features"].get("pool_cells")
    return tuple(pooled) if pooled else next((spec.grid for spec in specs_of(card) if spec.grid is not None), None)


def refuse_other_features(card: Mapping[str, Any], source: FusedFeatures) -> None:
    """UserError saying what differs where `source` is not what the detector was trained on.

    Crops, their margin and the tail rule may differ (`FeatureSpec.encoding_differences`): crops are averaged, and what
    is one snippet more is one score more.
    """
    trained = specs_of(card)
    problems = []
    if len(trained) != len(source.specs):
        problems.append(f"it was trained on {len(trained)} fused set(s), {len(source.specs)} were given")
    for number, (mine, theirs) in enumerate(zip(trained, source.specs, strict=False), start=1):
        problems += [f"set {number}, {text} (detector, features)" for text in mine.encoding_differences(theirs)]
    if card["features"]["normalise"] != source.normalise:
        problems.append(f"normalise: {card['features']['normalise']!r}, {source.normalise!r} (detector, features)")
    if grid_of(card) != source.grid:
        problems.append(f"cells: {grid_of(card)}, {source.grid} (detector, features)")
    if problems:
        raise UserError(
            f"the detector was trained on other features:\n{problem_list(problems)}\n"
            "Give it features of the same encoder, weights and preprocessing, in the same order"
        )
