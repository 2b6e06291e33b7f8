"""Arguments of the Python interface: what they may be, and messages that name them as Python does.

The work below is that of the commands, whose messages may name flags (`--catalogue.root`); here these are arguments and
settings (`catalogue.root`). Commands in a message (`python scripts/calibrate.py ... --detector`) stay as they are.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from pretrain.errors import UserError

P = ParamSpec("P")
R = TypeVar("R")
_FLAG = re.compile(r"(?<![\w-])--(no-)?([a-z][a-z0-9]*(?:[-.][a-z0-9]+)*)")
_COMMAND = re.compile(r"(?:\.py|\b(?:accelerate launch|torchrun|anomaly-pretext [a-z-]+))\b[^;:()`]*$")


def in_python(function: Callable[P, R]) -> Callable[P, R]:
    """The same function, whose mistakes are told in words of Python; of a generator too."""
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def generate(*args: P.args, **values: P.kwargs) -> Iterator[Any]:
            with _told_in_python():
                yield from function(*args, **values)

        return cast(Callable[P, R], generate)

    @functools.wraps(function)
    def call(*args: P.args, **values: P.kwargs) -> R:
        with _told_in_python():
            return function(*args, **values)

    return call


@contextmanager
def _told_in_python() -> Iterator[None]:
    try:
        yield
    except UserError as error:
        error.args = (python_words(str(error)), *error.args[1:])
        raise


def python_words(text: str) -> str:
    """A message with settings in place of flags."""
    return "\n".join(map(_line, text.split("\n")))


def _line(text: str) -> str:
    def name(found: re.Match[str]) -> str:
        return (
            found[0]
            if _COMMAND.search(text[: found.start()])
            else found[2].replace("-", "_") + "=False" * bool(found[1])
        )

    return _FLAG.sub(name, text)


def as_path(name: str, value: object, what: str) -> Path:
    """A path that was given as one. UserError: anything else; `what` the argument is."""
    if not isinstance(value, (str, Path)) or not str(value):
        raise UserError(f"{name} is {shortly(value)}; give {what}, as text or a pathlib.Path")
    return Path(value)


def as_whole(name: str, value: object, least: int = 0) -> int:
    """A whole number of at least so much. UserError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UserError(f"{name} is {shortly(value)}; give a whole number, {least} or more")
    return value


def shortly(value: object) -> str:
    """A value as Python writes it, and of what type it is, in little room."""
    text = repr(value)
    return f"{text[:80]}{'...' * (len(text) > 80)} ({type(value).__name__})"
