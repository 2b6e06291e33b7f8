"""Collecting what is wrong with a dataset, so that the user reads all of it at once."""

from __future__ import annotations

import logging

from pretrain.data.remote.address import plain_addresses
from pretrain.errors import UserError, problem_list

logger = logging.getLogger(__name__)


class Problems:
    """What is wrong with one dataset: collected while it is read, raised once at the end.

    Listed videos that are not on disk go through `missing`: with `allow_missing` they are counted and logged instead.
    """

    def __init__(self, source: str, allow_missing: bool = False) -> None:
        self.source = source
        self._allow_missing = allow_missing
        self._texts: list[str] = []
        self._missing: list[str] = []
        self._num_missing = 0

    def add(self, text: str) -> None:
        """One problem, as one line that names the file (and line) it is in."""
        self._texts.append(plain_addresses(text))

    def missing(self, text: str, count: int = 1) -> None:
        """`count` listed videos that are not on disk, as one line."""
        self._missing.append(plain_addresses(text))
        self._num_missing += count

    def stop_if_any(self) -> None:
        """Raise one UserError with every problem so far; log the missing ones where they are allowed."""
        texts = self._texts if self._allow_missing else self._texts + self._missing
        if texts:
            mend = ""
            if self._missing and not self._allow_missing:
                mend = f"\n{self._num_missing} listed video(s) are not on disk; allow_missing leaves such videos out."
            raise UserError(f"{len(texts)} problem(s) in {self.source}:\n{problem_list(texts)}{mend}")
        if self._missing:
            logger.warning(
                "%s: %d listed video(s) are not on disk and are left out (allow_missing):\n%s",
                self.source,
                self._num_missing,
                problem_list(self._missing, limit=5),
            )
            self._missing = []
