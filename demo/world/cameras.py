"""What one fixed camera sees: its geometry, the lanes that people and vehicles keep to, its light and its clock."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo.world.people import Look, random_look
from demo.world.sprites import Light
from demo.world.vehicles import VehicleLook, random_cyclist, random_vehicle

WIDTH, HEIGHT, FPS = 320, 240, 30
CLOCK_ROWS = 24
"""The burnt-in clock stays inside the top rows: a tenth of the height."""
KINDS = ("street", "plaza", "parking", "track", "crossing", "shopfront")
WITH_ROAD = {"street", "parking", "crossing"}


@dataclass(frozen=True)
class Lane:
    """A band that actors move along, left to right or back. `y` is its ground line at the picture's middle column."""

    use: str
    """walk, jog, cycle, drive or cross (towards and away from the camera)."""
    y: float
    half_width: float
    direction: int
    """+1 rightwards, -1 leftwards, 0 both."""


@dataclass(frozen=True)
class Clock:
    """Style of the burnt-in clock."""

    order: str
    scale: int
    boxed: bool
    tint: int
    label_right: bool
    start_seconds: int


@dataclass(frozen=True)
class Camera:
    """One camera. Picture coordinates in pixels of a 320x240 frame."""

    index: int
    kind: str
    horizon: float
    near_scale: float
    """Pixels per metre at the bottom row."""
    slope: float
    """How much the ground climbs across the picture, pixels per pixel."""
    lanes: tuple[Lane, ...]
    light: Light
    clock: Clock
    surface: str
    """dry, wet or dusty."""
    noise: float
    vignette: float
    crossing_x: float
    """Middle of the zebra crossing, or -1."""
    lamp_x: float
    grate: tuple[float, float]
    """Where steam rises, where it does."""
    leafy: bool
    min_moving: int
    texture_seed: int

    @property
    def name(self) -> str:
        return f"camera{self.index:02d}"

    def scale(self, y: float) -> float:
        """Pixels per metre on the ground line `y`."""
        return self.near_scale * (y - self.horizon) / (HEIGHT - self.horizon)

    def ground(self, lane_y: float, x: float) -> float:
        """The row of a ground line at column `x`."""
        return lane_y + self.slope * (x - WIDTH / 2)

    def lanes_for(self, *uses: str) -> list[Lane]:
        return [lane for lane in self.lanes if lane.use in uses]

    @property
    def walking_area(self) -> tuple[float, float]:
        """Rows between which people walk in the foreground."""
        foreground = [lane for lane in self.lanes if lane.use == "walk" and lane.y > 150]
        return min(lane.y - lane.half_width for lane in foreground), max(
            lane.y + lane.half_width for lane in foreground
        )


def _lanes(kind: str, rng: np.random.Generator) -> tuple[float, float, tuple[Lane, ...]]:
    """(horizon, near scale, lanes) of a scene."""
    way = 1 if rng.random() < 0.5 else -1
    shift = float(rng.uniform(-4, 4))
    walks: tuple[Lane, ...]
    if kind == "street":
        walks = (Lane("walk", 186 + shift, 7, 0), Lane("walk", 214 + shift, 9, 0), Lane("walk", 97, 2, 0))
        return -6.0, float(rng.uniform(49, 54)), (Lane("drive", 120, 1, way), Lane("drive", 149, 1, -way), *walks)
    if kind == "plaza":
        walks = (Lane("walk", 160 + shift, 9, 0), Lane("walk", 190 + shift, 9, 0), Lane("walk", 216, 8, 0))
        return (
            -70.0,
            float(rng.uniform(46, 53)),
            (*walks, Lane("cycle", 126, 4, way), Lane("jog", 138, 4, -way), Lane("cross", 185, 90, 0)),
        )
    if kind == "parking":
        walks = (Lane("walk", 190 + shift, 8, 0), Lane("walk", 217, 8, 0))
        return -60.0, float(rng.uniform(42, 46)), (Lane("drive", 146, 2, way), *walks, Lane("walk", 121, 2, 0))
    if kind == "track":
        walks = (Lane("walk", 192 + shift, 7, 0), Lane("walk", 217, 8, 0))
        return -40.0, float(rng.uniform(47, 53)), (Lane("jog", 122, 5, way), Lane("jog", 148, 6, way), *walks)
    if kind == "crossing":
        walks = (Lane("walk", 196 + shift, 8, 0), Lane("walk", 218, 7, 0))
        lanes = (Lane("drive", 124, 1, way), Lane("drive", 155, 1, -way), *walks, Lane("cross", 160, 26, 0))
        return -10.0, float(rng.uniform(46, 50)), lanes
    walks = (Lane("walk", 168 + shift, 7, 0), Lane("walk", 196, 8, 0), Lane("walk", 219, 7, 0))
    return -110.0, float(rng.uniform(49, 56)), (*walks, Lane("cross", 195, 120, 0))


