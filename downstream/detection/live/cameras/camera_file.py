"""Reading a file of cameras: YAML, everything wrong with it in one message, secrets taken from the environment.

    out: watched
    alarms: {webhook: https://example.org/alarm}
    defaults: {detector: models/street}
    cameras:
      - {name: door, address: "${DOOR_ADDRESS}", zones: door-zones.yaml}
      - {name: yard, address: recorded/yard.mp4, threshold: 0.98}

Paths count from the folder of the file. `${NAME}` stands for a variable of the environment, in any text.
"""

from __future__ import annotations

import dataclasses
import os
import re
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from downstream.detection.live.address import Address, parse_address
from downstream.detection.live.cameras.settings import Camera, CameraKeys, Cameras
from downstream.detection.live.settings import LiveSettings
from downstream.events.calibration_file import Calibration, read_calibration
from downstream.features.zone_file import read_zones, zones_of
from downstream.features.zones import Zones
from pretrain.addresses import GIVEN, URL
from pretrain.errors import UserError, nearest, problem_list
from pretrain.file_keys import command_of
from pretrain.json_shapes import WrongShape, check, mapping, of_type, one_of, record, sequence, text
from pretrain.names import file_name
from pretrain.yaml_file import read_yaml

MOST_CAMERAS = 256
MOST_CHARACTERS = 80
DEFAULT_OUT = "watched"
_OF_CAMERAS = {"play", "source", "lookahead", "window_seconds", "stop_after"}
"""Settings of a stream that a camera has, and not what is told of all of them."""
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_FILE = record(
    {"cameras": sequence(mapping(), 1, MOST_CAMERAS)},
    {"out": text, "device": one_of("auto", "cpu", "cuda"), "alarms": mapping(), "defaults": mapping()},
    closed=True,
)
_MADE = TypeVar("_MADE")


def read_cameras(file: Path, out: Path | None = None) -> Cameras:
    """The cameras of a file; `out` in place of the folder that it names. UserError: everything wrong with it at once.

    Nothing is connected to, and no detector is opened.
    """
    content = read_yaml(file, "the cameras")
    if "cameras" not in content and (command := command_of(content)) is not None:
        raise UserError(
            f"{file} looks like a configuration of {command}: it has no list of `cameras`. Give it to {command}; what "
            "stands in a file of cameras: docs/cameras.md"
        )
    problems: list[str] = []
    content = _taken(lambda: _filled_in(content), "", problems) or {}
    if not problems:
        _taken(lambda: _checked(content), "", problems)
    if problems:
        raise _wrong(file, problems)
    outlets = _taken(lambda: _outlets(content.get("alarms", {})), "alarms", problems) or LiveSettings()
    defaults, cameras = content.get("defaults", {}), []
    for index, values in enumerate(content["cameras"]):
        name = values.get("name")
        where = f"camera '{name}'" if isinstance(name, str) else f"camera {index + 1}"
        camera = _taken(lambda values=values: _camera(defaults | values, file.parent), where, problems)  # type: ignore[misc]
        if camera is not None:
            live = dataclasses.replace(camera.live, pictures=outlets.pictures)
            cameras.append(dataclasses.replace(camera, live=live))
    problems += _clashes([camera.name for camera in cameras])
    if problems:
        raise _wrong(file, problems)
    folder = out if out is not None else file.parent / content.get("out", DEFAULT_OUT)
    device = content.get("device", "auto")
    return Cameras(file=file, out=folder, cameras=tuple(cameras), outlets=outlets, device=device)


def _wrong(file: Path, problems: list[str]) -> UserError:
    return UserError(f"{len(problems)} problem(s) in {file}; see docs/cameras.md:\n{problem_list(problems)}")


def _taken(make: Callable[[], _MADE], where: str, problems: list[str]) -> _MADE | None:
    """What is made, or None, and why not among the problems."""
    try:
        return make()
    except (UserError, WrongShape) as error:
        problems.append(f"{where}: {error}" if where else str(error))
        return None


