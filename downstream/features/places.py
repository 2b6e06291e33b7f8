"""Where an encoder's files lie, as seen from what was made with them: found again from any working directory.

Settings say `runs/pretrain` as somebody typed it, which holds from where it was typed. Beside them stands the way from
the feature set's or the detector's own folder, so that a tree that is moved or used from elsewhere stays whole.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from downstream.features.config import EncoderConfig
from pretrain.json_shapes import Shape, optional, record, text

Places = Mapping[str, str]
"""Setting of the encoder -> the way to its file or folder, from a folder."""
SETTINGS = ("backbone", "weights")
PREFIXES = ("hf/", "onnx/")
"""Of names of backbones that are a kind and a path."""
PLACES: Shape = optional(record({}, dict.fromkeys(SETTINGS, text)))


def places_of(made_with: Mapping[str, Any] | None, folder: Path) -> dict[str, str]:
    """The ways from `folder` to what the settings name, as far as it is there."""
    given = {name: (made_with or {}).get(name) for name in SETTINGS}
    ways = {name: _way(value, Path(), folder) for name, value in given.items() if value}
    return {name: way for name, way in ways.items() if way}


def places_from(other: Path, places: Places | None, folder: Path) -> dict[str, str]:
    """Ways from `other`, as ways from `folder`, as far as something is there."""
    ways = {name: _way(way, other, folder) for name, way in _known(places).items()}
    return {name: way for name, way in ways.items() if way}


def found_again(config: EncoderConfig, folder: Path, places: Places | None) -> EncoderConfig:
    """The settings with files where they lie as seen from `folder`; as they are where nothing is there."""
    for name, way in _known(places).items():
        prefix, path = _split(way)
        if os.path.exists(folder / path):  # whatever a card says: Path.exists objects to names of 5,000 characters
            there = os.path.normpath(folder / path)
            config = (
                replace(config, backbone=prefix + there) if name == "backbone" else replace(config, weights=Path(there))
            )
    return config


def _known(places: Places | None) -> dict[str, str]:
    """Those of settings: a card of a later version may say the way to more."""
    return {name: way for name in SETTINGS if (way := (places or {}).get(name))}


def _split(text: str) -> tuple[str, str]:
    """`hf/FOLDER` as `hf/` and FOLDER; most have no such prefix."""
    prefix = next((known for known in PREFIXES if text.startswith(known)), "")
    return prefix, text.removeprefix(prefix)


def _way(text: str, other: Path, folder: Path) -> str:
    """The way from `folder` to what `text` names as seen from `other`; an empty string where nothing is there."""
    for prefix, path in (("", text), _split(text)):
        if os.path.exists(other / path):
            return prefix + Path(os.path.relpath((other / path).resolve(), folder.resolve())).as_posix()
    return ""
