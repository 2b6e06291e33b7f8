"""Names of videos are bytes: any file name there is. How they are written, read back, shown, and found when mistyped.

A name that is not UTF-8 holds lone surrogates in Python (`os.fsdecode`). Nothing here changes a plain name.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence

UNSAFE = (
    r"\x00-\x1f\x7f-\x9f"  # control characters: escape sequences, line breaks, tabs
    r"\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # unseen, or turning the line
    r"\ud800-\udfff"  # bytes that are not UTF-8
    r"\U000e0000-\U000e007f"  # tags, unseen
)
"""The inside of a regular expression's [...]: what no terminal, log or line of a list may get as it is."""
NOT_UTF8 = re.compile("[\ud800-\udfff]")
_UNSAFE = re.compile(f"[{UNSAFE}]")
_UNSAFE_BUT_LINES = re.compile(f"(?!\n)[{UNSAFE}]")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
MOST_LETTERS = 300
"""Of what is compared with known names: the time grows with their product."""
MOST_COMPARED = 5000
"""Names that a mistyped one is compared with letter by letter; of more, only those that differ in punctuation alone."""
MOST_SUGGESTED = 20
"""Lines of a list that anybody reads."""


def shown(text: str) -> str:
    """A name (or a line that holds some) as people may see it: one line, nothing that a terminal would obey.

    What is unsafe stands as an escape (`\\n`, `\\x1b`, `\\u202e`; a byte that is not UTF-8 as `\\xe9`).
    """
    return text if text.isprintable() else _UNSAFE.sub(_escape, text)


def shown_list(names: Sequence[str], most: int = 8) -> str:
    """The first of these names, on one line; an ellipsis stands for the others."""
    return ", ".join(map(shown, names[:most])) + (", ..." if len(names) > most else "")


def shown_lines(text: str) -> str:
    """The same of a text of several lines: its line breaks stay."""
    return text if text.isprintable() else _UNSAFE_BUT_LINES.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # os.fsdecode put it there for a byte
        return f"\\x{code - 0xDC00:02x}"
    return _SHORT.get(character) or (
        f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    )


def json_escaped(text: str) -> str:
    """JSON text with what is unsafe as JSON's own escapes: it means the same, in any program, on one line a line."""
    if text.isascii() and "\x7f" not in text:
        return text
    return _UNSAFE_BUT_LINES.sub(lambda match: json.dumps(match[0])[1:-1] if match[0] != "\x7f" else "\\u007f", text)


def written(name: str) -> str:
    """A name for a line of a list, or for a file that must be UTF-8: as it is, or as a JSON string in quotes.

    In quotes where it would not be read back: line breaks and tabs, blanks at its ends, a leading `#` or quote, bytes
    that are not UTF-8, no letter at all.
    """
    is_plain = name == name.strip() and name[:1] not in ("#", '"', "") and not _UNSAFE.search(name)
    return name if is_plain else json.dumps(name)


def read_back(text: str) -> str:
    """The name that `written` made the text of; any other text is a name as it is."""
    if len(text) >= 2 and text[0] == text[-1] == '"':
        try:
            name = json.loads(text)
        except ValueError:
            return text
        return str(name)
    return text


def name_bytes(name: str) -> bytes:
    """A name's bytes on a disk; of one that no disk has (JSON may hold any half of a letter), some of its own."""
    try:
        return name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogatepass")


def file_name(name: str, most_bytes: int = 200) -> str:
    """A name as part of a file's, which any program can open: no folders, nothing unsafe, its last `most_bytes`."""
    plain = re.sub(rf'[{UNSAFE}/\\:*?"<>|]', "_", name)
    return plain.encode()[-most_bytes:].decode(errors="ignore")


def same_form(name: str) -> str:
    """A name in the one Unicode form (NFC) that catalogues use: some systems list the letters of names decomposed."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


class KnownNames:
    """Names that there are, to say which one somebody may have meant by a name that there is not."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = list(names)
        self._squeezed: dict[str, str] | None = None
        self._asked = 0

    def hint(self, wrong: str) -> str:
        """A clause like `; did you mean 'Normal_Videos003_x264'?`, or nothing where none is near."""
        found = self.nearest(wrong)
        return f"; did you mean '{shown(found)}'?" if found is not None else ""

    def nearest(self, wrong: str) -> str | None:
        """The nearest of the names; letters and figures count before capitals, punctuation, suffix and Unicode form.

        So `Normal_Videos_003` is `Normal_Videos003_x264`. After 20 questions, and among more than 5,000 names, letters
        are not compared any more: whoever has so many wrong names has one cause.
        """
        if self._squeezed is None:
            self._squeezed = {squeeze(name): name for name in reversed(self._names)}
        self._asked += 1
        if (found := self._squeezed.get(squeeze(wrong))) is not None:
            return found
        if self._asked > MOST_SUGGESTED or len(self._names) > MOST_COMPARED or len(wrong) > MOST_LETTERS:
            return None
        return next(iter(difflib.get_close_matches(wrong, self._names, n=1, cutoff=0.75)), None)


def squeeze(name: str) -> str:
    """What is left of a name without all that people write in different ways: `Normal_Videos_003_x264.mp4` and
    `normal videos 3` are both `normalvideos3`."""
    base = os.path.splitext(re.split(r"[/\\]", name)[-1])
    stem = base[0] if re.fullmatch(r"\.[A-Za-z]\w{1,4}", base[1]) else "".join(base)
    plain = unicodedata.normalize("NFKC", stem).casefold()
    plain = re.sub(r"_x264$", "", plain)
    plain = re.sub(r"(?<!\d)0+(?=\d)", "", plain)
    return re.sub(r"[\W_]+", "", plain)
