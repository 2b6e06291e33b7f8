"""Anomalies among people: a fight, a panic run, a fall. Each is a script that directs actors and marks its part."""

from __future__ import annotations

import math
from collections.abc import Callable

from demo.world.actors import Person, Script, once, stroll, wait
from demo.world.behaviour import flee, watch
from demo.world.cameras import FPS, WIDTH, Lane
from demo.world.traffic import new_person
from demo.world.world import World

Event = Callable[[World], Script]


def front_lane(world: World) -> Lane:
    """A walking lane in the foreground."""
    lanes = [lane for lane in world.camera.lanes_for("walk") if lane.y > 150]
    return lanes[int(world.rng.integers(len(lanes)))]


def recruit(world: World, lane: Lane, near: Person | None = None) -> Person:
    """A passer-by in the foreground for an event, taken from those in sight or sent in from the side."""
    top, bottom = world.camera.walking_area
    willing = [
        p for p in world.people if not p.busy and p.view == "side" and p.gait == "walk" and top - 8 < p.y < bottom + 8
    ]
    willing = [p for p in willing if 10 < p.x < WIDTH - 10]
    if near is None:
        distance = {id(p): abs(p.x - WIDTH / 2) for p in willing}
    else:  # somebody with room between them, and about as far from the camera
        willing = [p for p in willing if 45 < abs(p.x - near.x) < 200]
        distance = {id(p): abs(p.x - near.x) + 4 * abs(p.y - near.y) for p in willing}
    person = min(willing, key=lambda p: distance[id(p)]) if willing else new_person(world, lane)
    person.busy, person.heading_y = True, 0.0
    return person


def go_to(person: Person, world: World, x: float, y: float) -> Script:
    """Walk to a place: sideways, shifting rows on the way."""
    distance = abs(x - person.x)
    person.view, person.facing = "side", 1 if x >= person.x else -1
    if distance > 1:
        climb = world.camera.slope * (x - person.x)
        person.heading_y = (y - person.y - climb) / max(distance, 40.0)
        yield from stroll(person, world.camera, until_x=x)
    person.heading_y = 0.0


def meet(world: World, first: Person, second: Person, x: float, gap: float) -> Script:
    """Two people walk to each other until `gap` metres lie between them, then face each other."""
    if first.x > second.x:
        first, second = second, first
    y = (first.y + second.y) / 2
    half = gap / 2 * world.camera.scale(y)
    walks = [go_to(first, world, x - half, y), go_to(second, world, x + half, y)]
    people = [first, second]
    arrived = [False, False]
    while not all(arrived) or abs(first.y - second.y) > 2:
        for index, walk in enumerate(walks):
            if arrived[index] or next(walk, StopIteration) is StopIteration:
                arrived[index] = True
                nearer = math.copysign(
                    min(0.7, abs(people[1 - index].y - people[index].y)), people[1 - index].y - people[index].y
                )
                people[index].y += nearer  # small steps towards the other until both stand on one line
                people[index].pose("stand", 0.0)
        yield
    first.facing, second.facing = 1, -1


def directed() -> Script:
    """The script of somebody whom a director moves."""
    while True:
        yield


def fight(world: World) -> Script:
    """Two people meet; blows, kicks and staggering back and forth; one goes down or runs."""
    rng, camera = world.rng, world.camera
    lane = front_lane(world)
    first = recruit(world, lane)
    first.script = directed()
    second = recruit(world, lane, near=first)
    second.script = directed()
    x = min(max((first.x + second.x) / 2, 70.0), WIDTH - 70.0)
    yield from meet(world, first, second, x, 0.85)
    for person in (first, second):
        person.track = world.new_track()
    _draw_attention(world, x, first.y)
    frames_left = FPS * float(rng.uniform(2.2, 3.6))
    attacker, victim = first, second
    while frames_left > 0:
        blow = "kick" if rng.random() < 0.3 else "punch"
        length = int(rng.integers(9, 14))
        push = float(rng.uniform(0.1, 0.35)) * camera.scale(victim.y) / length
        for frame in range(length):
            attacker.pose(blow, frame / (length - 1))
            late = (frame - length * 0.35) / (length * 0.65)
            victim.pose("recoil" if late > 0 else "guard", late if late > 0 else frame * 0.08)
            if late > 0:
                victim.x += attacker.facing * push
                attacker.x += attacker.facing * push * 0.8
            yield
        frames_left -= length
        if rng.random() < 0.6:
            attacker, victim = victim, attacker
    yield from _end_of_fight(world, attacker, victim)


