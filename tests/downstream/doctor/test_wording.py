"""The doctor on a terminal: short whatever it found, each kind with count, names and mend; all of it when asked."""

from __future__ import annotations

import pytest

from downstream.doctor.finding import KINDS, Finding
from downstream.doctor.wording import MENDS, MOST_LINES, WIDTH, as_text


def findings(kinds: int, each: int) -> list[Finding]:
    """So many of each kind, the later half of the kinds notes."""
    return [
        Finding("wrong" if number < 10 else "note", kind, f"v{count}", f"'v{count}': {kind} {'x' * 20}")
        for number, kind in enumerate(KINDS[:kinds])
        for count in range(each)
    ]


@pytest.mark.parametrize("kinds", range(len(KINDS) + 1))
@pytest.mark.parametrize("each", [1, 2, 3, 4, 2000])
def test_it_is_short_and_names_every_kind_with_its_count(kinds: int, each: int) -> None:
    found = findings(kinds, each)
    lines = as_text(found, 2000).splitlines()
    assert len(lines) <= MOST_LINES
    assert lines[0] == f"2000 videos: {f'{min(kinds, 10) * each} wrong' if kinds else 'nothing wrong'}, " + (
        f"{max(0, kinds - 10) * each} note(s)"
    )
    for kind in KINDS[:kinds]:
        (head,) = [line for line in lines if f": {kind} (" in line]
        assert f"({each})" in head
        assert any("'v0'" in line for line in lines[lines.index(head) : lines.index(head) + 2])
    if kinds <= 14:
        assert all(any(MENDS[kind] in line for line in lines) for kind in KINDS[:kinds])
    whole = as_text(found, 2000, every=True)
    assert all(finding.text in whole for finding in found)
    is_whole = all(finding.text in "\n".join(lines) for finding in found)
    assert is_whole != lines[-1].startswith("all of them in full: --all")


def test_few_findings_are_said_in_full_with_the_mend() -> None:
    found = [Finding("wrong", "no features", f"v{i}", f"'v{i}': listed, but it has no features") for i in range(5)]
    assert as_text(found, 9).splitlines() == [
        "9 videos: 5 wrong, 0 note(s)",
        "wrong: no features (5)",
        "  'v0': listed, but it has no features",
        "  'v1': listed, but it has no features",
        "  'v2': listed, but it has no features",
        f"  ... and 2 more; mend: {MENDS['no features']}",
        "all of them in full: --all; for programs: --json FILE",
    ]


def test_long_names_make_no_long_lines() -> None:
    name = "street" * 100
    lines = as_text([Finding("wrong", "label", name, f"'{name}': label 0")] * 3, 1).splitlines()
    assert max(map(len, lines)) <= WIDTH + 2
    assert lines[-1].startswith("all of them in full")
