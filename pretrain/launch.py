"""`accelerate launch --cpu --num_processes N` starts one process without saying so; here the N are started.

accelerate launch            does not pass signals on, and prints a traceback when its one process fails
  our command                starts N times itself, waits, tells the end in one line   (this module)
    our command, 1 of N ...

Why not hand over to torchrun, which starts them just as well (`torchrun --nproc-per-node N pretrain.py`, tested too)?
Tried with PyTorch 2.14: its store listens on every interface of the machine, where here nothing is open beyond it; it
ends with status 1 whatever happened, where a run that saved and stopped has that of its signal; and its last words are
32 lines of its own after SIGTERM and 67 after a fault, where here there is one. Tests hold each of these.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from pretrain.errors import UserError
from pretrain.launcher import Asked, asked_processes, dropped_processes
from pretrain.parent import STARTED_BY
from pretrain.process_failure import LOST_STATUS

POLL_SECONDS = 0.1
OTHERS_SECONDS = 3.0
"""How long the other processes may go on after one failed, before they are asked to stop."""
KILL_SECONDS = 8.0
"""How long after that failure they are killed."""
MEETING = "ANOMALY_PRETEXT_MEETING"
"""Variable of the processes that are started here: where they find each other (torch.distributed's `init_method`)."""
SAVE_SECONDS = 90.0
"""How long they may take to save after a signal."""


def start_cpu_processes() -> int | None:
    """Start the processes that `accelerate launch` was asked for and did not start, and wait for them.

    Each is this very command again: a script, a module after -m, an installed command. Returns their exit status; None
    when there is nothing to do. UserError where there is a GPU: several processes would share it.
    """
    if not dropped_processes(os.environ):
        return None
    asked = asked_processes(psutil.Process(os.getppid()).cmdline())
    on_cpu = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true")
    if asked is None and on_cpu:
        raise UserError(
            "accelerate launch was asked for several CPU processes and started one, through something that hides how "
            "many: let it start the command itself, or start with torchrun --nproc-per-node N pretrain.py ..."
        )
    if asked is None or asked.processes == 1:
        return None
    if not on_cpu and has_gpu():
        raise UserError(
            f"accelerate launch was asked for {asked.processes} processes and started one: give it --multi_gpu "
            "(distributed_type MULTI_GPU in its configuration file) for as many GPUs, --cpu for so many processes "
            "without one, or --num_processes 1"
        )
    sys.stdout.flush()
    return Processes([sys.executable, *sys.orig_argv[1:]], asked).wait()


def has_gpu() -> bool:
    """Is there a CUDA device?"""
    import torch

    return torch.cuda.is_available()


class Processes:
    """The same command several times, as this machine's ranks of one run."""

    def __init__(self, command: Sequence[str], asked: Asked) -> None:
        self._asked: tuple[int, float] | None = None
        self._running: list[subprocess.Popen[bytes]] = []
        # before they start: one that comes now is passed on
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._pass_on)
        self._meeting = tempfile.TemporaryDirectory(prefix="anomaly-pretext-")
        for local_rank in range(asked.here):
            own = environment(local_rank, asked, Path(self._meeting.name) / "meeting")
            self._running.append(subprocess.Popen(command, env=os.environ | own))

    def wait(self) -> int:
        """Their common exit status. Where one fails the others are stopped, and a line says which and how."""
        with self._meeting:
            return self._wait()

    def _wait(self) -> int:
        if self._asked is not None and self._asked[0] == signal.SIGTERM:
            self._send(signal.SIGTERM)  # to those that were started after it came
        ended: dict[int, int] = {}
        failed_at = None
        while len(ended) < len(self._running):
            for rank, process in enumerate(self._running):
                if rank not in ended and (status := process.poll()) is not None:
                    ended[rank] = status
                    failed_at = time.monotonic() if status and failed_at is None else failed_at
            self._press(failed_at)
            time.sleep(POLL_SECONDS)
        return told_end(ended, None if self._asked is None else self._asked[0])

    def _press(self, failed_at: float | None) -> None:
        """Ask those that are left to stop, and kill them in the end, once it is time."""
        now = time.monotonic()
        if failed_at is not None and now - failed_at > OTHERS_SECONDS:
            self._send(signal.SIGKILL if now - failed_at > KILL_SECONDS else signal.SIGTERM)
        elif self._asked is not None and now - self._asked[1] > SAVE_SECONDS:
            self._send(signal.SIGKILL)

    def _pass_on(self, number: int, _frame: object) -> None:
        """SIGTERM reaches this process alone, Ctrl-C everybody in the terminal."""
        self._asked = self._asked or (number, time.monotonic())
        if number == signal.SIGTERM:
            self._send(signal.SIGTERM)

    def _send(self, number: signal.Signals) -> None:
        for process in self._running:
            if process.poll() is None:
                process.send_signal(number)


