"""Who moves: people and vehicles; their behaviour is a script, a generator that is resumed once per frame."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, field

from demo.world.cameras import FPS, WIDTH, Camera, Lane

Script = Generator[None, None, None]
DEPTH_SQUASH = 0.5
"""Vertical pixels on the screen per horizontal pixel of the same distance on the ground."""


@dataclass(eq=False)
class Person:
    """A person on the ground at (x, y); `speed` in m/s along `facing` (side view) or in depth (front, back)."""

    who: int
    x: float
    y: float
    facing: int
    speed: float
    gait: str = "walk"
    view: str = "side"
    action: str = "stand"
    progress: float = 0.0
    heading_y: float = 0.0
    """Rows per pixel walked sideways, besides the camera's slope."""
    script: Script | None = None
    moving: bool = False
    landed: bool = False
    """A foot came down in this frame."""
    tired: bool = False
    """Has had its interruption; it will not stop again."""
    track: int = -1
    """Number of its box track while it is part of an anomaly, else -1."""
    busy: bool = False
    """Part of an event: nobody else directs it."""

    def advance(self, camera: Camera) -> None:
        """One frame of walking or running; the gait's cadence follows from the ground covered."""
        scale = camera.scale(self.y)
        metres = self.speed / FPS
        if self.view == "side":
            step = self.facing * metres * scale
            self.x += step
            self.y += camera.slope * step + self.heading_y * abs(step)
        else:
            self.y += (1 if self.view == "front" else -1) * metres * scale * DEPTH_SQUASH
        stride = 1.0 + 0.32 * self.speed if self.gait == "walk" else 1.3 + 0.37 * self.speed
        if self.action != self.gait and self.action != "stagger":
            self.action, self.progress = self.gait, 0.0
        before, self.progress = self.progress, self.progress + metres / stride
        self.landed = int(2 * before) != int(2 * self.progress)
        self.moving = True

    def pose(self, action: str, progress: float) -> None:
        self.action, self.progress, self.moving, self.landed = action, progress, False, False

    def gone(self, camera: Camera) -> bool:
        margin = camera.scale(self.y) * 0.8
        return not (-margin - 30 < self.x < WIDTH + margin + 30) or self.y > 330 or self.y < 70


@dataclass(eq=False)
class Vehicle:
    """A vehicle whose middle is at (x, y) on the ground, facing `facing`; `speed` in m/s now, `cruise` when free."""

    which: int
    lane: Lane
    x: float
    y: float
    facing: int
    cruise: float
    speed: float
    length: float
    smoky: bool
    offset: float = 0.0
    """Rows off the lane's ground line."""
    halt_at: float | None = None
    """Column where it has to stop with its front."""
    travelled: float = 0.0
    braking: bool = False
    tilt: int = 0
    wreck: bool = False
    heedless: bool = False
    """Does not keep its distance: it is about to crash."""
    script: Script | None = None
    track: int = -1
    busy: bool = False
    moving: bool = True
    past_puddles: set[int] = field(default_factory=set)

    def front(self, camera: Camera) -> float:
        return self.x + self.facing * self.length / 2 * camera.scale(self.y)

    def drive(self, camera: Camera, free_metres: float) -> None:
        """One frame: speed up towards `cruise`, brake for what is `free_metres` ahead of the front bumper."""
        target = self.cruise
        if not self.heedless:
            target = min(target, math.sqrt(max(0.0, 2 * 3.4 * (free_metres - 0.9))))
        change = min(max(target - self.speed, -7.5 / FPS), 2.4 / FPS)
        self.braking = (change < -0.6 / FPS and not self.wreck) or (self.speed < 0.15 and target < 0.3)
        self.speed = max(0.0, self.speed + change)
        self.coast(camera)

    def coast(self, camera: Camera) -> None:
        """Move by the present speed."""
        metres = self.speed / FPS
        self.x += self.facing * metres * camera.scale(self.y)
        self.y = camera.ground(self.lane.y + self.offset, self.x)
        self.travelled += metres
        self.moving = self.speed > 0.3

    def gone(self, camera: Camera) -> bool:
        margin = camera.scale(self.y) * self.length + 60
        return self.x > WIDTH + margin if self.facing > 0 else self.x < -margin


def wait(frames: float) -> Script:
    for _ in range(max(0, round(frames))):
        yield


def stroll(person: Person, camera: Camera, until_x: float | None = None, until_y: float | None = None) -> Script:
    """Walk (or run) on, for ever or until a column or row is passed."""
    while True:
        person.advance(camera)
        if until_x is not None and (until_x - person.x) * person.facing <= 0:
            return
        if until_y is not None and (until_y - person.y) * (1 if person.view == "front" else -1) <= 0:
            return
        yield


def hold(person: Person, action: str, frames: float, cycles_per_second: float = 0.5) -> Script:
    """Repeat a cyclic action on the spot."""
    for frame in range(max(1, round(frames))):
        person.pose(action, frame / FPS * cycles_per_second)
        yield


def once(person: Person, action: str, seconds: float, backwards: bool = False) -> Script:
    """Go through an action once; `backwards` is for standing up again."""
    frames = max(2, round(seconds * FPS))
    for frame in range(frames):
        progress = frame / (frames - 1)
        person.pose(action, 1 - progress if backwards else progress)
        yield
