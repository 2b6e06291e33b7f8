"""The exported backbone: weights under the native model's keys, and a card that says what they are."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy
import safetensors
import timm
import torch
import torchvision
from safetensors.torch import save_file

from pretrain.backbones import timm_frames, torchvision_nets
from pretrain.backbones.base import Backbone
from pretrain.backbones.build import build_backbone
from pretrain.backbones.config import BackboneConfig, BackboneSpec
from pretrain.backbones.hugging_face import HF_PREFIX
from pretrain.backbones.hugging_face_folder import CONFIG_FILE, FAMILIES, PREPROCESSOR_FILE
from pretrain.backbones.shipped import or_shipped
from pretrain.backbones.temporal_mixing import TemporalModule
from pretrain.backbones.weights import CARD_FILE, MIXING_FILE, WEIGHTS_FILE, export_folder
from pretrain.errors import UserError
from pretrain.files import replacing, sha256_of, write_json
from pretrain.json_shapes import fixed, number, record, sequence, text, whole
from pretrain.path_words import what_is_at
from pretrain.reading import own_file, refuse_link_out
from pretrain.versioned_json import read_versioned_json

FORMAT = "anomaly-pretext/backbone/1"
NARROW = "narrow"
"""On the card of a backbone whose image network was frozen: which temporal module it has."""
_SIDE = whole(1, 4096)
_CARD = record(
    {
        "architecture": text,
        "feature_dim": whole(1, 1 << 20),
        "clip": record({"frames": whole(1, 1024), "stride": whole(1, 1024), "height": _SIDE, "width": _SIDE}),
        "initialisation": text,
        "how_to_load": sequence(text, most=16),
        "sha256": record(
            {WEIGHTS_FILE: text}, dict.fromkeys((MIXING_FILE, CONFIG_FILE, PREPROCESSOR_FILE), text), closed=True
        ),
    },
    {"data": record({}, {"border_crop": fixed(*[number(0, 1)] * 4)})},
)
"""What is read of a card."""


def save_backbone(
    backbone: Backbone,
    folder: Path,
    details: Mapping[str, Any],
    *,
    state: Mapping[str, torch.Tensor] | None = None,
    half: bool = False,
) -> list[Path]:
    """Write `backbone.safetensors`, for timm models `temporal_mixing.safetensors`, and the card `backbone.json`.

    `details` is what only the run knows (tasks, data, steps, accuracies): JSON values, put on the card as they are.
    `half`: weights in half precision, half the size; loaded, they are float32 again.
    `state` replaces the backbone's own `state_dict()` where its parameters are sharded over processes (FSDP).
    What the network's name does not say of its shape (Hugging Face's config.json) is written beside.
    Atomic: all files are written under temporary names, then renamed one after the other, the card last. A kill
    between two renames is noticed by the hash. The same weights give the same bytes.
    """
    full = dict(backbone.state_dict() if state is None else state)
    parts = {WEIGHTS_FILE: _part(full, "net."), MIXING_FILE: _part(full, "mixing.")}
    parts = {name: _halved(tensors) if half else tensors for name, tensors in parts.items() if tensors}
    with ExitStack() as renames:  # undone in reverse: what is entered first is renamed last
        card = renames.enter_context(replacing(folder / CARD_FILE))
        hashes = {}
        for name, tensors in parts.items():
            temporary = renames.enter_context(replacing(folder / name))
            # One entry only: safetensors writes several in random order, and equal weights would differ in their hash.
            save_file(tensors, temporary, metadata={"architecture": backbone.spec.name})
            hashes[name] = sha256_of(temporary)
        for name, content in backbone.beside.items():
            temporary = renames.enter_context(replacing(folder / name))
            write_json(temporary, content)
            hashes[name] = sha256_of(temporary)
        write_json(card, card_of(backbone, hashes, details))
    return [folder / name for name in (*hashes, CARD_FILE)]


def load_backbone(
    path: Path, *, height: int | None = None, width: int | None = None
) -> tuple[Backbone, dict[str, Any]]:
    """Load an exported folder, a run's folder, or the weight file of either; return the backbone and its card.

    `height`, `width`: pixels of the clips it is to read, where not those it was pretrained on: networks of convolutions
    take any size. The backbone comes in evaluation mode. Raises UserError where a file is missing, its hash is not the
    card's, the card is none of ours, or the network cannot read clips of that size.
    """
    folder, card = _checked_card(or_shipped(path))
    clip = card["clip"]
    backbone = build_backbone(
        BackboneConfig(
            name=_name_of(card, folder),
            weights=folder / WEIGHTS_FILE,
            clip_frames=clip["frames"],
            clip_stride=clip["stride"],
            height=height or clip["height"],
            width=width or clip["width"],
            freeze=card.get("temporal_module") == NARROW,
        )
    )
    backbone.thaw()  # what it was trained as does not bind whoever trains it further
    backbone.initialisation = card["initialisation"]
    return backbone.eval(), card


def _name_of(card: Mapping[str, Any], folder: Path) -> str:
    """What `build_backbone` knows the network by: a Hugging Face model lies in the folder itself."""
    architecture: str = card["architecture"]
    if not architecture.startswith(HF_PREFIX):
        return architecture
    if missing := [name for name in (CONFIG_FILE, PREPROCESSOR_FILE) if name not in card["sha256"]]:
        raise UserError(f"{folder / CARD_FILE} names no {missing[0]}, which its network is built by; export it again")
    return f"{HF_PREFIX}{folder}"


def is_export(path: Path) -> bool:
    """Whether an exported backbone lies there: its folder, a run's, or its weight file."""
    if path.is_dir():
        return any((folder / CARD_FILE).is_file() for folder in (path, path / "backbone"))
    return path.is_file() and (path.parent / CARD_FILE).is_file()


