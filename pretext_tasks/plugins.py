"""What other packages add: pretext tasks, losses, backbones and datasets, found by their entry points.

    [project.entry-points."anomaly_pretext.backbones"]
    tiny3d = "my_package.backbones:build_tiny3d"

An installed package's additions are there like ours, under the name of their entry point: flags, YAML keys, `--help`.
One that cannot be loaded, is not what its kind must be, or bears a name that is taken, is left out with a warning.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import field, is_dataclass, make_dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal, TypeVar

Kind = Literal["pretext_tasks", "loss_settings", "losses", "backbones", "datasets"]
Class = TypeVar("Class", bound=type[Any])


def find_plugins(kind: Kind, taken: Collection[str], problem: Callable[[Any], str]) -> dict[str, Any]:
    """Name -> what other packages add of that kind, by name.

    `taken`: our own names. `problem(thing)` says what is wrong with it, an empty string where nothing is.
    """
    found: dict[str, Any] = {}
    for name, load in sorted(_declared(kind).items()):
        try:
            thing = load()
            wrong = f"the name {name!r} is taken" if name in taken else problem(thing)
        except Exception as error:  # somebody else's code: it may fail in any way, and must not stop ours
            wrong = f"{type(error).__name__}: {error}"
        if wrong:
            warnings.warn(f"the plug-in {name!r} ({kind}) is left out: {wrong}", RuntimeWarning, stacklevel=2)
        else:
            found[name] = thing
    return found


@cache
def _declared(kind: Kind) -> dict[str, Callable[[], Any]]:
    """Loaders by name: looking at all installed packages takes a while, and is done once."""
    return {entry.name: entry.load for entry in entry_points(group=f"anomaly_pretext.{kind}")}


def wrong_settings(thing: Any) -> str:
    """What settings of a task or a loss must be."""
    if not (isinstance(thing, type) and is_dataclass(thing)):
        return f"{thing!r} is no dataclass"
    return "" if getattr(thing(), "weight", None) == 0 else "its weight must be 0 by default: nobody's run may change"


def not_callable(thing: Any) -> str:
    """What a backbone's builder and a dataset's opener must be."""
    return "" if callable(thing) else f"{thing!r} is no function"


def with_fields(own: Class, added: Mapping[str, type[Any]]) -> Class:
    """A frozen dataclass with one more field for each name, which holds that class's defaults."""
    if not added:
        return own
    fields = [(name, cls, field(default_factory=cls)) for name, cls in added.items()]
    namespace = {"__doc__": own.__doc__, "__module__": own.__module__}
    made: Any = make_dataclass(own.__name__, fields, bases=(own,), namespace=namespace, frozen=True, kw_only=True)
    return made
