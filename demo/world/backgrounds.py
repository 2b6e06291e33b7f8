"""What does not move: facades, asphalt, paving, grass, markings, painted once per camera."""

from __future__ import annotations

import numpy as np
from PIL import ImageFilter

from demo.world.cameras import HEIGHT, WIDTH, Camera
from demo.world.drawing import Colour, shade
from demo.world.painter import SUPERSAMPLING, Painter, cloud_texture


def _street(p: Painter, road: tuple[float, float], far_pavement: float) -> None:
    asphalt = shade((96, 97, 100), float(p.rng.uniform(0.8, 1.1)))
    slab = shade((168, 160, 148), float(p.rng.uniform(0.8, 1.1)))
    p.band(far_pavement, road[0], shade(slab, 0.92), 4)
    p.band(road[0], road[1], asphalt, 6)
    p.band(road[1], road[1] + 5, shade(slab, 1.15), 3)
    p.band(road[1] + 5, HEIGHT + 20, slab, 5)
    p.paving(road[1] + 6, HEIGHT + 12, shade(slab, 0.6), 0.9)
    p.ground_line(road[0], shade(slab, 1.2), 2.5)


def _paint_street(p: Painter) -> None:
    p.facade(84, _wall(p), 2)
    _street(p, (101, 158), 82)
    for x in range(-20, WIDTH + 20, 46):
        p.stroke(x, p.camera.ground(130, x), x + 24, p.camera.ground(130, x + 24), (214, 212, 200), 2, 210)
    for _ in range(2):
        trunk = float(p.rng.uniform(20, 300))
        p.tree(trunk, p.camera.ground(99, trunk), float(p.rng.uniform(60, 78)))


def _wall(p: Painter) -> Colour:
    walls: tuple[Colour, ...] = ((172, 128, 104), (186, 176, 156), (146, 140, 136), (160, 108, 90), (190, 182, 170))
    return walls[int(p.rng.integers(len(walls)))]


def _paint_crossing(p: Painter) -> None:
    p.facade(84, _wall(p), 2)
    _street(p, (103, 170), 83)
    middle, camera = p.camera.crossing_x, p.camera
    for stripe in range(8):
        y1, y2 = 105 + stripe * 8.2, 105 + stripe * 8.2 + 4.4
        half1, half2 = 0.95 * camera.scale(y1), 0.95 * camera.scale(y2)
        quad = [(middle - half1, y1), (middle + half1, y1), (middle + half2, y2), (middle - half2, y2)]
        p.polygon([(x, camera.ground(y, x)) for x, y in quad], (218, 216, 206), 225)
    for x in [*range(-20, round(middle - 70), 46), *range(round(middle + 50), WIDTH, 46)]:
        p.stroke(x, camera.ground(136, x), x + 24, camera.ground(136, x + 24), (214, 212, 200), 2, 210)


def _paint_plaza(p: Painter) -> None:
    p.facade(74, _wall(p), 2)
    stone = shade((174, 164, 148), float(p.rng.uniform(0.78, 1.08)))
    p.band(72, HEIGHT + 20, stone, 5)
    p.paving(74, HEIGHT + 14, shade(stone, 0.66), float(p.rng.uniform(0.8, 1.3)))
    p.band(117, 143, shade((150, 96, 84), float(p.rng.uniform(0.85, 1.1))), 5)
    for y in (117, 131, 143):
        p.ground_line(y, (210, 206, 196), 1.2, 190)
    for x in p.rng.uniform(10, 310, 3):
        p.tree(float(x), p.camera.ground(112, float(x)), float(p.rng.uniform(64, 88)))


def _paint_parking(p: Painter) -> None:
    p.facade(62, _wall(p), 1)
    asphalt = shade((104, 104, 106), float(p.rng.uniform(0.8, 1.1)))
    p.band(60, HEIGHT + 20, asphalt, 6)
    camera = p.camera
    for x in range(-30, WIDTH + 40, 62):
        p.stroke(x + 18, camera.ground(76, x), x, camera.ground(113, x), (206, 204, 196), 1.6, 200)
    p.band(166, HEIGHT + 20, shade((162, 156, 146), float(p.rng.uniform(0.85, 1.05))), 5)
    p.paving(168, HEIGHT + 14, (104, 100, 94), 0.8)
    p.ground_line(166, (196, 192, 184), 3)
    way = p.camera.lanes_for("drive")[0].direction
    for x in (70, 220):
        y = camera.ground(146, x)
        p.polygon([(x - 14 * way, y - 2), (x + 6 * way, y - 2), (x + 6 * way, y - 6), (x + 20 * way, y), (x + 6 * way,
        y + 6), (x + 6 * way, y + 2), (x - 14 * way, y + 2)], (206, 204, 196), 170)  # fmt: skip