def _light(kind: str, rng: np.random.Generator) -> Light:
    """By day, at dusk, by night, or indoors; the colours of old sensors."""
    mood = rng.choice(["sun", "cloud", "dusk", "night"], p=[0.4, 0.25, 0.2, 0.15]) if kind != "shopfront" else "indoor"
    level, lamps, shadow = {
        "sun": (1.04, 0.0, 0.5), "cloud": (0.92, 0.1, 0.26), "dusk": (0.85, 0.65, 0.3), "night": (0.73, 1.0, 0.34),
        "indoor": (0.95, 0.2, 0.3),
    }[str(mood)]  # fmt: skip
    warm = float(rng.uniform(-0.09, 0.11))
    long = {"sun": 0.75, "dusk": 0.9}.get(str(mood), 0.2)
    return Light(
        tint=(level * (1 + warm), level, level * (1 - warm)),
        saturation=float(rng.uniform(0.62, 1.05)),
        shadow_slant=float(rng.uniform(0.25, long + 0.1) * rng.choice([-1, 1])),
        shadow_length=float(rng.choice([-0.22, 0.16, 0.24])),
        shadow_strength=shadow,
        lamps=lamps,
    )


def make_camera(seed: int, index: int) -> Camera:
    """Camera number `index` of the world `seed`: kinds take turns, everything else is drawn at random."""
    rng = np.random.default_rng([seed, 1, index])
    kind = KINDS[index % len(KINDS)]
    horizon, near_scale, lanes = _lanes(kind, rng)
    clock = Clock(
        order=str(rng.choice(["y-m-d", "d/m/y", "m-d-y"])),
        scale=int(rng.choice([1, 1, 2])),
        boxed=bool(rng.random() < 0.35),
        tint=int(rng.integers(3)),
        label_right=bool(rng.random() < 0.5),
        start_seconds=int(rng.integers(5 * 3600, 22 * 3600)),
    )
    return Camera(
        index=index, kind=kind, horizon=horizon, near_scale=near_scale, lanes=lanes, clock=clock,
        slope=float(rng.uniform(-0.055, 0.055)) if kind != "shopfront" else 0.0,
        light=_light(kind, rng),
        surface="dusty" if kind == "track" else "dry" if kind == "shopfront" else str(rng.choice(["dry", "wet",
        "dusty"], p=[0.3, 0.45, 0.25])),
        noise=float(rng.uniform(1.4, 3.4)),
        vignette=float(rng.uniform(0.1, 0.38)),
        crossing_x=float(rng.uniform(110, 210)) if kind == "crossing" else -1.0,
        lamp_x=float(rng.uniform(40, 280)),
        grate=(float(rng.uniform(40, 280)), float(rng.uniform(172, 205))),
        leafy=kind != "shopfront" and bool(rng.random() < 0.7),
        min_moving=4,
        texture_seed=int(rng.integers(2**31)),
    )  # fmt: skip


def make_cast(seed: int, index: int) -> tuple[list[Look], list[VehicleLook]]:
    """The people and vehicles that pass camera `index`: (12 looks, 6 cars and vans then 2 cyclists)."""
    rng = np.random.default_rng([seed, 2, index])
    people = [random_look(rng) for _ in range(12)]
    return people, [random_vehicle(rng) for _ in range(6)] + [random_cyclist(rng) for _ in range(2)]
