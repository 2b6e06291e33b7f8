"""The text format as Prometheus' own parser reads it, and health."""

from __future__ import annotations

import dataclasses
import math
import time

from prometheus_client.parser import text_string_to_metric_families

from downstream.detection.live.figures import DELAY_BOUNDS, LEVELS, CameraFigures
from downstream.detection.live.metrics import health, metrics_text

DOOR = CameraFigures(
    state="connected",
    level="raised",
    score=0.75,
    threshold=0.9,
    frames=41,
    frames_dropped=3,
    events=2,
    delays=(0, 0, 1, 2, 2, 2, 2, 2, 2),
    delay_count=3,
    delay_total=45.5,
    scored_at=time.monotonic(),
)


def test_prometheus_reads_every_figure_of_every_camera() -> None:
    odd = 'Tür "2"\\\n\udce9'
    families = {
        family.name: family
        for family in text_string_to_metric_families(metrics_text({"door": DOOR, odd: CameraFigures()}))
    }
    read = {(s.name, s.labels.get("camera"), s.labels.get("le")): s.value for f in families.values() for s in f.samples}
    assert read["anomaly_frames_total", "door", None] == 41
    assert read["anomaly_frames_dropped_total", "door", None] == 3
    assert read["anomaly_events_total", "door", None] == 2
    assert (read["anomaly_up", "door", None], read["anomaly_score", "door", None]) == (1, 0.75)
    shown = 'Tür "2"\\\n\\udce9'
    assert read["anomaly_up", shown, None] == 0
    assert ("anomaly_score", shown, None) not in read  # there is none yet
    assert {family.type for family in families.values()} == {"counter", "gauge", "histogram"}
    assert all(family.documentation.endswith(".") for family in families.values())
    buckets = [read["anomaly_delay_seconds_bucket", "door", repr(bound)] for bound in DELAY_BOUNDS]
    assert (*buckets, read["anomaly_delay_seconds_bucket", "door", "+Inf"]) == (*DOOR.delays, 3)
    assert (read["anomaly_delay_seconds_sum", "door", None], read["anomaly_delay_seconds_count", "door", None]) == (
        45.5,
        3,
    )
    assert read["anomaly_memory_bytes", None, None] > 1e6
    levels = {s.labels["level"]: s.value for s in families["anomaly_level"].samples if s.labels["camera"] == "door"}
    assert levels == {level: float(level == "raised") for level in LEVELS}


def test_who_is_not_well_is_named_with_the_reason() -> None:
    now = time.monotonic()
    cameras = {
        "well": dataclasses.replace(DOOR, scored_at=now),
        "lost": CameraFigures(state="lost", scored_at=now),
        "silent": CameraFigures(state="connected", scored_at=now - 100.4),
        "new": CameraFigures(),
    }
    assert health(cameras, 60) == {
        "lost": "no connection",
        "silent": "nothing scored for 100 s",
        "new": "has not answered yet",
    }
    assert health(cameras, math.inf).keys() == {"lost", "new"}
    assert health({"well": dataclasses.replace(DOOR, scored_at=now)}, 60) == {}
    assert health({}, 60) == {"": "no camera is watched yet"}
