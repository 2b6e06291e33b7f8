"""Whether all cameras of a file answer, before they are watched: each is opened once, side by side, and told of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from downstream.detection.live.cameras.models import CameraModel
from downstream.detection.live.cameras.settings import Camera, Cameras
from downstream.detection.live.connection import Connection, StreamBroken, connect
from downstream.detection.zones_drawn import ZONES_PICTURE, draw_model_zones
from pretrain.data.video import Picture, StoredPicture, VideoError, VideoInfo, check_picture
from pretrain.names import file_name, shown

AT_A_TIME = 16


class Checked(NamedTuple):
    """One camera: how its picture looks, or why it cannot be watched."""

    name: str
    where: str
    picture: str
    """Size, frames a second, codec; empty where none came."""
    watched_by: str
    problem: str
    drawn: Path | None
    """Where its zones are drawn on a frame."""


def check_cameras(cameras: Cameras, opened: Mapping[str, CameraModel]) -> int:
    """Open each once, draw its zones, print a table; 0 where all can be watched, else 1."""
    with ThreadPoolExecutor(AT_A_TIME) as threads:
        checked = list(threads.map(lambda camera: _checked(camera, opened[camera.name], cameras.out), cameras.cameras))
    print(table(checked), flush=True)
    return int(any(camera.problem for camera in checked))


def table(checked: Sequence[Checked]) -> str:
    """A line for each camera, and then what is wrong."""
    heads = ("camera", "picture", "watched by", "address")
    rows = [
        (shown(each.name), "no picture" if each.problem else each.picture, each.watched_by, each.where)
        for each in checked
    ]
    widths = [max(len(row[place]) for row in (heads, *rows)) for place in range(len(heads) - 1)]
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in (heads, *rows)
    ]
    lines += [f"{shown(each.name)}: {each.problem}" for each in checked if each.problem]
    lines += [f"{shown(each.name)}: its zones are drawn in {each.drawn}" for each in checked if each.drawn is not None]
    good = sum(not each.problem for each in checked)
    return "\n".join([*lines, f"{good} of {len(checked)} camera(s) can be watched"])


def _checked(camera: Camera, own: CameraModel, out: Path) -> Checked:
    model, label = own.model, camera.address.label
    cells = "whole pictures" if model.grid is None else f"{model.grid[0]}x{model.grid[1]} cells"
    zones = "" if model.zones is None else f", {len(model.zones.zones)} zone(s)"
    known = "" if model.camera is None else ", known"
    watched_by = f"{cells}{zones}{known}, threshold {own.rule.threshold:.6g}"
    picture, problem, drawn = "", "", None
    try:
        with connect(camera.address, camera.keys.timeout) as connection:
            pixels, info = first_picture(connection, label)
            picture = f"{info.width}x{info.height}, {_rate(connection)}, {info.codec}"
        if model.zones is not None:
            drawn = out / file_name(camera.name) / ZONES_PICTURE
            draw_model_zones(drawn, model, pixels, info)
    except VideoError as error:
        problem, drawn = str(error), None
    except StreamBroken as broken:
        problem = f"{label}: {broken}"
    except OSError as error:
        problem = f"{out}: {error.strerror or type(error).__name__}"
    return Checked(camera.name, label, picture, watched_by, problem, drawn)


def first_picture(connection: Connection, label: str) -> tuple[NDArray[np.uint8], VideoInfo]:
    """The first frame of a connection, uint8 (height, width, 3) as displayed, and how the stream looks.

    VideoError, StreamBroken: none came.
    """
    with closing(connection.frames(Event())) as frames:
        frame = next(frames, None)
    if frame is None:
        raise StreamBroken("it ended before the first frame")
    stored = StoredPicture.of_frame(frame, connection.pixel_aspect)
    height, width = stored.displayed
    check_picture(label, width, height)
    rate = connection.stated_fps
    info = VideoInfo(
        num_frames=0,
        fps=1.0 if rate is None else rate[0],
        width=width,
        height=height,
        duration_seconds=0.0,
        codec=connection.codec,
        rotation=90 * stored.quarter_turns,
        is_constant_rate=False,
    )
    return Picture(stored, stored.displayed).rgb(frame), info


def _rate(connection: Connection) -> str:
    rate = connection.stated_fps
    return "frame rate not stated" if rate is None else f"{rate[0]:g} frames/s"
