"""What Home Assistant is told: each entity is whole, its own, and reads topics that are written."""

from __future__ import annotations

import re

from downstream.detection.live.home_assistant import CameraTopics, discovery_messages


def test_every_entity_can_be_found_and_belongs_to_one_device() -> None:
    messages = discovery_messages("homeassistant", "house/cameras", "door.1", "The door")
    topics = CameraTopics.of("house/cameras", "door.1")
    known = {*topics, "house/cameras/status"}
    # <discovery>/<component>/<node>/<object>/config, of letters, digits, _ and -
    assert all(re.fullmatch(r"homeassistant/[a-z_]+/[\w-]+/[\w-]+/config", topic, re.ASCII) for topic in messages)
    assert len({content["unique_id"] for content in messages.values()}) == len(messages) == 7
    devices = {content["device"]["identifiers"][0] for content in messages.values()}
    assert devices == {"house-cameras-door-1"}
    read = {content.get("state_topic") or content["topic"] for content in messages.values()}
    read |= {each["topic"] for content in messages.values() for each in content["availability"]}
    assert read == known


def test_cameras_and_prefixes_do_not_share_entities() -> None:
    names = [("a", "door"), ("a", "yard"), ("b", "door")]
    ids = [
        content["unique_id"]
        for prefix, camera in names
        for content in discovery_messages("h", prefix, camera, camera).values()
    ]
    assert len(ids) == len(set(ids))
