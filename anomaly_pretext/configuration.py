"""Settings of a command from Python: the same keys as its flags and YAML files, checked by the same parser."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from anomaly_pretext.arguments import as_path, in_python, shortly
from pretrain.cli import flags_of, parse, yaml_flags
from pretrain.errors import UserError
from pretrain.file_keys import check_keys
from pretrain.wrong_flags import without_frame

Config = TypeVar("Config")
Settings = str | Path | Mapping[str, Any]
"""A YAML file (one that comes with the package is known by its name), or keys and values: nested, or with dots."""


@in_python
def settings(config: type[Config], *parts: Config | Settings) -> Config:
    """A command's configuration, put together from YAML files and values; what comes later wins.

    `settings(PretrainConfig, "demo_pretrain.yaml", {"optim.steps": 40})`. A configuration that is one already stays as
    it is. UserError: an unknown key (with the nearest), a value that cannot be, a file that is not there.
    """
    if not (isinstance(config, type) and is_dataclass(config)):
        raise UserError(
            f"settings of {shortly(config)}: give PretrainConfig, ExtractConfig, FinetuneConfig or the like"
        )
    if len(parts) == 1 and isinstance(parts[0], config):
        return parts[0]
    flags: list[str] = []
    for part in parts:
        if isinstance(part, config):
            raise UserError(f"a {config.__name__} is whole: give it alone, or YAML files and values")
        flags += flags_from(part, config)  # type: ignore[arg-type]
    return from_flags(config, flags)


def from_flags(config: type[Config], flags: Sequence[str]) -> Config:
    """As on a command line, with a UserError where that would leave."""
    wrong = io.StringIO()
    try:
        with contextlib.redirect_stderr(wrong), contextlib.redirect_stdout(wrong):
            return parse(config, flags, config.__name__)
    except SystemExit as error:
        raise UserError(_without_help(without_frame(wrong.getvalue()), config.__name__)) from error


def _without_help(text: str, name: str) -> str:
    """What the parser says, less what it says of a command line."""
    lines = text.replace(f"{name} [CONFIG.yaml ...]", name).splitlines()
    return "\n".join(line for line in lines if not line.startswith("For full helptext") and line != f"{name} --help")


def flags_from(part: Settings, config: type[Any]) -> list[str]:
    """The flags that a YAML file, or keys and values, stand for. UserError: keys that `config` does not have."""
    if not isinstance(part, Mapping):
        path = as_path(f"a part of {config.__name__}", part, "a YAML file, or keys and values ({'seed': 3})")
        if path.is_dir():
            raise UserError(
                f"{path} is a folder; give a YAML file, or keys and values (as {{'catalogue.root': '{path}'}})"
            )
        return yaml_flags(path, config, config.__name__)
    check_keys(part, config, config.__name__)
    return flags_of(part)
