"""The page in a real browser: its events are ours, its slider, keyboard, lists and pictures work, it loads nothing."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from downstream.events.alarm_level import LevelScale, scale_of
from downstream.events.finder import find_events
from downstream.events.rule import AlarmRule
from downstream.report.content import Report, ReportVideo
from downstream.report.page import write_report
from tests.downstream.report.browser import Page
from tests.downstream.report.made import HOSTILE, RULE, picture, random_video, release_below, report, video
from tests.pretrain.encoding import encode_video

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
    assert cells == ["0:00:01.0", "0:00:03.0", "0:00:01.5", "10, very unusual", "0.900", "no: false alarm"]
    assert page.run("document.querySelector('.video table a').getAttribute('href')") == "films/a%20b.mp4#t=1.0"
    assert page.run("document.querySelector('.plot svg').getAttribute('aria-label')") == (
        "Scores of a over 0:00:04.0, highest level 10 of 10 for this video, very unusual. "
        "Events: 0:00:01.0 to 0:00:03.0."
    )


def test_a_click_on_the_timeline_marks_the_moment_and_plays_the_video_there(page: Page, tmp_path: Path) -> None:
    encode_video(tmp_path / "street.mp4", 3, num_frames=100)
    page.opened.append((tmp_path / "street.mp4").as_uri())
    one = video("a", [0.1, 0.9, 0.9, 0.1], link="street.mp4", thumbnails=(picture(3.0),))
    opened(page, tmp_path, report(one, video("b", [0.1, 0.2], link="b.mkv")))
    asked = "performance.getEntriesByType('resource').length"
    assert page.run("document.querySelectorAll('video').length") == 0  # nothing is read before somebody asks
    assert page.run("document.querySelectorAll('.play').length") == 1  # browsers play no Matroska
    assert page.run(asked) == 0
    page.run(
        "(() => { const plot = document.querySelector('.plot'), box = plot.getBoundingClientRect(); plot.dispatchEvent("
        "new MouseEvent('click', {clientX: box.left + 0.375 * box.width, clientY: box.top + 5, bubbles: true})) })()"
    )
    assert float(page.run("document.querySelector('.mark').style.left")[:-1]) == pytest.approx(37.5, abs=0.1)
    words = page.run("document.querySelector('.of-mark').textContent")
    assert words == "0:00:01.5  level 10 of 10 for this video, very unusual  (score 0.900)"
    page.wait_for("!document.querySelector('video') || document.querySelector('video').readyState > 0")
    shown = "(document.querySelector('video') || {}).currentTime"
    if page.run("!!document.querySelector('video')"):  # else this browser knows no H.264, which the next test shows
        page.wait_for(f"Math.abs({shown} - 1.5) < 0.1")
        page.run("document.querySelector('.plot').focus()")
        page.press("ArrowRight")
        page.wait_for(f"Math.abs({shown} - 2.5) < 0.1")
        assert page.run("document.querySelector('.plot').getAttribute('aria-valuetext')").startswith("0:00:02.5")
        page.run("document.querySelector('.show').click()")  # a picture leads to its own moment
        page.wait_for(f"Math.abs({shown} - 1.0) < 0.1")


def test_a_video_that_cannot_be_played_is_said_and_still_linked(page: Page, tmp_path: Path) -> None:
    (tmp_path / "street.mp4").write_bytes(b"no video")
    page.opened.append((tmp_path / "street.mp4").as_uri())
    opened(page, tmp_path, report(video("a", [0.1, 0.9, 0.9, 0.1], link="street.mp4")))
    page.run("document.querySelector('.play').click()")
    page.wait_for("!document.querySelector('video') && !!document.querySelector('.media .problem')")
    assert page.run("document.querySelector('.media .problem a').getAttribute('href')") == "street.mp4#t=1.0"


def test_levels_are_those_of_the_detection(page: Page, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    videos = tuple(random_video(rng, number, "sure") for number in range(20))
    scale = LevelScale(
        ordinary=0.1, alarm=0.97, relative_to="normal footage", threshold=0.97, peaks=(0.98, 0.99, 0.9999), hours=12.0
    )
    sure = dataclasses.replace(scale, ordinary=0.95, events=40)
    for levels in (None, scale, sure):
        opened(page, tmp_path, report(*videos, rule=AlarmRule(threshold=0.97, release=0.9), levels=levels))
        for one in videos:
            assert one.scores is not None
            own = scale_of(levels, one.scores.scores, 0.9)
            for score in one.scores.scores[:5].tolist():
                place, wanted = f"'{one.name}', {score!r}", own.level(score)
                said = page.run(f"report.level({place})")
                assert (said["value"], said["word"], said["often"]) == (wanted.value, wanted.word, wanted.how_often)
    assert "ordinary in the normal footage" in page.run("levels.textContent")


def test_no_legend_of_what_is_not_there(page: Page, tmp_path: Path) -> None:
    shown = "[...document.querySelectorAll('.key span')].filter(one => !one.hidden).map(one => one.textContent)"
    opened(page, tmp_path, report(video("a", [0.1, 0.9]), video("b", [0.1], label=1, class_name="Fighting")))
    assert page.run(shown) == ["score", "threshold", "found", "found, nothing annotated there"]
    assert page.run("[...document.querySelectorAll('.badge')].map(one => one.textContent)") == ["Fighting"]
    opened(page, tmp_path, report(video("a", [0.1, 0.9], label=1, spans=((0, 25),))))
    assert page.run(shown)[-1] == "annotated"


def test_on_paper_what_colour_tells_is_told_by_lines_too(page: Page, tmp_path: Path) -> None:
    page.look(1280, 900, "dark")
    opened(page, tmp_path, report(video("a", [0.1, 0.9, 0.9, 0.1], label=0, link="a.mp4", thumbnails=(picture(),))))
    page.send("Emulation.setEmulatedMedia", media="print")
    page.settle()
    style = "getComputedStyle(document.querySelector('.row .found'))"
    assert page.run(f"[{style}.borderTopStyle, {style}.printColorAdjust]") == ["dashed", "exact"]
    assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"  # dark screens too
    hidden = [".play", "#slider", ".choices", "footer"]
    assert page.run(
        f"{json.dumps(hidden)}.every(one => getComputedStyle(document.querySelector(one)).display === 'none')"
    )
    assert page.run("document.querySelector('#effect').checkVisibility()")


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
