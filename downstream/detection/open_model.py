"""Opening what was trained: a run of scripts/finetune.py, one detector of it, or a package.

A detector's card says which features it takes and with which encoder they were made; the encoder is opened again and
must give features of the same kind, down to the hash of its weights. Detectors on one kind of features share it.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from downstream.detection.model import DetectorGroup, EncoderSource, Model
from downstream.detector.card_shape import ENCODER, MOST_SETS
from downstream.detector.snippet_detector import SnippetDetector
from downstream.detector.storage import CARD_FILE, load_detector, specs_of
from downstream.events.alarm_level import calibrated_scale
from downstream.events.default_rule import calibration_of, default_rule
from downstream.features.config import EncoderConfig, SnippetSettings
from downstream.features.encoders import Encoder, open_encoder
from downstream.features.feature_spec import FeatureSpec
from downstream.features.onnx_encoder import ONNX_PREFIX
from downstream.features.places import found_again
from downstream.features.zone_file import read_zones
from downstream.features.zones import Zones
from downstream.runs.run_folder import RunFolder
from downstream.scores.ensemble import weights_of_runs
from downstream.scores.supervision import supervision_in
from pretrain.backbones.shipped import SHIPPED
from pretrain.backbones.timm_frames import PREFIX
from pretrain.errors import UserError, nearest, problem_list
from pretrain.json_shapes import record, sequence, text, whole
from pretrain.names import shown, shown_list
from pretrain.path_words import what_is_at
from pretrain.reading import own_file, refuse_link_out
from pretrain.versioned_json import read_versioned_json

PACKAGE_FILE = "package.json"
ZONES_FILE = "zones.json"
"""Of a package, where it was made with zones."""
PACKAGE_FORMAT = "anomaly-pretext/package/1"
MOST_PARTS = 256
"""Detectors, and encoders, of one package: each takes its own memory."""
_NUMBERS = sequence(whole(0, MOST_PARTS), 1, MOST_SETS)
_ENTRY = record({"folder": text, "encoders": _NUMBERS}, {"run": whole(0, MOST_PARTS)})
_PACKAGE = record(
    {
        "encoders": sequence(ENCODER, 1, MOST_PARTS),
        "detectors": sequence(_ENTRY, 1, MOST_PARTS),
    }
)


class Trained(NamedTuple):
    """One detector with its card, and how the features that it takes are made."""

    folder: Path
    detector: SnippetDetector
    card: dict[str, Any]
    encoders: list[EncoderConfig]
    run: int = 0
    """Which run it is of, where a package holds several."""


def open_model(
    path: Path, backbones: Sequence[Path] = (), device: torch.device | None = None, *, calibrated: bool = True
) -> Model:
    """The model in `path`: a package, a run's folder (all its seeds together), a seed's or a detector's.

    `backbones`: where the backbones lie now, one for each fused feature set; default: where they were at extraction.
    `calibrated` off: as if there were no calibration beside it, since one is about to be made.
    UserError: nothing there, features that cannot be made again, a backbone with other weights.
    """
    return model_of(path, open_trained(path, backbones), device or torch.device("cpu"), calibrated=calibrated)


def model_of(path: Path, trained: Sequence[Trained], device: torch.device, *, calibrated: bool = True) -> Model:
    """The model of these detectors; `path` is what it is called, and where its calibration and zones lie."""
    on_same_features: dict[str, list[Trained]] = {}
    for detector in trained:
        on_same_features.setdefault(kind_of_features(detector.card), []).append(detector)
    opened: dict[str, Encoder] = {}
    groups = tuple(_detector_group(together, opened, device) for together in on_same_features.values())
    _refuse_mixture(list(on_same_features.values()), groups)
    trained = [detector for together in on_same_features.values() for detector in together]  # as the groups have them
    thresholds = [float(detector.card.get("threshold", 0.5)) for detector in trained]
    names = [detector.card["sha256"] for detector in trained]
    label_free = all(supervision_in(detector.card) == "none" for detector in trained)
    file = RunFolder(path).calibration if calibrated else None
    weights = weights_of_runs([detector.run for detector in trained])
    rule, source = default_rule(file, thresholds, names, label_free, weights)
    return Model(
        path=path,
        groups=groups,
        rule=rule,
        rule_from=source,
        device=device,
        zones=zones_of(path),
        levels=calibrated_scale(calibration_of(file, names, weights)),
    )


def kind_of_features(card: Mapping[str, Any]) -> str:
    """Equal for detectors that take the same features, down to the hash of their encoders, wherever these lie."""
    features = card["features"]
    return json.dumps([features[name] for name in ("specs", "dtypes", "normalise")] + [features.get("pool_cells")])


def zones_of(path: Path) -> Zones | None:
    """Those that a package brings."""
    if not (path / PACKAGE_FILE).is_file() or not os.path.lexists(path / ZONES_FILE):
        return None
    return read_zones(own_file(path, ZONES_FILE, f"the zones of {path}"))


def with_zones(model: Model, file: Path | None) -> Model:
    """The same with the zones of a file in place of its own; None: its own. UserError as `read_zones`."""
    return model if file is None else dataclasses.replace(model, zones=read_zones(file))


def with_camera(model: Model, camera: str | None) -> Model:
    """The same for the videos of one camera that its label-free detectors know; None: of any.

    UserError: they know no such camera.
    """
    if camera is None:
        return model
    known = known_cameras(model)
    if camera not in known:
        there = f"{nearest(camera, known)}; it knows {len(known)}: {shown_list(known)}" if known else "; it knows none"
        raise UserError(
            f"{model.path} does not know a camera '{shown(camera)}'{there}. scripts/fit_normal.py learns those that "
            "the catalogue names (group) and that have two videos or more. Without --camera videos of any are scored"
        )
    return of_camera(model, camera)


def of_camera(model: Model, camera: str) -> Model:
    """The same for the videos of one camera where it is known; of another, itself."""
    if camera not in known_cameras(model):
        return model
    groups = tuple(
        dataclasses.replace(group, detectors=tuple(detector.of_camera(camera) for detector in group.detectors))
        for group in model.groups
    )
    return dataclasses.replace(model, groups=groups, camera=camera)


def known_cameras(model: Model) -> list[str]:
    """Cameras that its detectors know of their own."""
    return sorted({name for detector in model.detectors for name in detector.cameras})


def detector_folders(path: Path) -> list[Path]:
    """Folders of the detectors in `path`, of a run in the order of the seeds; UserError where there is none."""
    if not path.is_dir():
        raise UserError(f"{what_is_at(path)}; give a run of scripts/finetune.py or scripts/fit_normal.py, or a package")
    folders = RunFolder(path).detectors()
    if not folders:
        raise UserError(
            f"{path} holds no detector: no {PACKAGE_FILE}, no {CARD_FILE}, no seed-*; give a run of "
            "scripts/finetune.py, or what scripts/package.py made of one"
        )
    return folders


def open_runs(runs: Sequence[Path], backbones: Sequence[Path] = ()) -> list[Trained]:
    """The detectors of one run or of several, each with its run's number; see `open_model`.

    UserError: `backbones` are given for several runs, whose encoders differ.
    """
    if len(runs) > 1 and backbones:
        raise UserError(
            f"--backbone is given for {len(runs)} runs, each with backbones of its own: package each by itself, with "
            "its --backbone, and give the packages"
        )
    opened = [((number, each.run), each) for number, run in enumerate(runs) for each in open_trained(run, backbones)]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(key for key, _ in opened))}
    return [each._replace(run=numbers[key]) for key, each in opened]


def open_trained(path: Path, backbones: Sequence[Path] = ()) -> list[Trained]:
    """The detectors in `path`, opened, and the settings of the encoders that they need; see `open_model`."""
    return list(_trained(path, backbones))


def open_detectors(path: Path) -> list[Trained]:
    """The detectors in `path`, whatever made the features that they take: imported ones too. Of a run without encoders.

    UserError as `open_model`, but for encoders: none is opened.
    """
    if (path / PACKAGE_FILE).is_file():
        return list(_of_package(path))
    return [Trained(folder, *load_detector(folder), []) for folder in detector_folders(path)]


def _trained(path: Path, backbones: Sequence[Path]) -> Iterator[Trained]:
    if (path / PACKAGE_FILE).is_file():
        if backbones:
            raise UserError(f"{path} is a package and brings its backbones: leave --backbone out")
        yield from _of_package(path)
        return
    for folder in detector_folders(path):
        detector, card = load_detector(folder)
        yield Trained(folder, detector, card, encoders_of(folder, card, backbones))


def _of_package(path: Path) -> Iterator[Trained]:
    file = path / PACKAGE_FILE
    refuse_link_out(path, file, f"the card of {path}")
    content = read_versioned_json(file, "the package", PACKAGE_FORMAT, "make the package again", _PACKAGE)
    configs = [_moved(EncoderConfig.from_json(values), path) for values in content["encoders"]]
    for entry in content["detectors"]:
        if wrong := [number for number in entry["encoders"] if number >= len(configs)]:
            raise UserError(f"{file} has no encoder {wrong[0]}; make the package again")
        detector, card = load_detector(own_file(path, entry["folder"], f"a detector of {file}"))
        if len(entry["encoders"]) != len(specs_of(card)):
            raise UserError(
                f"{file} gives {len(entry['encoders'])} encoder(s) to {entry['folder']}, which takes "
                f"{len(specs_of(card))} feature set(s); make the package again"
            )
        encoders = [configs[number] for number in entry["encoders"]]
        yield Trained(path / entry["folder"], detector, card, encoders, entry.get("run", 0))


def _moved(config: EncoderConfig, folder: Path) -> EncoderConfig:
    """Paths of a package count from its folder, and never lead out of it; it brings its weights."""
    file = folder / PACKAGE_FILE
    config = dataclasses.replace(config, download=False)
    if config.backbone.startswith(PREFIX):  # an image tower, known by its name
        if config.weights is None:
            raise UserError(f"{file} names '{config.backbone}' without weights; make the package again")
        return dataclasses.replace(config, weights=own_file(folder, str(config.weights), f"the weights of {file}"))
    if config.backbone.startswith(ONNX_PREFIX):
        inside = own_file(folder, config.backbone.removeprefix(ONNX_PREFIX), f"a network of {file}")
        return dataclasses.replace(config, backbone=f"{ONNX_PREFIX}{inside}")
    if config.weights is not None:
        raise UserError(f"{file} gives weights to '{config.backbone}', which brings its own; make the package again")
    if config.backbone == SHIPPED:
        return config
    return dataclasses.replace(config, backbone=str(own_file(folder, config.backbone, f"a backbone of {file}")))


def encoders_of(folder: Path, card: Mapping[str, Any], backbones: Sequence[Path] = ()) -> list[EncoderConfig]:
    """How the features were made that a detector takes, one encoder for each fused set.

    UserError: features that were imported, or whose maker did not write down with which encoder.
    """
    specs = specs_of(card)
    if backbones and len(backbones) != len(specs):
        raise UserError(f"{len(backbones)} --backbone for a detector on {len(specs)} fused set(s); give one for each")
    known = card["features"]["made_with"]
    places = card["features"].get("places") or [None] * len(specs)
    configs, problems = [], []
    for number, (spec, values) in enumerate(zip(specs, known, strict=True)):
        given = str(backbones[number]) if backbones else None
        if spec.weights_sha256 is None:
            problems.append(
                f"set {number + 1} ('{spec.encoder}', {spec.dim} numbers) was imported: nobody knows the network that "
                "made it. Import features of the new videos too, and score them with scripts/finetune.py"
            )
        elif values is None and given is None:
            problems.append(
                f"set {number + 1} ('{spec.encoder}') does not say where its backbone lies: give --backbone"
            )
        else:
            config = _from_spec(spec)
            if values is not None:
                config = found_again(EncoderConfig.from_json(values), folder, places[number])
            own = config.backbone
            if card.get("backbone"):
                own = str(own_file(folder, card["backbone"], f"the backbone of {folder / CARD_FILE}"))
            configs.append(dataclasses.replace(config, backbone=given or own))
    if problems:
        raise UserError(f"{folder}: the features it takes cannot be made of a video here:\n{problem_list(problems)}")
    return configs


def _from_spec(spec: FeatureSpec) -> EncoderConfig:
    """What the features themselves say of it; whether that is all is seen when the two specs are compared."""
    return EncoderConfig(
        height=spec.crop_height,
        width=spec.crop_width,
        clip_stride=spec.clip_stride,
        border_crop=spec.border_crop,
        pool=spec.pool or "mean",
        grid=spec.grid,
        stage=spec.stage,
        stages=spec.stages,
        motion=spec.motion,
    )


def _detector_group(trained: Sequence[Trained], opened: dict[str, Encoder], device: torch.device) -> DetectorGroup:
    card = trained[0].card
    features, specs = card["features"], specs_of(card)
    sources = []
    for config, spec, dtype in zip(trained[0].encoders, specs, features["dtypes"], strict=True):
        key = json.dumps(config.as_json())
        if key not in opened:
            opened[key] = open_encoder(config, fetch=False).to(device)
        settings = _settings(spec)
        if different := opened[key].spec(settings).differences(spec):
            raise UserError(
                f"{trained[0].folder} is a detector for other features than {config.backbone} makes (made, wanted):\n"
                f"{problem_list(different)}\nGive the backbone that it was trained with: --backbone"
            )
        sources.append(EncoderSource(encoder=opened[key], settings=settings, dtype=dtype))
    pooled = features.get("pool_cells")
    return DetectorGroup(
        sources=tuple(sources),
        normalise=features["normalise"],
        pool_cells=None if pooled is None else (int(pooled[0]), int(pooled[1])),
        detectors=tuple(each.detector.to(device) for each in trained),
        names=tuple(each.card["sha256"] for each in trained),
        runs=tuple(each.run for each in trained),
    )


def _settings(spec: FeatureSpec) -> SnippetSettings:
    crops: Any = len(spec.crops)
    return SnippetSettings(snippet_frames=spec.snippet_frames or 16, crops=crops, tail=spec.tail or "drop")


def _refuse_mixture(trained: Sequence[Sequence[Trained]], groups: Sequence[DetectorGroup]) -> None:
    """UserError where not all groups score the same snippets and cells, naming a detector of each of two."""
    scored = [_what_is_scored(group) for group in groups]
    if (other := next((number for number, what in enumerate(scored) if what != scored[0]), None)) is not None:
        raise UserError(
            f"{trained[0][0].folder} scores {scored[0]}, and {trained[other][0].folder} {scored[other]}: as one they "
            "would score different things. Give one seed's folder, or runs that score the same"
        )


def _what_is_scored(group: DetectorGroup) -> str:
    grid, lengths = group.detectors[0].grid, {source.settings.snippet_frames for source in group.sources}
    where = "whole pictures" if grid is None else f"{grid[0]}x{grid[1]} cells"
    return f"{where} of snippets of {' and '.join(map(str, sorted(lengths)))} frames"
