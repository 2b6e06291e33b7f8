"""Which feature files a folder or a list file stands for."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from downstream.features.array_files import SUFFIXES
from downstream.features.hdf5_files import INNER, datasets
from downstream.features.hdf5_files import SUFFIXES as CONTAINERS
from downstream.features.store import MANIFEST
from pretrain.data.catalogues.disk import video_name
from pretrain.data.catalogues.left_alone import LeftAlone, is_system_folder
from pretrain.errors import UserError, problem_list
from pretrain.names import KnownNames, read_back
from pretrain.reading import LIST_BYTES, Unreadable, read_utf8
from pretrain.tables import Table, cell_text, open_table

KINDS: tuple[tuple[str, ...], ...] = ((".npy",), (".npz",), (".pt", ".pth"), CONTAINERS, (".mat",), (".txt",))
"""Endings of one kind of file; the text files of a folder are features where it has no other."""


class FeaturePaths(NamedTuple):
    """Feature files, and what the user should know of how they were found."""

    paths: list[str]
    notes: list[str]


def find_files(sources: Sequence[Path], root: Path | None = None, key: str = "") -> FeaturePaths:
    """The feature files under folders (searched through) and in list files (one path a line), in order.

    List files may be CSV with a column `path`. Of an HDF5 file with many arrays, alone or among others, each is one
    (`FILE.h5::NAME`); `key`: those of this name.

    Lines are paths relative to `root` (default: the list's own folder), or absolute; in quotes, JSON strings. A path
    that is not there, as those of somebody else's machine, is looked for under `root` by its last parts: the file that
    shares most of them, where that is one alone. UserError lists every line without a file, and every file listed
    twice.
    """
    paths: list[str] = []
    notes: list[str] = []
    for source in sources:
        listed = _in_source(source, root)
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
    return _opened(paths, key, notes)


def _in_source(source: Path, root: Path | None) -> FeaturePaths:
    if source.is_dir():
        return _in_folder(source)
    if source.suffix.lower() in CONTAINERS and source.is_file():
        return FeaturePaths([str(source)], [])
    return _in_list(source, root or source.parent)


def _opened(paths: Sequence[str], key: str, notes: list[str]) -> FeaturePaths:
    """The same with every array of HDF5 files that hold several. UserError with all of them that cannot be read."""
    found: list[str] = []
    problems = []
    for path in paths:
        try:
            inner = _arrays_in(path, key) if path.lower().endswith(CONTAINERS) else []
        except Unreadable as error:
            problems.append(f"{path}: {error}")
            continue
        found += [f"{path}{INNER}{name}" for name in inner] or [path]
        notes += [f"{path}: {len(inner)} arrays"] if inner else []
    if problems:
        raise UserError(f"{len(problems)} HDF5 file(s) cannot be read:\n{problem_list(problems)}")
    return FeaturePaths(found, notes)


def _arrays_in(file: str, key: str) -> list[str]:
    """The arrays of an HDF5 file, where it holds several of features; Unreadable where that cannot be told."""
    names = [each.name for each in datasets(file) if each.is_features]
    if key:
        names = [name for name in names if name.rpartition("/")[2] == key]
    elif len(names) > 1 and len(last := {name.rpartition("/")[2] for name in names}) < len(names):
        raise Unreadable(
            f"several of its {len(names)} arrays have one name ({', '.join(sorted(last)[:8])}); say which are the "
            "features with --key NAME"
        )
    return names if len(names) > 1 else []


def _in_folder(folder: Path) -> FeaturePaths:
    if (folder / MANIFEST).is_file():
        raise UserError(f"{folder} is a feature set of ours already; --describe or --export it")
    skipped = LeftAlone()
    everything = list(walk_files(folder, skipped))
    by_kind = {kind: own for kind in KINDS if (own := [path for path in everything if path.lower().endswith(kind)])}
    if not by_kind:
        suffixes = sorted({os.path.splitext(path)[1] or os.path.basename(path) for path in everything})[:8]
        there = f"there are {len(everything)} file(s): {' '.join(suffixes)}" if everything else "it is empty"
        raise UserError(f"no feature files ({', '.join(SUFFIXES)}) under {folder}: {there}")
    kind = _one_kind(folder, by_kind)
    taken = set(by_kind[kind])
    for path in everything:
        if path not in taken:
            skipped.add_file(os.path.basename(path))
    rest = [f"{folder}: {line}" for line in skipped.lines(f" that are not {' or '.join(kind)}")]
    return FeaturePaths(by_kind[kind], [f"{folder}: {len(taken)} feature files", *rest])


def _one_kind(folder: Path, by_kind: Mapping[tuple[str, ...], list[str]]) -> tuple[str, ...]:
    """The kind that has more files than all others together, text aside; UserError where there is none."""
    counts = {kind: len(paths) for kind, paths in by_kind.items() if kind != KINDS[-1]} or {KINDS[-1]: 1}
    most = max(counts, key=lambda kind: counts[kind])
    if 2 * counts[most] <= sum(counts.values()):
        there = ", ".join(f"{count} {'/'.join(kind)}" for kind, count in counts.items())
        raise UserError(
            f"{folder} holds files of several kinds ({there}), and which are the features cannot be told: give a "
            "folder with one kind, or a list file"
        )
    return most


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
    if file.suffix.lower() in SUFFIXES and file.suffix.lower() != ".txt":
        raise UserError(f"{file} is one feature file; give the folder that holds it, or a list file")
    try:
        # a line may hold spaces and '#': XD-Violence's names do
        text = read_utf8(file, LIST_BYTES, errors="surrogateescape")
        lines = paths_of_table(file) or [read_back(line.strip()) for line in text.split("\n")]
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


def paths_of_table(file: Path) -> list[str]:
    """A line's path of each line of a CSV with a column `path`, the header's empty; an empty list for other files."""
    if file.suffix.lower() != ".csv":
        return []
    with open_table(file) as opened:
        table = Table(opened, file)
        if "path" not in table.header:
            return []
        column, paths = table.header.index("path"), [""]
        for row in table.rows():
            paths += [""] * (table.line - 1 - len(paths))  # numbers of lines stay, where a cell holds line breaks
            paths.append(cell_text(row[column].strip()) if len(row) > column else "")
        return paths


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
        if line.lower().endswith(SUFFIXES) and os.path.isfile(exact):
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
                if path.lower().endswith(SUFFIXES):
                    name = unicodedata.normalize("NFC", os.path.basename(path))
                    self._by_base.setdefault(name, []).append(path)
            self._known = KnownNames(self._by_base)
        if base.lower().endswith(SUFFIXES):
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
