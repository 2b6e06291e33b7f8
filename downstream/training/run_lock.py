"""One run at a time in a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from accelerate import Accelerator

from pretrain.errors import UserError
from pretrain.guards import main_process_does

try:
    import fcntl
except ImportError:  # pragma: no cover - not on Windows: two runs in one folder are not noticed there
    fcntl = None  # type: ignore[assignment]


@contextmanager
def only_run_in(folder: Path) -> Iterator[None]:
    """Hold a folder's lock; UserError where another process holds it. A killed process lets go of it by itself."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if fcntl is not None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(
                    f"another process is at work in {folder}: wait for it or stop it, or choose another folder"
                ) from None
            except OSError:  # some network file systems have no locks
                pass
        yield
    finally:
        os.close(descriptor)


@contextmanager
def alone_in(folder: Path, accelerator: Accelerator) -> Iterator[None]:
    """One run at a time in a folder: the main process holds its lock, and all stop where another run has it."""
    with ExitStack() as held:
        main_process_does(accelerator, lambda: held.enter_context(only_run_in(folder)))
        yield
