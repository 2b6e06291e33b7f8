"""What it costs to be told `--help`, or that a flag is wrong: CPU and wall seconds of every command.

    python -m benchmarks.startup                # every command three times; the least of each is shown
    python -m benchmarks.startup --quick        # three of them, once

CPU seconds are user and system of a fresh interpreter: what a busy machine adds to wall seconds is not in them. "heavy"
names what of PyTorch and its like was loaded, which should be nothing. Ends with one line `RESULT {json}`.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pretrain.cli import run_script
from pretrain.errors import UserError

HEAVY = ("torch", "torchvision", "timm", "accelerate", "matplotlib")
"""Packages that no command loads before it has parsed its arguments."""
LIMIT_SECONDS = 1.0
"""CPU seconds that an answer may take."""
WRONG = ("--no-such-flag", "3")
QUICK = ("pretrain.py", "scripts/detect.py", "scripts/ablate.py")
"""Commands of --quick: the usual ones, and the one with most settings."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measure how fast commands answer; run it in the root of the checkout."""

    quick: bool = False
    """Three commands, once."""
    repeats: int = 3
    """Times that each is started; the least is shown."""

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise UserError(f"repeats is {self.repeats}; it must be at least 1")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The cheapest of some calls of a command."""

    status: int
    cpu_seconds: float
    wall_seconds: float
    modules: int
    """Loaded in all."""
    heavy: tuple[str, ...]
    """Of `HEAVY`, those that were loaded."""


def words_of(command: str) -> list[str]:
    """How Python is told to run it: a script, or a module."""
    return ["-m", command] if not command.endswith(".py") else [command]


def all_commands() -> list[str]:
    """Every command of the checkout; UserError where it is not the working folder."""
    scripts = sorted(path.as_posix() for path in Path("scripts").glob("[a-z]*.py"))
    if not scripts or not Path("pretrain.py").is_file():
        raise UserError(f"{Path.cwd()} is not the root of the checkout: start the benchmark there")
    return ["pretrain.py", *scripts, "demo"]


def answer(command: str, arguments: tuple[str, ...], repeats: int) -> Answer:
    """Start it that often; the least seconds."""
    calls = [_timed(words_of(command), arguments) for _ in range(repeats)]
    status, loaded = _loaded(words_of(command), arguments)
    heavy = tuple(name for name in HEAVY if name in loaded)
    cpu, wall = (min(numbers) for numbers in zip(*calls, strict=True))
    return Answer(status=status, cpu_seconds=cpu, wall_seconds=wall, modules=len(loaded), heavy=heavy)


def _timed(words: list[str], arguments: tuple[str, ...]) -> tuple[float, float]:
    """CPU and wall seconds."""
    began, before = time.monotonic(), _children_seconds()
    subprocess.run([sys.executable, *words, *arguments], capture_output=True, check=False)
    return _children_seconds() - before, time.monotonic() - began


def _children_seconds() -> float:
    """CPU seconds of all processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _loaded(words: list[str], arguments: tuple[str, ...]) -> tuple[int, set[str]]:
    """Exit status, and the names of all modules that were loaded: Python is asked to tell each."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as told:
        done = subprocess.run(
            [sys.executable, "-X", "importtime", *words, *arguments],
            stdout=subprocess.DEVNULL,
            stderr=told,
            check=False,
        )
        told.seek(0)
        lines = [line for line in told if line.startswith("import time:") and line.count("|") == 2]
    return done.returncode, {line.rpartition("|")[2].strip() for line in lines}


def table(answers: dict[str, dict[str, Answer]]) -> str:
    """A line a command."""
    head = (
        f"{'command':<28}{'--help: CPU s':>14}{'wall s':>8}{'wrong flag: CPU s':>19}{'wall s':>8}{'modules':>9}  heavy"
    )
    lines = [head]
    for command, of in answers.items():
        told, wrong = of["help"], of["wrong_flag"]
        lines.append(
            f"{command:<28}{told.cpu_seconds:>14.2f}{told.wall_seconds:>8.2f}{wrong.cpu_seconds:>19.2f}"
            f"{wrong.wall_seconds:>8.2f}{told.modules:>9}  {', '.join({*told.heavy, *wrong.heavy}) or '-'}"
        )
    return "\n".join(lines)


def measure(options: Options) -> int:
    """Measure, print; 1 where something heavy is loaded, an answer is none or takes longer than the limit."""
    commands = all_commands()
    repeats = 1 if options.quick else options.repeats
    answers = {
        command: {"help": answer(command, ("--help",), repeats), "wrong_flag": answer(command, WRONG, repeats)}
        for command in (QUICK if options.quick else commands)
    }
    print(table(answers))
    unanswered = [command for command, of in answers.items() if (of["help"].status, of["wrong_flag"].status) != (0, 2)]
    every = [one for of in answers.values() for one in of.values()]
    slowest = max(one.cpu_seconds for one in every)
    result = {
        "slowest_cpu_seconds": slowest,
        "limit_seconds": LIMIT_SECONDS,
        "heavy": sorted({name for one in every for name in one.heavy}),
        "unanswered": unanswered,
        "commands": {command: {kind: asdict(one) for kind, one in of.items()} for command, of in answers.items()},
    }
    print(f"RESULT {json.dumps(result)}")
    return int(slowest > LIMIT_SECONDS or bool(result["heavy"] or unanswered))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark and leave with its exit status."""
    run_script("startup.py", Options, measure, arguments)


if __name__ == "__main__":
    main()