def _filled_in(value: Any) -> Any:
    """The same with variables of the environment in place of `${NAME}`. UserError: one that is not set."""
    if isinstance(value, dict):
        return {key: _filled_in(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled_in(inner) for inner in value]
    if not isinstance(value, str):
        return value
    if missing := [name for name in _VARIABLE.findall(value) if name not in os.environ]:
        raise UserError(f"the environment has no {missing[0]}, which ${{{missing[0]}}} stands for: export it first")
    return _VARIABLE.sub(lambda match: os.environ[match[1]], value)


def _checked(content: Mapping[str, Any]) -> None:
    check(content, _FILE)
    known = ["name", "address", *(field.name for field in dataclasses.fields(CameraKeys))]
    for where, values in (("defaults", content.get("defaults", {})), *_numbered(content["cameras"])):
        if unknown := [str(key) for key in values if key not in known]:
            hint = nearest(unknown[0], known) or f"; known are {', '.join(known)}"
            raise UserError(f"{where}: no such key '{unknown[0][:80]}'{hint}")
    for key in ("name", "address"):
        if key in content.get("defaults", {}):
            raise UserError(f"defaults: {key} is each camera's own")


def _numbered(cameras: list[Any]) -> list[tuple[str, Any]]:
    return [(f"camera {index + 1}", values) for index, values in enumerate(cameras)]


def _clashes(names: list[str]) -> list[str]:
    folders: dict[str, str] = {}
    problems = []
    for name in names:
        folder = file_name(name).lower()  # some disks take both for one
        if folder in folders:
            problems.append(f"cameras '{folders[folder]}' and '{name}' would write to one folder: name one differently")
        folders[folder] = name
    return problems


def _camera(values: Mapping[str, Any], folder: Path) -> Camera:
    """One camera of its keys, the defaults among them. UserError, WrongShape."""
    own = dict(values)
    name, address, zones = (own.pop(key, None) for key in ("name", "address", "zones"))
    if not isinstance(name, str) or not name.strip() or len(name) > MOST_CHARACTERS or not name.isprintable():
        raise UserError(f"name is {name!r}; give 1 to {MOST_CHARACTERS} printable characters, in quotes where digits")
    if name.startswith("."):
        raise UserError("its name begins with a dot, and names a folder too: choose another")
    if not isinstance(address, str) or not address.strip():
        raise UserError("it has no address: give that of a stream, a device, or the path of a file")
    keys = built(CameraKeys, own)
    parsed = _address(address, folder, keys)
    return Camera(
        name=name,
        text=parsed.url,
        address=parsed,
        keys=keys,
        live=keys.live,
        changes=keys.rule,
        detector=_below(folder, keys.detector),
        backbones=tuple(folder / path for path in keys.backbone),
        zones=_zones(zones, folder),
        calibration=_calibration(_below(folder, keys.calibration)),
        ordinary=_below(folder, keys.ordinary),
    )


def _address(address: str, folder: Path, keys: CameraKeys) -> Address:
    GIVEN.arguments([address])  # whatever is said of it later, never says its secrets
    is_path = URL.match(address) is None
    return parse_address(str(folder / address) if is_path else address, keys.rtsp_transport)


def _below(folder: Path, path: str | None) -> Path | None:
    return None if path is None else folder / path


def _zones(value: Any, folder: Path) -> Zones | None:
    if value is None:
        return None
    if isinstance(value, str):
        return read_zones(folder / value)
    return zones_of(value if isinstance(value, dict) else {"zones": value}, "this file")


def _calibration(file: Path | None) -> tuple[Path, Calibration] | None:
    return None if file is None else (file, read_calibration(file))


def _outlets(values: Mapping[str, Any]) -> LiveSettings:
    known = [field.name for field in dataclasses.fields(LiveSettings) if field.name not in _OF_CAMERAS]
    if unknown := [str(key) for key in values if key not in known]:
        hint = nearest(unknown[0], known) or f"; known are {', '.join(known)}"
        raise UserError(f"no such key '{unknown[0][:80]}'{hint}")
    for text_value in _texts(values):
        GIVEN.arguments([text_value])
    return built(LiveSettings, values)


def _texts(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [text_value for inner in value.values() for text_value in _texts(inner)]
    return [value] if isinstance(value, str) else []


def built(kind: type[_MADE], values: Mapping[str, Any]) -> _MADE:
    """A dataclass of values as they stand in a file. WrongShape where they do not fit, UserError as it says."""
    check(dict(values), of_type(kind))
    hints = typing.get_type_hints(kind)
    return kind(**{name: _value(hints[name], value) for name, value in values.items()})


def _value(hint: Any, value: Any) -> Any:
    choices = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    for choice in choices:
        if dataclasses.is_dataclass(choice) and isinstance(choice, type) and isinstance(value, dict):
            return built(choice, value)
    if Path in choices and isinstance(value, str):
        return Path(value)
    return tuple(value) if isinstance(value, list) else value
