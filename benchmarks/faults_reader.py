"""What a reader is: the product's own function or command in the world's folder, and what it then knows."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.faults_compare import digests
from benchmarks.faults_world import (
    WRITERS,
)


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Something that reads files."""

    name: str
    files: tuple[str, ...]
    """Patterns of what it reads, below the world's folder."""
    run: Callable[[], Any]
    """Read; a digest of what was read. Left with SystemExit by a command."""
    prepare: Callable[[], None] | None = None
    """Makes files of its own in the world, once."""
    is_cache: bool = False
    """It reads what can be made anew: a mutation must change nothing, or be refused."""
    weight: float = 1.0
    """How often it is tried against others: commands take a second, functions some milliseconds."""
    needs: tuple[str, ...] = ()
    """Optional packages; without one of them it is left out."""

    @property
    def lacks(self) -> tuple[str, ...]:
        """Those that are not installed."""
        return tuple(name for name in self.needs if find_spec(name) is None)


def main_of(module: str, *flags: str) -> None:
    """A command as it is run."""
    sys.argv = [module, *flags]
    import_module(module).main()


def again(name: str, *more: str) -> Callable[[], None]:
    """The command of a writer, once more."""
    writer = next(writer for writer in WRITERS if writer.name == name)
    return lambda: main_of(writer.module, *writer.flags, *more)


def sha(*parts: Any) -> str:
    """Digest of arrays (shape, type, values), texts and numbers."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, torch.Tensor):
            part = part.detach().cpu().numpy()
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype} {part.shape}".encode() + np.ascontiguousarray(part).tobytes())
        else:
            digest.update(repr(part).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:16]


def outputs_of(command: Callable[[], None], *names: str) -> str:
    """Run a command that ends well; the digest of what it left."""
    try:
        command()
    except SystemExit as left:
        if left.code:
            raise
    return sha(sorted(digests(Path(), names).items()))
