"""Addresses of brokers: what they say, and what is refused without showing a password."""

from __future__ import annotations

import pytest

from downstream.detection.live.broker_address import parse_broker
from pretrain.errors import UserError


def test_all_parts_are_read() -> None:
    broker = parse_broker("mqtts://me:p%40ss%2F1@[::1]:1234/house/up%20stairs/")
    assert broker[1:] == ("::1", 1234, True, "me", "p@ss/1", "house/up stairs")
    assert "p%40ss" not in broker.label
    assert parse_broker("mqtt://broker.local")[1:] == ("broker.local", 1883, False, None, None, "anomaly-pretext")
    assert parse_broker("mqtts://broker.local").port == 8883


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("http://me:secret@broker", "not the address of an MQTT broker; give one like mqtt://user:password@host"),
        ("mqtt://me:secret@", "not the address of an MQTT broker"),
        ("mqtt://me:secret@broker:99999", "not the address of an MQTT broker"),
        ("mqtt://me:secret@broker:0", "not the address of an MQTT broker"),
        ("broker.local", "not the address of an MQTT broker"),
        ("mqtt://me:se?cret@broker", "not the address of an MQTT broker"),
        ("mqtt://me:secret@broker/a?b", "nothing may follow the prefix"),
        ("mqtt://me:secret@broker/house/+", "its prefix is no topic: at most 200 letters, none of"),
        ("mqtt://me:secret@broker/%23", "its prefix is no topic"),
        ("mqtt://me:secret@broker/%00", "its prefix is no topic"),
        ("mqtt://me:secret@broker/" + "x" * 201, "its prefix is no topic"),
    ],
)
def test_what_is_none_is_refused(address: str, text: str) -> None:
    with pytest.raises(UserError) as refused:
        parse_broker(address)
    assert text in str(refused.value)
    assert "cret" not in str(refused.value)
