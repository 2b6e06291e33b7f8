"""A person's skeleton, its poses and gaits.

Angles are degrees. A limb's angle is measured from hanging straight down, positive towards where the person faces, so
every pose has a front and a back: played backwards, a walk is not a walk.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from demo.world.drawing import Point

PIXELS_PER_METRE = 60
"""Of the canonical drawing; sprites are scaled down from it."""
HALF_WIDTH, HEADROOM, FOOTROOM = 1.25, 2.15, 0.15
THIGH, SHANK, FOOT, TORSO, UPPER_ARM, FOREARM, HEAD_RADIUS = 0.43, 0.43, 0.22, 0.52, 0.29, 0.27, 0.125


@dataclass(frozen=True)
class Pose:
    """Pairs are (near limb, far limb). `roll` turns the whole body forwards about the hip; `lift` is in metres."""

    lean: float = 3.0
    head: float = 0.0
    thighs: tuple[float, float] = (3.0, -3.0)
    knees: tuple[float, float] = (4.0, 4.0)
    feet: tuple[float, float] = (0.0, 0.0)
    arms: tuple[float, float] = (4.0, -4.0)
    elbows: tuple[float, float] = (14.0, 14.0)
    roll: float = 0.0
    lift: float = 0.0


def _bump(u: float, sharpness: float = 1.0) -> float:
    """0 at u = 0 and 1, 1 in between; `sharpness` below 1 moves the peak early."""
    return math.sin(math.pi * min(max(u, 0.0), 1.0) ** sharpness)


def _ease(u: float) -> float:
    u = min(max(u, 0.0), 1.0)
    return u * u * (3 - 2 * u)


def _walking_leg(cycle: float) -> tuple[float, float, float]:
    """(thigh, knee, foot pitch) at a point of the gait cycle: heel strike at 0, toe off at 0.5, swing until 1."""
    thigh = 25 * math.cos(2 * math.pi * cycle) + 4
    if cycle < 0.5:  # stance: the knee gives a little, then the heel rises
        return thigh, 5 + 9 * _bump(cycle * 4), 14 * max(0.0, 1 - cycle * 8) - 38 * max(0.0, cycle * 6 - 2)
    swing = (cycle - 0.5) * 2
    return thigh, 6 + 58 * _bump(swing, 0.75), -40 * (1 - swing) + 16 * swing


def _running_leg(cycle: float) -> tuple[float, float, float]:
    thigh = 41 * math.cos(2 * math.pi * cycle) + 14
    if cycle < 0.5:
        return thigh, 16 + 22 * _bump(cycle * 2), 6 - 55 * max(0.0, cycle * 4 - 1)
    swing = (cycle - 0.5) * 2
    return thigh, 18 + 92 * _bump(swing, 0.8), -55 * (1 - swing) + 10 * swing


def _legs(leg: Callable[[float], tuple[float, float, float]], u: float) -> Pose:
    """Both legs of a gait, half a cycle apart."""
    near, far = leg(u % 1), leg((u + 0.5) % 1)
    return Pose(thighs=(near[0], far[0]), knees=(near[1], far[1]), feet=(near[2], far[2]))


def walk(u: float) -> Pose:
    swing = math.cos(2 * math.pi * u)
    arms, elbows = (-26 * swing + 2, 26 * swing + 2), (22 - 12 * swing, 22 + 12 * swing)
    return replace(_legs(_walking_leg, u), lean=7, arms=arms, elbows=elbows)


def run(u: float) -> Pose:
    swing = math.cos(2 * math.pi * u)
    arms, lift = (-48 * swing - 8, 48 * swing - 8), 0.07 * _bump((2 * u + 0.62) % 1)
    return replace(_legs(_running_leg, u), lean=17, head=-8, arms=arms, elbows=(98, 98), lift=lift)


def stand(u: float) -> Pose:
    sway = math.sin(2 * math.pi * u)
    return Pose(lean=1 + 1.5 * sway, head=3 * sway, arms=(3 + 2 * sway, -4))


def talk(u: float) -> Pose:
    gesture = _bump(u)
    return Pose(lean=2 + 3 * gesture, head=6 * gesture, arms=(12 + 38 * gesture, 2), elbows=(30 + 50 * gesture, 16))


def hug(u: float) -> Pose:
    reach = _ease(u * 1.6)
    return Pose(lean=2 + 9 * reach, head=10 * reach, arms=(5 + 68 * reach, 72 * reach), elbows=(14 + 36 * reach, 24))


def guard(u: float) -> Pose:
    bounce = math.sin(2 * math.pi * u)
    knees, elbows = (20 + 5 * bounce, 16), (98 + 5 * bounce, 88)
    return Pose(lean=10 + 2 * bounce, thighs=(22, -20), knees=knees, arms=(38, 50), elbows=elbows)


def punch(u: float) -> Pose:
    hit = _ease(u * 2.6) if u < 0.45 else 1 - _ease((u - 0.45) * 1.9)
    legs, knees = (30 + 10 * hit, -26 - 8 * hit), (28 + 10 * hit, 14)
    arms, elbows = (30 + 56 * hit, 46 - 40 * hit), (105 - 98 * hit, 96)
    return Pose(lean=8 + 20 * hit, thighs=legs, knees=knees, arms=arms, elbows=elbows, head=5 * hit)


def kick(u: float) -> Pose:
    hit = _bump(u, 0.8)
    legs, knees = (10 + 72 * hit, -10), (40 * (1 - hit) * u * 2 + 6, 12)
    return Pose(lean=6 - 26 * hit, thighs=legs, knees=knees, feet=(35 * hit, 0), arms=(34, -42 * hit), elbows=(80, 60))


def recoil(u: float) -> Pose:
    struck = _bump(u, 0.55)
    legs, knees = (14 + 12 * struck, -18), (14 + 22 * struck, 10 + 26 * struck)
    arms = (20 + 70 * struck, 30 - 80 * struck)
    return Pose(lean=6 - 38 * struck, head=-30 * struck, thighs=legs, knees=knees, arms=arms, elbows=(50, 40))


def fall_forward(u: float) -> Pose:
    """The knees give way, the body tips over and lies flat, arms ahead."""
    buckle, drop, slump = _ease(u * 2.2), _ease((u - 0.18) * 1.35), _ease((u - 0.75) * 4)
    return Pose(
        lean=8 + 26 * buckle * (1 - slump),
        head=16 * buckle,
        roll=84 * drop * drop,
        thighs=(28 * buckle * (1 - slump) + 6, 4 * buckle),
        knees=(66 * buckle * (1 - 0.75 * slump), 46 * buckle * (1 - slump) + 5),
        feet=(-30 * buckle, -20 * buckle),
        arms=(20 + 92 * buckle + 66 * slump, 10 + 60 * buckle + 92 * slump),
        elbows=(22 - 14 * slump, 16 - 10 * slump),
    )


def fall_back(u: float) -> Pose:
    buckle, drop = _ease(u * 2), _ease((u - 0.15) * 1.3)
    return Pose(
        lean=-12 * buckle,
        head=-16 * buckle,
        roll=-80 * drop * drop,
        thighs=(34 * buckle, 12 * buckle + 6 * drop),
        knees=(50 * buckle, 20 * buckle),
        arms=(50 * buckle + 90 * drop, -40 * buckle * (1 - drop) + 24 * drop),
        elbows=(24, 20),
    )


def bend(u: float) -> Pose:
    """Down on one knee, hands at the shoe."""
    down = _ease(u)
    return Pose(
        lean=4 + 42 * down,
        head=14 * down,
        thighs=(4 + 82 * down, -2 - 6 * down),
        knees=(6 + 84 * down, 6 + 88 * down),
        feet=(0, -62 * down),
        arms=(4 + 44 * down, 4 + 50 * down),
        elbows=(14 + 16 * down, 14 + 12 * down),
    )


def sit(u: float) -> Pose:
    """Down on the ground, knees drawn up."""
    down = _ease(u)
    legs, knees = (4 + 111 * down, -2 + 112 * down), (6 + 44 * down, 6 + 40 * down)
    arms, elbows = (4 + 50 * down, 46 * down), (14 + 10 * down, 14 + 12 * down)
    lean = 4 + 26 * _bump(u) - 10 * down
    return Pose(lean=lean, thighs=legs, knees=knees, feet=(24 * down, 20 * down), arms=arms, elbows=elbows)


def dodge(u: float) -> Pose:
    start = _bump(u, 0.6)
    legs, knees, arms = (
        (10 + 16 * start, -16 * start),
        (10 + 20 * start, 16 * start),
        (10 + 74 * start, 10 + 88 * start),
    )
    return Pose(lean=2 - 22 * start, head=-8 * start, thighs=legs, knees=knees, arms=arms, elbows=(30 + 60 * start, 40))


def stagger(u: float) -> Pose:
    reel = math.sin(2 * math.pi * u)
    return replace(walk(u), lean=10 + 16 * reel, head=12, arms=(35 + 30 * reel, -30 + 40 * reel), elbows=(30, 50))


ACTIONS: dict[str, tuple[int, Callable[[float], Pose]]] = {
    "walk": (20, walk), "run": (16, run), "stand": (6, stand), "talk": (10, talk), "hug": (8, hug), "guard": (6, guard),
    "punch": (9, punch), "kick": (9, kick), "recoil": (9, recoil), "fall_forward": (14, fall_forward),
    "fall_back": (14, fall_back), "bend": (9, bend), "sit": (9, sit), "dodge": (8, dodge), "stagger": (16, stagger),
}  # fmt: skip
"""Name -> (number of drawn steps, pose at progress 0 to 1)."""
CYCLIC = {"walk", "run", "stand", "talk", "guard", "stagger"}


def _along(origin: Point, angle: float, length: float) -> Point:
    radians = math.radians(angle)
    return origin[0] + length * math.sin(radians), origin[1] - length * math.cos(radians)


def joints(pose: Pose) -> dict[str, Point]:
    """Joint positions in metres: x towards the front, y up, the lowest point on the ground (plus `lift`)."""
    points: dict[str, Point] = {"hip": (0.0, 0.0)}
    points["shoulder"] = _along((0.0, 0.0), 180 - pose.lean, TORSO)
    points["head"] = _along(points["shoulder"], 180 - pose.lean - pose.head, 0.08 + HEAD_RADIUS)
    for side, index in (("near", 0), ("far", 1)):
        knee = _along((0.0, 0.0), pose.thighs[index], THIGH)
        ankle = _along(knee, pose.thighs[index] - pose.knees[index], SHANK)
        elbow = _along(points["shoulder"], pose.arms[index], UPPER_ARM)
        points[f"{side} knee"], points[f"{side} ankle"], points[f"{side} elbow"] = knee, ankle, elbow
        points[f"{side} toe"] = _along(ankle, 90 + pose.feet[index], FOOT)
        points[f"{side} hand"] = _along(elbow, pose.arms[index] + pose.elbows[index], FOREARM)
    if pose.roll:
        cos, sin = math.cos(math.radians(pose.roll)), math.sin(math.radians(pose.roll))
        points = {name: (x * cos + y * sin, -x * sin + y * cos) for name, (x, y) in points.items()}
    lowest = min(y - (HEAD_RADIUS if name == "head" else 0.04) for name, (_, y) in points.items())
    return {name: (x, y - lowest + pose.lift) for name, (x, y) in points.items()}
