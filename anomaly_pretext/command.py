"""The command `anomaly-pretext`: every script as a subcommand. Only the one that is called is imported."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from anomaly_pretext.lazy import installed_name
from anomaly_pretext.version import __version__

GROUPS: dict[str, dict[str, str]] = {
    "begin": {
        "demo": "the whole road on videos that are rendered here, into ./runs/demo",
        "detect": "score a video, a folder of them, or a camera; no detector needed for a first look",
        "watch": "several cameras in one process, by one file that names them",
        "configs": "list the configurations that come with it, or copy one here to change it",
    },
    "videos": {
        "check-videos": "find files that cannot be read, or whose readers disagree",
        "build-cache": "make small proxies to train from",
        "pack-shards": "pack videos or proxies into tar files with an index, also in a store",
        "make-demo-videos": "render the demo's videos",
    },
    "backbones": {
        "pretrain": "train a video backbone on the pretext tasks",
        "export-backbone": "export its weights: safetensors, ONNX",
        "pretext-controls": "what the pretext tasks can be solved with",
    },
    "features": {
        "extract-features": "features of every snippet of every video",
        "import-features": "features that somebody else made",
        "import-ground-truth": "lists and ground truth that other code bases ship",
        "doctor": "do features, lists and ground truth fit each other?",
    },
    "detectors": {
        "finetune": "train a detector on labels of videos",
        "fit-normal": "what is ordinary, without labels",
        "ablate": "many runs beside each other, with intervals",
        "compare": "published detectors by name, and ours, on one feature set",
        "package": "a detector and its backbone as one folder",
        "score": "features that are there, by a trained detector",
        "calibrate": "a threshold for a wanted rate of false alarms",
    },
    "figures": {
        "evaluate": "metrics with intervals, references beside them",
        "localise": "where in the picture",
        "reference-scores": "what needs no learning",
        "report": "one page of a run",
    },
}
"""Subcommands and what they do, as people meet them."""
COMMANDS = {name: text for group in GROUPS.values() for name, text in group.items()}
_ELSEWHERE = {"pretrain": "pretrain.command", "demo": "demo.command", "configs": "anomaly_pretext.copy_configs"}
"""Modules of the commands that are no scripts, as a checkout names them."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a subcommand and leave with its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    first = given[0] if given else "--help"
    if first in ("-h", "--help"):
        print(overview())
        sys.exit(0 if given else 2)
    if first == "--version":
        print(f"anomaly-pretext {__version__}")
        sys.exit(0)
    name = first.replace("_", "-")
    if name not in COMMANDS:
        leave_with(unknown(first))
    import_module(module_of(name)).main(given[1:])


def leave_with(problem: str) -> NoReturn:
    """One line on stderr and exit status 2; under `accelerate launch` too, which has a traceback of its own."""
    from pretrain.cli import run_command
    from pretrain.errors import UserError

    def say() -> int:
        raise UserError(problem)

    run_command(say)


def module_of(name: str) -> str:
    """The module whose `main` a subcommand is."""
    return installed_name(_ELSEWHERE.get(name, f"scripts.{name.replace('-', '_')}"))


def overview() -> str:
    """What there is, a line each."""
    lines = ["usage: anomaly-pretext COMMAND [CONFIG.yaml ...] [--flag value ...]", ""]
    for group, commands in GROUPS.items():
        lines += [group, *(f"  {name:<19} {text}" for name, text in commands.items()), ""]
    lines += [
        "anomaly-pretext COMMAND --help says what one takes. On several GPUs:",
        "accelerate launch -m anomaly_pretext COMMAND ...",
    ]
    return "\n".join(lines)


def unknown(name: str) -> str:
    """No such command, with the nearest there is."""
    near = difflib.get_close_matches(name.replace("_", "-")[:40], COMMANDS, 1)
    hint = f"; did you mean {near[0]}?" if near else "."
    return f"there is no command {name[:40]!r}{hint} `anomaly-pretext --help` lists them"
