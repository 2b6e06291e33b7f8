"""Keys of configuration files that a command does not have: which, where they stand, and what was meant.

A typo names the nearest key; a file that is another command's says whose. Commands are told by keys that they alone
have (`KEYS_OF`), for their configurations lie in packages that this one does not know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pretrain.errors import UserError, nearest, problem_list
from pretrain.flags import flag_types, parts_of
from pretrain.names import shown
from pretrain.renamed import refuse_renamed
from pretrain.yaml_file import find_config, key_lines

KEYS_OF = {
    "scripts/watch.py": ("cameras",),
    "scripts/ablate.py": ("feature-sets", "bases", "terms", "variants"),
    "scripts/compare.py": ("detectors", "cost-steps"),
    "pretrain.py": ("tasks.", "augment.", "data.", "backbone.", "validation-windows"),
    "scripts/fit_normal.py": ("normal.", "footage", "held-out"),
    "scripts/finetune.py": ("bags.", "detector.", "objective.", "videos.", "features.", "seeds"),
    "scripts/detect.py": ("live.", "film-style", "films", "status-on-event"),
    "scripts/extract_features.py": ("crops", "stage", "stages", "pool", "grid", "image-frames", "max-bad-fraction"),
}
"""Command -> keys, and sections of keys (with a dot), that tell a file to be its; those above go first."""
MOST_SHOWN = 3


def check_keys(values: Mapping[str, Any], config: type[Any], prog: str, file: Path | None = None) -> None:
    """UserError for keys that `config` does not have, nor had under that name. `file`: where they stand, if in one."""
    types = flag_types(config)
    known, given = list(types), dict(_dotted(values))
    refuse_renamed([f"--{key}" for key in given], config)
    unknown = [key for key in given if key not in known and _of_switch(key) not in known]
    if not unknown:
        _refuse_other_kinds(given, types, prog, file)
        return
    lines = _lines_in(file)
    if file is not None and (other := _command_of(unknown, known)) is not None:
        raise UserError(_of_another(file, unknown, lines, other, prog))
    where = [] if file is None else [str(file)]
    if len(unknown) == 1:
        where += [f"line {lines[key]}" for key in unknown if key in lines]
        place = f"{', '.join(where)}: " if where else ""
        raise UserError(f"{place}{prog} has no setting {_problem(unknown[0], known)}")
    problems = _at_lines({key: _problem(key, known) for key in unknown}, lines)
    whose = "there are" if file is None else f"{file} has"
    raise UserError(f"{whose} {len(unknown)} settings that {prog} does not have:\n{problem_list(problems)}")


def command_of(values: Mapping[str, Any]) -> str | None:
    """The command whose configuration these keys and values are, as far as their keys tell."""
    return _command_of([key for key, _ in _dotted(values)], ())


def _refuse_other_kinds(given: Mapping[str, Any], types: Mapping[str, Any], prog: str, file: Path | None) -> None:
    """UserError for a list, or a yes or no, where one value is wanted: as flags they would be another thing."""
    problems = {}
    for key, value in given.items():
        kinds = parts_of(types[key]) if key in types else {bool}
        if isinstance(value, (list, tuple)) and not kinds & {tuple, list, Sequence, Any}:
            problems[key] = f"{_key(key)} is {list(value)}; it takes one value"
        elif isinstance(value, bool) and not kinds & {bool, Any}:
            said = "yes (or true, on)" if value else "no (or false, off)"
            problems[key] = f"{_key(key)} is {said}, and it is no switch; a word that is meant stands in quotes"
    if problems:
        told = _at_lines(problems, _lines_in(file))
        whose = prog if file is None else f"{file}, {prog}"
        raise UserError(f"{whose}: {len(told)} value(s) of another kind:\n{problem_list(told)}")


def _dotted(values: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Keys of nested values as flags, without the dashes before them, and their values."""
    for key, value in values.items():
        name = f"{prefix}{_flag(key)}"
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{name}.")
        else:
            yield name, value


def _lines_in(file: Path | None) -> dict[str, int]:
    """Flag -> the line of its key."""
    return {} if file is None else {_flag(key): line for key, line in key_lines(find_config(file)).items()}


def _at_lines(problems: Mapping[str, str], lines: Mapping[str, int]) -> list[str]:
    """What is to be said of each key, after its line where that is known."""
    return [(f"line {lines[key]}: " if key in lines else "") + text for key, text in problems.items()]


def _flag(key: Any) -> str:
    return str(key).replace("_", "-")


def _key(flag: str) -> str:
    return shown(flag.replace("-", "_"))


def _of_switch(key: str) -> str:
    """`a.no-b` is the other side of `a.b`."""
    section, dot, last = key.rpartition(".")
    return f"{section}{dot}{last.removeprefix('no-')}"


def _problem(key: str, known: Sequence[str]) -> str:
    """What is to be said of an unknown key."""
    below = [name for name in known if name.startswith(f"{key}.")]
    if below:
        return f"{_key(key)}: it is a section, and its settings stand below it ({_key(below[0])} and others)"
    last = key.rpartition(".")[2]
    elsewhere = [name for name in known if name.rpartition(".")[2] == last]
    if len(elsewhere) == 1:
        return f"{_key(key)}; did you mean '{_key(elsewhere[0])}'?"
    return _key(key) + nearest(_key(key), map(_key, known), cutoff=0.7)


def _command_of(unknown: Sequence[str], known: Sequence[str]) -> str | None:
    """The command that has some of the unknown keys for its own."""
    for command, keys in KEYS_OF.items():
        foreign = [key for key in keys if not any(_is_of(name, key) for name in known)]
        if any(_is_of(name, key) for name in unknown for key in foreign):
            return command
    return None


def _is_of(name: str, key: str) -> bool:
    return name.startswith(key) if key.endswith(".") else name == key


def _of_another(file: Path, unknown: Sequence[str], lines: Mapping[str, int], other: str, prog: str) -> str:
    some = ", ".join(f"{_key(key)}{f' (line {lines[key]})' if key in lines else ''}" for key in unknown[:MOST_SHOWN])
    rest = f" and {len(unknown) - MOST_SHOWN} more" if len(unknown) > MOST_SHOWN else ""
    return (
        f"{file} looks like a configuration of {other}: {prog} has no {some}{rest}. Give it to {other}, and {prog} "
        "one of its own, or take these keys out"
    )
