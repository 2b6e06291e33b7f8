"""Videos that cannot be read: each named once, and the run stopped where they are too many."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from pretrain.errors import UserError, problem_list
from pretrain.names import shown, written


class BadVideos:
    """Videos that could not be read, by name, and the share of all beyond which a run stops."""

    def __init__(self, total: int, max_fraction: float, section: str) -> None:
        """`section`: of the configuration, in which `max_bad_fraction` and `quarantine` stand."""
        self.total, self.max_fraction, self.section = total, max_fraction, section
        self.reasons: dict[str, str] = {}
        """Name -> why."""

    def note(self, problems: Mapping[str, str], show: bool = True) -> None:
        """Name those that are met for the first time; UserError past the limit."""
        new = {name: reason for name, reason in problems.items() if name not in self.reasons}
        self.reasons.update(new)
        for reason in new.values() if show else ():
            print(f"left out from here on: {shown(reason)}", file=sys.stderr, flush=True)
        if new and len(self.reasons) > self.max_fraction * self.total:
            raise UserError(
                f"{len(self.reasons)} of {self.total} videos cannot be read, more than {self.section}.max_bad_fraction "
                f"= {self.max_fraction:g}:\n{problem_list(list(self.reasons.values()))}\nWrite a quarantine list with "
                f"scripts/check_videos.py and give it as {self.section}.quarantine; or mend them, or raise "
                f"{self.section}.max_bad_fraction: what was trained is kept, --resume goes on from there"
            )


def quarantine_lines(reasons: Mapping[str, str]) -> str:
    """Name -> why, as the lines of a list that `data.quarantine` takes: name, tab, reason on a line, sorted by name."""
    return "".join(f"{written(name)}\t{shown(' '.join(why.split()))}\n" for name, why in sorted(reasons.items()))