def environment(local_rank: int, asked: Asked, meeting: Path) -> dict[str, str]:
    """What torchrun would set for that process; nothing listens beyond this machine, where nobody said otherwise.

    `meeting`: the file over which the processes of one machine find each other, instead of a port that is open to
    everybody. Several machines meet at MASTER_ADDR and MASTER_PORT, which the launcher has set.
    """
    ranks = {
        "RANK": asked.rank * asked.here + local_rank,
        "LOCAL_RANK": local_rank,
        "WORLD_SIZE": asked.processes,
        "LOCAL_WORLD_SIZE": asked.here,
        "GROUP_RANK": asked.rank,
        STARTED_BY: os.getpid(),
    }
    alone = os.environ.get("MASTER_ADDR") in ("127.0.0.1", "localhost") and sys.platform.startswith("linux")
    interface = {"GLOO_SOCKET_IFNAME": os.environ.get("GLOO_SOCKET_IFNAME", "lo")} if alone else {}
    where = {MEETING: meeting.as_uri()} if alone and asked.machines == 1 else {}
    return {key: str(value) for key, value in ranks.items()} | interface | where


def told_end(ended: Mapping[int, int], asked: int | None) -> int:
    """The exit status of the whole, with a line on stderr where one process died or failed by itself.

    `ended`: the status of each rank (negative: the signal that killed it), in the order in which they ended. `asked`:
    the signal by which they were told to stop.
    """
    failed = [(rank, status) for rank, status in ended.items() if status]
    # one that lost its connection is not to blame: another one ended before
    rank, status = next((each for each in failed if each[1] != LOST_STATUS), failed[0] if failed else (0, 0))
    who, told = f"process {rank + 1} of {len(ended)}", ""
    if asked is not None and status:
        told = "" if status == 128 + asked else f"stopped by {signal.Signals(asked).name}"
        status = 128 + asked
    elif status < 0:
        told = (
            f"error: {who} was killed by {signal.Signals(-status).name} (for lack of memory, or by somebody); the "
            "others were stopped. Run the same command again (training: with --resume)"
        )
        status = 128 - status
    elif len(set(ended.values())) > 1:
        told = f"error: {who} failed (exit status {status}), see above; the others were stopped"
        status = max(status, 2)  # 1 is for runs that came to their end
    if told:
        print(told, file=sys.stderr, flush=True)
    return status


def started_by_us() -> bool:
    """Whether this process is one of `Processes`: another one tells what becomes of them."""
    return os.environ.get(STARTED_BY) == str(os.getppid())


def silence_launcher() -> None:
    """Keep `accelerate launch` from printing its own traceback over what was said: end it, as it ends us.

    It knows no other end of its one process than success or a traceback of its own, but for --quiet.
    """
    if "LOCAL_RANK" in os.environ:  # its torchrun, or our parent's business
        return
    try:
        parent = psutil.Process(os.getppid())
        words = parent.cmdline()
        is_accelerate = any(
            os.path.basename(word) in ("accelerate", "accelerate-launch", "accelerate.commands.launch")
            for word in words[:4]
        )
        if is_accelerate and not {"-q", "--quiet"} & set(words):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # which its end sends to us
            parent.terminate()
    except psutil.Error:
        return
