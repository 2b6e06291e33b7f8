"""Damage that files come with, drawn by a generator: of JSON, of text, of bytes, of `.npy` headers."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

WRONG: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 2**31, 2**62, -(2**63), 0.0, -0.5, 1e308, 1e-320, "", "a", "../../x", "/etc/passwd", "\0"),
    *("\ud800", "1.0", [], {}, [[]], [None], {"a": {}}, [1, "a"], list(range(40))),
)
"""Values of other kinds and sizes than anybody expects."""


def places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in a JSON value."""
    yield path
    children = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in children:
        yield from places(value, (*path, key))


def mutated_json(content: Any, rng: np.random.Generator) -> bytes:
    """One damage: a value of another kind, a key that is gone or new, deep nesting, a number of 5,000 digits."""
    content = copy.deepcopy(content)
    where = list(places(content))
    path = where[int(rng.integers(len(where)))]
    parent = content
    for key in path[:-1]:
        parent = parent[key]
    kind = rng.choice(["value", "value", "value", "gone", "new", "deep", "digits", "huge", "constant"])
    marks = {"deep": "[" * 3000 + "]" * 3000, "digits": "9" * 5000, "huge": "1e999", "constant": "NaN"}
    new = "@mark@" if kind in marks else WRONG[int(rng.integers(len(WRONG)))]
    if not path:
        content = new
    elif kind == "gone":
        del parent[path[-1]]
    elif kind == "new" and isinstance(parent, dict):
        parent["never_heard_of"] = new
    else:
        parent[path[-1]] = new
    return json.dumps(content).replace('"@mark@"', marks.get(str(kind), "")).encode()


def mutated_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    """Cut off, bits turned, bytes that are no UTF-8, a part that stands twice, or something else altogether."""
    kind = int(rng.integers(6))
    at = int(rng.integers(len(content) + 1))
    if kind == 0:
        return content[:at]
    if kind == 1:
        return content[:at] + b"\xff\xfe\x00" + content[at:]
    if kind == 2:
        return content[:at] + content[at // 2 :]
    if kind == 3:
        others = (b"", b"\x00" * 64, b"\xff" * 64, b"PK\x03\x04" + b"\0" * 30, b"\x80\x04K\x01.", b"<html></html>")
        return others[int(rng.integers(len(others)))]
    changed = bytearray(content)
    for place in rng.integers(0, max(1, len(content)), int(rng.integers(1, 8))):
        if changed:
            changed[int(place)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def mutated_npy(content: bytes, rng: np.random.Generator) -> bytes:
    """A forged header: negative, huge or nested shapes, types of objects, of records, of nothing."""
    shapes = (
        "(-1,)",
        "(9999999999999, 4)",
        "(2, -3)",
        "(1.5,)",
        "((((1,),),),)",
        "()",
        "(0,)",
        "None",
        "(True,)",
        "(10**9,)",
    )
    types = ("'|O'", "'<f8'", "'<U5'", "[('a', '<f4')]", "'<M8[s]'", "'nothing'", "'>f4'", "'|V0'", "None", "'<c8'")
    header = (
        f"{{'descr': {types[int(rng.integers(len(types)))]}, 'fortran_order': {rng.choice(['True', 'False', '3'])}, "
        f"'shape': {shapes[int(rng.integers(len(shapes)))]}, }}"
    )
    if rng.random() < 0.2:
        header = str(rng.choice(["(" * 500, "[]", "{'shape'", "{}", "\x00" * 40, "{'descr': 1}", "lambda: 1"]))
    body = header.encode("latin1").ljust(117) + b"\n"
    length = len(body) if rng.random() < 0.9 else int(rng.integers(1 << 16))
    return (
        b"\x93NUMPY" + bytes((int(rng.choice([1, 1, 1, 9])), 0)) + length.to_bytes(2, "little") + body + content[128:]
    )


def mutations(content: bytes, is_json: bool, rng: np.random.Generator, count: int) -> Iterator[bytes]:
    """So many damaged forms of a file."""
    is_npy = content[:6] == b"\x93NUMPY"
    parsed = json.loads(content) if is_json else None
    for _ in range(count):
        make: Callable[[], bytes] = lambda: mutated_bytes(content, rng)  # noqa: E731
        if is_json and rng.random() < 0.75:
            make = lambda: mutated_json(parsed, rng)  # noqa: E731
        elif is_npy and rng.random() < 0.6:
            make = lambda: mutated_npy(content, rng)  # noqa: E731
        yield make()
