"""Names of a module that are imported where they are first used (PEP 562)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from anomaly_pretext.version import ABOVE


def from_modules(own: str, modules: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """The `__getattr__` of module `own`. `modules`: module, as a checkout names it -> the names that it gives."""

    def get(name: str) -> Any:
        for module, names in modules.items():
            if name in names:
                return getattr(import_module(installed_name(module)), name)
        raise AttributeError(f"module {own!r} has no attribute {name!r}")

    return get


def installed_name(module: str) -> str:
    """A module by the name that it has here, in a checkout or installed."""
    return module if module.startswith("anomaly_pretext.") else ABOVE + module
