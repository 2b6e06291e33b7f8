"""The classes of anomaly: their names, their events, where they can happen."""

from __future__ import annotations

from demo.world.cameras import WITH_ROAD
from demo.world.people_events import Event, fall, fight, panic_run
from demo.world.road_events import crash, explosion, wrong_way

ANOMALIES: dict[str, Event] = {
    "Fighting": fight, "PanicRun": panic_run, "Fall": fall, "Explosion": explosion, "WrongWay": wrong_way,
    "Crash": crash,
}  # fmt: skip
"""Class name -> event."""
LEAD_SECONDS = {"Fighting": 2.0, "Crash": 2.5, "WrongWay": 1.0}
"""How long an event takes, about, until its anomalous part begins."""


def possible(class_name: str, kind: str) -> bool:
    """Whether a class can happen in front of a camera of this kind."""
    return class_name not in ("WrongWay", "Crash") or kind in WITH_ROAD
