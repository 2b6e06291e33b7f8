"""Flags by tyro: what it says of wrong ones is said once, and to torchrun's agent."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Sequence
from typing import Any, TypeVar

import tyro

from pretrain.elastic import ERROR_FILE, tell_agent
from pretrain.help_text import wrapped_paragraphs

Config = TypeVar("Config")


def from_flags(config: type[Config], flags: Sequence[str], usage: str, default: Config | None = None) -> Config:
    """The configuration that flags stand for. Wrong ones, and --help, leave with tyro's words and its exit status (2
    and 0); of the processes of one launch the first alone says them."""
    stated: dict[str, Any] = {"prog": usage, "args": flags} | ({} if default is None else {"default": default})
    is_first = os.environ.get("LOCAL_RANK", "0") == "0"
    if not os.environ.get(ERROR_FILE):
        with wrapped_paragraphs():
            return tyro.cli(config, console_outputs=is_first, **stated)
    words = io.StringIO()
    try:
        unheard = contextlib.nullcontext() if is_first else contextlib.redirect_stdout(io.StringIO())
        with contextlib.redirect_stderr(words), unheard:
            return tyro.cli(config, **stated)
    except SystemExit as error:
        if error.code:
            tell_agent(f"error: {without_frame(words.getvalue())}")
        raise
    finally:
        sys.stderr.write(words.getvalue() if is_first else "")


def without_frame(text: str) -> str:
    """The words of the parser, without the box that it draws around them on a terminal."""
    lines = (line.strip("│|╭╮╰╯─+ ") for line in text.splitlines())
    return "\n".join(line for line in lines if line.strip("-"))
