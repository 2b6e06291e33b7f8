"""The address of an MQTT broker: mqtt[s]://user:password@host:port/prefix."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from pretrain.addresses import address_label
from pretrain.errors import UserError

PORTS = {"mqtt": 1883, "mqtts": 8883}
PREFIX = "anomaly-pretext"
MOST_LETTERS = 200


class BrokerAddress(NamedTuple):
    """Where a broker is, who asks, and below which topic."""

    label: str
    """For people, without login and prefix."""
    host: str
    port: int
    is_tls: bool
    user: str | None
    password: str | None
    prefix: str
    """Of all topics, without slashes at its ends."""


def parse_broker(text: str) -> BrokerAddress:
    """The parts of an address; `%40` and the like stand for signs in user, password and prefix. UserError."""
    label = address_label(text)
    refusal = (
        f"{label}: not the address of an MQTT broker; give one like mqtt://user:password@host:1883/cameras, or "
        "mqtts:// for TLS"
    )
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:  # a port that is no number, a bracket alone
        raise UserError(refusal) from None
    if parts.scheme not in PORTS or not parts.hostname or port == 0 or any(sign.isspace() for sign in parts.netloc):
        raise UserError(refusal)
    if parts.query or parts.fragment:
        raise UserError(f"{label}: nothing may follow the prefix; write ? and # in a password as %3F and %23")
    prefix = unquote(parts.path).strip("/") or PREFIX
    if len(prefix) > MOST_LETTERS or any(sign in "+#$" or not sign.isprintable() for sign in prefix):
        raise UserError(f"{label}: its prefix is no topic: at most {MOST_LETTERS} letters, none of + # $")
    user, password = (None if part is None else unquote(part) for part in (parts.username, parts.password))
    is_tls = parts.scheme == "mqtts"
    return BrokerAddress(label, parts.hostname, port or PORTS[parts.scheme], is_tls, user, password, prefix)
