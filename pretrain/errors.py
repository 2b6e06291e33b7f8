"""The one exception that reaches a user as a message instead of a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from pretrain.names import MOST_LETTERS, shown


class UserError(ValueError):
    """Something the user gave cannot be used.

    The text names the thing, its value, the limit and the mend. Commands print it without a traceback and leave
    with exit status 2 (`pretrain.cli.run_command`).
    """


class OwnError(UserError):
    """One process of several met it, the others know nothing of it: that process tells it, whichever it is."""


def nearest(wrong: str, known: Iterable[str], cutoff: float = 0.5) -> str:
    """A clause like `; did you mean 'r3d_18'?`, or an empty string when nothing known is close to `wrong`.

    `cutoff`: 1 finds the same word alone, 0 anything.
    """
    if len(wrong) > MOST_LETTERS:
        return ""
    matches = difflib.get_close_matches(wrong, list(known), n=1, cutoff=cutoff)
    return f"; did you mean '{matches[0]}'?" if matches else ""


def problem_list(problems: Sequence[str], limit: int = 20) -> str:
    """One problem a line, indented, whatever names stand in it; past `limit` lines the rest is counted."""
    lines = [f"  - {shown(problem)}" for problem in problems[:limit]]
    if len(problems) > limit:
        lines.append(f"  ... and {len(problems) - limit} more")
    return "\n".join(lines)