def _paint_track(p: Painter) -> None:
    grass = shade((92, 124, 66), float(p.rng.uniform(0.8, 1.15)))
    p.box(0, 0, WIDTH, 60, shade((164, 178, 190), float(p.rng.uniform(0.8, 1.05))))
    for x in range(-10, WIDTH + 20, 22):
        p.tree(x + float(p.rng.uniform(-8, 8)), 66, float(p.rng.uniform(44, 72)))
    p.band(60, HEIGHT + 20, grass, 8)
    track = shade((176, 84, 62), float(p.rng.uniform(0.85, 1.1)))
    p.band(104, 164, track, 5)
    for y in (104, 118, 133, 148, 164):
        p.ground_line(y, (226, 220, 210), 1.3, 220)
    path = shade((178, 164, 138), float(p.rng.uniform(0.85, 1.08)))
    p.band(178, HEIGHT + 20, path, 6)
    p.ground_line(178, shade(path, 0.7), 2)


def _paint_shopfront(p: Painter) -> None:
    wall = _wall(p)
    p.box(0, 0, WIDTH, 140, wall)
    x = 6.0
    while x < WIDTH:
        width = float(p.rng.uniform(62, 96))
        p.box(x, 44, x + width, 130, (54, 62, 70))
        base = int(p.rng.integers(110, 180))
        inside = (
            base + int(p.rng.integers(0, 30)),
            base + int(p.rng.integers(-10, 20)),
            base - int(p.rng.integers(0, 40)),
        )
        p.box(x + 3, 47, x + width - 3, 127, inside)
        for _ in range(9):
            goods = tuple(int(v) for v in 110 + 0.5 * (p.rng.integers(0, 220, 3) - 110) + p.rng.integers(-50, 50))
            gx, gy = x + float(p.rng.uniform(6, width - 18)), float(p.rng.uniform(66, 116))
            p.box(gx, gy, gx + 11, gy + 11, (goods[0], goods[1], goods[2]))
        p.box(
            x,
            28,
            x + width,
            42,
            (int(p.rng.integers(50, 150)), int(p.rng.integers(50, 110)), int(p.rng.integers(50, 140))),
        )
        p.stroke(x + 8, 50, x + 26, 124, (240, 244, 248), 3, 70)
        x += width + 9
    floor = shade((186, 180, 168), float(p.rng.uniform(0.8, 1.08)))
    p.band(138, HEIGHT + 20, floor, 3)
    p.paving(139, HEIGHT + 14, shade(floor, 0.72), 0.6)
    p.ground_line(138, shade(wall, 0.5), 3)


PAINTERS = {
    "street": _paint_street, "plaza": _paint_plaza, "parking": _paint_parking, "track": _paint_track,
    "crossing": _paint_crossing, "shopfront": _paint_shopfront,
}  # fmt: skip


def paint_background(camera: Camera) -> np.ndarray:
    """The empty scene, RGB uint8 (240, 320, 3), before the camera's tone."""
    rng = np.random.default_rng(camera.texture_seed)
    painter = Painter(camera, rng)
    PAINTERS[camera.kind](painter)
    x, y = camera.grate
    for bar in range(-6, 7, 2):
        painter.stroke(x + bar, camera.ground(y, x) - 2, x + bar, camera.ground(y, x) + 2, (40, 40, 42), 1, 220)
    if camera.surface == "wet":
        for puddle_x, puddle_y in puddles(camera):
            painter.puddle(puddle_x, puddle_y, 15)
    if camera.kind != "shopfront":
        _lamp_post(painter)
    picture = painter.image.reduce(SUPERSAMPLING).filter(ImageFilter.GaussianBlur(0.45))
    grain = cloud_texture(rng, HEIGHT, WIDTH, 2) * painter.roughness + cloud_texture(rng, HEIGHT, WIDTH, 64) * 5
    shadowed = np.asarray(picture, dtype=np.float32) + grain[..., None]
    return np.clip(shadowed, 0, 255).astype(np.uint8)


def _lamp_post(p: Painter) -> None:
    x, foot = p.camera.lamp_x, 100.0
    p.stroke(x, p.camera.ground(foot, x), x, 34, (58, 60, 64), 2.4)
    p.stroke(x, 35, x + 14, 32, (58, 60, 64), 2)
    p.box(x + 9, 31, x + 19, 35, (226, 224, 206))


def puddles(camera: Camera) -> list[tuple[float, float]]:
    """Puddles (x, y) on the lanes of a wet scene."""
    rng = np.random.default_rng([camera.texture_seed, 7])
    places = []
    for lane in camera.lanes:
        if lane.use != "cross":
            x = float(rng.uniform(40, 280))
            places.append((x, camera.ground(lane.y + 1, x)))
    return places
