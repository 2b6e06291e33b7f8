"""torchrun's agent is told why one of its processes ended, so that our line stands in its last words.

The agent (of torchrun, and of `accelerate launch --multi_gpu`) prints a traceback of its own and a table when a process
fails, whatever that said. SIGKILL alone would end it quietly; that would lose its restarts, and pass for a lack of
memory. But it looks for a file that says why, and closes with what that holds ("Root Cause"). The form of the file is
that of `torch.distributed.elastic.multiprocessing.errors`. After Ctrl-C it has no last words but its traceback.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path

from pretrain.names import shown_lines

ERROR_FILE = "TORCHELASTIC_ERROR_FILE"
"""Variable of processes that an agent started: where it looks."""


def tell_agent(text: str) -> None:
    """Why this process ends; nothing happens where no agent started it."""
    place = os.environ.get(ERROR_FILE)
    if not place:
        return
    content = {"message": {"message": shown_lines(text), "extraInfo": {"timestamp": str(int(time.time()))}}}
    with suppress(OSError):  # the line was printed; without the file the agent's table is silent about it
        Path(place).write_text(json.dumps(content), encoding="utf-8")