def copy_backbone(path: Path, folder: Path) -> list[Path]:
    """Copy an exported backbone (its folder, a run's folder or the weight file) to `folder`, the card last.

    Returns the paths. Raises UserError where it is not whole; hashes are checked before anything is written.
    """
    source, card = _checked_card(or_shipped(path))
    copies = [folder / name for name in (*card["sha256"], CARD_FILE)]
    for copy in copies:
        if copy.resolve() != (source / copy.name).resolve():
            with replacing(copy) as temporary:
                shutil.copyfile(source / copy.name, temporary)
    return copies


def read_card(folder: Path) -> dict[str, Any]:
    """The card of an exported folder; UserError where there is none, or where it is of another format or shape.

    It names the folder's own files and no others: whoever copies what it names writes nowhere else.
    """
    file = folder / CARD_FILE
    if not file.is_file():
        raise UserError(f"there is no {file}; an exported backbone is a folder with {WEIGHTS_FILE} and {CARD_FILE}")
    refuse_link_out(folder, file, f"the card of {folder}")
    return read_versioned_json(file, "the card", FORMAT, "export the backbone again", _CARD)


def card_of(backbone: Backbone, hashes: Mapping[str, str], details: Mapping[str, Any]) -> dict[str, Any]:
    """The card as JSON values."""
    spec, clip = backbone.spec, backbone.spec.clip
    return {
        "format": FORMAT,
        "architecture": spec.name,
        "feature_dim": spec.feature_dim,
        "map_size": {"frames": spec.map_size[0], "height": spec.map_size[1], "width": spec.map_size[2]},
        "clip": {"frames": clip.frames, "stride": clip.stride, "height": clip.height, "width": clip.width},
        "normalisation": {"input": "(RGB / 255 - mean) / std", "mean": list(clip.mean), "std": list(clip.std)},
        "initialisation": backbone.initialisation,
        "not_trained": [n for n, _ in backbone.net.named_parameters() if backbone.frozen or n in backbone.off_path],
        **({"temporal_module": NARROW} if isinstance(backbone.mixing, TemporalModule) else {}),
        "how_to_load": how_to_load(spec),
        **details,
        "sha256": dict(hashes),
        "libraries": {
            module.__name__: str(module.__version__) for module in (torch, torchvision, timm, safetensors, numpy)
        },
    }


def how_to_load(spec: BackboneSpec) -> list[str]:
    """The lines of Python that load the file, without our code where the network is not ours."""
    if spec.name.startswith(timm_frames.PREFIX):
        model = spec.name.removeprefix(timm_frames.PREFIX)
        arguments = "".join(f", {k}={v!r}" for k, v in timm_frames.constructor_arguments(model, spec.clip).items())
        network = f"import timm; net = timm.create_model({model!r}{arguments})"
    elif spec.name.startswith(HF_PREFIX):
        model = FAMILIES[spec.name.removeprefix(HF_PREFIX)].model
        network = f"from transformers import {model} as M; net = M(M.config_class.from_pretrained('.'))"
    elif spec.name in torchvision_nets.FAMILIES:
        network = f"import torchvision; net = torchvision.models.video.{spec.name}()"
    else:
        return [
            "from anomaly_pretext import load_backbone",
            "net = load_backbone('.')",
        ]
    return [network, f"from safetensors.torch import load_file; net.load_state_dict(load_file({WEIGHTS_FILE!r}))"]


def _part(state: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The entries under `prefix`, as safetensors wants them: contiguous (not channels_last), none sharing memory."""
    return {
        key.removeprefix(prefix): value.detach().cpu().contiguous().clone()
        for key, value in state.items()
        if key.startswith(prefix)
    }


def _halved(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key: value.half() if value.is_floating_point() else value for key, value in tensors.items()}


def _checked_card(path: Path) -> tuple[Path, dict[str, Any]]:
    if not path.exists() or not (path.is_dir() or (path.parent / CARD_FILE).is_file()):
        raise UserError(
            f"{what_is_at(path)}, no backbone: give the folder of a run of pretrain.py, an exported folder, or the "
            f"{WEIGHTS_FILE} in one"
        )
    folder = export_folder(path) if path.is_dir() else path.parent
    card = read_card(folder)
    _check_hashes(folder, card)
    return folder, card


def _check_hashes(folder: Path, card: Mapping[str, Any]) -> None:
    for name, expected in card["sha256"].items():
        file = own_file(folder, name, f"a file of the card {folder / CARD_FILE}")
        if not file.is_file():
            raise UserError(f"{file} is missing, and {folder / CARD_FILE} names it; export the backbone again")
        if sha256_of(file) != expected:
            raise UserError(
                f"{file} is not the file its card describes (SHA-256 {sha256_of(file)[:12]}..., "
                f"card {expected[:12]}...): damaged, or replaced by another. "
                f"Copy {name} and {CARD_FILE} again from one export"
            )
