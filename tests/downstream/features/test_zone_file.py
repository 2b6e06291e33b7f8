"""Zones as people write them, and everything that is wrong with them in one message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from downstream.features.zone_file import read_zones, write_zones, zones_of
from downstream.features.zones import Point
from pretrain.errors import UserError

SQUARE = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]]


def test_a_file_that_is_none_is_named_as_zones(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"\xff\x00")
    with pytest.raises(UserError, match=r"cannot read the zones .*a\.mp4"):
        read_zones(tmp_path / "a.mp4")


def test_zones_in_pixels_are_those_in_shares(tmp_path: Path) -> None:
    file = tmp_path / "zones.yaml"
    file.write_text(
        "size: [200, 100]\nzones:\n  - {name: yard, polygon: [[20, 10], [180, 10], [180, 90], [20, 90], [20, 10]]}\n"
    )
    zones = read_zones(file)
    assert zones.zones[0].polygon == tuple(Point(*corner) for corner in SQUARE)  # the last corner is the first
    assert zones.zones[0].kind == "include"
    write_zones(tmp_path / "again.json", zones)
    assert read_zones(tmp_path / "again.json") == zones


@pytest.mark.parametrize(
    ("polygon", "told"),
    [
        ([[0, 0], [1, 1], [1, 0], [0, 1]], "'z' crosses itself: its sides 1 and 3 meet"),
        ([[0, 0], [0.5, 0.5], [1, 1]], "'z' is empty: it holds 0 of the picture"),
        ([[0, 0], [1, 1], [0, 0], [1, 1]], "'z' has 2 different corner(s); a polygon has at least 3"),
        ([], "'z' has 0 different corner(s)"),
        ([[0, 0], [1.2, 0], [1, 1]], "'z' has the corner (1.2, 0); shares of the picture lie in [0, 1]"),
        ([[0, 0], [320, 0], [320, 240]], "for pixels, say of which picture: size: [width, height]"),
        ([[0, 0], [1, 0], [1, 1], [0.5, 0], [0, 1]], "'z' crosses itself"),
    ],
)
def test_a_polygon_that_is_none_is_told(polygon: list[Any], told: str) -> None:
    with pytest.raises(UserError) as error:
        zones_of({"zones": [{"name": "z", "polygon": polygon}]}, "zones.json")
    assert told in str(error.value)
    assert "1 problem(s) in the zones of zones.json" in str(error.value)


def test_all_problems_come_together(tmp_path: Path) -> None:
    file = tmp_path / "zones.json"
    zones = [{"name": "a", "polygon": [[0, 0], [500, 0], [500, 100]]}, {"name": "a", "polygon": [[0, 0], [1, 1]]}]
    file.write_text(json.dumps({"size": [320, 240], "zones": zones, "cell_share": 2}))
    with pytest.raises(UserError) as error:
        read_zones(file)
    told = str(error.value)
    assert "4 problem(s)" in told
    assert "(500, 0), outside the picture of 320x240 pixels" in told
    assert "two zones are called 'a'" in told
    assert "cell_share is 2; it must lie in (0, 1]" in told


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"zones": []}, "zones has 0 entries"),
        ({"zones": [{"polygon": SQUARE, "colour": "red"}]}, "has 'colour'; known are"),
        ({"zones": [{"polygon": [[0, "x"]]}]}, "polygon.[0].[1] is 'x'"),
        ([], "is a list, not an object"),
    ],
)
def test_a_file_of_another_form_is_told(content: Any, told: str) -> None:
    with pytest.raises(UserError) as error:
        zones_of(content, "zones.yaml")
    assert told.replace(".[", "[") in str(error.value).replace(".[", "[")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no file of zones"):
        read_zones(tmp_path / "none.yaml")
