"""What PyTorch says when one process of a run died, in one line that says what to do."""

from __future__ import annotations

FULL_SHARED_MEMORY = 70
"""Exit status of a reading process that could not hand its batch over."""
LOST_STATUS = 75
"""Exit status of a process that lost its connection to another one."""
LOST = "the connection to another process of this run broke: that one failed or was killed; go on with --resume"
SHARED_MEMORY = (
    "a reading process could not hand its batch over: shared memory (/dev/shm) is full; make it larger (docker run "
    "--shm-size 8g), free it, or lower data.workers (0 needs none); go on with --resume"
)


def process_failure(text: str) -> str | None:
    """What an error of PyTorch means, where it is about another process that failed; None for all others."""
    if text.startswith("DataLoader worker") or "Pin memory thread exited" in text:
        return _reading_process(text)
    if any(sign in text for sign in ("gloo/transport", "Gloo connect", "[Gloo]", "NCCL communicator was aborted")):
        return LOST
    if any(sign in text for sign in ("remote process exited or there was a network error", "Broken pipe: SendBytes")):
        return LOST
    return None


def _reading_process(text: str) -> str:
    """`DataLoader worker (pid 17) is killed by signal: Killed. ` and others."""
    if "Bus error" in text or f"exit code {FULL_SHARED_MEMORY}" in text:
        return SHARED_MEMORY
    if "killed by signal: Killed" in text:
        why = "was killed, by the system for lack of memory or by somebody: lower data.workers, or free memory"
    elif "killed by signal" in text:
        signal = text.rpartition("killed by signal: ")[2].split(".")[0]
        why = f"crashed ({signal}), perhaps in the decoder: find the video with scripts/check_videos.py"
    else:
        why = "ended unexpectedly: lower data.workers, or look for a video that kills it with scripts/check_videos.py"
    return f"a reading process {why}; go on with --resume"
