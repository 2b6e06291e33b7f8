"""What must stand where in a JSON file: shapes, checked once when it is read, so that whoever uses it can rely on it.

    CARD = record({"architecture": text, "clip": record({"frames": whole(1, 1024)})}, {"notes": sequence(text)})
    check(content, CARD)     # WrongShape: clip.frames is 'a', not a whole number from 1 to 1024

`of_type` makes the shape of a type: of a dataclass, that of its fields.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

Shape = Callable[[Any], None]
"""Raises WrongShape where a value does not fit."""
LARGEST = 2**63 - 1
"""Whole numbers in files fit into 64 bits."""


class WrongShape(ValueError):
    """What stands where (`clip.frames`), and what should; without the path of the file."""

    def __init__(self, is_what: str, place: str = "") -> None:
        super().__init__(f"{place or 'it'} {is_what}")
        self.is_what, self.place = is_what, place

    def below(self, name: object) -> WrongShape:
        """The same, of what stands under a key or at a place of a list."""
        own = f"[{name}]" if isinstance(name, int) else str(name)[:80]
        return WrongShape(self.is_what, own + "." * (self.place[:1] not in ("", "[")) + self.place)


def check(content: Any, shape: Shape) -> None:
    """WrongShape where `content` is not of that shape."""
    shape(content)


def _wrong(value: Any, expected: str) -> WrongShape:
    shown = repr(value) if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"
    return WrongShape(f"is {shown[:80]}, not {expected}")


def anything(value: Any) -> None:
    """Any JSON value: nobody relies on it."""


def text(value: Any) -> None:
    """A string."""
    if not isinstance(value, str):
        raise _wrong(value, "text")


def flag(value: Any) -> None:
    """true or false."""
    if not isinstance(value, bool):
        raise _wrong(value, "true or false")


def null(value: Any) -> None:
    """null."""
    if value is not None:
        raise _wrong(value, "null")


def number(least: float = -math.inf, most: float = math.inf) -> Shape:
    """A finite number in `[least, most]`."""

    def shape(value: Any) -> None:
        is_number = (type(value) is float and math.isfinite(value)) or (type(value) is int and abs(value) <= LARGEST)
        if not is_number or not least <= value <= most:
            raise _wrong(value, f"a finite number{_range(least, most)}")

    return shape


def whole(least: int = -LARGEST, most: int = LARGEST) -> Shape:
    """A whole number in `[least, most]`; 1.0 is none."""

    def shape(value: Any) -> None:
        if type(value) is not int or not least <= value <= most:
            raise _wrong(value, f"a whole number{_range(least, most)}")

    return shape


def one_of(*values: Any) -> Shape:
    """One of these."""

    def shape(value: Any) -> None:
        if not any(type(value) is type(known) and value == known for known in values):
            raise _wrong(value, " or ".join(map(repr, values)))

    return shape


def either(*shapes: Shape) -> Shape:
    """Of one of these shapes; the message is that of the last."""

    def shape(value: Any) -> None:
        for candidate in shapes[:-1]:
            try:
                candidate(value)
            except WrongShape:
                continue
            return
        shapes[-1](value)

    return shape


def every(*shapes: Shape) -> Shape:
    """Of all of these shapes."""

    def shape(value: Any) -> None:
        for needed in shapes:
            needed(value)

    return shape


def optional(of: Shape) -> Shape:
    """null, or of that shape."""

    def shape(value: Any) -> None:
        if value is not None:
            of(value)

    return shape


def sequence(of: Shape, least: int = 0, most: int = LARGEST) -> Shape:
    """A list of so many values of one shape."""

    def shape(value: Any) -> None:
        if not isinstance(value, list):
            raise _wrong(value, "a list")
        if not least <= len(value) <= most:
            raise WrongShape(f"has {len(value)} entries, not{_range(least, most)}")
        for index, item in enumerate(value):
            try:
                of(item)
            except WrongShape as error:
                raise error.below(index) from None

    return shape


def fixed(*shapes: Shape) -> Shape:
    """A list of exactly these."""

    def shape(value: Any) -> None:
        if not isinstance(value, list) or len(value) != len(shapes):
            raise _wrong(value, f"a list of {len(shapes)}")
        for index, of in enumerate(shapes):
            try:
                of(value[index])
            except WrongShape as error:
                raise error.below(index) from None

    return shape


def mapping(of: Shape = anything, most: int = LARGEST) -> Shape:
    """An object with any keys, at most so many, and values of one shape."""

    def shape(value: Any) -> None:
        if not isinstance(value, dict):
            raise _wrong(value, "an object")
        if len(value) > most:
            raise WrongShape(f"has {len(value)} entries, not at most {most}")
        for key, item in value.items():
            try:
                of(item)
            except WrongShape as error:
                raise error.below(key) from None

    return shape


def record(required: Mapping[str, Shape], others: Mapping[str, Shape] | None = None, *, closed: bool = False) -> Shape:
    """An object with these keys; `others` may be missing. `closed`: it has no further ones."""
    known = {**(others or {}), **required}

    def shape(value: Any) -> None:
        if not isinstance(value, dict):
            raise _wrong(value, "an object")
        if not required.keys() <= value.keys():
            raise WrongShape(f"lacks {', '.join(repr(name) for name in required if name not in value)}")
        if closed and not value.keys() <= known.keys():
            unknown = next(str(name)[:80] for name in value if name not in known)
            raise WrongShape(f"has {unknown!r}; known are {', '.join(known)}")
        for name, of in known.items():
            if name in value:
                try:
                    of(value[name])
                except WrongShape as error:
                    raise error.below(name) from None

    return shape


def of_type(annotation: Any) -> Shape:
    """The shape of a type: of a dataclass, an object with its fields alone, those with a default being optional."""
    if dataclasses.is_dataclass(annotation) and isinstance(annotation, type):
        hints = get_type_hints(annotation)
        shapes = {field.name: of_type(hints[field.name]) for field in dataclasses.fields(annotation)}
        needed = {field.name for field in dataclasses.fields(annotation) if _has_no_default(field)}
        required = {name: shape for name, shape in shapes.items() if name in needed}
        return record(required, {name: shape for name, shape in shapes.items() if name not in needed}, closed=True)
    simple: dict[Any, Shape] = {
        str: text,
        Path: text,
        bool: flag,
        int: whole(),
        float: number(),
        type(None): null,
        Any: anything,
        dict: mapping(),
    }
    return simple[annotation] if annotation in simple else _of_generic(annotation)


def _of_generic(annotation: Any) -> Shape:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is typing.Annotated:
        return of_type(inner[0])
    if origin is Literal:
        return one_of(*inner)
    if origin in (Union, types.UnionType):
        # null first: the message is that of what else it may be
        return either(*(of_type(one) for one in sorted(inner, key=lambda one: one is not type(None))))
    if origin is dict:
        return mapping(of_type(inner[1]))
    if origin is tuple and inner[-1] is not Ellipsis:
        return fixed(*map(of_type, inner))
    if origin in (tuple, list):
        return sequence(of_type(inner[0]))
    raise TypeError(f"no JSON shape is known for {annotation}")


def _has_no_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _range(least: float, most: float) -> str:
    below = least in (-math.inf, -LARGEST)
    above = most in (math.inf, LARGEST)
    if above:
        return "" if below else f" from {least:,} on"
    return f" up to {most:,}" if below else f" from {least:,} to {most:,}"