def _draw_attention(world: World, x: float, y: float) -> None:
    """One or two who pass stop and look."""
    passing = [
        p for p in world.people if not p.busy and p.view == "side" and 45 < abs(p.x - x) < 130 and abs(p.y - y) < 60
    ]
    for person in passing[: int(world.rng.integers(0, 3))]:
        person.busy = True
        person.script = watch(person, world, x, float(world.rng.uniform(1.5, 3.0)))


def _end_of_fight(world: World, attacker: Person, victim: Person) -> Script:
    if world.rng.random() < 0.5:
        for frame in range(16):
            victim.pose("fall_back", frame / 15)
            attacker.pose("guard", frame * 0.06)
            yield
        victim.pose("fall_back", 1.0)
        victim.script = _stay_down(victim, "fall_back", float(world.rng.uniform(1.5, 3.0)))
        yield from wait(FPS * 0.5)
    else:
        victim.script = flee(victim, world, attacker.x)
        yield from wait(FPS * 0.8)
    attacker.track = victim.track = -1
    attacker.facing = -attacker.facing
    attacker.script = stroll(attacker, world.camera)


def _stay_down(person: Person, fall: str, seconds: float) -> Script:
    for _ in range(round(seconds * FPS)):
        person.pose(fall, 1.0)
        yield
    yield from once(person, fall, 1.1, backwards=True)


def panic_run(world: World) -> Script:
    """Someone runs through the walkers, across their lanes; they start aside."""
    rng, camera = world.rng, world.camera
    top, bottom = camera.walking_area
    facing = int(rng.choice([-1, 1]))
    x = -24.0 if facing > 0 else WIDTH + 24.0
    runner = new_person(world, front_lane(world), x)
    runner.facing, runner.gait, runner.busy = facing, "run", True
    runner.speed = float(rng.uniform(3.4, 4.6))
    runner.y = camera.ground(float(rng.uniform(top, bottom)), x)
    target = float(rng.uniform(top, bottom))
    runner.heading_y = (target - runner.y) / WIDTH
    runner.script, runner.track = stroll(runner, camera), world.new_track()
    startled: set[int] = set()
    for _ in range(FPS * 8):
        for person in world.people:
            ahead = (person.x - runner.x) * facing
            if person is runner or person.busy or id(person) in startled or person.view != "side":
                continue
            if 0 < ahead < 46 and abs(person.y - runner.y) < 34:
                startled.add(id(person))
                person.busy = True
                person.script = _start_aside(person, world, runner.x)
        if runner.x * facing > (WIDTH + 20) * (facing > 0):
            break
        yield
    runner.track = -1


def _start_aside(person: Person, world: World, from_x: float) -> Script:
    away = 1 if person.y > sum(world.camera.walking_area) / 2 else -1
    for frame in range(15):
        person.pose("dodge", frame / 14)
        person.y += 0.45 * away
        yield
    yield from watch(
        person, world, from_x + (WIDTH if from_x < person.x else -WIDTH), float(world.rng.uniform(0.5, 1.2))
    )


def fall(world: World) -> Script:
    """A walker staggers, collapses and stays down; one who passes comes to look."""
    rng = world.rng
    person = recruit(world, front_lane(world))
    person.script = directed()
    if not 50 < person.x < WIDTH - 50:
        yield from stroll(person, world.camera, until_x=70.0 if person.facing > 0 else WIDTH - 70.0)
    person.track, person.speed = world.new_track(), 0.7
    person.action = "stagger"
    for _ in range(round(FPS * float(rng.uniform(0.5, 0.9)))):
        person.advance(world.camera)
        yield
    manner = "fall_forward" if rng.random() < 0.65 else "fall_back"
    yield from once(person, manner, float(rng.uniform(0.75, 1.05)))
    person.script = _lie(person, manner)
    yield from wait(FPS * float(rng.uniform(1.0, 2.0)))
    _call_help(world, person)
    person.track = -1
    yield from wait(1)


def _lie(person: Person, manner: str) -> Script:
    while True:
        person.pose(manner, 1.0)
        yield


def _call_help(world: World, person: Person) -> None:
    others = [
        p for p in world.people if not p.busy and p.view == "side" and 0 < p.x < WIDTH and abs(p.y - person.y) < 60
    ]
    if others:
        helper = min(others, key=lambda p: abs(p.x - person.x))
        helper.busy = True
        helper.script = _help(helper, world, person)


def _help(helper: Person, world: World, person: Person) -> Script:
    side = 1 if helper.x > person.x else -1
    yield from go_to(helper, world, person.x + side * 0.9 * world.camera.scale(person.y), person.y - 3)
    helper.facing = -side
    yield from once(helper, "bend", 0.7)
    while True:
        helper.pose("bend", 1.0)
        yield
