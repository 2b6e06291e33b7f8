"""Reports and videos made up for tests."""

from __future__ import annotations

import io
import math

import numpy as np
from PIL import Image

from downstream.events.rule import AlarmRule
from downstream.report.content import Report, ReportVideo, Thumbnail
from downstream.scores.video_scores import make_scores

RULE = AlarmRule(threshold=0.8, release=0.6, min_seconds=1.0, merge_seconds=0.5)
HOSTILE = "</script><script>alert(1)</script><!-- \"'&amp; <img src=x onerror=alert(2)> \u2028 ${title} \U0001f600"


def video(name: str, scores: list[float], *, step: int = 25, **more: object) -> ReportVideo:
    """At 25 frames a second, so a snippet is a second long."""
    made = make_scores(name, scores, np.arange(len(scores) + 1) * step)
    return ReportVideo(**({"name": name, "fps": 25.0, "scores": made} | more))  # type: ignore[arg-type]


def report(*videos: ReportVideo, rule: AlarmRule = RULE, **more: object) -> Report:
    """With a title and these videos."""
    return Report(**({"title": "A run", "subtitle": "Made up", "rule": rule, "videos": videos} | more))  # type: ignore[arg-type]


def picture(seconds: float = 1.0) -> Thumbnail:
    """A small grey JPEG."""
    data = io.BytesIO()
    Image.new("RGB", (16, 9), "grey").save(data, "JPEG")
    return Thumbnail(frame=25, seconds=seconds, score=0.9, jpeg=data.getvalue(), alt="A grey street")


def random_video(rng: np.random.Generator, number: int, kind: str) -> ReportVideo:
    """Of few levels, so that ties with the threshold and between peaks are many; uneven or cut snippets, odd rates."""
    count = int(rng.integers(1, 60))
    levels = {
        "ties": rng.integers(0, 11, count) / 10,
        "sure": 1 / (1 + np.exp(-rng.normal(6, 8, count))),
        "any": rng.normal(0, 3, count).round(1),
    }[kind]
    edges = np.arange(count + 1) * 16
    if number % 3 == 1:
        edges = np.concatenate([[0], rng.integers(1, 40, count).cumsum()])
    elif number % 3 == 2:
        edges[-1] -= 7
    name = f"video {number}"
    fps = float(rng.choice([24.0, 25.0, 30000 / 1001, 12.5, 7.0 / 3.0]))
    cut = int(rng.integers(0, edges[-1]))
    spans = [None, (), ((cut, cut + 30),)][number % 3]
    return ReportVideo(name=name, fps=fps, scores=make_scores(name, levels, edges), spans=spans, label=None)


def release_below(threshold: float, rule: AlarmRule) -> float:
    """The slow reference of what the page does while sliding: the same distance in log odds."""
    odds = [math.log(value / (1 - value)) for value in (threshold, rule.threshold, rule.release)]
    return 1 / (1 + math.exp(-(odds[0] - (odds[1] - odds[2]))))
