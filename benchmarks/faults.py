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
from pathlib import Path

import tyro

from benchmarks.faults_config import FaultsConfig
from pretrain.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""A process with threads must not be forked."""


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
