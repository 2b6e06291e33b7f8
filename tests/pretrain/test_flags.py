"""The flags read off a dataclass are those that the command line takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from pretrain.flags import flag_names


@dataclass(frozen=True)
class Inner:
    """A section."""

    num_clips: int = 1


@dataclass(frozen=True)
class Outer:
    """Everything a field can be."""

    run: Annotated[Path, tyro.conf.Positional]
    folder: tyro.conf.Positional[Path]
    wide: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="WIDE")]
    out: Path | None = None
    dry_run: bool = False
    inner: Inner = field(default_factory=Inner)
    own: Annotated[Inner, tyro.conf.arg(name="")] = field(default_factory=Inner)


def test_sections_switches_and_positions() -> None:
    assert flag_names(Outer) == ["out", "dry-run", "inner.num-clips", "num-clips"]
    given = [f"--{name}=2" if name != "dry-run" else "--dry-run" for name in flag_names(Outer)]
    parsed = tyro.cli(Outer, args=["a", "b", "c", *given])
    assert parsed == Outer(Path("a"), Path("b"), Path("c"), Path("2"), True, Inner(2), Inner(2))
