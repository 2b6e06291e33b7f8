"""One frame further: who enters, what everybody does next, who keeps whose distance, who has left."""

from __future__ import annotations

from demo.world.actors import Person, Vehicle
from demo.world.behaviour import passer_by
from demo.world.traces import leave_traces
from demo.world.traffic import populate
from demo.world.world import World


def step(world: World) -> None:
    """Move everything in `world` by one frame."""
    populate(world)
    for director in list(world.directors):
        if next(director, StopIteration) is StopIteration:
            world.directors.remove(director)
    for person in world.people:
        if person.script is None or next(person.script, StopIteration) is StopIteration:
            person.busy = False
            person.script = passer_by(person, world)
    for vehicle in world.vehicles:
        _move(world, vehicle)
    leave_traces(world)
    world.particles = [particle for particle in world.particles if particle.step()]
    world.people = [person for person in world.people if not person.gone(world.camera)]
    world.vehicles = [vehicle for vehicle in world.vehicles if not vehicle.gone(world.camera)]


def _move(world: World, vehicle: Vehicle) -> None:
    if vehicle.script is not None:
        if next(vehicle.script, StopIteration) is StopIteration:
            vehicle.script = None
        else:
            return
    vehicle.drive(world.camera, free_ahead(world, vehicle))


def free_ahead(world: World, vehicle: Vehicle) -> float:
    """Metres from the front bumper to the next vehicle in the lane, the halt line or people on the zebra."""
    camera = world.camera
    front, scale = vehicle.front(camera), camera.scale(vehicle.y)
    limits = [vehicle.halt_at] if vehicle.halt_at is not None else []
    for other in world.vehicles:
        if other is not vehicle and other.lane is vehicle.lane and (other.x - vehicle.x) * vehicle.facing > 0:
            limits.append(other.x - vehicle.facing * other.length / 2 * scale)
    if camera.crossing_x > 0 and any(_on_zebra(person) for person in world.people):
        line = camera.crossing_x - vehicle.facing * 44
        if (line - front) * vehicle.facing > -4:
            limits.append(line)
    return min(((limit - front) * vehicle.facing / scale for limit in limits), default=1e6)


def _on_zebra(person: Person) -> bool:
    return person.view != "side" and 98 < person.y < 190
