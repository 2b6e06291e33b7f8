"""The numbers of a report as JSON that its page reads: exact scores, few bytes, nothing that ends a script element."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downstream.events.alarm_level import LevelScale, own_scale
from downstream.events.rule import AlarmRule
from downstream.report.content import Report, ReportVideo
from downstream.scores.video_scores import VideoScores
from pretrain.data.catalogue import merge_spans
from pretrain.data.video import FrameClock

_LEAST_SHARE = 0.01
"""Of the scores that may lie below the axis: the calmest snippets say little, and would squeeze the rest."""


def script_json(value: Any) -> str:
    """JSON that may stand inside a script element: whatever names hold, no tag, comment or entity is in it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    # a lone surrogate (a file name that is no UTF-8) cannot be written as UTF-8; as an escape it can
    return "".join(f"\\u{ord(c):04x}" if "\ud800" <= c <= "\udfff" else c for c in text)


def page_data(report: Report) -> dict[str, Any]:
    """All that the page computes with; see scores.js for what it makes of it."""
    scored = [video.scores.scores for video in report.videos if video.scores is not None]
    axis = score_axis(scored, report.rule)
    is_odds = axis["kind"] == "odds"
    return {
        "rule": report.rule.as_json(),
        "axis": axis,
        "levels": levels_data(report.levels) if is_odds else None,
        "videos": [
            video_entry(video, report.rule.release if is_odds and report.levels is None else None)
            for video in report.videos
        ],
    }


def levels_data(levels: LevelScale | None) -> dict[str, Any] | None:
    """What scores mean by a calibration; None where each video is its own scale."""
    if levels is None:
        return None
    threshold = None if levels.hours is None else levels.threshold
    scale = {"low": levels.low, "rise": levels.rise, "ordinary": levels.ordinary, "threshold": threshold}
    return scale | {"peaks": list(levels.peaks), "events": levels.events, "hours": levels.hours}


def score_axis(scores: Sequence[NDArray[np.float64]], rule: AlarmRule) -> dict[str, Any]:
    """`kind`, and the ends `low` < `high` of the axis that scores and thresholds are drawn on.

    odds: log odds, where all scores lie within [0, 1]: sure detectors give 0.999 and 0.99999, one point on a linear
    axis. linear: the scores themselves.
    """
    every = np.concatenate([*scores, [rule.threshold]])
    if not (every.min() >= 0 and every.max() <= 1 and 0 < rule.threshold < 1):
        room = 0.02 * float(np.ptp(every)) or 1.0
        return {"kind": "linear", "low": float(every.min()) - room, "high": float(every.max()) + room}
    inside = every[(every > 0) & (every < 1)]
    odds = np.log(inside) - np.log1p(-inside)
    middle = float(odds[-1])
    # 0 and 1 themselves are drawn just outside of what is between them
    low, high = float(np.quantile(odds, _LEAST_SHARE)), float(odds.max())
    low, high = low - (every.min() == 0), high + (every.max() == 1)
    return {"kind": "odds", "low": min(low, middle - 1.0), "high": max(high, middle + 0.5) + 0.25}


def video_entry(video: ReportVideo, release: float | None = None) -> dict[str, Any]:
    """One video: names and pictures' captions as they are, scores as base64 of little-endian float64.

    `release`: with the log odds of level 0 on its own scale (`own_scale`), and how many it is to level 5.
    """
    entry: dict[str, Any] = {
        "name": video.name,
        "fps": video.fps,
        "label": video.label,
        "class": video.class_name,
        "spans": None if video.truth is None else merge_spans(video.truth),
        "link": video.link,
        "problem": video.problem,
        "pictures": [
            {"seconds": one.seconds, "score": one.score, "alt": one.alt, "frame": one.frame}
            | ({"wide": True} if one.is_pair else {})
            for one in video.thumbnails
        ],
    }
    if video.is_playable:
        entry["plays"] = True
    if video.scores is None:
        return entry
    own = None if release is None else own_scale(video.scores.scores, release)
    level = {} if own is None else {"level": [round(own.low, 6), round(own.rise, 6)]}
    return entry | level | _scores_entry(video.scores) | _times_entry(video)


def _scores_entry(scores: VideoScores) -> dict[str, Any]:
    lengths = np.diff(scores.edges)
    regular = np.all(lengths[:-1] == lengths[0])  # the last one may be cut at the end of the video
    edges = {"step": int(lengths[0]), "end": scores.covered_frames} if regular else {"edges": scores.edges.tolist()}
    return {**edges, "scores": base64.b64encode(scores.scores.astype("<f8").tobytes()).decode()}


def _times_entry(video: ReportVideo) -> dict[str, Any]:
    """When each snippet begins and ends, in seconds, where that does not follow from the frame rate; and how much
    footage is before each of its edges."""
    if video.clock is None or video.scores is None or (video.clock.is_even and _agrees(video.clock, video.fps)):
        return {}
    edges = video.scores.edges
    times = {"begins": video.clock.begins_of(edges[:-1]), "ends": video.clock.ends_of(edges[1:])}
    times["seen"] = video.clock.seen_before(edges)
    return {name: [round(seconds, 3) for seconds in own.tolist()] for name, own in times.items()}


def _agrees(clock: FrameClock, fps: float) -> bool:
    return abs(clock.seen(0, 1) * fps - 1) < 1e-9


def picture_data(video: ReportVideo) -> list[str]:
    """The video's thumbnails as base64 of JPEG."""
    return [base64.b64encode(one.jpeg).decode() for one in video.thumbnails]
