"""What people do by themselves: walk through, flee, watch. Scripts that need to know the world around them."""

from __future__ import annotations

from demo.world.actors import Person, Script, hold, once, stroll, wait
from demo.world.cameras import FPS, WIDTH
from demo.world.world import World


def passer_by(person: Person, world: World) -> Script:
    """Normal life: walk through; some stop, look around, turn back, tie a shoe or look at a phone on the way."""
    camera, rng = world.camera, world.rng
    habit = rng.random()
    if person.gait == "walk" and person.view == "side" and not person.tired and habit < 0.3:
        person.tired = True
        yield from stroll(person, camera, until_x=float(rng.uniform(50, WIDTH - 50)))
        if habit < 0.1:
            yield from once(person, "bend", 0.7)
            yield from wait(FPS * float(rng.uniform(0.8, 1.6)))
            yield from once(person, "bend", 0.6, backwards=True)
        elif habit < 0.22:
            yield from hold(person, "talk" if habit < 0.16 else "stand", FPS * float(rng.uniform(0.9, 2.0)))
        else:
            yield from hold(person, "stand", FPS * 0.6)
            person.facing = -person.facing
    yield from stroll(person, camera)


def flee(person: Person, world: World, from_x: float) -> Script:
    """Run away from a column and out of the picture."""
    person.view = "side"
    person.facing = 1 if person.x >= from_x else -1
    yield from once(person, "dodge", float(world.rng.uniform(0.15, 0.35)))
    person.gait, person.speed = "run", float(world.rng.uniform(3.2, 4.4))
    yield from stroll(person, world.camera)


def watch(person: Person, world: World, at_x: float, seconds: float) -> Script:
    """Stop, turn to what happens, and walk on after a while."""
    facing = person.facing
    person.view = "side"
    person.facing = 1 if at_x > person.x else -1
    yield from hold(person, "stand", seconds * FPS, 0.3)
    person.facing = facing
    yield from stroll(person, world.camera)
