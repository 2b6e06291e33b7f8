"""Reading the list files that datasets come with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pretrain.data.catalogue import CatalogueConfig
from pretrain.data.catalogues.disk import require_root
from pretrain.data.catalogues.fetched_lists import lists_root
from pretrain.data.catalogues.problems import Problems
from pretrain.errors import UserError
from pretrain.reading import LIST_BYTES, Unreadable, read_utf8


def annotation_folders(config: CatalogueConfig) -> list[Path]:
    """Where list files are looked for: the given folder alone, else the root and its `annotations` folders."""
    if config.annotations is None:
        if not config.check_files and not lists_root(config).is_dir():
            raise UserError(
                f"no list files: there is no folder '{config.root}'; set annotations to the folder of the list files"
            )
        require_root(config.root)
        root = lists_root(config)
        return [root, root / "annotations", root / "annotations" / config.kind]
    if not config.annotations.is_dir():
        state = "is a file" if config.annotations.exists() else "does not exist"
        raise UserError(
            f"annotations '{config.annotations}' {state}; for {config.kind} set it to the folder of the list files"
        )
    return [config.annotations]


def find_list(config: CatalogueConfig, names: Sequence[str], problems: Problems, mend: str = "") -> Path | None:
    """The first existing file or folder of these names among `annotation_folders`; otherwise None and a problem."""
    folders = annotation_folders(config)
    for folder in folders:
        for name in names:
            if (folder / name).exists():
                return folder / name
    places = ", ".join(str(folder) for folder in folders)
    mend = mend or "put it there or set annotations to its folder"
    problems.add(f"{' or '.join(names)} not found in {places}; {mend}")
    return None


def read_text(path: Path) -> str:
    """The file as text; names in it that are not UTF-8 are read as the bytes they are.

    UserError where it cannot be read, and for UTF-16.
    """
    try:
        text = read_utf8(path, LIST_BYTES, errors="surrogateescape")
    except Unreadable as error:
        cause = error.__cause__
        reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else error
        raise UserError(f"cannot read {path}: {reason}") from error
    if "\0" in text:
        raise UserError(f"{path} is not UTF-8 text (byte {text.index(chr(0))} is 0); save it as UTF-8")
    return text


def numbered_lines(path: Path) -> Iterator[tuple[str, str]]:
    """`("FILE:LINE", text)` of every line that is not blank, stripped."""
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            yield f"{path.name}:{number}", line.strip()


def unique_lines(path: Path, problems: Problems) -> dict[str, str]:
    """Line -> where it stands, in order; a repeated line is a problem."""
    found: dict[str, str] = {}
    for where, line in numbered_lines(path):
        if line in found:
            problems.add(f"{where}: '{line}' was listed before, at {found[line]}; remove one")
        found.setdefault(line, where)
    return found


def integers(fields: Sequence[str]) -> list[int] | None:
    """The fields as integers, or None where one is not."""
    try:
        return [int(field) for field in fields]
    except ValueError:
        return None
