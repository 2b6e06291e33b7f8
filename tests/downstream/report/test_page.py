"""The page as a file: what it holds, what it must not, and that hostile text stays text."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from downstream.events.rule import AlarmRule
from downstream.report.content import Metric, ReportVideo
from downstream.report.embedding import page_data, score_axis, script_json
from downstream.report.page import write_report
from pretrain.errors import UserError
from tests.downstream.report.made import HOSTILE, RULE, picture, report, video


class Parsed(HTMLParser):
    """Tags with their attributes, and the text of each script and style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {"script": [], "style": [], "h1": [], "th": []}
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag
        if tag in self.inside:
            self.inside[tag].append("")

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open in self.inside:
            self.inside[self._open][-1] += data


def written(tmp_path: Path, *videos: ReportVideo, **more: object) -> str:
    target = tmp_path / "report.html"
    write_report(target, report(*videos, **more))
    return target.read_text(encoding="utf-8")


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    hostile = video(HOSTILE, [0.1, 0.9], class_name=HOSTILE, problem=HOSTILE, thumbnails=(picture(),))
    text = written(
        tmp_path,
        hostile,
        title=HOSTILE,
        subtitle=HOSTILE,
        facts={HOSTILE: HOSTILE},
        notes=(HOSTILE,),
        metrics=(Metric(name=HOSTILE, value=0.5, meaning=HOSTILE),),
    )
    calm = written(
        tmp_path,
        dataclasses.replace(hostile, name="calm", class_name="calm", problem="calm"),
        facts={"calm": "calm"},
        notes=("calm",),
        metrics=(Metric(name="calm", value=0.5, meaning="calm"),),
    )
    parsed = Parsed(text)
    assert [tag for tag, _ in parsed.tags] == [tag for tag, _ in Parsed(calm).tags]
    assert parsed.inside["h1"] == [HOSTILE]
    assert json.loads(parsed.inside["script"][0])["videos"][0]["name"] == HOSTILE


def test_a_name_that_is_no_utf8_can_be_written(tmp_path: Path) -> None:
    name = "street\udcff.mp4"
    parsed = Parsed(written(tmp_path, video(name, [0.5]), title=name))
    assert json.loads(parsed.inside["script"][0])["videos"][0]["name"] == name
    assert parsed.inside["h1"] == ["street?.mp4"]


def test_the_policy_allows_this_style_and_this_script_alone(tmp_path: Path) -> None:
    parsed = Parsed(written(tmp_path, video("a", [0.5])))
    policy = next(a["content"] for tag, a in parsed.tags if a.get("http-equiv") == "Content-Security-Policy") or ""
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    script = next(text for text in parsed.inside["script"] if "use strict" in text)
    for kind, text in (("style", parsed.inside["style"][0]), ("script", script)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_nothing_is_loaded_from_anywhere(tmp_path: Path) -> None:
    parsed = Parsed(written(tmp_path, video("a", [0.5], thumbnails=(picture(),))))
    loading = [(tag, a) for tag, a in parsed.tags if "src" in a or (tag == "link" and a.get("href") != "data:,")]
    assert not loading
    assert not [a for _, a in parsed.tags if "style" in a or any(name.startswith("on") for name in a)]
    assert not re.search(
        r"https?://(?!www\.w3\.org/2000/svg)", "".join(parsed.inside["style"] + parsed.inside["script"])
    )


def test_scores_keep_all_their_digits() -> None:
    scores = np.array([1 / 3, np.nextafter(1, 0), 1.0, 5e-324, 0.1 + 0.2])
    entry = page_data(report(video("a", scores.tolist())))["videos"][0]
    assert np.array_equal(np.frombuffer(base64.b64decode(entry["scores"]), "<f8"), scores)
    assert json.loads(script_json(RULE.as_json())) == RULE.as_json()


def test_pictures_stand_behind_the_script(tmp_path: Path) -> None:
    text = written(tmp_path, video("a", [0.5]), video("b", [0.5], thumbnails=(picture(),)))
    places = [text.index('"use strict"'), text.index('id="pictures-1"')]
    assert places == sorted(places)
    assert 'id="pictures-0"' not in text
    data = json.loads(Parsed(text).inside["script"][-1])
    assert [base64.b64decode(one) for one in data] == [picture().jpeg]


def test_figures_with_intervals_are_there_without_scripts(tmp_path: Path) -> None:
    metrics = [Metric(name=f"figure {i}", value=i / 10, low=0.0, high=0.75, meaning="what") for i in range(8)]
    metrics[1] = Metric(name="undefined", value=math.nan, low=math.nan, high=math.nan)
    text = written(tmp_path, video("a", [0.5]), metrics=tuple(metrics))
    assert '<td class="number">0.200</td><td class="number">0.000 to 0.750</td>' in text
    assert "<summary>2 more</summary>" in text
    assert ">nan" not in text
    assert "undefined" in Parsed(text).inside["th"]


@pytest.mark.parametrize(
    ("scores", "threshold", "kind"),
    [([0.2, 0.9], 0.5, "odds"), ([0.0, 1.0], 0.5, "odds"), ([0.2, 1.5], 0.5, "linear"), ([-3.0, 4.0], 2.0, "linear")],
)
def test_the_axis_holds_the_threshold_and_the_highest_score(scores: list[float], threshold: float, kind: str) -> None:
    axis = score_axis([np.array(scores)], AlarmRule(threshold=threshold, release=threshold))
    assert axis["kind"] == kind
    assert math.isfinite(axis["low"])
    assert math.isfinite(axis["high"])
    inside = [threshold, *(score for score in scores if kind == "linear" or 0 < score < 1)]
    for value in [*inside[:1], max(inside)]:
        place = math.log(value / (1 - value)) if kind == "odds" else value
        assert axis["low"] < place < axis["high"]


def test_scores_at_the_ends_do_not_stretch_the_axis() -> None:
    axis = score_axis([np.array([0.0, 0.3, 0.6, 1.0])], AlarmRule(threshold=0.5, release=0.5))
    assert axis["high"] - axis["low"] < 5


def test_no_video_or_a_doubled_one_is_refused_and_nothing_written(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    with pytest.raises(UserError, match=r"no report .*report.html: there is no video to show"):
        write_report(target, report())
    with pytest.raises(UserError, match=r"names stand twice:\n  - 'a'"):
        write_report(target, report(video("a", [0.5]), video("a", [0.5]), video("b", [0.5])))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("link", ["javascript:alert(1)", "https://example.org/a.mp4", "//host/a.mp4", "/a.mp4", ""])
def test_links_lead_to_files_beside_the_page_alone(link: str) -> None:
    with pytest.raises(ValueError, match="is not relative to the report"):
        video("a", [0.5], link=link)


def test_a_video_without_scores_says_why() -> None:
    with pytest.raises(ValueError, match="'a' has neither scores nor a problem that says why"):
        ReportVideo(name="a", fps=25.0, scores=None)
    with pytest.raises(ValueError, match=r"'a': 0\.0 frames per second"):
        video("a", [0.5], fps=0.0)
