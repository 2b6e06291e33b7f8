"""Reading zones from a file of a person (YAML or JSON), and everything that can be wrong with them.

size: [640, 360]              # only with polygons in pixels: of the picture that they were drawn on
cell_share: 0.5               # of a detector of cells: so much of a cell lies inside, or it does not count
zones:
  - {name: yard, kind: include, polygon: [[0.1, 0.3], [0.9, 0.3], [0.9, 1.0], [0.1, 1.0]]}
  - {name: tree, kind: exclude, polygon: [[0.7, 0.0], [1.0, 0.0], [1.0, 0.5]]}
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from downstream.features.zones import CELL_SHARE, Point, Zone, Zones, edges_of
from pretrain.errors import UserError, problem_list
from pretrain.files import write_json
from pretrain.json_shapes import WrongShape, check, fixed, number, one_of, record, sequence, text, whole
from pretrain.versioned_json import read_json
from pretrain.yaml_file import read_yaml

MOST_ZONES, MOST_CORNERS = 64, 256
MOST_CHARACTERS = 80
SMALLEST = 1e-4
"""Share of the picture: what is smaller was not meant [ours]."""
_ZONE = record(
    {"polygon": sequence(fixed(number(), number()), 0, MOST_CORNERS)},
    {"name": text, "kind": one_of("include", "exclude")},
    closed=True,
)
_SIDE = whole(1, 1 << 16)
ZONES = record(
    {"zones": sequence(_ZONE, 1, MOST_ZONES)},
    {"size": fixed(_SIDE, _SIDE), "cell_share": number()},
    closed=True,
)
"""What stands in a file of zones."""


def read_zones(path: Path) -> Zones:
    """The zones of a file; UserError with everything that is wrong in it."""
    if not path.is_file():
        raise UserError(f"there is no file of zones {path}; write one, see docs/cameras.md")
    if path.suffix.lower() == ".json":
        content = read_json(path, "the zones", "mend them, see docs/cameras.md")
    else:
        content = read_yaml(path, "the zones")
    return zones_of(content, str(path))


def zones_of(content: Any, where: str) -> Zones:
    """The zones that a file, or a part of one, states. `where` it stands, for messages. UserError."""
    try:
        check(content, ZONES)
    except WrongShape as error:
        raise UserError(f"the zones in {where}: {error}; see docs/cameras.md") from None
    size, zones, problems = content.get("size"), [], []
    for index, entry in enumerate(content["zones"]):
        zone = _zone(entry, f"zone {index + 1}", size)
        problems += list(_problems(zone, size))
        zones.append(zone)
    names = [zone.name for zone in zones]
    problems += [f"two zones are called '{name}'" for name in dict.fromkeys(names) if names.count(name) > 1]
    share = content.get("cell_share", CELL_SHARE)
    if not 0 < share <= 1:
        problems.append(f"cell_share is {share}; it must lie in (0, 1]")
    if problems:
        raise UserError(f"{len(problems)} problem(s) in the zones of {where}:\n{problem_list(problems)}")
    return Zones(zones=tuple(zones), cell_share=float(share))


def write_zones(path: Path, zones: Zones) -> None:
    """Write them atomically as JSON, in shares of the picture."""
    write_json(path, zones.as_json())


def _zone(entry: dict[str, Any], name: str, size: Sequence[int] | None) -> Zone:
    width, height = size or (1, 1)
    corners = tuple(Point(x / width, y / height) for x, y in entry["polygon"])
    if len(corners) > 1 and corners[0] == corners[-1]:  # many programs close a polygon by its first corner
        corners = corners[:-1]
    return Zone(name=entry.get("name", name), kind=entry.get("kind", "include"), polygon=corners)


def _problems(zone: Zone, size: Sequence[int] | None) -> Iterator[str]:
    """What is wrong with one zone: the first thing that makes the others meaningless."""
    name = f"'{zone.name[:MOST_CHARACTERS]}'"
    if not zone.name.strip() or len(zone.name) > MOST_CHARACTERS or not zone.name.isprintable():
        yield f"a zone's name is {name}; it has 1 to {MOST_CHARACTERS} printable characters"
    outside = [point for point in zone.polygon if not (0 <= point.x <= 1 and 0 <= point.y <= 1)]
    if len(set(zone.polygon)) < 3:
        yield f"{name} has {len(set(zone.polygon))} different corner(s); a polygon has at least 3"
    elif outside:
        yield f"{name} has the corner {_told(outside[0], size)}"
    elif crossed := _crossing(zone.polygon):
        yield f"{name} crosses itself: its sides {crossed[0] + 1} and {crossed[1] + 1} meet; go round it in order"
    elif (area := abs(_area(zone.polygon))) < SMALLEST:
        yield f"{name} is empty: it holds {area:.2g} of the picture; it must hold at least {SMALLEST:g}"


def _told(point: Point, size: Sequence[int] | None) -> str:
    if size is not None:
        x, y = point.x * size[0], point.y * size[1]
        return f"({x:g}, {y:g}), outside the picture of {size[0]}x{size[1]} pixels"
    pixels = "; for pixels, say of which picture: size: [width, height]" if max(point) > 1.5 else ""
    return f"({point.x:g}, {point.y:g}); shares of the picture lie in [0, 1]{pixels}"


def _area(polygon: tuple[Point, ...]) -> float:
    """Signed, by the shoelace formula."""
    return 0.5 * sum(a.x * b.y - b.x * a.y for a, b in edges_of(polygon))


def _crossing(polygon: tuple[Point, ...]) -> tuple[int, int] | None:
    """The first two sides that meet elsewhere than at a common corner; None: there are none."""
    edges = edges_of(polygon)
    for (i, first), (j, second) in combinations(enumerate(edges), 2):
        if j - i == 1 or (i == 0 and j == len(edges) - 1):
            continue
        if _meet(*first, *second):
            return i, j
    return None


def _meet(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether the sides a-b and c-d have a point in common."""
    sides = [_side(a, b, c), _side(a, b, d), _side(c, d, a), _side(c, d, b)]
    if sides[0] * sides[1] < 0 and sides[2] * sides[3] < 0:
        return True
    ends = ((sides[0], a, b, c), (sides[1], a, b, d), (sides[2], c, d, a), (sides[3], c, d, b))
    return any(side == 0 and _between(start, end, point) for side, start, end, point in ends)


def _side(a: Point, b: Point, point: Point) -> float:
    """Above 0 on one side of the line a-b, below on the other."""
    return (b.x - a.x) * (point.y - a.y) - (b.y - a.y) * (point.x - a.x)


def _between(a: Point, b: Point, point: Point) -> bool:
    """Whether a point of the line a-b lies between the two."""
    return min(a.x, b.x) <= point.x <= max(a.x, b.x) and min(a.y, b.y) <= point.y <= max(a.y, b.y)
