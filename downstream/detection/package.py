"""A model in one folder that can be copied anywhere: backbones, detectors, calibration, one card. No pickle.

    PACKAGE/package.json            which encoders there are, and which detectors take their features
    PACKAGE/encoders/0/             a backbone as exported, or an image tower's weights
    PACKAGE/detectors/0/            detector.safetensors and its card
    PACKAGE/onnx/                   on request: the same as ONNX files (onnx_export)
    PACKAGE/calibration.json        where the run had one
    PACKAGE/zones.json              where it was given some
    PACKAGE/README.md               the card: what it is, how it was trained, how it is used

Nothing in it names a place on the machine it was made on. `open_model` takes the folder like a run.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import torch
from safetensors.torch import save_file

from downstream.detection.model import Model
from downstream.detection.onnx_export import export_model, only_group
from downstream.detection.open_model import (
    PACKAGE_FILE,
    PACKAGE_FORMAT,
    ZONES_FILE,
    Trained,
    known_cameras,
    model_of,
    open_model,
    open_runs,
    zones_of,
)
from downstream.detection.package_config import PackageConfig
from downstream.detector.storage import CARD_FILE, WEIGHTS_FILE, read_card, specs_of
from downstream.events.calibration_file import read_calibration, write_calibration
from downstream.features.cells import CellNetwork
from downstream.features.config import EncoderConfig
from downstream.features.encoders import Encoder, VideoNetwork, open_encoder
from downstream.features.feature_spec import WHERE_FROM, FeatureSpec
from downstream.features.image_tower import ImageTower
from downstream.features.onnx_encoder import ONNX_PREFIX, OnnxNet, card_of_net, onnx_card
from downstream.features.zone_file import read_zones, write_zones
from downstream.features.zones import Zones
from downstream.runs.run_folder import CALIBRATION_FILE, RunFolder
from downstream.scores.supervision import most_told, supervision_in
from pretrain.backbones import BackboneSpec
from pretrain.backbones.storage import copy_backbone, is_export, save_backbone
from pretrain.errors import UserError
from pretrain.files import copy_file, replacing, sync_folder, write_json, write_text
from pretrain.leftovers import remove_leftovers, temporary_path
from pretrain.names import shown_list
from pretrain.reading import own_file

CARD = "README.md"
ONNX_FOLDER = "onnx"
TAUGHT = {
    "none": "fitted to footage without labels",
    "videos": "trained on labels of whole videos alone",
    "frames": "trained on labels of frames (a ceiling)",
}
"""What stands on the card, by the detectors' supervision."""


def package(config: PackageConfig) -> None:
    """Make the package, say how large it is and what to do with it."""
    told: list[str] = []
    onnx = told if config.onnx else None
    model = make_package(config.runs, config.out, config.backbone, config.title, config.zones, onnx=onnx)
    size = sum(path.stat().st_size for path in config.out.rglob("*") if path.is_file())
    print(f"{model.describe()}\n{size / 1e6:.1f} MB; threshold: {model.rule_from}")
    for line in told:
        print(line)
    print(f"next: python scripts/detect.py VIDEO --detector {config.out}")


def make_package(
    runs: Sequence[Path],
    out: Path,
    backbones: Sequence[Path] = (),
    title: str = "",
    zones: Path | None = None,
    *,
    onnx: list[str] | None = None,
) -> Model:
    """Write the package of runs (or detectors of them) and open it again. All of it is there, or nothing.

    `onnx`: export the model to ONNX too, and add what is to be told of it to that list. UserError as `open_model` and
    `export_model`; and where `out` is there already, one run is a package, or a run is given twice.
    """
    if len(runs) == 1 and (runs[0] / PACKAGE_FILE).is_file():
        raise UserError(f"{runs[0]} is a package already: copy the folder")
    if out.exists():
        raise UserError(f"{out} is there already; choose another --out, or delete it")
    # whatever does not fit is said before anything is written
    trained = open_runs(runs, backbones)
    if doubled := sorted(name for name, count in Counter(each.card["sha256"] for each in trained).items() if count > 1):
        raise UserError(
            f"a detector (SHA-256 {doubled[0][:12]}...) is in this list twice: {shown_list(list(map(str, runs)))}; "
            "give each once"
        )
    called = runs[0] if len(runs) == 1 else out  # of several no calibration of one is theirs
    model = model_of(called, trained, torch.device("cpu"))
    model = dataclasses.replace(model, zones=read_zones(zones) if zones else _common_zones(runs))
    if onnx is not None:
        only_group(model)
    out.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(out.parent)
    folder = temporary_path(out)  # who may read it is for the umask to say
    folder.mkdir()
    try:
        _fill(folder, runs, trained, title or out.name, model)
        made = open_model(folder)
        if onnx is not None:
            onnx += export_model(dataclasses.replace(made, path=called), folder / ONNX_FOLDER)
        for filled in sorted({path.parent for path in folder.rglob("*") if path.is_file()}):
            sync_folder(filled)
        os.replace(folder, out)
    except OSError as error:
        if error.filename is not None and Path(error.filename).is_relative_to(folder):
            error.filename = str(out / Path(error.filename).relative_to(folder))  # the user knows no other
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return dataclasses.replace(made, path=out)


