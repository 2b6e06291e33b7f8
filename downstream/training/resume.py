"""What lies in a run folder already, and whether a run may start, or go on, there."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.utils import gather_object

from downstream.detector.storage import CARD_FILE
from downstream.features.store import read_manifest
from downstream.training.checks import Prepared
from downstream.training.config import FREE_TO_CHANGE, FinetuneConfig
from downstream.training.end_to_end.prepare_videos import PreparedVideos
from pretrain.data.catalogue import Catalogue
from pretrain.data.held_out import refuse_overlap_names
from pretrain.errors import UserError, problem_list
from pretrain.files import write_json
from pretrain.run_folder import changed_settings, state_to_resume

try:
    import fcntl
except ImportError:  # pragma: no cover - not on Windows: two runs in one folder are not noticed there
    fcntl = None  # type: ignore[assignment]

SUMMARY, INPUTS = "summary.json", "inputs.json"


def seed_folder(config: FinetuneConfig, seed: int) -> Path:
    """Folder of one seed's run."""
    return config.output / f"seed-{seed}"


def states_to_resume(config: FinetuneConfig) -> dict[int, Path | None]:
    """The training state that each seed goes on from; None: from the start, or done.

    UserError: a run is there and was not to be resumed, or its settings were others.
    """
    found = {}
    for seed in config.seeds:
        folder = seed_folder(config, seed)
        done = (folder / SUMMARY).exists()
        if done and not config.resume:
            raise UserError(f"{folder} already holds a run: add --resume to go on with it, or choose another --output")
        found[seed] = state_to_resume(config, folder, config.resume, FREE_TO_CHANGE)
        if done and found[seed] is None:  # its states were deleted, to save space
            _refuse_other_settings(config, folder)
    return found


def _refuse_other_settings(config: FinetuneConfig, folder: Path) -> None:
    file = config.output / "config.json"
    if not file.exists():
        return
    changed = changed_settings(read_saved(file), config, FREE_TO_CHANGE)
    if changed:
        listed = problem_list([f"{key}: {text}" for key, text in changed.items()])
        raise UserError(
            f"cannot go on with {folder}: these settings differ from those in {file}:\n{listed}\n"
            "Set them back, or start a new run with another --output"
        )


def read_saved(file: Path) -> dict[str, Any]:
    """A JSON object that a run wrote; UserError where it is damaged."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{file} is damaged ({error}): delete it and run the same command with --resume") from error
    if not isinstance(content, dict):
        raise UserError(f"{file} is damaged (no JSON object): delete it and run the same command with --resume")
    return content


def refuse_seen_in_training(run: Path, videos: Catalogue) -> None:
    """UserError naming the videos that detectors of this run were trained on or selected by, before they are scored.

    Names are compared as in `pretrain.data.held_out.refuse_overlap_names`. Folders without detectors pass.
    """
    seen: set[str] = set()
    for card in sorted(run.glob(f"seed-*/detector/{CARD_FILE}")):
        content = read_saved(card)
        seen |= {str(name) for key in ("trained_on", "selected_on") for name in content.get(key) or ()}
    refuse_overlap_names(seen, videos, f"the training list of {run}")


def write_inputs(folder: Path, prepared: Prepared | PreparedVideos) -> None:
    """Note in a seed's folder what it is trained on, for `refuse_other_inputs`."""
    write_json(folder / INPUTS, _inputs(prepared))


def refuse_other_inputs(folder: Path, prepared: Prepared | PreparedVideos) -> None:
    """UserError where the features' values or the training videos are no longer those that the seed began with."""
    if not (folder / INPUTS).exists():
        return
    before, now = read_saved(folder / INPUTS), _inputs(prepared)
    changed = [f"{key}: was {before.get(key)}, is {now[key]}" for key in now if before.get(key) != now[key]]
    if changed:
        raise UserError(
            f"cannot go on with {folder}: what it is trained on was changed since it began:\n{problem_list(changed)}\n"
            "Put it back, or start a new run with another --output"
        )


def _inputs(prepared: Prepared | PreparedVideos) -> dict[str, str]:
    found = {}
    if isinstance(prepared, Prepared):
        for number, part in enumerate(prepared.source.sets, start=1):
            digest = str(read_manifest(part.folder).get("array_sha256"))
            found[f"feature set {number}"] = f"{digest[:16]} (hash of the array)"
    for what, videos in (("training", prepared.train), ("held-out", prepared.held_out)):
        text = json.dumps([[video.name, video.label] for video in videos])
        found[f"{what} videos"] = f"{len(videos)} ({hashlib.sha256(text.encode()).hexdigest()[:8]}, names and labels)"
    return found


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
        problem = [""]
        if accelerator.is_main_process:
            try:
                held.enter_context(only_run_in(folder))
            except UserError as error:
                problem = [str(error)]
        if told := [text for text in gather_object(problem) if text]:
            raise UserError(told[0])
        yield
