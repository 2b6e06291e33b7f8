"""The command `watch`: what it does with a file of cameras."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np

from downstream.detection.console_words import describe_rule
from downstream.detection.live.cameras.camera import POLL_SECONDS, CameraLife, Shared
from downstream.detection.live.cameras.camera_file import read_cameras
from downstream.detection.live.cameras.check import check_cameras
from downstream.detection.live.cameras.config import WatchConfig
from downstream.detection.live.cameras.models import CameraModel, Models, open_models
from downstream.detection.live.cameras.names_console import NamedConsole
from downstream.detection.live.cameras.network import SharedNetwork
from downstream.detection.live.cameras.settings import Cameras
from downstream.detection.live.console import Console, stop_signals
from downstream.detection.live.open_outlets import Outlets, open_outlets
from pretrain.accelerator import check_device, make_accelerator
from pretrain.cpu import few_heaps, keep_freed_memory
from pretrain.errors import UserError
from pretrain.folder_lock import only_writer_in
from pretrain.names import shown

LEAVE_SECONDS = 30.0
"""That cameras are waited for at the end: one may hang in a disk that is gone."""


def watch_cameras(config: WatchConfig) -> int:
    """Watch all cameras of the file until they end or somebody stops it; returns the exit status. UserError."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("cameras are watched by one process: start it by itself, not by accelerate launch")
    cameras = read_cameras(config.cameras, config.out)
    few_heaps()
    keep_freed_memory()
    check_device(cameras.device)
    device = make_accelerator(cameras.device, "fp32").device
    opened, models = open_models(cameras.cameras, device)
    if config.check:
        return check_cameras(cameras, opened)
    console = Console(config.json)
    stopped: list[str] = []
    with ExitStack() as stack:
        stack.enter_context(stop_signals(stopped))
        stack.enter_context(only_writer_in(cameras.out))
        outlets = open_outlets(cameras.outlets, console.say, stack, is_for_many=True)
        console.say("\n".join([describe_start(cameras, opened, models), *outlets.lines]))
        network = stack.enter_context(SharedNetwork())
        shared = Shared(out=cameras.out, encode=network.encode, outlets=outlets, stopped=stopped)
        lives = start_all(cameras, opened, shared, console)
        watch_all(lives, stopped, console, cameras.outlets.status_every)
        stack.pop_all().close()  # what is on its way to an outlet counts in the summary
    console.say("\n".join(summary(lives, outlets)), time.time())
    return int(any(life.has_failed for life in lives))


def start_all(cameras: Cameras, opened: dict[str, CameraModel], shared: Shared, console: Console) -> list[CameraLife]:
    """Every camera's life, begun."""
    width = max(len(shown(camera.name)) for camera in cameras.cameras)
    lives = []
    for camera in cameras.cameras:
        own = NamedConsole(console, camera.name, width)
        # when one is called again is for chance to say: nothing that is scored depends on it
        lives.append(CameraLife(camera, opened[camera.name], shared, own, np.random.default_rng()))
    for life in lives:
        shared.outlets.watch(life.camera.name, life.figures)
        life.start()
    return lives


def watch_all(lives: Sequence[CameraLife], stopped: Sequence[str], console: Console, status_every: float) -> None:
    """Say how all are doing until all are over, or something lies in `stopped`; then wait for their last lines."""
    every = min(1.0, status_every) if console.is_terminal else status_every
    due = time.monotonic() + every
    while any(life.is_alive for life in lives) and not stopped:
        lives[0].join(0.0)
        time.sleep(POLL_SECONDS)
        if every and time.monotonic() >= due:
            due = time.monotonic() + every
            console.status(states(lives))
    end = time.monotonic() + LEAVE_SECONDS
    for life in lives:
        if not life.join(max(0.0, end - time.monotonic())):
            life.has_failed = True
            console.say(f"camera '{shown(life.camera.name)}' does not end within {LEAVE_SECONDS:g} s; it is left alone")


def states(lives: Sequence[CameraLife]) -> str:
    """One line: how each camera is doing."""
    return " | ".join(f"{shown(life.camera.name)} {life.describe()}" for life in lives)


def describe_start(cameras: Cameras, opened: dict[str, CameraModel], models: Models) -> str:
    """Which cameras there are, what watches them, by which rule."""
    lines = [f"{len(cameras.cameras)} camera(s) of {cameras.file}, {models.networks} network(s); to {cameras.out}"]
    for camera in cameras.cameras:
        own = opened[camera.name]
        zones = "" if own.model.zones is None else f"; {len(own.model.zones.zones)} zone(s)"
        told = [f"{camera.address.label}{zones}", own.model.describe(), *describe_rule(own.rule, own.model).split("\n")]
        lines += [f"{shown(camera.name)}: {line}" for line in told]
    return "\n".join(lines)


def summary(lives: Sequence[CameraLife], outlets: Outlets) -> list[str]:
    """What came of it: a line for each camera, and for each way that alarms took."""
    lines = ["cameras:"]
    for life in lives:
        found = "never answered"
        if life.run is not None:
            found = f"{life.run.state.events} event(s)"
        lines.append(f"  {shown(life.camera.name)}: {found}; {life.ending}")
    return lines + outlets.summary()
