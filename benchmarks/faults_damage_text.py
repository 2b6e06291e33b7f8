"""Seeded damage to bytes, to lines of text and to YAML. `content, rng -> content`; nothing else is random."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

Rng = np.random.Generator
Damage = Callable[[bytes, Rng], bytes]
Ways = list[tuple[str, Damage]]
"""What is done, in words, and what does it. A way that stands twice is drawn twice as often."""
DIGITS = 5_000
"""More than Python turns into an integer."""
STRANGE_NUMBERS = (-1, 0, 2**31, 2**63, 2**64, 10**30, -(2**63) - 1, 1.5, 1e308, -0.0)
STRANGE_TEXTS = (
    "",
    "\x00",
    "../../x",
    "/etc/passwd",
    "a" * 100_000,
    "é",
    "\u2028",
    "-1",
    "nan",
    "None",
    "a/b",
    "\ud800",
)


def flip(content: bytes, rng: Rng) -> bytes:
    """One to eight bits."""
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 9)) if content else 0):
        changed[int(rng.integers(len(changed)))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def flip_head(content: bytes, rng: Rng) -> bytes:
    """Within the first 200 bytes, where formats keep their sizes."""
    return flip(content[:200], rng) + content[200:]


def cut(content: bytes, rng: Rng) -> bytes:
    """The beginning alone, as a full disk leaves it."""
    return content[: int(rng.integers(len(content)))] if content else content


def cut_out(content: bytes, rng: Rng) -> bytes:
    """Some of the middle away."""
    start, end = span(content, rng)
    return content[:start] + content[end:]


def insert(content: bytes, rng: Rng) -> bytes:
    """Random bytes somewhere."""
    at, _ = span(content, rng)
    return content[:at] + rng.bytes(int(rng.integers(1, 64))) + content[at:]


def zeros(content: bytes, rng: Rng) -> bytes:
    """A part of zeros, as a crash of the machine leaves it."""
    start, end = span(content, rng)
    return content[:start] + bytes(end - start) + content[end:]


def noise(content: bytes, rng: Rng) -> bytes:
    """A part of random bytes."""
    start, end = span(content, rng)
    return content[:start] + rng.bytes(end - start) + content[end:]


def twice(content: bytes, rng: Rng) -> bytes:
    """A part that stands twice."""
    start, end = span(content, rng)
    return content[:end] + content[start:]


def empty(content: bytes, rng: Rng) -> bytes:
    """No byte at all."""
    return b""


def web_page(content: bytes, rng: Rng) -> bytes:
    """What a download behind a login gives."""
    return b"<!DOCTYPE html><html><body>Sign in</body></html>\n"


def lfs_pointer(content: bytes, rng: Rng) -> bytes:
    """What a clone without Git LFS gives."""
    return b"version https://" + b"git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"


def span(content: bytes, rng: Rng) -> tuple[int, int]:
    if not content:
        return 0, 0
    start = int(rng.integers(len(content)))
    return start, min(len(content), start + int(rng.integers(1, max(2, len(content) // 4))))


BYTES: Ways = [
    ("bits flipped", flip),
    ("bits flipped at the head", flip_head),
    ("cut off", cut),
    ("a part cut out", cut_out),
    ("bytes inserted", insert),
    ("a part of zeros", zeros),
    ("a part of noise", noise),
    ("a part twice", twice),
    ("empty", empty),
    ("a web page", web_page),
    ("a Git LFS pointer", lfs_pointer),
]


def not_utf8(content: bytes, rng: Rng) -> bytes:
    """A byte that UTF-8 does not have."""
    at, _ = span(content, rng)
    return content[:at] + b"\xff\xfe\xe9" + content[at:]


def utf16(content: bytes, rng: Rng) -> bytes:
    """As some editors save it."""
    return content.decode("utf-8", "replace").encode("utf-16")


def marked(content: bytes, rng: Rng) -> bytes:
    """With a byte order mark."""
    return b"\xef\xbb\xbf" + content


def nul(content: bytes, rng: Rng) -> bytes:
    """A NUL in the text."""
    at, _ = span(content, rng)
    return content[:at] + b"\x00" + content[at:]


def strange_number(content: bytes, rng: Rng) -> bytes:
    """A number that stands there becomes a strange one."""
    texts = (*map(str, STRANGE_NUMBERS), "9" * DIGITS, "1e999", "NaN", "-Infinity", "0x10", "1,5", "٣", "1.0", "1_000")
    return _replace(content, rng, rb"-?\d+(?:\.\d+)?", texts[int(rng.integers(len(texts)))].encode())


def line_away(content: bytes, rng: Rng) -> bytes:
    """One line less."""
    lines = content.splitlines(keepends=True)
    at = int(rng.integers(len(lines))) if lines else 0
    return b"".join(lines[:at] + lines[at + 1 :])


def line_twice(content: bytes, rng: Rng) -> bytes:
    """One line twice."""
    lines = content.splitlines(keepends=True)
    at = int(rng.integers(len(lines))) if lines else 0
    return b"".join(lines[: at + 1] + lines[at:])


def long_line(content: bytes, rng: Rng) -> bytes:
    """A line of a megabyte."""
    lines = content.splitlines(keepends=True)
    at = int(rng.integers(len(lines) + 1))
    return b"".join([*lines[:at], b"x" * (1 << 20) + b"\n", *lines[at:]])


def separators(content: bytes, rng: Rng) -> bytes:
    """Other separators than were agreed on."""
    old, new = ((b",", b";"), (b"\t", b" "), (b"  ", b"\t"), (b"\n", b"\r"), (b"\n", b"\r\n"), (b":", b"="))[
        int(rng.integers(6))
    ]
    return content.replace(old, new)


def quotes(content: bytes, rng: Rng) -> bytes:
    """A quotation mark that nobody closes."""
    at, _ = span(content, rng)
    return content[:at] + b'"' + content[at:]


def strange_line(content: bytes, rng: Rng) -> bytes:
    """A word of some line becomes a strange text."""
    texts = [text.encode("utf-8", "surrogatepass") for text in STRANGE_TEXTS]
    return _replace(content, rng, rb"\w+", texts[int(rng.integers(len(texts)))])


def _replace(content: bytes, rng: Rng, pattern: bytes, new: bytes) -> bytes:
    places = list(re.finditer(pattern, content[: 1 << 20]))
    if not places:
        return content
    place = places[int(rng.integers(len(places)))]
    return content[: place.start()] + new + content[place.end() :]


TEXT: Ways = [
    ("not UTF-8", not_utf8),
    ("UTF-16", utf16),
    ("a byte order mark", marked),
    ("a NUL", nul),
    ("a strange number", strange_number),
    ("a line away", line_away),
    ("a line twice", line_twice),
    ("a line of a megabyte", long_line),
    ("other separators", separators),
    ("an open quotation mark", quotes),
    ("a strange word", strange_line),
]


YAML_TEXTS = {
    "an alias bomb": "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
    "month 13": "seed: 2024-13-45\n",
    "a date": "output: 2024-01-02\n",
    "a tag": "output: !!python/object/apply:os.system ['true']\n",
    "deep YAML": "a: " + "[" * 5000 + "\n",
    "a YAML list": "- a\n- b\n",
    "a YAML text": "just words\n",
    "odd keys": "1: 2\nnull: 3\n? [a, b]\n: 4\n",
    "tabs": "output:\tx\n\tseed: 1\n",
    "two documents": "seed: 1\n---\nseed: 2\n",
    "a merge of itself": "a: &a\n  <<: *a\n",
    "5,000 digits": f"seed: {'9' * DIGITS}\n",
    "a key twice": "seed: 1\nseed: 2\n",
    "an open quote": 'output: "x\n',
    "binary": "output: !!binary aGVsbG8=\n",
    "a set": "output: !!set {a, b}\n",
    "infinity": "optim: {lr: .inf}\n",
}


def _yaml(text: str) -> Damage:
    def change(content: bytes, rng: Rng) -> bytes:
        return text.encode() + (content if rng.integers(2) else b"")

    return change


YAML: Ways = [(name, _yaml(text)) for name, text in YAML_TEXTS.items()]
