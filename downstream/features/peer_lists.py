"""The lists that other code bases ship with their features, and what their lines say of a video.

    UCF_Test/Abuse028_x264_i3d.npy                       a path a line: RTFM, UR-DMU, MGFN (`*.list`)
    .../Abuse/Abuse028_x264__5.npy,Abuse                 VadCLIP: CSV, `path,label`; crops of a video a line each

A label is the CSV's; else what the name says (UCF-Crime's classes, XD-Violence's codes, the three digits of a normal
clip of ShanghaiTech); else the place in the list, for those that have all abnormal videos first. Where two of these
speak they must agree.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from downstream.features.array_files import SUFFIXES
from pretrain.data.catalogues.disk import video_name
from pretrain.data.catalogues.lists import numbered_lines
from pretrain.data.catalogues.xd_violence import CLASSES, classes_from_name, group_from_name
from pretrain.errors import UserError, problem_list
from pretrain.names import read_back
from pretrain.tables import Table, cell_text, open_table

UCF_CLASSES = (
    *("Abuse", "Arrest", "Arson", "Assault", "Burglary", "Explosion", "Fighting", "RoadAccidents", "Robbery"),
    *("Shooting", "Shoplifting", "Stealing", "Vandalism"),
)
_UCF = re.compile(rf"({'|'.join(UCF_CLASSES)})\d{{3}}|Normal_Videos_?\d{{3}}")
_SHANGHAITECH = re.compile(r"\d\d_(\d{3,4})")
_NORMAL = ("normal", "a", "0")
_CROP = re.compile(r"(.+)__\d{1,2}")


class Listed(NamedTuple):
    """One video of a list."""

    name: str
    where: str
    """`FILE:LINE`."""
    label: int | None
    class_name: str | None
    group: str | None


class _Line(NamedTuple):
    where: str
    path: str
    word: str | None
    """The CSV's label."""


def read_peer_list(file: Path, strip: str = "", abnormal_first: int | None = None) -> list[Listed]:
    """The videos of a list in its order; lines of several crops of one video are one.

    `strip`: an ending of the names; `abnormal_first`: so many videos at the top are abnormal, the others normal.
    UserError with all of: a video twice, labels that contradict each other.
    """
    lines = _table(file) or [_Line(where, read_back(text), None) for where, text in numbered_lines(file)]
    crops = bool(lines) and all(_CROP.fullmatch(_stem(line.path)) for line in lines)
    by_name: dict[str, _Line] = {}
    problems, last = [], ""
    for line in lines:
        stem = _stem(line.path)
        match = _CROP.fullmatch(stem) if crops else None
        name = video_name((match[1] if match else stem).removesuffix(strip))
        if name in by_name and (name != last or not crops):
            problems.append(f"{line.where}: '{name}' was listed before, at {by_name[name].where}; remove one")
        elif name in by_name and by_name[name].word != line.word:
            problems.append(f"{line.where}: '{name}' is {line.word}, and {by_name[name].word} above")
        by_name.setdefault(name, line)
        last = name
    if not by_name:
        raise UserError(f"{file} lists nothing; it must name a feature file a line")
    if abnormal_first is not None and not 0 < abnormal_first < len(by_name):
        raise UserError(f"--abnormal-first is {abnormal_first}, and {file} lists {len(by_name)} video(s)")
    found = []
    shanghaitech = all(_SHANGHAITECH.fullmatch(name) for name in by_name)
    for number, (name, line) in enumerate(by_name.items()):
        place = None if abnormal_first is None else int(number < abnormal_first)
        listed = _listed(name, line, place, shanghaitech)
        problems += [listed] if isinstance(listed, str) else []
        found += [listed] if isinstance(listed, Listed) else []
    if problems:
        raise UserError(f"{len(problems)} problem(s) in {file}:\n{problem_list(problems)}")
    return found


def _listed(name: str, line: _Line, place: int | None, shanghaitech: bool) -> Listed | str:
    """What is known of a video, or how that contradicts itself."""
    by_word = None if line.word is None else _of_word(line.word)
    by_name = _of_name(name)
    if shanghaitech and len(name) == 6:  # clips of the original training set, which has no anomaly
        by_name = (0, "Normal")
    said = (by_word[0] if by_word else None, by_name[0] if by_name else None, place)
    told = {label for label in said if label is not None}
    if len(told) > 1:
        return f"{line.where}: '{name}': label by the CSV, the name, the place in the list: {said}; they contradict"
    class_name = (by_name or by_word or (None, None))[1]
    group = group_from_name(name) if classes_from_name(name) else None
    return Listed(name, line.where, min(told, default=None), class_name, group)


def _of_word(word: str) -> tuple[int, str]:
    """Label and class of VadCLIP's word: a class, `Normal`, or XD-Violence's codes (`B1-0-0`)."""
    codes = [code for code in word.strip().split("-") if code != "0"]
    if codes and all(code in CLASSES for code in codes):
        return int(codes != ["A"]), "+".join(CLASSES[code] for code in codes)
    normal = word.strip().lower() in _NORMAL
    return int(not normal), "Normal" if normal else word.strip()


def _of_name(name: str) -> tuple[int, str] | None:
    """Label and class, as names of UCF-Crime and XD-Violence say them."""
    classes = classes_from_name(name)
    if classes is not None:
        return int(classes != ["Normal"]), "+".join(classes)
    match = _UCF.match(name)
    return (int(match[1] is not None), match[1] or "Normal") if match else None


def _table(file: Path) -> list[_Line]:
    """The lines of a CSV with the columns `path` and `label`; none of other files. UserError: a path without label."""
    if file.suffix.lower() != ".csv":
        return []
    try:
        with open_table(file) as opened:
            table = Table(opened, file)
            if "path" not in table.header or "label" not in table.header:
                raise UserError(f"{file} has the columns {', '.join(table.header)[:200]}; needed are path, label")
            at_path, at_label = table.header.index("path"), table.header.index("label")
            lines = []
            for row in table.rows():
                if row and len(row) > max(at_path, at_label):
                    where = f"{file.name}:{table.line}"
                    lines.append(_Line(where, cell_text(row[at_path].strip()), row[at_label].strip()))
                elif row:
                    raise UserError(f"{file.name}:{table.line}: {len(row)} cell(s); needed are path, label")
            return lines
    except OSError as error:
        raise UserError(f"cannot read the list {file}: {error.strerror or error}") from error


def _stem(path: str) -> str:
    """The name of a listed file, less the ending of a file of features (other dots are the name's)."""
    base = re.split(r"[/\\]", path.strip())[-1]
    stem, suffix = os.path.splitext(base)
    return stem if suffix.lower() in SUFFIXES else base


def require_labels(videos: Sequence[Listed], file: Path) -> None:
    """UserError where somebody's label is not known."""
    unknown = [f"{video.where}: '{video.name}'" for video in videos if video.label is None]
    if unknown:
        raise UserError(
            f"{file}: no label of {len(unknown)} of {len(videos)} videos, by name or column:\n"
            f"{problem_list(unknown, limit=5)}\nIf all abnormal ones stand first, say how many: --abnormal-first N"
        )
