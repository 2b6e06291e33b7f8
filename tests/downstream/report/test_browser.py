"""The page in a real browser: its events are ours, its slider, keyboard, lists and pictures work, it loads nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from downstream.events.finder import find_events
from downstream.events.rule import AlarmRule
from downstream.report.content import Report, ReportVideo
from downstream.report.page import write_report
from tests.downstream.report.browser import Page
from tests.downstream.report.made import HOSTILE, RULE, picture, random_video, release_below, report, video

DRAWN = "document.querySelectorAll('.curve').length"
ORDER = "[...document.querySelectorAll('.video:not([hidden]) h3')].map(h => h.textContent)"


def opened(page: Page, tmp_path: Path, content: Report) -> None:
    write_report(tmp_path / "report.html", content)
    page.open(tmp_path / "report.html")


def events_of(page: Page, videos: tuple[ReportVideo, ...]) -> list[list[list[float]]]:
    names = json.dumps([one.name for one in videos])
    return list(
        page.run(f"{names}.map(n => report.events(n).map(e => [e.start, e.end, e.peak, e.peakStart, e.peakEnd]))")
    )


def expected(videos: tuple[ReportVideo, ...], rule: AlarmRule) -> list[list[list[float]]]:
    found = [find_events(one.scores, rule, one.fps) for one in videos if one.scores is not None]
    return [[[e.start, e.end, e.peak_score, e.peak_start, e.peak_end] for e in events] for events in found]


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("ties", AlarmRule(threshold=0.7, release=0.3, min_seconds=1.6, merge_seconds=1.28)),
        ("ties", AlarmRule(threshold=0.1 + 0.2, release=0.1 + 0.2)),  # just above the level 0.3
        ("ties", AlarmRule(threshold=1.0, release=0.0, merge_seconds=0.64)),
        ("sure", AlarmRule(threshold=0.99999, release=0.999, min_seconds=0.64, merge_seconds=2.0)),
        ("any", AlarmRule(threshold=1.1, release=-0.4, min_seconds=0.7, merge_seconds=0.7)),
    ],
)
def test_events_are_those_of_find_events(page: Page, tmp_path: Path, kind: str, rule: AlarmRule) -> None:
    rng = np.random.default_rng(len(kind) + round(10 * rule.threshold))
    videos = tuple(random_video(rng, number, kind) for number in range(150))
    opened(page, tmp_path, report(*videos, rule=rule))
    wanted = expected(videos, rule)
    assert sum(map(len, wanted)) > 50
    assert events_of(page, videos) == wanted
    # also after the slider went away and came back, and at a threshold that is typed
    page.run("slider.value = Number(slider.value) > 500 ? 300 : 700; slider.dispatchEvent(new Event('input'))")
    moved = AlarmRule(**page.run("report.limits()"))
    assert moved.threshold != rule.threshold
    assert events_of(page, videos) == expected(videos, moved)
    page.run("reset.click()")
    assert events_of(page, videos) == wanted


def test_release_keeps_its_distance_in_log_odds(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, report(video("a", [0.1, 0.5, 0.9, 0.99])))
    page.run("exact.value = '0.95'; exact.dispatchEvent(new Event('change'))")
    limits = page.run("report.limits()")
    assert limits["threshold"] == 0.95
    assert limits["release"] == pytest.approx(release_below(0.95, RULE), rel=1e-12)
    page.run("exact.value = ''; exact.dispatchEvent(new Event('change'))")
    assert page.run("report.limits().threshold") == 0.95


def test_false_alarms_touch_no_span_and_are_over_the_hours_outside(page: Page, tmp_path: Path) -> None:
    loud = [0.1] * 10 + [0.9] * 5 + [0.1] * 10 + [0.9] * 5 + [0.1] * 10
    abnormal = video("abnormal", loud, label=1, spans=((14 * 25, 20 * 25), (30 * 25, 32 * 25)))
    normal = video("normal", loud, label=0)
    unknown = video("unknown", loud, label=1)
    opened(page, tmp_path, report(abnormal, normal, unknown))
    totals = page.run("report.totals()")
    # the second event ends at second 30, half-open: the span from 30 on is not touched
    assert (totals["events"], totals["false"], totals["spans"], totals["spanCount"]) == (6, 3, 1, 2)
    assert totals["normalHours"] == pytest.approx((80 - 8) / 3600)
    words = page.run("measured.textContent")
    assert words.startswith("False alarms per hour: 3 events that touch no annotated anomaly, in 72 seconds of footage")
    assert "(2 videos of which it is known; 1 other left out)" in words
    assert "150 false alarms per hour" in page.run("effect.textContent").replace("150.0", "150")


def test_without_truth_they_are_alarms(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, report(video("a", [0.1, 0.9, 0.9, 0.1])))
    assert "900 alarms per hour" in page.run("effect.textContent")
    assert "What is an anomaly in it is not known" in page.run("measured.textContent")
    assert page.run("document.querySelectorAll('.of-truth:not([hidden])').length") == 0
    assert page.run("document.querySelector('#sort option[value=false]').textContent") == "most events first"


def test_the_slider_is_moved_by_keys_and_says_what_it_did(page: Page, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    opened(page, tmp_path, report(*(video(f"v{i}", rng.uniform(0, 1, 40).tolist(), label=0) for i in range(6))))
    page.run("slider.focus()")
    before = page.run("report.totals().events")
    assert f"{before} events, " in page.run("slider.getAttribute('aria-valuetext')")
    page.press("End")
    assert page.run("report.totals().events") == 0
    assert "0 events in 0 videos; 0 false alarms per hour" in page.run("effect.textContent")
    assert page.run("document.querySelectorAll('.row .found').length") == 0
    page.press("ArrowLeft", 3)
    assert page.run("slider.value") == "997"
    page.press("Home")
    assert page.run("report.totals().videos") == 6
    assert page.run("slider.labels[0].textContent") == "Threshold"
    page.wait_for(
        f"document.getElementById('status').textContent.includes({page.run('report.totals().events')} + ' events')"
    )


def test_tab_reaches_the_skip_link_slider_list_and_tables(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, report(video("a", [0.1, 0.9, 0.9, 0.1], link="films/a%20b.mp4", label=0), video("b", [0.1])))
    seen = []
    for _ in range(14):
        page.press("Tab")
        seen.append(
            page.run(
                "document.activeElement.id || document.activeElement.tagName + ' ' + document.activeElement.textContent"
            )
        )
        assert page.run(
            "((at) => at === document.body || getComputedStyle(at).outlineStyle !== 'none')(document.activeElement)"
        )
        if seen[-1].startswith("SUMMARY 1 event"):
            break
    assert seen[0] == "A Skip to the videos"
    assert [item for item in seen if item in ("slider", "exact", "reset", "sort", "find", "only-events")] == [
        *("slider", "exact", "reset", "sort", "find", "only-events")
    ]
    page.press("Enter")
    page.wait_for("!!document.querySelector('.video table')")
    cells = page.run("[...document.querySelectorAll('.video table tbody td')].map(td => td.textContent)")
    assert cells == ["0:00:01.0", "0:00:03.0", "0:00:01.5", "0.900", "no: false alarm"]
    assert page.run("document.querySelector('.video table a').getAttribute('href')") == "films/a%20b.mp4#t=1.0"
    assert page.run("document.querySelector('.plot svg').getAttribute('aria-label')") == (
        "Scores of a over 0:00:04.0, highest 0.900. Events: 0:00:01.0 to 0:00:03.0."
    )


def test_hostile_names_do_nothing(page: Page, tmp_path: Path) -> None:
    odd = video(HOSTILE, [0.1, 0.9, 0.9], class_name=HOSTILE, problem=HOSTILE, label=1, thumbnails=(picture(),))
    opened(page, tmp_path, report(odd, title=HOSTILE, notes=(HOSTILE,), facts={HOSTILE: HOSTILE}))
    page.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    page.settle()
    assert page.run(ORDER) == [HOSTILE]
    assert page.run("document.querySelector('.video .problem').textContent") == HOSTILE
    assert page.run("document.querySelectorAll('script').length") == 3  # data, ours, pictures
    assert page.run("[...document.images].every(i => i.src.startsWith('data:image/jpeg'))")


def test_sorting_and_filtering(page: Page, tmp_path: Path) -> None:
    quiet, loud = [0.1, 0.2, 0.3], [0.9, 0.9, 0.1, 0.1, 0.9, 0.9, 0.1]
    videos = (
        video("street 10", quiet, label=0),
        video("street 2", loud, label=0),
        video("park", [0.95, 0.95, 0.1], label=1, class_name="Fighting", spans=((0, 50),)),
        ReportVideo(name="broken", fps=25.0, scores=None, problem="no frame can be read"),
    )
    opened(page, tmp_path, report(*videos))
    assert page.run(ORDER) == ["park", "street 2", "street 10", "broken"]
    assert "1 video could not be scored and stands last." in page.run("measured.textContent")
    for order, wanted in (
        ("name", ["broken", "park", "street 2", "street 10"]),
        ("false", ["street 2", "park", "street 10", "broken"]),
    ):
        page.run(f"sort.value = '{order}'; sort.dispatchEvent(new Event('change'))")
        assert page.run(ORDER) == wanted
    page.run(
        "byFind = document.getElementById('find'); byFind.value = 'FIGHT'; byFind.dispatchEvent(new Event('input'))"
    )
    assert page.run(ORDER) == ["park"]
    assert page.run("shown.textContent") == "1 of 4 videos"
    page.run("document.getElementById('find').value = ''; document.getElementById('only-events').click()")
    assert page.run(ORDER) == ["street 2", "park"]
    page.run("document.getElementById('only-abnormal').click()")
    assert page.run(ORDER) == ["park"]
    page.run("slider.value = 1000; slider.dispatchEvent(new Event('input'))")
    page.settle()
    assert page.run(ORDER) == []


def test_of_500_videos_only_those_near_the_screen_are_drawn(page: Page, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scores = rng.uniform(0, 1, (500, 500))
    videos = (video(f"v{i:03d}", row.tolist(), label=0, thumbnails=(picture(),)) for i, row in enumerate(scores))
    opened(page, tmp_path, report(*videos))
    assert page.run("document.querySelectorAll('.video').length") == 500
    assert 0 < page.run(DRAWN) < 40
    assert page.run("document.images.length") < 40
    page.run("document.querySelector('.video:last-child').scrollIntoView({behavior: 'instant'})")
    page.wait_for("!!document.querySelector('.video:last-child .curve')")
    page.wait_for("document.querySelector('.video:last-child img').naturalWidth === 16")
    assert page.run(DRAWN) < 80


def test_what_comes_near_shows_the_threshold_of_now(page: Page, tmp_path: Path) -> None:
    opened(page, tmp_path, report(*(video(f"v{i:02d}", [0.1, 0.9, 0.9], label=0) for i in range(60))))
    page.run("document.querySelector('.video:last-child').scrollIntoView({behavior: 'instant'})")
    page.wait_for("!!document.querySelector('.video:last-child .found')")
    page.run("slider.value = 1000; slider.dispatchEvent(new Event('input'))")
    page.run("scrollTo({top: 0, behavior: 'instant'})")
    page.wait_for("!document.querySelector('.video:first-child .found')")
    assert page.run("document.querySelectorAll('.found:not(.sample)').length") == 0


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_it_fits_desktop_and_phone_in_readable_colours(page: Page, tmp_path: Path, width: int, scheme: str) -> None:
    page.look(width, 844, scheme, mobile=width < 600)
    videos = [video("a" * 90, [0.1, 0.9, 0.9], label=1, spans=((0, 20),), thumbnails=(picture(),) * 3, link="a.mp4")]
    opened(page, tmp_path, report(*videos, notes=("b" * 200,)))
    page.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    page.settle()
    assert page.run("document.documentElement.scrollWidth") <= width
    assert page.run(CONTRASTS) == []


CONTRASTS = """(() => {
  const light = (rgb) => rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const parts = (text) => text.match(/[\\d.]+/g).map(Number);
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const found = parts(getComputedStyle(at).backgroundColor);
      if (found.length === 3 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  const bad = [];
  for (const node of document.querySelectorAll('body *')) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || !node.checkVisibility() || ['SCRIPT', 'STYLE', 'OPTION'].includes(node.tagName)) continue;
    const [a, b] = [light(parts(getComputedStyle(node).color).slice(0, 3)), light(ground(node).slice(0, 3))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.push([node.tagName, node.className, node.textContent.slice(0, 30), ratio]);
  }
  return bad;
})()"""
