"""The flags of a command, read off its configuration dataclass as tyro reads them."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import tyro


def flag_names(config: type[Any], prefix: str = "") -> list[str]:
    """`section.key` of every flag of a configuration, in the order of its fields, without the dashes before it.

    Nested dataclasses are sections, unless they are annotated with an empty name. Positional arguments are no flags,
    and the `--no-` form of a switch is not listed beside it.
    """
    return list(flag_types(config, prefix))


def flag_types(config: type[Any], prefix: str = "") -> dict[str, Any]:
    """The same names, and of what type each one's field is."""
    types: dict[str, Any] = {}
    hints = get_type_hints(config, include_extras=True)
    for field in dataclasses.fields(config):
        kind, marks = unwrapped(hints[field.name])
        name = prefix + field.name.replace("_", "-")
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            types |= flag_types(kind, prefix if has_empty_name(marks) else f"{name}.")
        elif tyro.conf.Positional not in marks:
            types[name] = kind
    return types


def parts_of(hint: Any) -> set[Any]:
    """A type, and all that it is made of: of `tuple[int, ...] | None` tuple, int and None's type among others."""
    origin, marks = get_origin(hint), get_args(hint)
    found = {hint} if origin is None else {origin}
    return found.union(*(parts_of(part) for part in marks if part is not Ellipsis and origin is not Literal))


def unwrapped(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type and the marks that `Annotated` put on it."""
    return (get_args(hint)[0], hint.__metadata__) if get_origin(hint) is Annotated else (hint, ())


def has_empty_name(marks: tuple[Any, ...]) -> bool:
    """Whether one of the marks is `tyro.conf.arg(name="")`: the section's flags stand without its name."""
    return any(getattr(mark, "name", None) == "" for mark in marks)
