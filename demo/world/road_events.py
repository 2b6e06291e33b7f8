"""Anomalies on the road and with a bang: a wrong-way vehicle, a crash that stops, an explosion."""

from __future__ import annotations

import math

from demo.world import effects
from demo.world.actors import Script, Vehicle, wait
from demo.world.behaviour import flee
from demo.world.cameras import FPS, HEIGHT, WIDTH
from demo.world.people_events import front_lane
from demo.world.traffic import entry_free, new_vehicle
from demo.world.world import World


def wrong_way(world: World) -> Script:
    """A vehicle comes against the traffic of its lane and swerves around what it meets."""
    rng, camera = world.rng, world.camera
    lanes = camera.lanes_for("drive")
    lane = lanes[int(rng.integers(len(lanes)))]
    world.closed_lanes.add(camera.lanes.index(lane))
    yield from wait(FPS * 0.9)
    ghost = new_vehicle(world, lane, facing=-lane.direction)
    ghost.heedless, ghost.track, ghost.busy = True, world.new_track(), True
    ghost.cruise = ghost.speed = ghost.cruise * float(rng.uniform(0.8, 0.95))
    swerve = -7.0 if lane is lanes[0] else 8.0
    while not ghost.gone(camera) and not _past(ghost, camera.scale(ghost.y) * ghost.length / 2):
        oncoming = [
            v for v in world.vehicles if v.lane is lane and v is not ghost and (v.x - ghost.x) * ghost.facing > 0
        ]
        nearest = min((abs(v.x - ghost.x) for v in oncoming), default=1e6)
        goal = swerve if nearest < 150 else 0.0
        ghost.offset += min(max(goal - ghost.offset, -0.5), 0.5)
        for other in oncoming:
            if abs(other.x - ghost.x) < 160 and not other.busy:
                other.busy, other.halt_at = True, other.front(camera) + other.facing * 20
        yield
    ghost.track = -1
    for other in world.vehicles:
        other.halt_at = None
    world.closed_lanes.discard(camera.lanes.index(lane))


def _past(vehicle: Vehicle, half: float) -> bool:
    rear = vehicle.x - vehicle.facing * half
    return rear > WIDTH if vehicle.facing > 0 else rear < 0


def crash(world: World) -> Script:
    """One vehicle stands or brakes, the next runs into it; glass, smoke from the bonnet, and both stay."""
    rng, camera = world.rng, world.camera
    lanes = camera.lanes_for("drive")
    lane = lanes[int(rng.integers(len(lanes)))]
    world.closed_lanes.add(camera.lanes.index(lane))
    while not entry_free(world, lane, lane.direction):
        yield
    leader = new_vehicle(world, lane)
    leader.busy = True
    leader.halt_at = WIDTH / 2 + leader.facing * float(rng.uniform(88, 130))
    while (leader.halt_at - leader.front(camera)) * leader.facing > 70:
        yield
    while not entry_free(world, lane, lane.direction):
        yield
    striker = new_vehicle(world, lane)
    striker.heedless, striker.busy = True, True
    striker.cruise = striker.speed = max(5.5, striker.cruise)
    while True:
        scale = camera.scale(striker.y)
        gap = (leader.x - striker.x) * striker.facing - (leader.length + striker.length) / 2 * scale
        if gap < striker.speed / FPS * scale:
            break
        yield
    yield from _impact(world, leader, striker)


def _impact(world: World, leader: Vehicle, striker: Vehicle) -> Script:
    rng, camera = world.rng, world.camera
    scale = camera.scale(striker.y)
    striker.track, leader.track = world.new_track(), world.new_track()
    x, y = striker.front(camera), striker.y
    world.particles.extend(effects.shards(rng, x, y, scale, 18, "glass", 0.9))
    world.particles.extend(effects.shards(rng, x, y, scale, 10, "debris", 0.8))
    for _ in range(6):
        world.particles.append(effects.dust(rng, x, y, 1, 2.2 * scale))
    blow = striker.speed
    striker.script = leader.script = _wreck()
    striker.wreck = leader.wreck = True
    for frame in range(22):
        striker.speed = blow * 0.42 * max(0.0, 1 - frame / 13)
        leader.speed = blow * 0.46 * max(0.0, 1 - frame / 15)
        striker.tilt = 2 + round(4 * math.exp(-frame / 5))
        leader.tilt = round(-4 * math.exp(-frame / 6))
        for vehicle in (striker, leader):
            vehicle.coast(camera)
        yield
    striker.speed = leader.speed = 0.0
    leader.braking = True
    seconds = float(rng.uniform(1.6, 3.4))
    for _ in range(round(seconds * FPS)):
        _fume(world, striker)
        yield
    striker.track = leader.track = -1
    while True:
        if rng.random() < 0.4:
            _fume(world, striker)
        yield


def _fume(world: World, wreck: Vehicle) -> None:
    """Smoke out of a crumpled bonnet."""
    if world.rng.random() < 0.5:
        scale = world.camera.scale(wreck.y)
        puff = effects.smoke(world.rng, wreck.front(world.camera) - wreck.facing * 0.5 * scale, wreck.y, scale, 1.0)
        puff.z = 0.9 * scale
        world.particles.append(puff)


def _wreck() -> Script:
    while True:
        yield


def explosion(world: World) -> Script:
    """A flash, a fireball, debris, smoke that spreads; everyone near runs."""
    rng, camera = world.rng, world.camera
    lane = front_lane(world)
    x, y = float(rng.uniform(70, WIDTH - 70)), lane.y - float(rng.uniform(8, 26))
    y = camera.ground(y, x)
    scale = camera.scale(y)
    track = world.new_track()
    world.particles.append(effects.Particle("flash", x, y + 1, 0.6 * scale, 0, 0, 8, 2.2 * scale, 0.08 * scale, 1.0))
    world.particles.extend(effects.fireball(rng, x, y, scale) for _ in range(26))
    world.particles.extend(effects.shards(rng, x, y, scale, 28, "debris", 1.7))
    for person in world.people:
        if not person.busy and abs(person.x - x) < 170:
            person.busy = True
            person.script = flee(person, world, x)
    world.crowd_closed = True
    length = round(FPS * float(rng.uniform(2.8, 4.2)))
    for frame in range(length):
        rate = 0.95 if frame < 20 else 0.5 * (1 - frame / length)
        if rng.random() < rate:
            world.particles.append(effects.smoke(rng, x, y, scale, 1.7))
        world.regions[track] = _extent(world, x, y, scale)
        yield
    del world.regions[track]
    world.crowd_closed = False


def _extent(world: World, x: float, y: float, scale: float) -> tuple[float, float, float, float]:
    """The box of an explosion's fire and visible smoke."""
    puffs = [
        p
        for p in world.particles
        if p.kind in ("fire", "smoke", "flash") and p.opacity > 0.15 and abs(p.x - x) < 5 * scale
    ]
    left = min((p.x - p.radius for p in puffs), default=x - 0.5 * scale)
    right = max((p.x + p.radius for p in puffs), default=x + 0.5 * scale)
    top = min((p.y - p.z - p.radius for p in puffs), default=y - scale)
    return left, max(0.0, top), right, min(float(HEIGHT), y + 0.25 * scale)
