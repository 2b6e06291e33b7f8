"""What it means when one process of a run died, in one line that says what to do."""

from __future__ import annotations

import signal

FULL_SHARED_MEMORY = 70
"""Exit status of a reading process that could not hand its batch over."""
LOST_STATUS = 75
"""Exit status of a process that lost its connection to another one."""
LOST = "the connection to another process of this run broke: that one failed or was killed; go on with --resume"
SHARED_MEMORY = (
    "a reading process could not hand its batch over: shared memory (/dev/shm) is full; make it larger (docker run "
    "--shm-size 8g), free it, or lower data.workers (0 needs none); go on with --resume"
)

NO_THREAD = (
    "the system lets this process start no more threads: raise its limits of processes or memory (ulimit -u and "
    "-v, the container's), or set OMP_NUM_THREADS lower"
)
NO_MEMORY = (
    "the memory of the GPU or of the machine is full: take smaller batches (optim.batch_size, --batch-clips) or "
    "smaller clips, fewer processes (data.workers, --decoders), or end what else runs there; go on with --resume"
)
_FULL = ("out of memory", "can't allocate memory", "could not create a primitive", "MemoryError")
"""What PyTorch, its allocators, oneDNN and Python say of it."""


def process_failure(text: str) -> str | None:
    """What an error of PyTorch or Python means that is none of the program: another process failed, or there is no more
    memory or no more threads. None for all others."""
    if any(sign in text for sign in ("gloo/transport", "Gloo connect", "[Gloo]", "NCCL communicator was aborted")):
        return LOST
    if any(sign in text for sign in ("remote process exited or there was a network error", "Broken pipe: SendBytes")):
        return LOST
    if any(sign in text for sign in _FULL):
        return NO_MEMORY
    return NO_THREAD if "can't start new thread" in text else None


def dead_reader(status: int) -> str:
    """Why a reading process ended, by its exit status (negative: the signal that ended it), and what to do."""
    if status in (FULL_SHARED_MEMORY, -signal.SIGBUS):
        return SHARED_MEMORY
    if status == -signal.SIGKILL:
        why = "was killed, by the system for lack of memory or by somebody: lower data.workers, or free memory"
    elif status < 0:
        name = signal.Signals(-status).name
        why = f"crashed ({name}), perhaps in the decoder: find the video with scripts/check_videos.py"
    else:
        why = f"ended with status {status}: see above, or set data.workers to 0 to see more"
    return f"a reading process {why}; go on with --resume"
