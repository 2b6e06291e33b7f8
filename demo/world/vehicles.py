"""Cars, vans and cyclists from the side, facing right: bonnet, windscreen and headlights in front, red tail lamps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from demo.world.drawing import Colour, Point, Sketch, ink, shade
from demo.world.people import Look, draw_arm, draw_head, draw_leg, draw_torso, random_look
from demo.world.poses import HEAD_RADIUS, Pose, joints

PIXELS_PER_METRE = 36
"""Of the canonical drawing."""
WHEEL_STEPS = 4
PEDAL_STEPS = 12
PAINTS: tuple[Colour, ...] = (
    (176, 30, 34), (34, 70, 140), (232, 232, 230), (52, 54, 58), (150, 156, 162), (214, 168, 44), (40, 104, 72),
    (112, 44, 50), (92, 130, 160), (222, 116, 40),
)  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """Outlines in metres from the rear bumper: x forwards, y up. Windows lie inside the body."""

    length: float
    body: tuple[Point, ...]
    windows: tuple[tuple[Point, ...], ...]
    wheels: tuple[float, float]
    wheel_radius: float
    lamp_height: float
    driver: Point


SHAPES: dict[str, Shape] = {
    "sedan": Shape(
        4.2,
        ((0, 0.3), (0, 0.82), (0.1, 0.95), (0.72, 1.0), (1.22, 1.42), (2.3, 1.44), (3.02, 0.98), (3.95, 0.84), (4.18,
        0.62), (4.2, 0.3)),
        (((0.86, 1.02), (1.28, 1.35), (1.72, 1.37), (1.72, 1.0)), ((1.8, 1.0), (1.8, 1.37), (2.26, 1.37), (2.84,
        0.98))),
        (0.78, 3.38), 0.33, 0.7, (2.1, 1.14),
    ),
    "hatch": Shape(
        3.7,
        ((0, 0.3), (0, 0.9), (0.22, 1.3), (0.5, 1.47), (1.85, 1.48), (2.62, 1.0), (3.45, 0.86), (3.68, 0.62), (3.7,
        0.3)),
        (((0.3, 1.05), (0.52, 1.38), (1.18, 1.4), (1.18, 1.02)), ((1.27, 1.02), (1.27, 1.4), (1.82, 1.4), (2.42, 1.0))),
        (0.66, 2.95), 0.32, 0.72, (1.62, 1.16),
    ),
    "suv": Shape(
        4.2,
        ((0, 0.36), (0, 1.0), (0.12, 1.5), (0.4, 1.68), (2.2, 1.68), (2.9, 1.16), (3.9, 1.04), (4.16, 0.8), (4.2,
        0.36)),
        (((0.2, 1.2), (0.3, 1.54), (1.2, 1.58), (1.2, 1.16)), ((1.3, 1.16), (1.3, 1.58), (2.14, 1.58), (2.7, 1.14))),
        (0.8, 3.36), 0.38, 0.88, (1.95, 1.32),
    ),
    "van": Shape(
        4.6,
        ((0, 0.34), (0, 1.86), (0.12, 1.96), (3.1, 1.98), (3.82, 1.22), (4.4, 1.06), (4.58, 0.8), (4.6, 0.34)),
        (((2.62, 1.22), (2.62, 1.76), (3.06, 1.78), (3.62, 1.2)),),
        (0.86, 3.72), 0.36, 0.84, (3.0, 1.36),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class VehicleLook:
    """A car or van (`shape` in SHAPES), or a cyclist (`shape` "bike", ridden by `rider`)."""

    shape: str
    paint: Colour
    length: float
    smoky: bool
    """Leaves visible exhaust."""
    rider: Look | None = None


def random_vehicle(rng: np.random.Generator) -> VehicleLook:
    shape = str(rng.choice(list(SHAPES)))
    red, green, blue = np.clip(np.array(PAINTS[rng.integers(len(PAINTS))]) + rng.integers(-12, 13, 3), 0, 255).tolist()
    return VehicleLook(shape, (red, green, blue), SHAPES[shape].length, bool(rng.random() < 0.65))


def random_cyclist(rng: np.random.Generator) -> VehicleLook:
    red, green, blue = PAINTS[rng.integers(len(PAINTS))]
    return VehicleLook("bike", (red, green, blue), 1.75, False, random_look(rng))


def draw_vehicle(look: VehicleLook, step: int, braking: bool, lamps: float) -> tuple[Image.Image, Image.Image, Point]:
    """(body, lights, anchor): the body takes the scene's light, the lights do not. `lamps` 0 (day) to 1 (night).

    The anchor is the middle of the vehicle on the ground. `step` of WHEEL_STEPS (cyclists: PEDAL_STEPS) turns wheels.
    """
    half = look.length / 2
    extents = (half + 0.3, half + 2.4, 2.1, 0.3)
    body, lights = Sketch(*extents, PIXELS_PER_METRE), Sketch(*extents, PIXELS_PER_METRE)
    if look.rider is not None:
        _draw_bike(body, look, look.rider, step)
        return *_finish(body, lights), body.finished()[1]
    shape = SHAPES[look.shape]
    outline = [(x - half, y) for x, y in shape.body]
    body.shape(outline, look.paint)
    sill = [(x - half, min(y, 0.58)) for x, y in shape.body]
    body.shape(sill, shade(look.paint, 0.72))
    body.shape([(-half, 0.28), (half, 0.28), (half, 0.42), (-half, 0.42)], (38, 38, 42))
    roof = max(y for _, y in shape.body)
    highlight = [(x - half, y) for x, y in shape.body if y > roof - 0.03]
    body.limb(highlight[0], highlight[-1], 0.05, 0.05, shade(look.paint, 1.25))
    for window in shape.windows:
        body.shape([(x - half, y) for x, y in window], (46, 58, 70))
    driver = (shape.driver[0] - half, shape.driver[1])
    body.disc(driver, HEAD_RADIUS, (168, 128, 100))
    front = shape.windows[-1]
    body.shape([(x - half, y) for x, y in (front[-1], front[-2], (front[-2][0] + 0.1, front[-2][1]))], (190, 206, 214))
    for wheel in shape.wheels:
        _draw_wheel(body, (wheel - half, shape.wheel_radius), shape.wheel_radius, step)
    _draw_lights(lights, half, shape.lamp_height, braking, lamps)
    return *_finish(body, lights), body.finished()[1]


def _finish(body: Sketch, lights: Sketch) -> tuple[Image.Image, Image.Image]:
    return body.finished()[0], lights.finished()[0]


def _draw_wheel(sketch: Sketch, hub: Point, radius: float, step: int) -> None:
    sketch.disc(hub, radius * 1.12, (22, 22, 24))
    sketch.disc(hub, radius * 0.66, (150, 152, 156))
    for spoke in range(5):
        angle = 2 * math.pi * (spoke + step / WHEEL_STEPS) / 5
        tip = (hub[0] + 0.62 * radius * math.sin(angle), hub[1] + 0.62 * radius * math.cos(angle))
        sketch.limb(hub, tip, 0.05, 0.07, (54, 56, 60))


def _draw_lights(sketch: Sketch, half: float, height: float, braking: bool, lamps: float) -> None:
    """Headlamps with a pool of light on the ground ahead; tail lamps that flare when braking."""
    pool = round(60 + 110 * lamps)
    for size, alpha in ((1.0, pool // 3), (0.8, pool // 2), (0.55, pool)):
        left, right = half + 0.25, half + 0.25 + 2.0 * size
        (x1, y1), (x2, y2) = sketch.at((left, 0.17 * size)), sketch.at((right, -0.2 * size))
        sketch.draw.ellipse((x1, y1, x2, y2), fill=ink((255, 244, 196), alpha))
    if lamps > 0.3:
        beam = [(half, height + 0.04), (half + 1.9, 0.1), (half + 0.9, -0.1), (half, height - 0.08)]
        sketch.shape(beam, (255, 244, 200), round(70 * lamps))
    sketch.limb((half - 0.16, height), (half - 0.02, height - 0.02), 0.17, 0.19, (255, 252, 226))
    if braking:
        sketch.limb((-half + 0.02, height + 0.02), (-half + 0.02, height + 0.2), 0.26, 0.26, (255, 50, 34))
    sketch.limb(
        (-half + 0.05, height), (-half + 0.05, height + 0.2), 0.13, 0.13, (250, 40, 36) if braking else (178, 20, 26)
    )


def _draw_bike(sketch: Sketch, look: VehicleLook, rider: Look, step: int) -> None:
    """A rider who leans forwards over the bar; the legs follow the pedals."""
    rear, front, radius = (-0.5, 0.33), (0.55, 0.33), 0.33
    crank, saddle, bar = (-0.05, 0.3), (-0.2, 0.93), (0.38, 1.0)
    turn = 2 * math.pi * step / PEDAL_STEPS
    for hub in (rear, front):
        x, y = sketch.at(hub)
        outer, inner = radius * sketch.unit, 0.27 * sketch.unit
        sketch.draw.ellipse(
            (x - outer, y - outer, x + outer, y + outer), outline=(26, 26, 28, 255), width=round(outer - inner)
        )
    for start, end in (
        (rear, crank),
        (crank, (0.32, 0.82)),
        ((0.32, 0.82), (-0.18, 0.8)),
        (rear, saddle),
        (front, bar),
        (crank, saddle),
    ):
        sketch.limb(start, end, 0.055, 0.055, look.paint)
    pose = Pose(lean=38, head=-22, arms=(52, 48), elbows=(22, 26))
    points = joints(pose)
    shift = (saddle[0] - points["hip"][0], saddle[1] + 0.06 - points["hip"][1])
    points = {name: (x + shift[0], y + shift[1]) for name, (x, y) in points.items()}
    for side, offset in (("near", 0.0), ("far", math.pi)):
        pedal = (crank[0] + 0.17 * math.sin(turn + offset), crank[1] + 0.17 * math.cos(turn + offset))
        points[f"{side} ankle"] = (pedal[0] - 0.05, pedal[1] + 0.06)
        points[f"{side} toe"] = (pedal[0] + 0.12, pedal[1] + 0.02)
        points[f"{side} knee"] = _knee(points["hip"], points[f"{side} ankle"])
    draw_arm(sketch, rider, points, "far", 0.66)
    draw_leg(sketch, rider, points, "far", 0.66)
    draw_leg(sketch, rider, points, "near", 1.0)
    draw_torso(sketch, rider, points)
    draw_head(sketch, rider, points)
    draw_arm(sketch, rider, points, "near", 0.9)


def _knee(hip: Point, ankle: Point) -> Point:
    """Where two bones of 0.45 m meet between hip and ankle, bent forwards."""
    reach = min(math.dist(hip, ankle), 0.88)
    height = math.sqrt(0.45**2 - (reach / 2) ** 2)
    along = ((ankle[0] - hip[0]) / reach, (ankle[1] - hip[1]) / reach)
    return (hip[0] + ankle[0]) / 2 - along[1] * height, (hip[1] + ankle[1]) / 2 + along[0] * height
