"""Who comes next: people and vehicles that enter a scene, so that something always moves."""

from __future__ import annotations

import numpy as np

from demo.world.actors import Person, Script, Vehicle, stroll
from demo.world.behaviour import passer_by
from demo.world.cameras import FPS, HEIGHT, WIDTH, Lane
from demo.world.world import World

MAX_PEOPLE, MAX_ON_SCREEN = 10, 7


def new_person(world: World, lane: Lane, x: float | None = None) -> Person:
    """Someone who enters along `lane` (or stands at column `x`), with a script of normal life."""
    rng, camera = world.rng, world.camera
    unused = [who for who in range(len(world.looks)) if all(person.who != who for person in world.people)]
    who = int(rng.choice(unused or range(len(world.looks))))
    facing = lane.direction or int(rng.choice([-1, 1]))
    gait = "run" if lane.use == "jog" else "walk"
    speed = float(np.clip(rng.normal(1, 0.075), 0.85, 1.15)) * (2.9 if gait == "run" else 1.35)
    y = lane.y + float(rng.uniform(-1, 1)) * lane.half_width
    if lane.use == "cross":
        return _crosser(world, lane, who, speed)
    start = (-22.0 if facing > 0 else WIDTH + 22.0) if x is None else x
    person = Person(who, start, camera.ground(y, start), facing, speed, gait)
    if gait == "walk" and lane.y > 150 and rng.random() < 0.3:
        person.heading_y = float(rng.uniform(-0.05, 0.05))
    person.progress = float(rng.random())
    person.script = passer_by(person, world)
    world.people.append(person)
    return person


def _crosser(world: World, lane: Lane, who: int, speed: float) -> Person:
    """Towards or away from the camera: on the zebra, or anywhere on an open square."""
    rng, camera = world.rng, world.camera
    x = camera.crossing_x + float(rng.uniform(-20, 20)) if camera.crossing_x > 0 else float(rng.uniform(30, 290))
    top = {"crossing": 96.0, "plaza": 112.0}.get(camera.kind, 142.0)
    side = int(rng.choice([-1, 1]))
    if rng.random() < 0.5:
        start = -22.0 if side > 0 else WIDTH + 22.0
        person = Person(who, start, camera.ground(top, start), side, speed)
        person.script = _come_near(world, person, x)
    else:
        person = Person(who, x, HEIGHT + 70.0, side, speed, view="back")
        person.script = _go_away(world, person, top)
    world.people.append(person)
    return person


def _come_near(world: World, person: Person, x: float) -> Script:
    """Enter sideways at the far end, turn, and walk towards the camera."""
    yield from stroll(person, world.camera, until_x=x)
    person.view = "front"
    yield from stroll(person, world.camera)


def _go_away(world: World, person: Person, top: float) -> Script:
    """Walk away from the camera, turn at the far end, and leave sideways."""
    yield from stroll(person, world.camera, until_y=top)
    person.view = "side"
    yield from stroll(person, world.camera)


def new_vehicle(world: World, lane: Lane, facing: int | None = None) -> Vehicle:
    """A vehicle that sets out on `lane`, in the lane's direction or the one given."""
    rng, camera = world.rng, world.camera
    way = facing or lane.direction
    cyclist = lane.use == "cycle"
    models = range(6, 8) if cyclist else range(6)
    unused = [model for model in models if all(vehicle.which != model for vehicle in world.vehicles)]
    which = int(rng.choice(unused or models))
    look = world.fleet[which]
    typical = 3.9 if cyclist else 3.2 if camera.kind == "parking" else 6.0
    cruise = typical * float(np.clip(rng.normal(1, 0.075), 0.85, 1.15))
    start = -(look.length / 2 + 1.2) * camera.scale(lane.y)
    x = start if way > 0 else WIDTH - start
    vehicle = Vehicle(which, lane, x, camera.ground(lane.y, x), way, cruise, cruise, look.length, look.smoky)
    vehicle.offset = float(rng.uniform(-1, 1)) * lane.half_width
    world.vehicles.append(vehicle)
    return vehicle


def entry_free(world: World, lane: Lane, facing: int) -> bool:
    """Whether a vehicle can set out on a lane without standing in another."""
    scale = world.camera.scale(lane.y)
    edge = 0.0 if facing > 0 else float(WIDTH)
    return all(v.lane is not lane or (v.x - edge) * facing > (v.length / 2 + 1) * scale for v in world.vehicles)


def _on_screen(world: World) -> tuple[int, int]:
    """(people and vehicles that move in sight, people in sight)"""
    seen = [p for p in world.people if 4 < p.x < WIDTH - 4 and p.y < HEIGHT + 30]
    cars = sum(v.moving and -20 < v.x < WIDTH + 20 for v in world.vehicles)
    return sum(p.moving for p in seen) + cars, len(seen)


def populate(world: World) -> None:
    """Keep the scene alive: soon somebody new where little moves, now and then otherwise."""
    rng, camera = world.rng, world.camera
    moving, seen = _on_screen(world)
    arriving = sum(not 4 < p.x < WIDTH - 4 for p in world.people)
    for index, lane in enumerate(camera.lanes):
        world.lull[index] -= 1
        if world.lull[index] > 0:
            continue
        if lane.use in ("drive", "cycle"):
            likely = 0.03 if moving < camera.min_moving else 0.012
            if index not in world.closed_lanes and entry_free(world, lane, lane.direction) and rng.random() < likely:
                new_vehicle(world, lane)
                world.lull[index] = int(FPS * rng.uniform(1.1, 2.2))
            continue
        welcome = not world.crowd_closed and len(world.people) < MAX_PEOPLE and seen < MAX_ON_SCREEN
        if welcome and rng.random() < (0.06 if moving + arriving < camera.min_moving else 0.006):
            new_person(world, lane)
            arriving += 1
            world.lull[index] = int(FPS * rng.uniform(0.8, 1.8))
