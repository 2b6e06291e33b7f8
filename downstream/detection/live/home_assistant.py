"""What Home Assistant is told of a camera so that it shows by itself: MQTT discovery, a retained message an entity.

The forms are those of its documentation (home-assistant.io/integrations/mqtt, 2026). A camera is a device there, with
an alarm, an alarm level, a score, a count of events, the events themselves, the last snapshot, and its connection.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from downstream.detection.live.figures import LEVELS

ONLINE, OFFLINE = "online", "offline"


class CameraTopics(NamedTuple):
    """Where a camera's messages go, below a prefix."""

    state: str
    """JSON, retained: `level`, `score`, `events`, `connected`."""
    event: str
    """JSON of each event as it begins and ends; `event_type` says which."""
    snapshot: str
    """JPEG of the last event, retained."""
    availability: str
    """`online` while the camera is connected, else `offline`, retained."""

    @classmethod
    def of(cls, prefix: str, camera: str) -> CameraTopics:
        """`camera`: its name as part of a topic."""
        return cls(*(f"{prefix}/{camera}/{name}" for name in cls._fields))


def discovery_messages(discovery: str, prefix: str, camera: str, name: str) -> dict[str, dict[str, Any]]:
    """Topic and content of every entity of a camera. `camera`: as part of a topic; `name`: as people read it."""
    topics, status = CameraTopics.of(prefix, camera), {"topic": status_topic(prefix)}
    node = f"{prefix}-{camera}".replace("/", "-").replace(".", "-").replace(" ", "-")
    common = {
        "device": {"identifiers": [node], "name": name, "manufacturer": "anomaly-pretext"},
        "origin": {"name": "anomaly-pretext"},
    }
    watched = {"availability": [status, {"topic": topics.availability}], "availability_mode": "all"}
    state = {"state_topic": topics.state}
    entities: dict[str, dict[str, Any]] = {
        "binary_sensor/alarm": state
        | watched
        | {
            "name": "Alarm",
            "device_class": "problem",
            "value_template": "{{ 'ON' if value_json.level == 'alarm' else 'OFF' }}",
        },
        "sensor/level": state
        | watched
        | {
            "name": "Alarm level",
            "device_class": "enum",
            "options": list(LEVELS),
            "value_template": "{{ value_json.level }}",
        },
        "sensor/score": state
        | watched
        | {
            "name": "Score",
            "state_class": "measurement",
            "suggested_display_precision": 4,
            "value_template": "{{ value_json.score }}",
        },
        "sensor/events": state
        | {
            "availability": [status],
            "name": "Events",
            "state_class": "total_increasing",
            "value_template": "{{ value_json.events }}",
        },
        "binary_sensor/connected": state
        | {
            "availability": [status],
            "name": "Connected",
            "device_class": "connectivity",
            "entity_category": "diagnostic",
            "value_template": "{{ 'ON' if value_json.connected else 'OFF' }}",
        },
        "event/event": {
            "availability": [status],
            "name": "Event",
            "state_topic": topics.event,
            "event_types": ["begun", "ended"],
        },
        "camera/snapshot": {"availability": [status], "name": "Last event", "topic": topics.snapshot},
    }
    messages = {}
    for key, entity in entities.items():
        component, what = key.split("/")
        messages[f"{discovery}/{component}/{node}/{what}/config"] = common | {"unique_id": f"{node}-{what}"} | entity
    return messages


def status_topic(prefix: str) -> str:
    """Whether the process is there: `online`, or `offline`, which is also its last will."""
    return f"{prefix}/status"
