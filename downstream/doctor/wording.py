"""Findings as people read them: grouped by kind of fault, with counts, first names and the mend; short unless asked.

What to do about a kind of fault stands here, once; `check_alignment` says what is wrong with each video.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter

from downstream.doctor.finding import KINDS, Finding
from pretrain.names import shown

MOST_LINES = 30
"""Of the short form, whatever there is to find."""
MOST_NAMES = 3
"""Of a kind, named in the short form."""
WIDTH = 118
"""Of a line: longer names and sentences are cut in the short form."""

MENDS: dict[str, str] = {
    "train and test overlap": "take the twin out of one of the two lists",
    "one class only": "list videos of the other kind too; training and curves need both",
    "no label": "folders normal/ and abnormal/, or a CSV's column label; scripts/fit_normal.py needs none",
    "no spans": "training needs none (--split train); to evaluate, a CSV with spans (docs/datasets.md)",
    "label": "correct the list: spans only in abnormal videos",
    "no features": "extract them (extract_features), give both one name, or --features.allow-missing",
    "no snippet": "extract these videos again, or leave them out",
    "not finite": "extract these videos again; such numbers spoil all training",
    "no place": "extract these videos again with a grid",
    "length": "check that list and features are of the same file; snippet frames as at extraction",
    "anomaly beyond the end": "correct the spans or the length; are they in frames of this very file?",
    "sets do not match": "extract or import both with the same snippets and places",
    "same features twice": "one file was copied or listed twice: delete or extract again",
    "constant features": "extract these videos again; look at what they show",
    "identical crops": "import again with the right crop order, or one crop",
    "not in the list": "nothing is lost; correct the names if they should be there",
    "few snippets": "allowed; such a video counts with fewer snippets than the losses choose",
}
"""Kind -> what to do, in a few words."""
assert tuple(MENDS) == KINDS


def as_text(findings: Sequence[Finding], num_videos: int, every: bool = False) -> str:
    """The verdict, then each kind with its count, its first findings and the mend; at most `MOST_LINES` lines.

    `every`: all findings in full.
    """
    wrong = sum(finding.severity == "wrong" for finding in findings)
    verdict = f"{wrong} wrong" if wrong else "nothing wrong"
    lines = [f"{num_videos} videos: {verdict}, {len(findings) - wrong} note(s)"]
    groups = [(*kind, list(group)) for kind, group in groupby(findings, key=attrgetter("severity", "kind"))]
    if every:
        return "\n".join([*lines, *(line for group in groups for line in ("", *_whole(*group)))])
    forms = [[line for group in groups for line in _short(*group, names)] for names in range(MOST_NAMES, -1, -1)]
    forms.append([_head_with_names(*group) for group in groups][: MOST_LINES - 2])
    lines += next((form for form in forms if len(form) <= MOST_LINES - 2), forms[-1])
    if not all(finding.text in "\n".join(lines) for finding in findings):
        lines.append("all of them in full: --all; for programs: --json FILE")
    return "\n".join(lines)


def _whole(severity: str, kind: str, group: Sequence[Finding]) -> list[str]:
    return [_head(severity, kind, group), *(f"  {shown(finding.text)}" for finding in group), _mend(kind)]


def _short(severity: str, kind: str, group: Sequence[Finding], names: int) -> list[str]:
    """So many sentences of a kind; none: the names alone."""
    if not names:
        return [_head_with_names(severity, kind, group), _mend(kind)]
    lines = [_head(severity, kind, group), *(f"  {_cut(shown(finding.text))}" for finding in group[:names])]
    rest = len(group) - names
    return [*lines, f"  ... and {rest} more; {_mend(kind).strip()}" if rest > 0 else _mend(kind)]


def _head(severity: str, kind: str, group: Sequence[Finding]) -> str:
    return f"{severity}: {kind} ({len(group)})"


def _head_with_names(severity: str, kind: str, group: Sequence[Finding]) -> str:
    named = [f"'{shown(finding.video)}'" for finding in group if finding.video is not None][:MOST_NAMES]
    more = ", ..." * (len(named) < len(group) and bool(named))
    return _cut(_head(severity, kind, group) + f": {', '.join(named)}{more}" * bool(named))


def _mend(kind: str) -> str:
    return f"  mend: {MENDS[kind]}"


def _cut(text: str) -> str:
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."
