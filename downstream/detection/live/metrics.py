"""Figures of cameras in Prometheus' text format (version 0.0.4), and whether all is well.

Written here rather than by a library: it is a page of text, needs no registry of the whole process, and so a health
check costs no installed package. `tests` read it with Prometheus' own parser.

    anomaly_frames_total{camera="door"} 41230
    anomaly_delay_seconds_bucket{camera="door",le="2.0"} 2570
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple

import psutil

from downstream.detection.live.figures import DELAY_BOUNDS, LEVELS, CameraFigures

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "anomaly_"


class _Metric(NamedTuple):
    name: str
    kind: Literal["counter", "gauge"]
    text: str
    value: Callable[[CameraFigures], float | None]
    """None: there is none yet, and no line."""


_METRICS = (
    _Metric("up", "gauge", "1 while the camera is connected", lambda f: f.state == "connected"),
    _Metric("frames_total", "counter", "Frames taken for scoring", lambda f: f.frames),
    _Metric(
        "frames_dropped_total", "counter", "Frames left out because scoring was too slow", lambda f: f.frames_dropped
    ),
    _Metric("frames_missing_total", "counter", "Frames never scored, for any reason", lambda f: f.frames_missing),
    _Metric("frames_damaged_total", "counter", "Packets and frames that did not decode", lambda f: f.frames_damaged),
    _Metric("snippets_total", "counter", "Snippets scored", lambda f: f.snippets),
    _Metric("events_total", "counter", "Events that have begun: alarms", lambda f: f.events),
    _Metric("outages_total", "counter", "Times that the connection was lost", lambda f: f.outages),
    _Metric("reconnects_total", "counter", "Times that it came back", lambda f: f.reconnects),
    _Metric("footage_seconds_total", "counter", "Footage scored", lambda f: f.footage_seconds),
    _Metric("busy_seconds_total", "counter", "Time spent on scoring", lambda f: f.busy_seconds),
    _Metric("score", "gauge", "The last score", lambda f: f.score),
    _Metric("threshold", "gauge", "Score at which an event begins", lambda f: f.threshold),
    _Metric(
        "latest_frame_seconds",
        "gauge",
        "From a frame's arrival until its work, of the latest",
        lambda f: f.latest_frame,
    ),
    _Metric("silent_seconds", "gauge", "Since the last score", lambda f: f.silent_seconds),
)


def metrics_text(cameras: Mapping[str, CameraFigures]) -> str:
    """All figures of all cameras, and of this process, as a scrape gets them."""
    lines: list[str] = []
    for metric in _METRICS:
        values = [(camera, metric.value(figures)) for camera, figures in cameras.items()]
        rows = [(f'camera="{_escaped(camera)}"', value) for camera, value in values if value is not None]
        lines += _family(metric.name, metric.kind, metric.text, rows)
    levels = [
        (f'camera="{_escaped(camera)}",level="{level}"', float(figures.level == level))
        for camera, figures in cameras.items()
        for level in LEVELS
    ]
    lines += _family("level", "gauge", "1 at the alarm level that the camera is at", levels)
    lines += _delays(cameras)
    process = psutil.Process()
    lines += _family("memory_bytes", "gauge", "Resident memory of the process", [("", process.memory_info().rss)])
    seconds = sum(process.cpu_times()[:2])
    lines += _family("cpu_seconds_total", "counter", "Processor time of the process", [("", seconds)])
    return "\n".join(lines) + "\n"


def _family(name: str, kind: str, text: str, rows: Iterable[tuple[str, float]]) -> list[str]:
    head = [f"# HELP {PREFIX}{name} {text}.", f"# TYPE {PREFIX}{name} {kind}"]
    return head + [_line(name, labels, value) for labels, value in rows]


def _delays(cameras: Mapping[str, CameraFigures]) -> list[str]:
    """A histogram: from it Prometheus finds quantiles of any stretch of time."""
    lines = _family("delay_seconds", "histogram", "From a snippet's last frame until its score is known", [])
    for camera, figures in cameras.items():
        own = f'camera="{_escaped(camera)}"'
        for bound, count in zip((*DELAY_BOUNDS, math.inf), (*figures.delays, figures.delay_count), strict=True):
            lines.append(_line("delay_seconds_bucket", f'{own},le="{_number(bound)}"', count))
        lines.append(_line("delay_seconds_sum", own, figures.delay_total))
        lines.append(_line("delay_seconds_count", own, figures.delay_count))
    return lines


def _line(name: str, labels: str, value: float) -> str:
    return f"{PREFIX}{name}{f'{{{labels}}}' if labels else ''} {_number(float(value))}"


def _number(value: float) -> str:
    return "+Inf" if value == math.inf else repr(value)


def _escaped(text: str) -> str:
    """A label's value; lone halves of letters, which UTF-8 has not, as escapes."""
    plain = text.encode("utf-8", "backslashreplace").decode()
    return plain.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def health(cameras: Mapping[str, CameraFigures], silent_limit: float) -> dict[str, str]:
    """What is wrong, by camera; empty: nothing. Nobody is well where there is no camera."""
    if not cameras:
        return {"": "no camera is watched yet"}
    problems = {camera: figures.problem(silent_limit) for camera, figures in cameras.items()}
    return {camera: problem for camera, problem in problems.items() if problem}
