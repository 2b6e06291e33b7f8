"""What movement leaves behind in a frame: exhaust, spray, dust, ripples, splashes; and a leaf now and then."""

from __future__ import annotations

from demo.world import effects
from demo.world.actors import Person, Vehicle
from demo.world.cameras import WIDTH
from demo.world.world import World


def leave_traces(world: World) -> None:
    """Add this frame's particles to the world."""
    rng, camera = world.rng, world.camera
    for vehicle in world.vehicles:
        _trail(world, vehicle, camera.scale(vehicle.y))
        _splash(world, vehicle, camera.scale(vehicle.y))
    for person in world.people:
        if person.moving and person.landed:
            _footfall(world, person, camera.scale(person.y))
    if camera.leafy and rng.random() < 0.02:
        x, y = float(rng.uniform(0, WIDTH)), float(rng.uniform(100, 225))
        world.particles.append(effects.leaf(rng, x, y, float(rng.uniform(40, 90))))


def _trail(world: World, vehicle: Vehicle, scale: float) -> None:
    """What a vehicle leaves behind: exhaust where it smokes, spray or dust where the road has any."""
    rng, surface, back = world.rng, world.camera.surface, -vehicle.facing
    rear = vehicle.x + back * vehicle.length / 2 * scale
    if vehicle.smoky and not vehicle.wreck and rng.random() < (0.3 if vehicle.moving else 0.12):
        world.particles.append(effects.exhaust(rng, rear, vehicle.y - 1, back, scale))
    if vehicle.moving and surface != "dry" and rng.random() < 0.3:
        puff = effects.spray if surface == "wet" else effects.dust
        world.particles.append(puff(rng, rear - back * 0.6 * scale, vehicle.y, back, scale))


def _splash(world: World, vehicle: Vehicle, scale: float) -> None:
    """Water that a vehicle throws up where its front first reaches a puddle."""
    for index, (x, y) in enumerate(world.puddles):
        front = vehicle.front(world.camera)
        if index not in vehicle.past_puddles and (front - x) * vehicle.facing > 0 and abs(y - vehicle.y) < 6:
            vehicle.past_puddles.add(index)
            if abs(front - x) < 12:
                for _ in range(2):
                    world.particles.extend(effects.splash(world.rng, x, y, vehicle.facing, 1.5 * scale))


def _footfall(world: World, person: Person, scale: float) -> None:
    """A step leaves a ring on wet ground, dust elsewhere: little of it where it is clean."""
    rng, camera = world.rng, world.camera
    side = person.facing if person.view == "side" else 0
    x, y = person.x + side * 0.3 * scale, person.y
    if camera.surface == "wet":
        world.particles.append(effects.ripple(rng, x, y, scale))
    else:
        thick = (1.0 if camera.surface == "dusty" else 0.6) * (1.0 if person.gait == "run" else 0.8)
        world.particles.append(effects.dust(rng, x, y, -side, scale, thick))
    for puddle_x, puddle_y in world.puddles:
        if abs(puddle_x - person.x) < 13 and abs(puddle_y - person.y) < 7:
            world.particles.extend(effects.splash(rng, person.x, person.y, person.facing, 0.55 * scale))
