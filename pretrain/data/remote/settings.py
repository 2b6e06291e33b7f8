"""Where copies of what lies elsewhere are kept, and how many of them: two variables, which hold for every command.

    ANOMALY_PRETEXT_COPIES=/data/copies       a folder on a fast disk of this machine
    ANOMALY_PRETEXT_COPIES_GB=200             how large it may become

Variables, not flags: every command that reads a video reads it through the copies, in all of its processes, and where
a machine has room is nothing that a run's configuration should hold.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from pretrain.errors import UserError

FOLDER, LIMIT = "ANOMALY_PRETEXT_COPIES", "ANOMALY_PRETEXT_COPIES_GB"
DEFAULT_GB = 20.0


class CopySettings(NamedTuple):
    """Where copies lie, and how many bytes of them."""

    folder: Path
    limit: int


def copy_settings() -> CopySettings:
    """What the two variables say, else the user's cache folder and 20 GB. UserError for what is no number above 0."""
    text = os.environ.get(LIMIT, "").strip()
    try:
        gigabytes = float(text) if text else DEFAULT_GB
    except ValueError:
        gigabytes = 0.0
    if not 0 < gigabytes < 1e9:
        raise UserError(f"{LIMIT} is '{text}'; it must be a number of gigabytes above 0 (default: {DEFAULT_GB:g})")
    return CopySettings(_folder(), int(gigabytes * 1e9))


def _folder() -> Path:
    if given := os.environ.get(FOLDER, "").strip():
        return Path(os.path.abspath(os.path.expanduser(given)))
    cache = os.environ.get("XDG_CACHE_HOME", "").strip() or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(cache) / "anomaly-pretext" / "copies"
