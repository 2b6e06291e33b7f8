"""What one of several cameras says: every line begins with its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from downstream.detection.live.console import Console
from pretrain.names import shown


class NamedConsole:
    """A `RunConsole` for one camera of those that share a console."""

    is_terminal = False
    """Its own states are said for all cameras together."""

    def __init__(self, console: Console, name: str, width: int) -> None:
        """`width`: of the longest name, so that lines stand below each other."""
        self._console, self._name = console, name
        self._head = f"{shown(name):{width}}  "

    @property
    def is_broken(self) -> bool:
        """Whether nobody reads the console any more."""
        return self._console.is_broken

    def say(self, text: str, when: float | None = None) -> None:
        """Lines that stay."""
        self._console.say("\n".join(self._head + line for line in text.split("\n")), when)

    def record(self, values: Mapping[str, Any]) -> None:
        """For programs: with the camera's name."""
        self._console.record({"camera": self._name, **values})

    def status(self, text: str) -> None:
        """Nothing: see `is_terminal`."""
