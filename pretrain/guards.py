"""What every training loop here does when something goes wrong: all processes learn of it, and stop together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor

from pretrain.cli import DISK_PROBLEMS, disk_problem
from pretrain.errors import UserError
from pretrain.folder_lock import only_writer_in


def main_process_does(accelerator: Accelerator, action: Callable[[], object]) -> None:
    """Do it on the main process. Where it fails with a UserError or OSError, every process raises its text.

    To be called by all processes.
    """
    problem = [""]
    if accelerator.is_main_process:
        try:
            action()
        except UserError as error:
            problem = [str(error)]
        except OSError as error:
            mend = DISK_PROBLEMS.get(error.errno or 0)
            problem = [f"{error}; {mend}" if mend else str(error)]
    if told := [text for text in gather_object(problem) if text]:
        raise UserError(told[0])


@contextmanager
def alone_in(folder: Path, accelerator: Accelerator) -> Iterator[None]:
    """One run at a time in a folder: the main process holds its lock, and all stop where another run has it.

    To be entered by all processes; they leave it together, so that none is gone while the main one still writes.
    """
    with ExitStack() as held:

        def lock() -> None:
            try:
                held.enter_context(only_writer_in(folder))
            except OSError as error:
                raise UserError(disk_problem(error) or str(error)) from error

        main_process_does(accelerator, lock)
        yield
        accelerator.wait_for_everyone()


class NotFinite(NamedTuple):
    """What was not finite in a step, over all processes."""

    parts: list[str]
    """Parts of the loss, sorted; empty where only the gradient was."""
    videos: list[str]
    """Names of the videos that the processes concerned had in the step, sorted."""


def find_not_finite(
    accelerator: Accelerator,
    loss: Tensor,
    gradient_norm: Tensor,
    parts: Mapping[str, Tensor],
    videos: Sequence[str],
) -> NotFinite | None:
    """To be asked before the optimiser moves; None where loss and gradient are finite on every process.

    A gradient that fp16 scales is not looked at: its scaler meets infinite ones as a matter of course.
    """
    bad = ~torch.isfinite(loss.detach())
    if accelerator.scaler is None:
        bad = bad | ~torch.isfinite(gradient_norm)
    if not bool(accelerator.reduce(bad.float(), "sum") > 0):
        return None
    mine = [name for name, value in parts.items() if name != "loss" and not bool(torch.isfinite(value))]
    told = gather_object([(mine, list(videos) if bool(bad) else [])])
    return NotFinite(
        sorted({name for names, _ in told for name in names}), sorted({name for _, names in told for name in names})
    )
