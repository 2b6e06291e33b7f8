"""Shapes of JSON: what fits, and what is said of what does not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from pretrain.json_shapes import (
    Shape,
    WrongShape,
    anything,
    check,
    either,
    every,
    fixed,
    mapping,
    null,
    number,
    of_type,
    one_of,
    optional,
    record,
    sequence,
    text,
    whole,
)

CARD = record({"name": text, "clip": record({"frames": whole(1, 1024)})}, {"sides": sequence(whole(1), 1, 3)})


@dataclass(frozen=True, kw_only=True)
class Inner:
    share: float
    where: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Outer:
    name: str
    count: int
    kind: Literal["a", "b"]
    pair: tuple[int, float]
    inner: Inner
    many: tuple[str, ...] = ()
    grid: Literal["map"] | tuple[int, int] | None = None
    is_on: bool = False
    rest: Any = None


SOUND = {"name": "x", "count": 3, "kind": "a", "pair": [1, 0.5], "inner": {"share": 1}}


def test_what_fits() -> None:
    check({"name": "a", "clip": {"frames": 8}, "sides": [1, 2], "more": object()}, CARD)
    check(SOUND, of_type(Outer))
    check(SOUND | {"many": ["a"], "grid": [2, 3], "is_on": True, "rest": [{}]}, of_type(Outer))
    check(SOUND | {"grid": "map", "inner": {"share": 0.5, "where": "a/b"}}, of_type(Outer))
    check({"a": None, "b": 2}, mapping(either(null, number(0)), 2))
    check(anything, anything)


@pytest.mark.parametrize(
    ("shape", "value", "said"),
    [
        (CARD, [], "it is a list, not an object"),
        (CARD, {"name": "a"}, "it lacks 'clip'"),
        (CARD, {"name": 1, "clip": {}}, "name is 1, not text"),
        (CARD, {"name": "a", "clip": {"frames": 0}}, "clip.frames is 0, not a whole number from 1 to 1,024"),
        (CARD, {"name": "a", "clip": {"frames": True}}, "clip.frames is True, not a whole number"),
        (CARD, {"name": "a", "clip": {"frames": 8.0}}, "clip.frames is 8.0, not a whole number"),
        (
            CARD,
            {"name": "a", "clip": {"frames": 8}, "sides": [1, "2"]},
            "sides[1] is '2', not a whole number from 1 on",
        ),
        (CARD, {"name": "a", "clip": {"frames": 8}, "sides": []}, "sides has 0 entries, not from 1 to 3"),
        (of_type(Outer), SOUND | {"kind": "c"}, "kind is 'c', not 'a' or 'b'"),
        (of_type(Outer), SOUND | {"pair": [1]}, "pair is a list, not a list of 2"),
        (of_type(Outer), SOUND | {"other": 1}, "it has 'other'; known are"),
        (of_type(Outer), SOUND | {"inner": {}}, "inner lacks 'share'"),
        (of_type(Outer), SOUND | {"inner": {"share": float("nan")}}, "inner.share is nan, not a finite number"),
        (of_type(Outer), SOUND | {"count": 2**63}, "count is 9223372036854775808, not a whole number"),
        (mapping(text, 1), {"a": "b", "c": "d"}, "it has 2 entries, not at most 1"),
        (mapping(text), {"a": 1}, "a is 1, not text"),
        (optional(fixed(text)), ["a", "b"], "it is a list, not a list of 1"),
        (every(number(), number(0, 1)), 2, "it is 2, not a finite number from 0 to 1"),
        (one_of(1, "a"), True, "it is True, not 1 or 'a'"),
        (number(), 10**400, "not a finite number"),
    ],
)
def test_what_does_not(shape: Shape, value: Any, said: str) -> None:
    with pytest.raises(WrongShape) as caught:
        check(value, shape)
    assert said in str(caught.value)
