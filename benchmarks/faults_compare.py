"""What two folders differ in beyond times: a run that was killed and gone on with against one that nothing did."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

TIMES = {"time", "seconds", "build_cpu_seconds", "proxy_mtime_ns"}
"""Keys of JSON that say when, or how long it took."""
SPEEDS = "speed/"
"""How keys of a log begin that say how fast it went."""
ONLY_THERE = ("events.out.tfevents.", "output.log")
"""Files that say when each line was written, or are what a terminal would show: a run that goes on adds to them."""
TEMPORARY = re.compile(r"^\..*\.tmp|^tmp|\.tmp$|~$")
"""Names that are given to what is not finished."""
MADE = re.compile(rb"<dt>(?:Made|Written)</dt><dd>[^<]*</dd>")
"""When a page was made."""


def digests(root: Path, names: Iterable[str]) -> dict[str, str]:
    """Digest of the content, less times, of each file below `root / name`; of a link where it points."""
    found: dict[str, str] = {}
    for name in names:
        top = root / name
        for path in [top] if top.is_file() else files_below(top):
            if not path.name.startswith(ONLY_THERE):
                found[str(path.relative_to(root))] = digest(path)
    return found


def files_below(folder: Path) -> list[Path]:
    """All files, hidden ones too, sorted; nothing where there is no folder."""
    return sorted(Path(at, name) for at, _, names in os.walk(folder) for name in names)


def digest(path: Path) -> str:
    """Of the content without what tells the time."""
    if path.is_symlink():
        return f"link to {os.readlink(path)}"
    return hashlib.sha256(without_times(path)).hexdigest()


def without_times(path: Path) -> bytes:
    """The bytes of a file, JSON without keys that tell the time; what does not parse is as it is."""
    content = path.read_bytes()
    if path.suffix == ".html":
        return MADE.sub(b"", content)
    if path.suffix not in (".json", ".jsonl"):
        return content
    try:
        texts = content.decode().splitlines() if path.suffix == ".jsonl" else [content.decode()]
        return "\n".join(json.dumps(timeless(json.loads(text))) for text in texts).encode()
    except ValueError:
        return content


def timeless(value: Any) -> Any:
    """A JSON value without the keys that tell the time."""
    if isinstance(value, Mapping):
        return {key: timeless(item) for key, item in value.items() if key not in TIMES and not key.startswith(SPEEDS)}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def differences(wanted: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """What is missing, what differs and what is there beyond it, temporary files left out."""
    lines = [f"missing: {name}" for name in wanted if name not in found]
    lines += [f"differs: {name}" for name in wanted if name in found and wanted[name] != found[name]]
    return lines + [f"one more: {name}" for name in found if name not in wanted and not is_temporary(name)]


def temporary_files(root: Path, before: Iterable[Path]) -> list[str]:
    """Unfinished files below `root` that were not there before; empty folders of such a name too."""
    known = set(before)
    there = [Path(at, name) for at, folders, names in os.walk(root) for name in (*names, *folders)]
    return sorted(str(path.relative_to(root)) for path in there if path not in known and is_temporary(path.name))


def is_temporary(name: str) -> bool:
    """Whether a file, or a folder that it lies in, has the name of something unfinished."""
    return any(TEMPORARY.search(part) for part in Path(name).parts)
