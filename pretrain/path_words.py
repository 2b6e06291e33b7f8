"""What lies at a path that somebody gave for something else: nothing, a file, an empty folder, a folder."""

from __future__ import annotations

import os
from pathlib import Path

from pretrain.names import shown


def what_is_at(path: Path) -> str:
    """The beginning of a message: `there is no file or folder 'runs/mine'`, or `'street.mp4' is a file`."""
    name = f"'{shown(str(path))}'"
    if path.is_dir():
        try:
            is_empty = not any(path.iterdir())
        except OSError:
            return f"{name} is a folder that cannot be read"
        return f"{name} is an empty folder" if is_empty else f"{name} is a folder"
    if os.path.lexists(path):
        return f"{name} is a file" if path.exists() else f"{name} is a link to nothing"
    return f"there is no file or folder {name}"
