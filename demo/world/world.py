"""One video's simulation: who is there, who comes next, and what is anomalous, frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from demo.world import effects, traffic
from demo.world.actors import Person, Script, Vehicle, passer_by
from demo.world.backgrounds import puddles
from demo.world.cameras import HEIGHT, WIDTH, Camera
from demo.world.effects import Particle
from demo.world.people import Look
from demo.world.sprites import Sprite, SpriteShelf
from demo.world.vehicles import VehicleLook


@dataclass(frozen=True)
class Anomaly:
    """One anomalous frame's boxes: (x1, y1, x2, y2, track), x2 and y2 exclusive, inside the picture."""

    frame: int
    boxes: tuple[tuple[int, int, int, int, int], ...]


class World:
    """The state of a scene. `step` moves everything by one frame; `drawn` lists what is to be painted, far to near."""

    def __init__(
        self, camera: Camera, cast: tuple[list[Look], list[VehicleLook]], shelf: SpriteShelf, rng: np.random.Generator
    ) -> None:
        self.camera, self.shelf, self.rng = camera, shelf, rng
        self.looks, self.fleet = cast
        self.people: list[Person] = []
        self.vehicles: list[Vehicle] = []
        self.particles: list[Particle] = []
        self.directors: list[Script] = []
        self.regions: dict[int, tuple[float, float, float, float]] = {}
        """Box tracks that follow no actor (an explosion)."""
        self.next_track = 0
        self.closed_lanes: set[int] = set()
        """Drive lanes (by position in the camera's list) on which nobody new sets out."""
        self.crowd_closed = False
        self.lamp = 0.0
        """How much of a lamp's light falls on the scene, 0 to 1."""
        self._puddles = puddles(camera) if camera.surface == "wet" else []
        self.lull: dict[int, int] = dict.fromkeys(range(len(camera.lanes)), 0)

    def step(self) -> None:
        traffic.populate(self)
        for director in list(self.directors):
            if next(director, StopIteration) is StopIteration:
                self.directors.remove(director)
        for person in self.people:
            if person.script is None or next(person.script, StopIteration) is StopIteration:
                person.busy = False
                person.script = passer_by(person, self)
        for vehicle in self.vehicles:
            self._move(vehicle)
        self._emit()
        self.particles = [particle for particle in self.particles if particle.step()]
        self.people = [person for person in self.people if not person.gone(self.camera)]
        self.vehicles = [vehicle for vehicle in self.vehicles if not vehicle.gone(self.camera)]

    def _move(self, vehicle: Vehicle) -> None:
        if vehicle.script is not None:
            if next(vehicle.script, StopIteration) is StopIteration:
                vehicle.script = None
            else:
                return
        vehicle.drive(self.camera, self.free_ahead(vehicle))

    def free_ahead(self, vehicle: Vehicle) -> float:
        """Metres from the front bumper to the next vehicle in the lane, the halt line or people on the zebra."""
        camera = self.camera
        front, scale = vehicle.front(camera), camera.scale(vehicle.y)
        limits = [vehicle.halt_at] if vehicle.halt_at is not None else []
        for other in self.vehicles:
            if other is not vehicle and other.lane is vehicle.lane and (other.x - vehicle.x) * vehicle.facing > 0:
                limits.append(other.x - vehicle.facing * other.length / 2 * scale)
        if camera.crossing_x > 0 and any(self._on_zebra(person) for person in self.people):
            line = camera.crossing_x - vehicle.facing * 44
            if (line - front) * vehicle.facing > -4:
                limits.append(line)
        return min(((limit - front) * vehicle.facing / scale for limit in limits), default=1e6)

    def _on_zebra(self, person: Person) -> bool:
        return person.view != "side" and 98 < person.y < 190

    def _emit(self) -> None:
        """Exhaust, spray, dust, ripples and leaves of this frame."""
        rng, camera = self.rng, self.camera
        for vehicle in self.vehicles:
            self._trail(vehicle, camera.scale(vehicle.y))
            self._splash(vehicle, camera.scale(vehicle.y))
        for person in self.people:
            if person.moving and person.landed:
                self._footfall(person, camera.scale(person.y))
        if camera.leafy and rng.random() < 0.02:
            x, y = float(rng.uniform(0, WIDTH)), float(rng.uniform(100, 225))
            self.particles.append(effects.leaf(rng, x, y, float(rng.uniform(40, 90))))

    def _trail(self, vehicle: Vehicle, scale: float) -> None:
        """What a vehicle leaves behind: exhaust where it smokes, spray or dust where the road has any."""
        rng, surface, back = self.rng, self.camera.surface, -vehicle.facing
        rear = vehicle.x + back * vehicle.length / 2 * scale
        if vehicle.smoky and not vehicle.wreck and rng.random() < (0.3 if vehicle.moving else 0.12):
            self.particles.append(effects.exhaust(rng, rear, vehicle.y - 1, back, scale))
        if vehicle.moving and surface != "dry" and rng.random() < 0.3:
            puff = effects.spray if surface == "wet" else effects.dust
            self.particles.append(puff(rng, rear - back * 0.6 * scale, vehicle.y, back, scale))

    def _footfall(self, person: Person, scale: float) -> None:
        """A step leaves a ring on wet ground, dust elsewhere: little of it where it is clean."""
        rng, camera = self.rng, self.camera
        side = person.facing if person.view == "side" else 0
        x, y = person.x + side * 0.3 * scale, person.y
        if camera.surface == "wet":
            self.particles.append(effects.ripple(rng, x, y, scale))
        else:
            thick = (1.0 if camera.surface == "dusty" else 0.6) * (1.0 if person.gait == "run" else 0.8)
            self.particles.append(effects.dust(rng, x, y, -side, scale, thick))
        for puddle_x, puddle_y in self._puddles:
            if abs(puddle_x - person.x) < 13 and abs(puddle_y - person.y) < 7:
                self.particles.extend(effects.splash(rng, person.x, person.y, person.facing, 0.55 * scale))

    def _splash(self, vehicle: Vehicle, scale: float) -> None:
        for index, (x, y) in enumerate(self._puddles):
            front = vehicle.front(self.camera)
            if index not in vehicle.past_puddles and (front - x) * vehicle.facing > 0 and abs(y - vehicle.y) < 6:
                vehicle.past_puddles.add(index)
                if abs(front - x) < 12:
                    for _ in range(2):
                        self.particles.extend(effects.splash(self.rng, x, y, vehicle.facing, 1.5 * scale))

    # what is seen

    def drawn(self) -> Iterator[tuple[Sprite, int, int]]:
        """(sprite, column, row) of everything, far to near."""
        things: list[tuple[float, Sprite, int, int]] = []
        for actor in self.actors():
            things.append((actor.y, self.sprite(actor), round(actor.x), round(actor.y)))
        for particle in self.particles:
            key = effects.effect_key(particle)
            sprite = self.shelf.kept(key, lambda key=key: effects.draw_effect(key, self.shelf.light))  # type: ignore[misc]
            things.append((particle.y + 0.5, sprite, round(particle.x), round(particle.y - particle.z)))
        if self.lamp > 0:
            lamp = ("lamp", 64, max(1, round(self.lamp * 5)), 0)
            sprite = self.shelf.kept(lamp, lambda: effects.draw_effect(lamp, self.shelf.light))
            things.append((1e6, sprite, round(self.camera.lamp_x) + 14, 96))
        things.sort(key=lambda thing: thing[0])
        return ((sprite, x, y) for _, sprite, x, y in things)

    def actors(self) -> list[Person | Vehicle]:
        """Everybody and everything that moves by itself."""
        return [*self.people, *self.vehicles]

    def sprite(self, actor: Person | Vehicle) -> Sprite:
        scale = self.camera.scale(actor.y)
        if isinstance(actor, Person):
            return self.shelf.person(actor.who, actor.action, actor.progress, actor.view, actor.facing, scale)
        turn = actor.travelled / (4.4 if self.fleet[actor.which].rider else 0.41)
        return self.shelf.vehicle(actor.which, turn, actor.braking, actor.facing, scale, actor.tilt)

    def boxes(self) -> tuple[tuple[int, int, int, int, int], ...]:
        """Boxes of everything that is part of an anomaly now, clipped; what is out of sight has none."""
        found: list[tuple[float, float, float, float, int]] = []
        for actor in self.actors():
            if actor.track >= 0:
                x1, y1, x2, y2 = self.sprite(actor).box
                x, y = round(actor.x), round(actor.y)
                found.append((x1 + x, y1 + y, x2 + x, y2 + y, actor.track))
        found += [(*box, track) for track, box in self.regions.items()]
        clipped = []
        for left, top, right, bottom, track in found:
            box = (max(0, round(left)), max(0, round(top)), min(WIDTH, round(right)), min(HEIGHT, round(bottom)))
            if box[2] - box[0] >= 3 and box[3] - box[1] >= 3:
                clipped.append((*box, track))
        return tuple(clipped)

    def new_track(self) -> int:
        self.next_track += 1
        return self.next_track - 1
