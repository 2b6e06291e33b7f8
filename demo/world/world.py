"""The state of one video's scene: who is there, what of it is seen, and what is anomalous now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from demo.world import effects
from demo.world.actors import Person, Script, Vehicle
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
    """The state of a scene, which `simulation.step` moves on; `drawn` lists what is to be painted, far to near."""

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
        self.puddles = puddles(camera) if camera.surface == "wet" else []
        self.lull: dict[int, int] = dict.fromkeys(range(len(camera.lanes)), 0)

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
        boxes: list[tuple[float, float, float, float, int]] = []
        for actor in self.actors():
            if actor.track >= 0:
                x1, y1, x2, y2 = self.sprite(actor).box
                x, y = round(actor.x), round(actor.y)
                boxes.append((x1 + x, y1 + y, x2 + x, y2 + y, actor.track))
        boxes += [(*box, track) for track, box in self.regions.items()]
        clipped = []
        for left, top, right, bottom, track in boxes:
            box = (max(0, round(left)), max(0, round(top)), min(WIDTH, round(right)), min(HEIGHT, round(bottom)))
            if box[2] - box[0] >= 3 and box[3] - box[1] >= 3:
                clipped.append((*box, track))
        return tuple(clipped)

    def new_track(self) -> int:
        self.next_track += 1
        return self.next_track - 1
