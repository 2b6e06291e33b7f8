"""Times of day, here, in words."""

from __future__ import annotations

from datetime import datetime


def time_of_day(seconds: float) -> str:
    """Seconds since 1970 as hh:mm:ss, here."""
    return datetime.fromtimestamp(seconds).strftime("%H:%M:%S")


def iso(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601, with the offset here."""
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="milliseconds")
