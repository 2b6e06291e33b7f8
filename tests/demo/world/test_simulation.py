"""One frame's step: who keeps their distance."""

from __future__ import annotations

import numpy as np
import pytest

from demo.world.actors import Person
from demo.world.cameras import make_camera, make_cast
from demo.world.render import build_set
from demo.world.simulation import free_ahead, step
from demo.world.traffic import new_vehicle
from demo.world.world import World


@pytest.fixture
def world() -> World:
    """An empty road with a crossing."""
    index = next(index for index in range(16) if make_camera(0, index).crossing_x > 0)
    stage = build_set(0, index)
    return World(stage.camera, make_cast(0, index), stage.shelf, np.random.default_rng(0))


def test_a_vehicle_stops_before_another_and_before_people_on_the_zebra(world: World) -> None:
    lane = world.camera.lanes_for("drive")[0]
    vehicle = new_vehicle(world, lane)
    assert free_ahead(world, vehicle) == 1e6
    front, scale = vehicle.front(world.camera), world.camera.scale(vehicle.y)
    other = new_vehicle(world, lane)
    other.x = front + vehicle.facing * (other.length / 2 + 5) * scale
    assert free_ahead(world, vehicle) == pytest.approx(5)
    vehicle.halt_at = front + vehicle.facing * 3 * scale
    assert free_ahead(world, vehicle) == pytest.approx(3)
    world.vehicles.remove(other)
    vehicle.halt_at = None
    world.people.append(Person(0, world.camera.crossing_x, 120.0, 1, 1.0, view="front"))
    line = world.camera.crossing_x - vehicle.facing * 44
    assert free_ahead(world, vehicle) == pytest.approx((line - front) * vehicle.facing / scale)


def test_whoever_left_the_picture_is_no_longer_there(world: World) -> None:
    vehicle = new_vehicle(world, world.camera.lanes_for("drive")[0])
    vehicle.x = vehicle.facing * 1e4
    world.people.append(Person(0, 1e4, 120.0, 1, 1.0))
    step(world)
    assert vehicle not in world.vehicles
    assert all(person.x < 1e4 for person in world.people)
