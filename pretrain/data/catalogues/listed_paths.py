"""Where a path that a list gives lies on this disk: as it is written, or as another system would have written it."""

from __future__ import annotations

import os

from pretrain.data.remote.address import TAR, is_address, joined
from pretrain.names import same_form


def listed_path(root: str, listed: str) -> str:
    """ROOT/listed, or `listed` alone where it is absolute or an address. Nothing is looked up for a plain path.

    One with blanks at its ends or with backslashes is taken as it is where such a file is there; otherwise the blanks
    are the list's, and backslashes part folders, as Windows writes them.
    """
    listed = listed.rstrip("/") or listed
    stripped = listed.strip().rstrip("/") or listed
    if stripped == listed and "\\" not in listed:
        return _under(root, listed)
    tried = [listed, stripped, stripped.replace("\\", "/")]
    there = (path for path in tried if os.path.lexists(_under(root, path)))
    return _under(root, next(there, stripped))


def _under(root: str, path: str) -> str:
    if os.path.isabs(path) or ("://" in path and is_address(path)):
        return path
    return joined(root, path) if root.endswith(TAR) else f"{root}/{path}"


def in_other_form(name: str, present: set[str]) -> str | None:
    """The one name of a folder that is this one in another Unicode form (macOS lists letters decomposed), or None."""
    if name.isascii():
        return None
    wanted = same_form(name)
    found = [other for other in present if not other.isascii() and same_form(other) == wanted]
    return found[0] if len(found) == 1 else None
