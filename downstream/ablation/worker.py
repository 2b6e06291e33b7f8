"""A worker process of an ablation: reads runs from its standard input, a JSON line each, and answers with a line.

    {"config": {...flat settings...}, "log": FILE}   ->   {"status": 0, "error": null}

Started as `python -m downstream.ablation.worker` with its threads and its GPU in the environment (`workers.py`). It
leaves when its input ends.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from pretrain.errors import UserError
from pretrain.parent import end_with_parent


def main() -> None:
    """Answer until the input ends. A killed ablation tells nobody: the run that is under way saves and leaves then."""
    end_with_parent(signal.SIGTERM)
    # what training prints, native code included, goes to the run's own file; answers keep the pipe to themselves
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        job = json.loads(line)
        print(json.dumps(run(job["config"], Path(job["log"]))), file=answers, flush=True)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # between two runs there is nothing to save


def run(settings: dict[str, Any], log: Path) -> dict[str, Any]:
    """One run. A UserError is answered with its text, anything else with its traceback."""
    from downstream.training.config import FinetuneConfig  # late: a worker that is never needed loads no torch
    from downstream.training.finetune import finetune
    from pretrain.cli import flags_of, parse

    _write_to(log)
    error = None
    status = 1
    try:
        status = finetune(parse(FinetuneConfig, flags_of(settings), "worker"), beside_others=True)
    except UserError as problem:
        error = str(problem)
    except (Exception, SystemExit):
        error = traceback.format_exc()
    if error:
        print(error, file=sys.stderr, flush=True)
    sys.stdout.flush()
    _forget()
    return {"status": status, "error": error}


def _write_to(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)


def _forget() -> None:
    """Leave nothing for the next run: Accelerate refuses another precision in one process, GPUs are shared."""
    import torch
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
