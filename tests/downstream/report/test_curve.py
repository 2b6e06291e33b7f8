"""The curve on the page: what it says, where its lines go, and what is left out."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from downstream.evaluation.bootstrap import Interval
from downstream.evaluation.operating_curve import OperatingCurve, OperatingPoint, ThresholdPoint
from downstream.report.curve import BOTTOM, LEFT, MAX_ROWS, RIGHT, TOP, curve_section
from downstream.report.page import write_report
from tests.downstream.report.made import report, video


def curve(*points: tuple[float, float], thresholds: tuple[float, ...] = (0.75,), bounds: bool = True) -> OperatingCurve:
    """Of ten anomalies in two hours; `points`: rate and share."""
    return OperatingCurve(
        hours=2.0,
        anomalies=10,
        points=tuple(
            OperatingPoint(
                false_alarms_per_hour=rate,
                found_share=share,
                found=10 * share,
                interval=Interval(share / 2, 1.0) if bounds else None,
                thresholds=thresholds,
            )
            for rate, share in points
        ),
        at_threshold=ThresholdPoint(threshold=0.5, false_alarms_per_hour=6.0, found_share=0.5, found=5.0),
    )


def svg_of(section: str) -> ElementTree.Element:
    found = re.search(r"<svg.*</svg>", section, re.DOTALL)
    assert found is not None
    return ElementTree.fromstring(found.group())


def of_class(svg: ElementTree.Element, name: str) -> ElementTree.Element | None:
    return svg.find(f".//*[@class='{name}']")


def test_the_line_is_a_staircase_from_edge_to_edge() -> None:
    svg = svg_of(curve_section(curve((0.0, 0.0), (1.0, 0.5), (10.0, 1.0))))
    line, dot = of_class(svg, "curve"), of_class(svg, "dot")
    assert line is not None
    assert dot is not None
    places = [tuple(map(float, place.split())) for place in line.attrib["d"].removeprefix("M").split("L")]
    middle = (TOP + BOTTOM) / 2
    assert [place[1] for place in places] == [BOTTOM, BOTTOM, middle, middle, TOP, TOP]
    assert (places[0][0], places[-1][0]) == (LEFT, RIGHT)
    # 2 hours show rates from .5 on; linear up to .1, then .1 to 1 to 10, each a third
    thirds = [LEFT + (RIGHT - LEFT) * part / 3 for part in (0, 2, 2, 3, 3, 3)]
    assert [place[0] for place in places] == thirds
    assert float(dot.attrib["cy"]) == middle
    assert of_class(svg, "area") is not None
    assert "0 % without any, 100 % at 10 an hour" in svg.attrib["aria-label"]


def test_the_table_has_the_corners_and_thresholds_as_they_are() -> None:
    section = curve_section(curve((0.0, 0.25), (1.0, 0.25), (3.0, 0.5), thresholds=(0.9957812345678901,)))
    rows = re.findall(r"<tr><td.*?</tr>", section)
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in rows]
    assert cells == [
        ["0", "25 % (2.5)", "12 % to 100 %", "0.9957812345678901"],
        ["3", "50 % (5)", "25 % to 100 %", "0.9957812345678901"],
    ]
    assert "10 annotated anomalies in 2 hours of video" in section
    assert "At the evaluated threshold 0.5 (the dot): 5 found, 6 false alarms an hour." in section
    assert "seeds" not in section


def test_several_seeds_and_no_interval() -> None:
    section = curve_section(curve((0.0, 0.25), (1.0, 1.0), thresholds=(0.9, 0.2, 0.7), bounds=False))
    assert "0.2 to 0.9" in section
    assert "Thresholds of the seeds" in section
    assert "Means over 3 seeds, each by itself." in section
    assert of_class(svg_of(section), "area") is None


def test_many_corners_are_thinned_and_both_ends_kept() -> None:
    section = curve_section(curve(*((float(number), number / 150) for number in range(151))))
    rows = re.findall(r'<tr><td class="number">(\d+)', section)
    assert len(rows) == MAX_ROWS
    assert (rows[0], rows[-1]) == ("0", "150")


def test_it_stands_on_the_page_where_there_is_one(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    for own, times in ((None, 0), (curve((0.0, 0.5)), 1)):
        write_report(target, report(video("a", [0.1, 0.9]), curve=own))
        assert target.read_text(encoding="utf-8").count('<h2 id="curve-head">Found against false alarms</h2>') == times
