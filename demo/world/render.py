"""From a world to frames: composition, lens, sensor and the burnt-in clock, in YUV 4:2:0."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from demo.world import events, lookalikes
from demo.world.actors import Script, wait
from demo.world.backgrounds import paint_background
from demo.world.cameras import FPS, HEIGHT, WIDTH, Camera, make_camera, make_cast
from demo.world.clock import clock_strip
from demo.world.painter import cloud_texture
from demo.world.people_events import Event
from demo.world.plan import PlannedVideo
from demo.world.simulation import step
from demo.world.sprites import YUV_OFFSET, Sprite, SpriteShelf
from demo.world.world import Anomaly, World

WARM_UP_SECONDS = 7
LATEST_START, EARLIEST_END = 3.0, 2.2
"""Seconds by which an anomaly begins before the first frame at most, and before the last one at least."""
NOISE_TILES = 4


@dataclass(frozen=True)
class Set:
    """What all videos of one camera share."""

    camera: Camera
    shelf: SpriteShelf
    luma: np.ndarray
    chroma: np.ndarray
    vignette: np.ndarray
    noise: np.ndarray


def build_set(seed: int, camera_index: int) -> Set:
    """Paint a camera's background and cast its people: a function of the seed and the camera alone."""
    camera = make_camera(seed, camera_index)
    people, fleet = make_cast(seed, camera_index)
    rgb = paint_background(camera).astype(np.float32)
    yuv = np.einsum("cr,hwr->chw", camera.light.matrix, rgb) + YUV_OFFSET[:, None, None]
    yuv = np.clip(np.round(yuv), 16, 235).astype(np.uint8)
    chroma = yuv[1:].reshape(2, HEIGHT // 2, 2, WIDTH // 2, 2).mean(axis=(2, 4)).astype(np.uint8)
    rows, columns = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    vignette = (1 - camera.vignette * (rows**2 + columns**2) / 2).astype(np.float32)
    rng = np.random.default_rng([seed, 3, camera_index])
    tiles = [cloud_texture(rng, HEIGHT + 32, WIDTH + 64, 2) * camera.noise for _ in range(NOISE_TILES)]
    noise = np.clip(np.round(np.stack(tiles)), -14, 14).astype(np.int8).view(np.uint8)
    return Set(camera, SpriteShelf(people, fleet, camera.light, camera.slope), yuv[0], chroma, vignette, noise)


def blend(luma: np.ndarray, chroma: np.ndarray, sprite: Sprite, x: int, y: int) -> None:
    """Blend a sprite whose anchor lies at (x, y) into luma (h, w) and chroma (2, h/2, w/2), in place."""
    left, top = x - sprite.anchor[0], y - sprite.anchor[1]
    _blend_plane(luma, sprite.luma, sprite.luma_left, left, top)
    _blend_plane(chroma, sprite.chroma, sprite.chroma_left, left // 2, top // 2)


def _blend_plane(plane: np.ndarray, colour: np.ndarray, remaining: np.ndarray, left: int, top: int) -> None:
    height, width = remaining.shape
    x1, y1 = max(0, left), max(0, top)
    x2, y2 = min(plane.shape[-1], left + width), min(plane.shape[-2], top + height)
    if x1 >= x2 or y1 >= y2:
        return
    inside = (..., slice(y1 - top, y2 - top), slice(x1 - left, x2 - left))
    target = plane[..., y1:y2, x1:x2]
    mixed = target * remaining[inside]
    mixed += colour[inside]
    mixed >>= 8
    target[...] = mixed


class Filming:
    """Films one planned video: `frame(i)` for i = 0, 1, 2, ... in order, then `anomalies` holds the truth."""

    def __init__(self, stage: Set, planned: PlannedVideo, seed: int, attempt: int = 0) -> None:
        self.stage, self.planned = stage, planned
        self.rng = np.random.default_rng([seed, 4, planned.camera, planned.number, attempt])
        self.sensor = self.rng.spawn(1)[0]
        camera = stage.camera
        self.world = World(camera, make_cast(seed, planned.camera), stage.shelf, self.rng)
        self.anomalies: list[Anomaly] = []
        self.drift_phase, self.drift_size = float(self.rng.uniform(0, 6.28)), float(self.rng.uniform(0.01, 0.05))
        self.steps = self._exposure_steps()
        self.start_seconds = camera.clock.start_seconds + 1800 * planned.number
        self._schedule()
        for _ in range(WARM_UP_SECONDS * FPS):
            step(self.world)
        self.world.regions.clear()

    def _exposure_steps(self) -> list[tuple[int, float]]:
        """Now and then the camera's automatic exposure corrects itself."""
        number = int(self.rng.integers(0, 3))
        return [
            (int(self.rng.integers(0, self.planned.num_frames)), float(self.rng.uniform(-0.05, 0.05)))
            for _ in range(number)
        ]

    def _schedule(self) -> None:
        """Queue the anomaly and some look-alikes; both kinds of video get look-alikes."""
        world, planned = self.world, self.planned
        duration = planned.num_frames / FPS
        possible = lookalikes.choices(self.stage.camera)
        number = int(self.rng.integers(1, 4))
        for choice in self.rng.permutation(len(possible))[:number]:
            world.directors.append(
                _later(world, possible[int(choice)], WARM_UP_SECONDS + float(self.rng.uniform(0, duration - 4)))
            )
        if planned.label:
            # anywhere, also across the first or the last frame: where in a video it happens shall tell nothing
            lead = events.LEAD_SECONDS.get(planned.class_name, 0.0)
            begin = max(0.5 - WARM_UP_SECONDS, float(self.rng.uniform(-LATEST_START, duration - EARLIEST_END)) - lead)
            world.directors.append(_later(world, events.ANOMALIES[planned.class_name], WARM_UP_SECONDS + begin))

    def rehearse(self) -> int:
        """Play the whole video without drawing it; how many of its frames are anomalous. Draws the film's own numbers,
        so film with another of the same attempt."""
        anomalous = 0
        for _ in range(self.planned.num_frames):
            step(self.world)
            anomalous += bool(self.world.boxes())
        return anomalous

    def frame(self, index: int) -> np.ndarray:
        """Frame `index` as one yuv420p picture, uint8 (360, 320)."""
        stage, world = self.stage, self.world
        step(world)
        boxes = world.boxes()
        if boxes:
            self.anomalies.append(Anomaly(index, boxes))
        picture = np.empty((HEIGHT * 3 // 2, WIDTH), dtype=np.uint8)
        luma = stage.luma.copy()
        chroma = picture[HEIGHT:].reshape(2, HEIGHT // 2, WIDTH // 2)
        chroma[...] = stage.chroma
        for sprite, x, y in world.drawn():
            blend(luma, chroma, sprite, x, y)
        self._expose(luma, index, picture[:HEIGHT])
        seconds = self.start_seconds + index // FPS
        blend(picture[:HEIGHT], chroma, clock_strip(stage.camera, seconds, stage.shelf), 0, 0)
        return picture

    def _expose(self, luma: np.ndarray, index: int, out: np.ndarray) -> None:
        """Light that changes slowly, the lens's dark corners, the sensor's noise."""
        stage = self.stage
        gain = 1 + self.drift_size * math.sin(self.drift_phase + index / FPS * 0.35)
        gain += sum(size * min(1.0, max(0.0, (index - at) / 12)) for at, size in self.steps)
        if index % 6 == 0 or index == 0:
            self._lens = np.round(stage.vignette * gain * 256).astype(np.uint16)
        exposed = np.multiply(luma, self._lens, dtype=np.uint32)
        exposed >>= 8
        np.clip(exposed, 16, 238, out=exposed)
        tile = stage.noise[int(self.sensor.integers(NOISE_TILES))]
        top, left = int(self.sensor.integers(32)), int(self.sensor.integers(64))
        # the noise stays within 14 levels, so adding it modulo 256 never wraps around
        np.add(exposed.astype(np.uint8), tile[top : top + HEIGHT, left : left + WIDTH], out=out)


def _later(world: World, event: Event, seconds: float) -> Script:
    yield from wait(seconds * FPS)
    yield from event(world)
