"""Drawing a person: clothes on the skeleton of poses.py."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from demo.world.drawing import Colour, Point, Sketch, shade
from demo.world.poses import (
    ACTIONS,
    CYCLIC,
    FOOTROOM,
    HALF_WIDTH,
    HEAD_RADIUS,
    HEADROOM,
    PIXELS_PER_METRE,
    joints,
)

SKINS: tuple[Colour, ...] = ((236, 196, 166), (222, 172, 132), (190, 138, 98), (142, 96, 66), (104, 70, 50))
HAIRS: tuple[Colour, ...] = ((40, 30, 26), (24, 22, 24), (92, 62, 36), (150, 112, 62), (120, 116, 112))
TOPS: tuple[Colour, ...] = (
    (196, 44, 40), (40, 84, 172), (236, 232, 224), (222, 170, 40), (44, 128, 74), (34, 36, 44), (128, 62, 140),
    (220, 110, 40), (90, 150, 196), (176, 180, 186), (142, 32, 62), (66, 96, 60),
)  # fmt: skip
TROUSERS: tuple[Colour, ...] = (
    (40, 52, 88), (30, 30, 34), (104, 92, 72), (70, 74, 82), (170, 158, 132), (54, 70, 110), (84, 54, 44),
)  # fmt: skip


@dataclass(frozen=True)
class Look:
    """What one person looks like. `height` and `bulk` are factors around 1."""

    height: float
    bulk: float
    skin: Colour
    hair: Colour
    top: Colour
    trousers: Colour
    shoes: Colour
    cap: Colour | None
    backpack: Colour | None
    coat: float
    """How far the top reaches down the thighs, 0 to 1."""
    short_sleeves: bool


def random_look(rng: np.random.Generator) -> Look:
    """A person nobody has met: clothes, build, headwear and load drawn at random."""

    def pick(colours: tuple[Colour, ...]) -> Colour:
        red, green, blue = np.clip(
            np.array(colours[rng.integers(len(colours))]) + rng.integers(-14, 15, 3), 0, 255
        ).tolist()
        return red, green, blue

    return Look(
        height=float(rng.uniform(0.92, 1.08)),
        bulk=float(rng.uniform(0.92, 1.22)),
        skin=pick(SKINS),
        hair=pick(HAIRS),
        top=pick(TOPS),
        trousers=pick(TROUSERS),
        shoes=pick(((34, 32, 34), (226, 224, 220), (120, 60, 40), (190, 50, 46))),
        cap=pick(TOPS) if rng.random() < 0.5 else None,
        backpack=pick(TOPS) if rng.random() < 0.55 else None,
        coat=float(rng.choice([0.12, 0.18, 0.55], p=[0.5, 0.3, 0.2])),
        short_sleeves=bool(rng.random() < 0.35),
    )


def draw_person(look: Look, action: str, step: int, view: str) -> tuple[Image.Image, Point]:
    """One drawn step of an action, facing right (`view` "side"), to us ("front") or away ("back"), and its anchor.

    The scale is PIXELS_PER_METRE times the person's height factor.
    """
    steps, pose_at = ACTIONS[action]
    progress = step / steps if action in CYCLIC else step / (steps - 1)
    sketch = Sketch(HALF_WIDTH, HALF_WIDTH, HEADROOM, FOOTROOM, PIXELS_PER_METRE)
    if view == "side":
        _draw_side(sketch, look, joints(pose_at(progress)))
    else:
        _draw_facing(sketch, look, progress, view == "back", moving=action in ("walk", "run", "stagger"))
    return sketch.trimmed()


def _draw_side(sketch: Sketch, look: Look, at: dict[str, Point]) -> None:
    for side, factor in (("far", 0.66), ("near", 1.0)):
        if side == "near":
            draw_torso(sketch, look, at)
            draw_head(sketch, look, at)
        if side == "far":
            draw_arm(sketch, look, at, side, factor)
            draw_leg(sketch, look, at, "far", 0.66)
            draw_leg(sketch, look, at, "near", 1.0)
        else:
            draw_arm(sketch, look, at, side, 0.9)


def draw_leg(sketch: Sketch, look: Look, at: dict[str, Point], side: str, factor: float) -> None:
    colour, shoes = shade(look.trousers, factor), shade(look.shoes, factor)
    hip, knee, ankle, toe = at["hip"], at[f"{side} knee"], at[f"{side} ankle"], at[f"{side} toe"]
    sketch.limb(hip, knee, 0.2 * look.bulk, 0.145 * look.bulk, colour)
    sketch.limb(knee, ankle, 0.14 * look.bulk, 0.095 * look.bulk, shade(colour, 0.93))
    heel = (ankle[0] - 0.25 * (toe[0] - ankle[0]), ankle[1] - 0.25 * (toe[1] - ankle[1]))
    sketch.limb(heel, toe, 0.11, 0.075, shoes)


def draw_arm(sketch: Sketch, look: Look, at: dict[str, Point], side: str, factor: float) -> None:
    sleeve, skin = shade(look.top, factor), shade(look.skin, factor)
    shoulder, elbow, hand = at["shoulder"], at[f"{side} elbow"], at[f"{side} hand"]
    shoulder = (shoulder[0], shoulder[1] - 0.05)
    sketch.limb(elbow, hand, 0.085, 0.07, skin if look.short_sleeves else sleeve)
    sketch.limb(shoulder, elbow, 0.12 * look.bulk, 0.095 * look.bulk, sleeve)
    sketch.disc(hand, 0.055, skin)


def draw_torso(sketch: Sketch, look: Look, at: dict[str, Point]) -> None:
    hip, shoulder = at["hip"], at["shoulder"]
    along = (shoulder[0] - hip[0], shoulder[1] - hip[1])
    front = (along[1], -along[0])  # unit-ish vector times the torso's length, towards the front

    def place(up: float, forwards: float) -> Point:
        return hip[0] + up * along[0] + forwards * front[0], hip[1] + up * along[1] + forwards * front[1]

    if look.backpack is not None:
        pack = [place(1.0, -0.2), place(0.95, -0.52), place(0.32, -0.56), place(0.24, -0.22)]
        sketch.shape(pack, shade(look.backpack, 0.85))
        sketch.shape([place(0.72, -0.36), place(0.7, -0.56), place(0.36, -0.58), place(0.36, -0.36)], look.backpack)
    if look.coat > 0.4:
        knee = ((at["near knee"][0] + at["far knee"][0]) / 2, (at["near knee"][1] + at["far knee"][1]) / 2)
        hem = (hip[0] + look.coat * (knee[0] - hip[0]), hip[1] + look.coat * (knee[1] - hip[1]))
        sketch.limb(hip, hem, 0.3 * look.bulk, 0.36 * look.bulk, shade(look.top, 0.84))
    sketch.limb(place(-look.coat * 0.3, 0), place(0.9, 0.0), 0.245 * look.bulk, 0.27 * look.bulk, shade(look.top, 0.82))
    sketch.limb(
        place(0.05, 0.08), place(0.84, 0.1), 0.12 * look.bulk, 0.14 * look.bulk, look.top
    )  # light falls on the chest
    if look.backpack is not None:
        sketch.limb(place(0.95, -0.06), place(0.4, 0.06), 0.04, 0.04, shade(look.backpack, 0.7))


def draw_head(sketch: Sketch, look: Look, at: dict[str, Point]) -> None:
    head, shoulder = at["head"], at["shoulder"]
    length = math.dist(head, shoulder)
    up = ((head[0] - shoulder[0]) / length, (head[1] - shoulder[1]) / length)
    front = (up[1], -up[0])

    def place(above: float, forwards: float) -> Point:
        return (
            head[0] + HEAD_RADIUS * (above * up[0] + forwards * front[0]),
            head[1] + HEAD_RADIUS * (above * up[1] + forwards * front[1]),
        )

    sketch.limb(shoulder, place(-0.4, 0), 0.11, 0.1, shade(look.skin, 0.82))
    sketch.disc(place(0.08, -0.14), HEAD_RADIUS * 1.04, look.hair)
    sketch.disc(place(-0.16, 0.24), HEAD_RADIUS * 0.84, look.skin)
    sketch.limb(place(-0.1, 0.9), place(-0.28, 1.12), 0.04, 0.05, look.skin)  # the nose
    sketch.disc(place(0.05, 0.62), 0.018, (30, 24, 22))
    if look.cap is not None:
        sketch.shape(
            [place(0.3, -1.1), place(1.02, -0.7), place(1.16, 0.1), place(0.85, 0.75), place(0.36, 0.95)], look.cap
        )
        sketch.limb(place(0.34, 0.7), place(0.22, 1.75), 0.06, 0.04, shade(look.cap, 0.75))


def _draw_facing(sketch: Sketch, look: Look, progress: float, back: bool, moving: bool) -> None:
    """From the front or behind: the swinging leg is lifted and short, its shoe shows (its sole from behind)."""
    swing = math.sin(2 * math.pi * progress) if moving else 0.0
    bulk, hip_height, shoulder_height = look.bulk, 0.88, 1.42
    for side, lift in ((-1, max(0.0, swing)), (1, max(0.0, -swing))):
        foot: Point = (side * 0.1, 0.04 + 0.2 * lift)
        knee: Point = (side * 0.115, 0.46 + 0.09 * lift)
        sketch.limb(
            (side * 0.09, hip_height), knee, 0.2 * bulk, 0.15 * bulk, shade(look.trousers, 1.0 if lift else 0.85)
        )
        sketch.limb(knee, foot, 0.15 * bulk, 0.1 * bulk, shade(look.trousers, 0.7 if back and lift else 0.9))
        shoe = shade(look.shoes, 0.55 if back and lift else 1.0)
        sketch.limb(foot, (foot[0], foot[1] - (0.05 if back else 0.01)), 0.12, 0.14, shoe)
        reach = side * swing
        hand: Point = (side * (0.3 * bulk + 0.02), 0.82 + 0.12 * max(0.0, -reach))
        elbow: Point = (side * 0.31 * bulk, 1.12)
        sketch.limb(elbow, hand, 0.09, 0.075, look.skin if look.short_sleeves else shade(look.top, 0.85))
        sketch.disc(hand, 0.055, look.skin)
        sketch.limb((side * 0.24 * bulk, shoulder_height - 0.05), elbow, 0.12 * bulk, 0.1, shade(look.top, 0.85))
    sketch.limb(
        (0, hip_height + 0.05), (0, hip_height - 0.25 * look.coat), 0.34 * bulk, 0.38 * bulk, shade(look.top, 0.82)
    )
    width, waist = 0.25 * bulk, 0.18 * bulk
    outline = [(-width, shoulder_height), (width, shoulder_height), (waist, hip_height), (-waist, hip_height)]
    sketch.shape(outline, shade(look.top, 0.9 if back else 1.0))
    head: Point = (0.0, shoulder_height + 0.08 + HEAD_RADIUS)
    sketch.limb((0, shoulder_height), head, 0.11, 0.1, shade(look.skin, 0.8))
    sketch.disc((0, head[1] + 0.015), HEAD_RADIUS * 1.05, look.hair)
    if not back:
        sketch.disc((0, head[1] - 0.03), HEAD_RADIUS * 0.86, look.skin)
        for side in (-1, 1):
            sketch.disc((side * 0.042, head[1]), 0.017, (30, 24, 22))
    if look.cap is not None:
        rim = head[1] + 0.03
        sketch.shape([(-0.13, rim), (-0.1, rim + 0.11), (0.1, rim + 0.11), (0.13, rim)], look.cap)
        if not back:
            sketch.limb((-0.1, rim), (0.1, rim), 0.05, 0.05, shade(look.cap, 0.7))
    if look.backpack is not None:
        if back:
            sketch.shape([(-0.19, 1.4), (0.19, 1.4), (0.21, 0.98), (-0.21, 0.98)], look.backpack)
            sketch.shape([(-0.14, 1.16), (0.14, 1.16), (0.15, 1.0), (-0.15, 1.0)], shade(look.backpack, 0.75))
        else:
            for side in (-1, 1):
                sketch.limb(
                    (side * 0.15, shoulder_height), (side * 0.14, 1.08), 0.045, 0.045, shade(look.backpack, 0.75)
                )