def _common_zones(runs: Sequence[Path]) -> Zones | None:
    brought = [zones_of(run) for run in runs]
    if any(own != brought[0] for own in brought):
        zoned = next(run for run, own in zip(runs, brought, strict=True) if own is not None)
        raise UserError(f"{zoned} brings zones, and not every run here the same: give --zones for all of them together")
    return brought[0]


def _fill(folder: Path, runs: Sequence[Path], trained: Sequence[Trained], title: str, model: Model) -> None:
    configs: dict[str, tuple[int, EncoderConfig]] = {}
    entries = []
    for number, detector in enumerate(trained):
        numbers = []
        for config, spec in zip(detector.encoders, specs_of(detector.card), strict=True):
            key = _what_encodes(spec)
            if key not in configs:
                configs[key] = (len(configs), _copy_encoder(config, folder, len(configs)))
            numbers.append(configs[key][0])
        target = folder / "detectors" / str(number)
        target.mkdir(parents=True)
        for name in (WEIGHTS_FILE, CARD_FILE):
            copy_file(own_file(detector.folder, name, f"a file of {detector.folder}"), target / name)
        _forget_places(target / CARD_FILE)
        of_run = {"run": detector.run} if len(runs) > 1 else {}
        entries.append({"folder": f"detectors/{number}", "encoders": numbers, **of_run})
    # several runs together have scores that none of their calibrations is of
    if len(runs) == 1 and (calibration := RunFolder(runs[0]).calibration).is_file():
        write_calibration(folder / CALIBRATION_FILE, read_calibration(calibration))
    if model.zones is not None:
        write_zones(folder / ZONES_FILE, model.zones)
    encoders = [config.as_json() for _, config in configs.values()]
    write_text(folder / CARD, card(title, trained, model))
    write_json(folder / PACKAGE_FILE, {"format": PACKAGE_FORMAT, "encoders": encoders, "detectors": entries})


def _what_encodes(spec: FeatureSpec) -> str:
    """Equal for features of one encoder, wherever it lies: one copy of it is enough."""
    whole = spec.as_json()
    return json.dumps({key: whole[key] for key in whole if key not in (*WHERE_FROM, "snippet_frames")})


def _copy_encoder(config: EncoderConfig, folder: Path, number: int) -> EncoderConfig:
    """The encoder's weights in the package, and its settings as they are from there."""
    place = f"encoders/{number}"
    if is_export(Path(config.backbone)):
        copy_backbone(Path(config.backbone), folder / place)
        return dataclasses.replace(config, backbone=place)
    encoder = open_encoder(config, fetch=False)
    network = encoder.network
    nets = [module for module in network.modules() if isinstance(module, OnnxNet)]
    if nets:
        return _copy_onnx(config, encoder, nets[0], folder, place)
    if isinstance(network, (VideoNetwork, CellNetwork)):
        details = {"data": {"border_crop": list(encoder.border_crop)}}
        save_backbone(network.backbone, folder / place, details)
        # an exported backbone brings its own weights and picture size
        bare = {"weights": None, "download": False, "height": None, "width": None}
        return dataclasses.replace(config, backbone=place, **bare)  # type: ignore[arg-type]
    assert isinstance(network, ImageTower)
    weights = f"{place}/weights.safetensors"
    (folder / place).mkdir(parents=True)
    state = {key: value.detach().cpu().contiguous() for key, value in network.net.state_dict().items()}
    with replacing(folder / weights) as temporary:
        save_file(state, temporary)
    return dataclasses.replace(config, weights=Path(weights), download=False)


