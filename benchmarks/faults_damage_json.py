"""Seeded damage to JSON that still parses, or nearly: kinds, keys, depth, numbers beyond reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from benchmarks.faults_damage_text import DIGITS, STRANGE_NUMBERS, STRANGE_TEXTS, Damage, Rng, Ways

DEPTH = 100_000
"""Levels of nesting."""


def in_json(change: Callable[[Any, Rng], str]) -> Damage:
    """Damage of the parsed value: `change` gives the new text. What does not parse is left alone."""

    def damage(content: bytes, rng: Rng) -> bytes:
        try:
            return change(json.loads(content), rng).encode("utf-8", "surrogatepass")
        except (ValueError, LookupError):
            return content

    return damage


def nodes(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of every value below, in order; long lists are represented by their first three."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        container = waiting.pop(0)
        keys = list(container) if isinstance(container, dict) else range(min(3, len(container)))
        for key in keys:
            found.append((container, key))
            if isinstance(container[key], dict | list):
                waiting.append(container[key])
    return found


def _node(value: Any, rng: Rng) -> tuple[Any, Any]:
    places = nodes(value) if isinstance(value, dict | list) else []
    return places[int(rng.integers(len(places)))] if places else ([value], 0)


def other_kind(value: Any, rng: Rng) -> str:
    """One value becomes one of another kind."""
    container, key = _node(value, rng)
    others: list[Any] = [None, True, 7, 0.5, "text", [], {}, [[1, 2], [3]], {"a": 1}, [None], *STRANGE_NUMBERS]
    container[key] = others[int(rng.integers(len(others)))]
    return json.dumps(value)


def strange_text(value: Any, rng: Rng) -> str:
    """One value becomes a text that is a path, a number, nothing, or no text."""
    container, key = _node(value, rng)
    container[key] = STRANGE_TEXTS[int(rng.integers(len(STRANGE_TEXTS)))]
    return json.dumps(value, ensure_ascii=bool(rng.integers(2)))


def missing_key(value: Any, rng: Rng) -> str:
    """A key, or an entry of a list, less."""
    container, key = _node(value, rng)
    del container[key]
    return json.dumps(value)


def other_key(value: Any, rng: Rng) -> str:
    """A key more, or of another name."""
    places = [container for container, key in nodes(value) if isinstance(container, dict)]
    chosen = places[int(rng.integers(len(places)))]
    key = list(chosen)[int(rng.integers(len(chosen)))]
    chosen[("a/../../x", "", "unknown", key + "x")[int(rng.integers(4))]] = chosen[key] if rng.integers(2) else 1
    return json.dumps(value)


def double_key(value: Any, rng: Rng) -> str:
    """A key twice, with two values."""
    container, key = _node(value, rng)
    if not isinstance(container, dict):
        raise LookupError("only keys can stand twice")
    text = json.dumps(container[key])
    container[key] = "\x01here\x01"
    mark = json.dumps("\x01here\x01")
    return json.dumps(value).replace(mark, f"{text}, {json.dumps(key)}: 3")


def raw_value(value: Any, rng: Rng) -> str:
    """One value becomes text that only a lenient parser takes, or that is deep or long beyond reason."""
    container, key = _node(value, rng)
    container[key] = "\x01here\x01"
    raw = (
        "NaN",
        "-Infinity",
        "1e999",
        "9" * DIGITS,
        "[" * DEPTH,
        "[" * DEPTH + "]" * DEPTH,
        '{"a":' * DEPTH,
        "undefined",
    )
    return json.dumps(value).replace(json.dumps("\x01here\x01"), raw[int(rng.integers(len(raw)))])


def top_level(value: Any, rng: Rng) -> str:
    """Another thing altogether."""
    texts = ("[]", "{}", "null", "3", '"text"', "[" * DEPTH, "9" * DIGITS, "[{}]", json.dumps([value]), "")
    return texts[int(rng.integers(len(texts)))]


def long_list(value: Any, rng: Rng) -> str:
    """One value becomes a list of a hundred thousand."""
    container, key = _node(value, rng)
    container[key] = [container[key]] * 100_000 if not isinstance(container[key], dict | list) else [0] * 100_000
    return json.dumps(value)


JSON: Ways = [
    ("a value of another kind", in_json(other_kind)),
    ("a value of another kind ", in_json(other_kind)),
    ("a strange text", in_json(strange_text)),
    ("a key away", in_json(missing_key)),
    ("a key away ", in_json(missing_key)),
    ("another key", in_json(other_key)),
    ("a key twice", in_json(double_key)),
    ("a raw value", in_json(raw_value)),
    ("another top", in_json(top_level)),
    ("a list of 100,000", in_json(long_list)),
]


def in_line(damage: Damage) -> Damage:
    """The damage in one line."""

    def change(content: bytes, rng: Rng) -> bytes:
        lines = content.splitlines()
        if not lines:
            return content
        at = int(rng.integers(len(lines)))
        lines[at] = damage(lines[at], rng)
        return b"\n".join(lines) + b"\n"

    return change


JSON_LINES: Ways = [(name, in_line(damage)) for name, damage in JSON]
