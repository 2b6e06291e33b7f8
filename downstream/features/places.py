"""Where an encoder's files lie, as seen from what was made with them: found again from any working directory.

Settings say `runs/pretrain` as somebody typed it, which holds from where it was typed. Beside them stands the way from
the feature set's or the detector's own folder, so that a tree that is moved or used from elsewhere stays whole.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from downstream.features.encoders import EncoderConfig
from pretrain.json_shapes import Shape, optional, record, text

Places = Mapping[str, str]
"""Setting of the encoder -> the way to its file or folder, from a folder."""
SETTINGS = ("backbone", "weights")
PLACES: Shape = optional(record({}, dict.fromkeys(SETTINGS, text)))


def places_of(made_with: Mapping[str, Any] | None, folder: Path) -> dict[str, str]:
    """The ways from `folder` to what the settings name, as far as it is there."""
    given = {name: (made_with or {}).get(name) for name in SETTINGS}
    return {name: _way(Path(value), folder) for name, value in given.items() if value and Path(value).exists()}


def places_from(other: Path, places: Places | None, folder: Path) -> dict[str, str]:
    """Ways from `other`, as ways from `folder`."""
    return {name: _way(other / way, folder) for name, way in (places or {}).items()}


def found_again(config: EncoderConfig, folder: Path, places: Places | None) -> EncoderConfig:
    """The settings with files where they lie as seen from `folder`; as they are where nothing is there."""
    there = {name: folder / way for name, way in (places or {}).items() if (folder / way).exists()}
    if "backbone" in there:
        config = dataclasses.replace(config, backbone=os.path.normpath(there["backbone"]))
    if "weights" in there:
        config = dataclasses.replace(config, weights=Path(os.path.normpath(there["weights"])))
    return config


def _way(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