def _copy_onnx(config: EncoderConfig, encoder: Encoder, net: OnnxNet, folder: Path, place: str) -> EncoderConfig:
    """The file with weights that lie beside it, and what was told of it."""
    source = net.file.path
    for name in (source.name, *net.file.external):
        (folder / place / name).parent.mkdir(parents=True, exist_ok=True)
        copy_file(source.parent / name, folder / place / name)
    spec = BackboneSpec(name=encoder.name, feature_dim=1, clip=encoder.clip, map_size=(1, 1, 1))
    write_json(folder / place / onnx_card(source).name, card_of_net(net, spec))
    return dataclasses.replace(config, backbone=f"{ONNX_PREFIX}{place}/{source.name}")


def _forget_places(file: Path) -> None:
    """Take paths of this machine off a detector's card; which encoders it takes stands in package.json."""
    content = read_card(file.parent)
    content["features"] = content["features"] | {"made_with": [None] * len(content["features"]["specs"])}
    content["features"].pop("places", None)
    content.pop("backbone", None)
    content.pop("left_out", None)
    write_json(file, content)


def _cameras_of(model: Model) -> str:
    known = known_cameras(model)
    if not known:
        return ""
    return f"- cameras it knows of their own (`--camera NAME`), {len(known)}: {shown_list(known)}\n"


def card(title: str, trained: Sequence[Trained], model: Model) -> str:
    """For people: Markdown."""
    where = "whole pictures" if model.grid is None else f"{model.grid[0]}x{model.grid[1]} cells of the picture"
    rule = model.rule
    taught = TAUGHT[most_told(supervision_in(each.card) or "videos" for each in trained) or "videos"]
    runs = [list(of_run) for _, of_run in groupby(trained, key=lambda each: each.run)]
    averaged = "" if len(trained) == 1 else ", their log odds averaged"
    averaged += f": of {len(runs)} runs, each counting as one" if len(runs) > 1 else ""
    normalised = dict.fromkeys(f"`{each.card['features']['normalise']}`" for each in trained)
    backbones = dict.fromkeys(
        f"{source.encoder.name}, input {source.encoder.clip.height}x{source.encoder.clip.width}, "
        f"{source.encoder.dim} numbers; SHA-256 of its weights {source.encoder.weights_sha256}"
        for source in model.sources
    )
    return (
        f"# {title}\n\n"
        f"A video anomaly detector, {taught}.\n\n"
        "```\npython scripts/detect.py VIDEO --detector THIS_FOLDER\n```\n\n"
        f"- scores: {where}, 0 to 1, one a snippet of {model.snippet_frames} frames\n"
        f"- detectors: {len(trained)}{averaged}\n"
        + "".join(f"- backbone: {text}\n" for text in backbones)
        + _cameras_of(model)
        + f"- features: normalised by {', '.join(normalised)}\n"
        + "".join(map(_how_made, runs))
        + f"{_zones_line(model)}"
        f"- threshold: {rule.threshold:.6g}, events go on down to {rule.release:.6g} ({model.rule_from})\n\n"
        "Scores are no probabilities: how high a score is depends on the camera. Calibrate with normal footage of your "
        "own cameras (`scripts/calibrate.py`) before anybody relies on alarms, and do not rely on them alone.\n"
    )


def _zones_line(model: Model) -> str:
    if model.zones is None:
        return ""
    names = ", ".join(f"`{zone.name}` ({zone.kind})" for zone in model.zones.zones)
    return f"- zones: {names}; nothing else of the picture counts (`{ZONES_FILE}`)\n"


def _how_made(trained: Sequence[Trained]) -> str:
    """What the detectors of one run were fitted to or trained with, in lines of the card."""
    first = trained[0].card
    videos = f"{len(first.get('trained_on', []))} videos"
    if supervision_in(first) == "none":
        return f"- fitted to: {videos}, by {', '.join(first['config']['parts'])} of features\n"
    objective = {key.removeprefix("objective."): value for key, value in first.get("objective", {}).items()}
    terms = [
        f"{name.removesuffix('.weight').replace('_', ' ')} {value:g}"
        for name, value in objective.items()
        if name.endswith(".weight") and value
    ]
    selected = [detector.card["selected"] for detector in trained if detector.card.get("selected")]
    validation = [figures["video_auc"] for figures in selected]
    means = f"{sum(validation) / len(validation):.3f}" if validation else "not known"
    return (
        f"- trained with: {objective.get('base', 'not known')}{''.join(f', {term}' for term in terms)}, on {videos}\n"
        f"- video AUC on validation videos: {means} (mean over detectors; no test video was looked at)\n"
    )
