"""Which feature files a folder or a list file stands for."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from downstream.features.layouts import SUFFIXES
from downstream.features.store import MANIFEST
from pretrain.data.catalogues.disk import video_name
from pretrain.data.catalogues.left_alone import LeftAlone, is_system_folder
from pretrain.errors import UserError, problem_list
from pretrain.names import KnownNames, read_back
from pretrain.reading import LIST_BYTES, Unreadable, read_utf8


class FeaturePaths(NamedTuple):
    """Feature files, and what the user should know of how they were found."""

    paths: list[str]
    notes: list[str]


def find_files(sources: Sequence[Path], root: Path | None = None) -> FeaturePaths:
    """The feature files under folders (searched through) and in list files (one path a line), in order.

    Lines are paths relative to `root` (default: the list's own folder), or absolute; in quotes, JSON strings. A path
    that is not there, as those of somebody else's machine, is looked for under `root` by its last parts: the file that
    shares most of them, where that is one alone. UserError lists every line without a file, and every file listed
    twice.
    """
    paths: list[str] = []
    notes: list[str] = []
    for source in sources:
        listed = _in_folder(source) if source.is_dir() else _in_list(source, root or source.parent)
        paths += listed.paths
        notes += listed.notes
    problems, seen = [], set()
    for path in paths:
        real = os.path.realpath(path)
        if real in seen:
            problems.append(f"{path} is listed twice")
        seen.add(real)
    if problems:
        raise UserError(f"{len(problems)} file(s) given twice:\n{problem_list(problems)}")
    return FeaturePaths(paths, notes)


def _in_folder(folder: Path) -> FeaturePaths:
    if (folder / MANIFEST).is_file():
        raise UserError(f"{folder} is a feature set of ours already; --describe or --export it")
    skipped = LeftAlone()
    everything = list(walk_files(folder, skipped))
    arrays, texts = ([path for path in everything if path.endswith(suffix)] for suffix in SUFFIXES)
    if not arrays and not texts:
        suffixes = sorted({os.path.splitext(path)[1] or os.path.basename(path) for path in everything})[:8]
        there = f"there are {len(everything)} file(s): {' '.join(suffixes)}" if everything else "it is empty"
        raise UserError(f"no feature files ({', '.join(SUFFIXES)}) under {folder}: {there}")
    taken = set(arrays or texts)
    for path in everything:
        if path not in taken:
            skipped.add_file(os.path.basename(path))
    kind = SUFFIXES[0] if arrays else SUFFIXES[1]
    rest = [f"{folder}: {line}" for line in skipped.lines(f" that are not {kind}")]
    return FeaturePaths(arrays or texts, [f"{folder}: {len(taken)} feature files", *rest])


def walk_files(folder: Path, skipped: LeftAlone) -> Iterator[str]:
    """Paths of all visible files under `folder`, sorted within each folder; linked folders are followed once.

    Hidden folders and those of systems (`@eaDir`) are `skipped`.
    """
    seen: set[tuple[int, int]] = set()

    def refuse(error: OSError) -> None:
        raise UserError(f"cannot list the folder '{error.filename}': {error.strerror}; mend its permissions")

    for parent, folders, files in os.walk(folder, followlinks=True, onerror=refuse):
        status = os.stat(parent)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        for name in folders:
            if name.startswith(".") or is_system_folder(name):
                skipped.add_folder(name)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and not is_system_folder(name))
        yield from (os.path.join(parent, name) for name in sorted(files) if not name.startswith("."))


def _in_list(file: Path, root: Path) -> FeaturePaths:
    if file.suffix == ".npy":
        raise UserError(f"{file} is one feature file; give the folder that holds it, or a list file")
    try:
        # a line may hold spaces and '#': XD-Violence's names do
        text = read_utf8(file, LIST_BYTES, errors="surrogateescape")
        lines = [read_back(line.strip()) for line in text.split("\n")]
    except Unreadable as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise UserError(f"there is no '{file}': give a folder of feature files, or a list file") from None
        raise UserError(f"{file} cannot be read as a list, UTF-8 text with a path a line ({error})") from error
    if "\0" in text:
        raise UserError(f"{file} cannot be read as a list, UTF-8 text with a path a line (it is UTF-16 or no text)")
    if not root.is_dir():
        raise UserError(f"--root '{root}' is not a folder; set it to the folder of the feature files")
    under = _Under(root)
    results = [(number, under.locate(line)) for number, line in enumerate(lines, 1) if line]
    problems = [f"{file.name}:{number}: {located.problem}" for number, located in results if located.problem]
    if problems:
        raise UserError(f"{file}: {len(problems)} line(s) without their file:\n{problem_list(problems)}")
    if not results:
        raise UserError(f"{file} lists nothing; it must hold the path of a feature file a line")
    notes = [f"{file}: {len(results)} feature files"]
    if moved := sum(located.by_parts for _, located in results):
        notes.append(f"{file}: {moved} of them found under {root} by the last parts of their path")
    return FeaturePaths([located.path for _, located in results], notes)


class _Located(NamedTuple):
    path: str = ""
    problem: str = ""
    by_parts: bool = False


class _Under:
    """The files under one root, by base name; the root is walked when first needed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._by_base: dict[str, list[str]] | None = None
        self._known = KnownNames(())

    def locate(self, line: str) -> _Located:
        exact = os.path.join(self.root, line)
        if line.endswith(SUFFIXES) and os.path.isfile(exact):
            return _Located(exact)
        # other machines may write their paths with backslashes
        parts = [part for part in re.split(r"[/\\]", unicodedata.normalize("NFC", line)) if part]
        candidates = self._named(parts[-1]) if parts else []
        if not candidates:
            hint = self._known.hint(parts[-1] if parts else line)
            return _Located(problem=f"no such feature file under {self.root}: {line}{hint}")
        shared = {path: _shared_parts(parts, path) for path in candidates}
        best = [path for path in candidates if shared[path] == max(shared.values())]
        if len(best) > 1:
            return _Located(problem=f"{line} may be any of {', '.join(best)}; set --root to the folder of one of them")
        return _Located(best[0], by_parts=True)

    def _named(self, base: str) -> list[str]:
        """Files of that base name; for the name of a video, those of its features."""
        if self._by_base is None:
            self._by_base = {}
            for path in walk_files(self.root, LeftAlone()):
                if path.endswith(SUFFIXES):
                    name = unicodedata.normalize("NFC", os.path.basename(path))
                    self._by_base.setdefault(name, []).append(path)
            self._known = KnownNames(self._by_base)
        if base.endswith(SUFFIXES):
            return self._by_base.get(base, [])
        stems = dict.fromkeys((base, video_name(base)))
        return [path for stem in stems for suffix in SUFFIXES for path in self._by_base.get(stem + suffix, [])]


def _shared_parts(parts: Sequence[str], path: str) -> int:
    """How many parts two paths share before the base name, counted from the end."""
    count = 0
    for mine, theirs in zip(reversed(parts[:-1]), reversed(path.split("/")[:-1]), strict=False):
        if mine != unicodedata.normalize("NFC", theirs):
            break
        count += 1
    return count
