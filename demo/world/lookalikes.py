"""Normal events that resemble anomalies: a greeting, a stop at the kerb, a rest, a failing lamp, steam, pigeons."""

from __future__ import annotations

from demo.world import effects
from demo.world.actors import Script, Vehicle, once, stroll, wait
from demo.world.cameras import FPS, WIDTH, WITH_ROAD, Camera
from demo.world.people_events import Event, directed, front_lane, meet, recruit
from demo.world.traffic import entry_free, new_person, new_vehicle
from demo.world.world import World


def greeting(world: World) -> Script:
    """Two people meet, fall into each other's arms, talk and part: as close and as lively as a fight."""
    rng = world.rng
    lane = front_lane(world)
    first = recruit(world, lane)
    first.script = directed()
    second = recruit(world, lane, near=first)
    second.script = directed()
    x = min(max((first.x + second.x) / 2, 70.0), WIDTH - 70.0)
    yield from meet(world, first, second, x, 0.62)
    hug_frames, talk_frames = int(rng.integers(34, 56)), int(rng.integers(45, 100))
    for frame in range(hug_frames):
        for person in (first, second):
            person.pose("hug", min(frame, hug_frames - frame) / 16)
        yield
    for frame in range(talk_frames):
        first.pose("talk", frame / 38)
        second.pose("talk", frame / 44 + 0.5)
        yield
    for person in (first, second):
        person.facing = -person.facing
        person.script = stroll(person, world.camera)


def rest(world: World) -> Script:
    """A walker sits down on the ground or kneels at a shoe, and gets up again."""
    person = recruit(world, front_lane(world))
    person.script = directed()
    if not 40 < person.x < WIDTH - 40:
        yield from stroll(person, world.camera, until_x=60.0 if person.facing > 0 else WIDTH - 60.0)
    action = "sit" if world.rng.random() < 0.4 else "bend"
    yield from once(person, action, 0.7)
    yield from wait(FPS * float(world.rng.uniform(1.5, 3.5)))
    yield from once(person, action, 0.8, backwards=True)
    person.script = stroll(person, world.camera)


def kerb_stop(world: World) -> Script:
    """A vehicle brakes to a halt, waits, and drives on; those behind it wait too."""
    rng, camera = world.rng, world.camera
    lanes = camera.lanes_for("drive")
    lane = lanes[int(rng.integers(len(lanes)))]
    while not entry_free(world, lane, lane.direction):
        yield
    vehicle = new_vehicle(world, lane)
    vehicle.busy = True
    vehicle.halt_at = WIDTH / 2 + vehicle.facing * float(rng.uniform(0, 100))
    for _ in range(FPS * 8):
        if _stands(vehicle, camera):
            break
        yield
    yield from wait(FPS * float(rng.uniform(2.0, 4.5)))
    vehicle.halt_at = None
    for _ in range(10):  # it pulls away with a cough
        world.particles.append(
            effects.exhaust(
                rng,
                vehicle.x - vehicle.facing * vehicle.length / 2 * camera.scale(vehicle.y),
                vehicle.y,
                -vehicle.facing,
                1.2 * camera.scale(vehicle.y),
            )
        )
        yield


def _stands(vehicle: Vehicle, camera: Camera) -> bool:
    return vehicle.speed < 0.2 and 0 < vehicle.x < WIDTH


def flicker(world: World) -> Script:
    """A failing lamp: light jumps over a part of the scene."""
    rng = world.rng
    for _ in range(int(rng.integers(4, 9))):
        world.lamp = float(rng.uniform(0.5, 1.0))
        yield from wait(float(rng.integers(2, 9)))
        world.lamp = 0.0
        yield from wait(float(rng.integers(2, 16)))


def steam_cloud(world: World) -> Script:
    """Steam out of a grate, spreading like smoke."""
    x, y = world.camera.grate
    for _ in range(round(FPS * float(world.rng.uniform(3, 6)))):
        if world.rng.random() < 0.6:
            world.particles.append(effects.steam(world.rng, x, world.camera.ground(y, x)))
        yield


def pigeons(world: World) -> Script:
    """Birds take off at once."""
    x, y = float(world.rng.uniform(60, 260)), float(world.rng.uniform(165, 215))
    world.particles.extend(effects.birds(world.rng, x, world.camera.ground(y, x)))
    yield


def hurry(world: World) -> Script:
    """A jogger who keeps to where one jogs."""
    lanes = world.camera.lanes_for("jog")
    new_person(world, lanes[int(world.rng.integers(len(lanes)))])
    yield


def choices(camera: Camera) -> list[Event]:
    """The look-alikes that can happen in front of a camera."""
    events: list[Event] = [greeting, rest, flicker, steam_cloud, pigeons]
    if camera.kind in WITH_ROAD:
        events.append(kerb_stop)
    if camera.lanes_for("jog"):
        events.append(hurry)
    return events
