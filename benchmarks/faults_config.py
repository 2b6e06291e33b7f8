"""What `benchmarks.faults` is told."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pretrain.errors import UserError

Part = Literal["kills", "mutations", "odd"]


@dataclass(frozen=True, kw_only=True)
class FaultsConfig:
    """Kill every writer, damage what every reader reads, read odd files."""

    quick: bool = False
    """2 kills of each writer (of those that start processes of their own: 1) and 300 mutations."""
    seed: int = 0
    """Decides every kill and every mutation."""
    kills: int = 6
    """Of each writer; half as many of those that start processes of their own."""
    mutations: int = 2000
    """Of all readers together."""
    hours: float = 0.0
    """Go on for so long, with other kills and mutations in each round; 0: one round."""
    parts: tuple[Part, ...] = ("kills", "mutations", "odd")
    """What to try."""
    only: tuple[str, ...] = ()
    """Trials as they are named in the list of what fell (`kill:WRITER:NUMBER`, `mutation:READER:NUMBER`, `odd:FILE`),
    of the same seed; or all of `kill:WRITER` or `mutation:READER`."""
    data: Path = Path("../shared/real")
    """Folder of the real data; what is not there is skipped, with a word."""
    out: Path = Path("runs/faults")
    """Folder of the small world, made anew, and of result.json."""

    def __post_init__(self) -> None:
        for name in ("seed", "kills", "mutations", "hours"):
            if getattr(self, name) < 0:
                raise UserError(f"{name} is {getattr(self, name)}; it must be 0 or more")
        for key in self.only:
            if key.split(":")[0] not in ("kill", "mutation", "odd") or ":" not in key:
                raise UserError(f"only names '{key}'; give kill:WRITER:NUMBER, mutation:READER:NUMBER or odd:FILE")
        if not sys.platform.startswith("linux"):
            raise UserError(f"this is {sys.platform}; processes are looked at in /proc, which Linux alone has")
