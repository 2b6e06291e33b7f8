"""What the program does when it is killed, when files are damaged, when videos are odd.

    python -m benchmarks.faults --quick                         under ten minutes on two busy cores
    python -m benchmarks.faults --kills 8 --mutations 2000      what docs/reliability.md reports
    ... --hours 8                                               round after round, each with other kills and mutations
    ... --seed 3 --only kill:finetune:2 mutation:package:17     what fell, again, alone

In a small world of rendered videos (`faults_world.py`), nothing of which is downloaded:

    kills       every command that writes is killed -9, at random times and before chosen writes, and run again: what it
                leaves must be what an undisturbed run leaves, but for times, and nothing temporary
    mutations   files of every reader are damaged: a message, or the right data; no traceback, no hang, no memory
                without bound, and no cache that is believed
    odd         `odd_videos` of the real data (--data), where it is there: the frames that FFmpeg decodes, or a reason

Work is done in children that are forked from one parent with everything imported. Ends with one line `RESULT {json}`;
exit status 1 where anything fell. Linux alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from pretrain.errors import UserError

Part = Literal["kills", "mutations", "odd"]
ROOT = Path(__file__).resolve().parents[1]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""A process with threads must not be forked."""


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


def main(arguments: Sequence[str] | None = None) -> None:
    """Try everything, print the table, leave with the exit status.

    Not by `run_command`: whatever a command starts to watch its process by belongs into the children.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        config = tyro.cli(FaultsConfig, args=given, description=__doc__)
        if any(os.environ.get(name) != value for name, value in ONE_THREAD.items()):
            paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
            environment = os.environ | ONE_THREAD | {"PYTHONPATH": paths}
            os.execve(sys.executable, [sys.executable, "-m", "benchmarks.faults", *given], environment)
        from benchmarks.faults_rounds import measure  # late: it imports all that is tried

        sys.exit(measure(config))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
