"""The heads and losses of the tasks (`heads`), loaded when the first of them is asked for.

A task is configuration and integer arithmetic, which every command line reads; PyTorch is needed once it is trained.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pretext_tasks.heads import PooledClassifier, SpliceHead, cross_entropy

__all__ = ["PooledClassifier", "SpliceHead", "cross_entropy"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(f"{__package__}.heads"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
