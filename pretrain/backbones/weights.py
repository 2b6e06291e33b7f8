"""Starting weights: reading a file of ours, torchvision's or timm's, and saying plainly when it does not fit."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from pretrain.backbones.base import Backbone
from pretrain.backbones.prefixes import remove_prefix, unwrapped
from pretrain.backbones.shipped import SHIPPED, or_shipped
from pretrain.backbones.timm_frames import PREFIX, resized
from pretrain.errors import UserError
from pretrain.reading import refuse_link_out
from pretrain.weight_files import read_safetensors, read_torch, refuse_not_finite

logger = logging.getLogger(__name__)

WEIGHTS_FILE = "backbone.safetensors"
MIXING_FILE = "temporal_mixing.safetensors"
CARD_FILE = "backbone.json"


@dataclass(frozen=True)
class StoredWeights:
    """What a weight file holds."""

    state: dict[str, torch.Tensor]
    source: str
    """The file, for messages."""
    architecture: str | None = None
    """The name of the backbone it was written for, where the file says so (ours do)."""
    mixing: dict[str, torch.Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class _Differences:
    missing: list[str]
    unexpected: list[str]
    reshaped: list[str]

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.reshaped)

    def text(self) -> str:
        parts = (
            ("missing in the file", self.missing),
            ("unknown here", self.unexpected),
            ("of other shape", self.reshaped),
        )
        return "; ".join(
            f"{len(keys)} {what}: {', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''}"
            for what, keys in parts
            if keys
        )


def read_weights(path: Path) -> StoredWeights:
    """Read a file, or the folder of an export (or a run that holds one). Nothing is unpickled.

    Raises UserError where there is no such file, where it is damaged, or where it would have to be unpickled.
    """
    path = or_shipped(path)
    if path.is_dir():
        folder = export_folder(path)
        path = folder / WEIGHTS_FILE
        refuse_link_out(folder, path, f"{WEIGHTS_FILE} of {folder}")
    if not path.is_file():
        raise UserError(
            f"there is no weight file {path}; backbone.weights takes a .safetensors or .pth file, an exported folder, "
            f"or {SHIPPED}"
        )
    if path.suffix != ".safetensors":
        return StoredWeights(_read_state(path), str(path))
    state, metadata = _read_finite(path)
    beside = path.with_name(MIXING_FILE)
    mixing = {}
    if "architecture" in metadata and beside.is_file():  # ours
        refuse_link_out(beside.parent, beside, f"{MIXING_FILE} of {beside.parent}")
        mixing = _read_finite(beside)[0]
    return StoredWeights(state, str(path), metadata.get("architecture"), mixing)


def export_folder(path: Path) -> Path:
    """`path` itself or its folder `backbone`, whichever holds a card; UserError where neither does."""
    for folder in (path, path / "backbone"):
        if (folder / CARD_FILE).is_file() or (folder / WEIGHTS_FILE).is_file():
            return folder
    raise UserError(
        f"{path} holds no {WEIGHTS_FILE} and no backbone/{WEIGHTS_FILE}; "
        "give a run of pretrain.py, or what scripts/export_backbone.py wrote"
    )


def _read_finite(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and header of a safetensors file; UserError for damage, and numbers that are not finite."""
    tensors, metadata = read_safetensors(path)
    refuse_not_finite(tensors, str(path))
    return tensors, metadata


def _read_state(path: Path) -> dict[str, torch.Tensor]:
    content = unwrapped(read_torch(path), str(path))
    state = (
        {str(key): value for key, value in content.items() if isinstance(value, torch.Tensor)}
        if isinstance(content, Mapping)
        else {}
    )
    if not state:
        raise UserError(
            f"{path} holds no state dict (a mapping of names to tensors); "
            f"give the file that torch.save(net.state_dict(), ...) wrote"
        )
    refuse_not_finite(state, str(path))
    return state


def start_from(backbone: Backbone, stored: StoredWeights) -> None:
    """Put stored weights into a backbone, and say in `backbone.initialisation` what was taken.

    Prefixes that wrappers put before the names (`prefixes.WORDS`) are removed, which is said. The head may differ
    (another number of classes): ours then keeps its random one, which is logged. Anything else that differs is a
    UserError that names the file's architecture, or the first keys that differ.
    """
    name, clip = backbone.spec.name, backbone.spec.clip
    if stored.architecture is not None and stored.architecture.split(".")[0] != name.split(".")[0]:
        raise UserError(
            f"{stored.source} holds a '{stored.architecture}', and backbone.name is '{name}'; set backbone.name to "
            f"'{stored.architecture}' or give weights of a '{name}'"
        )
    state, prefix = own_names(stored, backbone.net)
    if name.startswith(PREFIX) and _differences(backbone, state)[0]:
        state = resized(backbone.net, state)
    body, head = _differences(backbone, state)
    if body:
        raise UserError(
            f"{stored.source} does not fit backbone '{name}' at {clip.frames} frames of "
            f"{clip.height}x{clip.width} ({body.text()}). Give weights of this architecture, "
            f"set backbone.name to the file's, or, where only "
            f"position tables differ, the clip size that the file was trained at"
        )
    dropped = {entry.split(" ")[0] for entry in (*head.unexpected, *head.reshaped)}
    backbone.net.load_state_dict({key: value for key, value in state.items() if key not in dropped}, strict=not head)
    backbone.initialisation = f"weights of {Path(stored.source).name}"
    if prefix:
        backbone.initialisation += f" under '{prefix}'"
    if head:
        logger.warning(
            "%s: the classification head differs (%s) and was left out; features do not use it",
            stored.source,
            head.text(),
        )
        backbone.initialisation += ", without its head"
    if stored.mixing and backbone.mixing is not None:
        _load_mixing(backbone.mixing, stored)


def own_names(stored: StoredWeights, net: nn.Module) -> tuple[dict[str, torch.Tensor], str]:
    """Stored weights under the network's own names, and the prefix that was removed, which is logged."""
    state, prefix = remove_prefix(stored.state, net.state_dict(), stored.source)
    if prefix:
        others = len(stored.state) - len(state)
        beside = f", and {others} tensor(s) that lie beside it were left out" if others else ""
        logger.warning("%s: the prefix '%s' of its names was removed%s", stored.source, prefix, beside)
    return state, prefix


def _load_mixing(mixing: nn.Module, stored: StoredWeights) -> None:
    if {key: value.shape for key, value in mixing.state_dict().items()} != {
        key: value.shape for key, value in stored.mixing.items()
    }:
        raise UserError(
            f"{stored.source} comes with another temporal module: that of a frozen image network is smaller. Set "
            f"backbone.freeze as it was set in the run that wrote it, or give the image network's own weights"
        )
    mixing.load_state_dict(stored.mixing)


def _differences(backbone: Backbone, state: Mapping[str, torch.Tensor]) -> tuple[_Differences, _Differences]:
    """What differs between `state` and the network: in what the features need, and in the head."""
    own = backbone.net.state_dict()
    heads = {key.rpartition(".")[0] for key in backbone.off_path}
    body, head = _Differences([], [], []), _Differences([], [], [])
    for key in own.keys() | state.keys():
        part = head if key.rpartition(".")[0] in heads else body
        if key not in state:
            if not key.endswith("num_batches_tracked"):  # files older than that counter; it takes no part in the output
                part.missing.append(key)
        elif key not in own:
            part.unexpected.append(key)
        elif own[key].shape != state[key].shape:
            part.reshaped.append(f"{key} {tuple(state[key].shape)} in the file, {tuple(own[key].shape)} here")
    for keys in (*vars(body).values(), *vars(head).values()):
        keys.sort()
    return body, head
