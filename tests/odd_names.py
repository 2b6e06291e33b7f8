"""File names that there are on disks: names are bytes."""

from __future__ import annotations

import os

from hypothesis import strategies as st

ODD_NAMES = (
    *("#1", "# comment", " leading", "trailing ", "tab\tin", "line\nbreak", "return\rin", "both\r\nin", "\n", "\t"),
    *(
        "two\u2028lines",
        "two\u2029paragraphs",
        "next\x85line",
        "form\x0cfeed",
        "file\x1cgroup",
        "\ufeffmark",
        "nb\xa0sp",
    ),
    *(
        "latin caf\udce9",
        "\udcff\udcfe",
        "caf\u00e9",
        "cafe\u0301",
        "back\\slash",
        "\\",
        'a "quote"',
        '"quoted"',
        '"',
        "'",
    ),
    *("-leading", "--help", "=1+1", "+1", "-1", "@sum", "'=1", "''=1", "'1", " =1", "\t=1", "=cmd|' /C calc'!A0"),
    *("a,b", "a;b", "semi;colon, comma", "\x1b[31mred", "bell\x07", "\u202efdp.4pm", "\u2067isolated", "\u200fmark"),
    *("100%", "a?b", "a:b", "*", "<script>", "&amp;", "null", "1.0", "true", "NaN", ".hidden", "~", "$HOME", "`x`"),
    *("東京", "👨\u200d👩", "del\x7f", "tag\U000e0041", "zero\u200bwidth", "\ud83d"),
)
_LETTERS = st.sampled_from([*"ab#=+-@'\"\\;,\t\n\r \x1b\x85\u2028\u202e\ufeff\u0301é東", "\udce9", "\udcff"])
NAMES = st.sampled_from(ODD_NAMES) | st.text(_LETTERS, min_size=1, max_size=8)
"""Of videos: those above, and random ones of the letters that hurt."""
FILE_NAMES = tuple(name for name in ODD_NAMES if name != "\ud83d" and "/" not in name and name[0] != ".")
"""Those that a disk takes, and that no walk takes for hidden."""


def on_disk(name: str) -> str:
    """Its bytes there, to see that it is one."""
    return os.fsdecode(os.fsencode(name))
