"""Seeded damage to files: bytes, lines, JSON, YAML, arrays, tensors, and what stands in a file's place.

    what = mutate(path, rng)     # changes the file; says what was done, so that a report can be read

What can be done to a file goes by its ending. Sizes are such that an unbounded reader is seen: 100,000 levels of JSON,
numbers of 5,000 digits, alias bombs, headers of arrays of a petabyte, a sparse file of 8 GB.
"""

from __future__ import annotations

import io
import json
import os
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Rng = np.random.Generator
Damage = Callable[[bytes, Rng], bytes]
DEPTH = 100_000
DIGITS = 5_000
SPARSE_BYTES = 8 << 30
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


def mutate(path: Path, rng: Rng) -> str:
    """Damage a file in one way, drawn by `rng`, so that it is another one; the way's name."""
    ways = [*place_ways(), *content_ways(path)]
    weights = np.array([0.3] * len(place_ways()) + [1.0] * len(content_ways(path)))
    before = path.read_bytes()
    for _ in range(50):
        name, way = ways[int(rng.choice(len(ways), p=weights / weights.sum()))]
        if isinstance(way, _InPlace):
            way.apply(path)
            return name
        after = way(before, rng)
        if after != before:
            path.write_bytes(after)
            return name
    path.write_bytes(before[: len(before) // 2])  # whatever it is, half of it is another file
    return "half of it"


class _InPlace:
    """What is put in the place of a file."""

    def __init__(self, apply: Callable[[Path], None]) -> None:
        self._apply = apply

    def apply(self, path: Path) -> None:
        """Take the file away and put the other thing there."""
        path.unlink()
        self._apply(path)


def place_ways() -> list[tuple[str, _InPlace | Damage]]:
    """Things that are no regular file of a decent size."""
    return [
        ("missing", _InPlace(lambda path: None)),
        ("a folder", _InPlace(lambda path: path.mkdir())),
        ("a pipe", _InPlace(lambda path: os.mkfifo(path))),
        ("a link to itself", _InPlace(lambda path: path.symlink_to(path.name))),
        ("a link to nothing", _InPlace(lambda path: path.symlink_to("nowhere"))),
        ("a link to /dev/zero", _InPlace(lambda path: path.symlink_to("/dev/zero"))),
        ("8 GB of nothing", _InPlace(lambda path: _sparse(path))),
    ]


def _sparse(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(SPARSE_BYTES)


def content_ways(path: Path) -> list[tuple[str, _InPlace | Damage]]:
    """Changes of the content that suit the file's ending; bytes of anything can be changed."""
    suffix = path.suffix
    if suffix in (".json",):
        return [*JSON, *TEXT, *BYTES]
    if suffix == ".jsonl":
        return [*JSON_LINES, *TEXT, *BYTES]
    if suffix in (".yaml", ".yml"):
        return [*YAML, *TEXT, *BYTES]
    if suffix in (".txt", ".csv", ".list"):
        return [*TEXT, *BYTES]
    if suffix == ".npy":
        return [*NPY, *BYTES]
    if suffix == ".npz":
        return [*NPZ, *BYTES]
    if suffix == ".safetensors":
        return [*SAFETENSORS, *BYTES]
    return list(BYTES)


# -- bytes ----------------------------------------------------------------------------------------------------------


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
    start, end = _span(content, rng)
    return content[:start] + content[end:]


def insert(content: bytes, rng: Rng) -> bytes:
    """Random bytes somewhere."""
    at, _ = _span(content, rng)
    return content[:at] + rng.bytes(int(rng.integers(1, 64))) + content[at:]


def zeros(content: bytes, rng: Rng) -> bytes:
    """A part of zeros, as a crash of the machine leaves it."""
    start, end = _span(content, rng)
    return content[:start] + bytes(end - start) + content[end:]


def noise(content: bytes, rng: Rng) -> bytes:
    """A part of random bytes."""
    start, end = _span(content, rng)
    return content[:start] + rng.bytes(end - start) + content[end:]


def twice(content: bytes, rng: Rng) -> bytes:
    """A part that stands twice."""
    start, end = _span(content, rng)
    return content[:end] + content[start:]


def empty(content: bytes, rng: Rng) -> bytes:
    """No byte at all."""
    return b""


def web_page(content: bytes, rng: Rng) -> bytes:
    """What a download behind a login gives."""
    return b"<!DOCTYPE html><html><body>Sign in</body></html>\n"


def lfs_pointer(content: bytes, rng: Rng) -> bytes:
    """What a clone without Git LFS gives."""
    return b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"


def _span(content: bytes, rng: Rng) -> tuple[int, int]:
    if not content:
        return 0, 0
    start = int(rng.integers(len(content)))
    return start, min(len(content), start + int(rng.integers(1, max(2, len(content) // 4))))


BYTES: list[tuple[str, Damage]] = [
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


# -- lines of text --------------------------------------------------------------------------------------------------


def not_utf8(content: bytes, rng: Rng) -> bytes:
    """A byte that UTF-8 does not have."""
    at, _ = _span(content, rng)
    return content[:at] + b"\xff\xfe\xe9" + content[at:]


def utf16(content: bytes, rng: Rng) -> bytes:
    """As some editors save it."""
    return content.decode("utf-8", "replace").encode("utf-16")


def marked(content: bytes, rng: Rng) -> bytes:
    """With a byte order mark."""
    return b"\xef\xbb\xbf" + content


def nul(content: bytes, rng: Rng) -> bytes:
    """A NUL in the text."""
    at, _ = _span(content, rng)
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
    at, _ = _span(content, rng)
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


TEXT: list[tuple[str, Damage]] = [
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


# -- JSON -----------------------------------------------------------------------------------------------------------


def in_json(change: Callable[[Any, Rng], str]) -> Damage:
    """Damage of the parsed value: `change` gives the new text. What does not parse is left alone."""

    def damage(content: bytes, rng: Rng) -> bytes:
        try:
            return change(json.loads(content), rng).encode("utf-8", "surrogatepass")
        except (ValueError, LookupError):
            return content

    return damage


def nodes(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of every value below, in order; long lists are represented by their first three."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        container = waiting.pop(0)
        keys = list(container) if isinstance(container, dict) else range(min(3, len(container)))
        for key in keys:
            found.append((container, key))
            if isinstance(container[key], dict | list):
                waiting.append(container[key])
    return found


def _node(value: Any, rng: Rng) -> tuple[Any, Any]:
    places = nodes(value) if isinstance(value, dict | list) else []
    return places[int(rng.integers(len(places)))] if places else ([value], 0)


def other_kind(value: Any, rng: Rng) -> str:
    """One value becomes one of another kind."""
    container, key = _node(value, rng)
    others: list[Any] = [None, True, 7, 0.5, "text", [], {}, [[1, 2], [3]], {"a": 1}, [None], *STRANGE_NUMBERS]
    container[key] = others[int(rng.integers(len(others)))]
    return json.dumps(value)


def strange_text(value: Any, rng: Rng) -> str:
    """One value becomes a text that is a path, a number, nothing, or no text."""
    container, key = _node(value, rng)
    container[key] = STRANGE_TEXTS[int(rng.integers(len(STRANGE_TEXTS)))]
    return json.dumps(value, ensure_ascii=bool(rng.integers(2)))


def missing_key(value: Any, rng: Rng) -> str:
    """A key, or an entry of a list, less."""
    container, key = _node(value, rng)
    del container[key]
    return json.dumps(value)


def other_key(value: Any, rng: Rng) -> str:
    """A key more, or of another name."""
    places = [container for container, key in nodes(value) if isinstance(container, dict)]
    chosen = places[int(rng.integers(len(places)))]
    key = list(chosen)[int(rng.integers(len(chosen)))]
    chosen[("a/../../x", "", "unknown", key + "x")[int(rng.integers(4))]] = chosen[key] if rng.integers(2) else 1
    return json.dumps(value)


def double_key(value: Any, rng: Rng) -> str:
    """A key twice, with two values."""
    container, key = _node(value, rng)
    if not isinstance(container, dict):
        raise LookupError("only keys can stand twice")
    text = json.dumps(container[key])
    container[key] = "\x01here\x01"
    mark = json.dumps("\x01here\x01")
    return json.dumps(value).replace(mark, f"{text}, {json.dumps(key)}: 3")


def raw_value(value: Any, rng: Rng) -> str:
    """One value becomes text that only a lenient parser takes, or that is deep or long beyond reason."""
    container, key = _node(value, rng)
    container[key] = "\x01here\x01"
    raw = (
        "NaN",
        "-Infinity",
        "1e999",
        "9" * DIGITS,
        "[" * DEPTH,
        "[" * DEPTH + "]" * DEPTH,
        '{"a":' * DEPTH,
        "undefined",
    )
    return json.dumps(value).replace(json.dumps("\x01here\x01"), raw[int(rng.integers(len(raw)))])


def top_level(value: Any, rng: Rng) -> str:
    """Another thing altogether."""
    texts = ("[]", "{}", "null", "3", '"text"', "[" * DEPTH, "9" * DIGITS, "[{}]", json.dumps([value]), "")
    return texts[int(rng.integers(len(texts)))]


def long_list(value: Any, rng: Rng) -> str:
    """One value becomes a list of a hundred thousand."""
    container, key = _node(value, rng)
    container[key] = [container[key]] * 100_000 if not isinstance(container[key], dict | list) else [0] * 100_000
    return json.dumps(value)


JSON: list[tuple[str, Damage]] = [
    ("a value of another kind", in_json(other_kind)),
    ("a value of another kind ", in_json(other_kind)),
    ("a strange text", in_json(strange_text)),
    ("a key away", in_json(missing_key)),
    ("a key away ", in_json(missing_key)),
    ("another key", in_json(other_key)),
    ("a key twice", in_json(double_key)),
    ("a raw value", in_json(raw_value)),
    ("another top", in_json(top_level)),
    ("a list of 100,000", in_json(long_list)),
]


def in_line(damage: Damage) -> Damage:
    """The damage in one line."""

    def change(content: bytes, rng: Rng) -> bytes:
        lines = content.splitlines()
        if not lines:
            return content
        at = int(rng.integers(len(lines)))
        lines[at] = damage(lines[at], rng)
        return b"\n".join(lines) + b"\n"

    return change


JSON_LINES: list[tuple[str, Damage]] = [(name, in_line(damage)) for name, damage in JSON]


# -- YAML -----------------------------------------------------------------------------------------------------------

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


YAML: list[tuple[str, Damage]] = [(name, _yaml(text)) for name, text in YAML_TEXTS.items()]


# -- arrays ---------------------------------------------------------------------------------------------------------

SHAPES = ("()", "(0,)", "(-1,)", "(-1, 3)", "(10**15,)", "(1000000000000000,)", "(1, 2, 3, 4, 5)", "5", "(2.0,)", "'a'")
DTYPES = (
    "|O",
    "|V8",
    "<U10",
    "|S4",
    "<c16",
    "<M8[s]",
    "|b1",
    "<i8",
    "<f8",
    "<f2",
    ">f4",
    "zzz",
    "[('a','<f4')]",
    "|V0",
)


def npy_header(content: bytes, rng: Rng) -> bytes:
    """Another shape, dtype or order in the header of a `.npy`."""
    header, data = _header_of(content)
    which = int(rng.integers(3))
    if which == 0:
        header = re.sub(r"'shape': \([^)]*\)", f"'shape': {SHAPES[int(rng.integers(len(SHAPES)))]}", header)
    elif which == 1:
        header = re.sub(r"'descr': '[^']*'", f"'descr': {DTYPES[int(rng.integers(len(DTYPES)))]!r}", header)
    else:
        header = header.replace("False", ("True", "None", "3")[int(rng.integers(3))])
    return _with_header(header, data)


def npy_strange_header(content: bytes, rng: Rng) -> bytes:
    """A header that is no header."""
    _, data = _header_of(content)
    texts = ("", "{}", "[]", "(" * 2000, "{'shape': (1,)}", "9" * DIGITS, "__import__('os')", "{'descr': '<f4'}")
    return _with_header(texts[int(rng.integers(len(texts)))], data)


def npy_values(content: bytes, rng: Rng) -> bytes:
    """Values that are no finite numbers, or far too large ones; the file is whole."""
    return _saved(strange_values(_loaded(content), rng))


def npy_shape(content: bytes, rng: Rng) -> bytes:
    """A whole array of another length, axes or dtype."""
    return _saved(other_array(_loaded(content), rng))


def strange_values(array: np.ndarray, rng: Rng) -> np.ndarray:
    """A quarter of the values: NaN, infinity, extremes, -1."""
    changed = array.copy()
    flat = changed.reshape(-1)
    strange = [np.nan, np.inf, -np.inf, 1e30] if changed.dtype.kind == "f" else [-1, 127, 2**31 - 1, 2**62]
    with np.errstate(all="ignore"):
        new = np.array(strange[int(rng.integers(len(strange)))]).astype(changed.dtype)
    flat[: max(1, len(flat) // 4)] = new
    return changed


def other_array(array: np.ndarray, rng: Rng) -> np.ndarray:
    """The array with another shape or of another kind."""
    with np.errstate(all="ignore"):
        others = [
            *(array[: len(array) // 2], array[:0], np.concatenate([array, array]), array[None], array.reshape(-1)),
            *(array.T, array.astype(np.complex64), array.astype("U4"), array.astype(bool), array.astype(np.int8)),
            array[::-1] if array.ndim else array,
        ]
    return others[int(rng.integers(len(others)))]


def _header_of(content: bytes) -> tuple[str, bytes]:
    length = struct.unpack("<H", content[8:10])[0]
    return content[10 : 10 + length].decode("latin1"), content[10 + length :]


def _with_header(header: str, data: bytes) -> bytes:
    text = header.strip().encode("latin1") + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", min(len(text), 65535)) + text[:65535] + data


def _loaded(content: bytes) -> np.ndarray:
    array: np.ndarray = np.load(io.BytesIO(content), allow_pickle=False)
    return array


def _saved(array: np.ndarray) -> bytes:
    target = io.BytesIO()
    np.save(target, array, allow_pickle=False)
    return target.getvalue()


NPY: list[tuple[str, Damage]] = [
    ("another header", npy_header),
    ("another header ", npy_header),
    ("no header", npy_strange_header),
    ("strange values", npy_values),
    ("another array", npy_shape),
]


def npz_member(change: Callable[[np.ndarray, Rng], np.ndarray | None]) -> Damage:
    """One array of a `.npz` changed, or away where `change` gives None; the zip file is whole."""

    def damage(content: bytes, rng: Rng) -> bytes:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        name = list(arrays)[int(rng.integers(len(arrays)))]
        new = change(arrays.pop(name), rng)
        return _packed(arrays if new is None else arrays | {name: new})

    return damage


def _packed(arrays: dict[str, np.ndarray]) -> bytes:
    target = io.BytesIO()
    np.savez(target, **arrays)  # type: ignore[arg-type]
    return target.getvalue()


def npz_shuffled(array: np.ndarray, rng: Rng) -> np.ndarray:
    """The same values in another order: right by every size."""
    return rng.permutation(array) if array.ndim else array


def npz_shifted(array: np.ndarray, rng: Rng) -> np.ndarray:
    """All values a little off, where they are numbers."""
    return array + array.dtype.type(rng.integers(1, 4)) if array.dtype.kind in "iuf" else array


def npz_header_json(content: bytes, rng: Rng) -> bytes:
    """The JSON in an array of bytes, damaged as a file of JSON is."""
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    for name, array in arrays.items():
        if array.dtype == np.uint8 and array.tobytes()[:1] == b"{":
            damaged = JSON[int(rng.integers(len(JSON)))][1](array.tobytes(), rng)
            return _packed(arrays | {name: np.frombuffer(damaged, np.uint8)})
    return content


def zip_bomb(content: bytes, rng: Rng) -> bytes:
    """A member that unpacks to a gigabyte."""
    target = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as before,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, True, 1) as after,
    ):
        names = before.namelist()
        bomb = names[int(rng.integers(len(names)))]
        for name in names:
            if name != bomb:
                after.writestr(name, before.read(name))
        with after.open(bomb, "w", force_zip64=True) as member:
            head = "{'descr': '<i8', 'fortran_order': False, 'shape': (134217728,), }"
            member.write(_with_header(head, b""))
            for _ in range(64):
                member.write(bytes(1 << 24))
    return target.getvalue()


NPZ: list[tuple[str, Damage]] = [
    ("strange values in an array", npz_member(strange_values)),
    ("an array of another shape", npz_member(other_array)),
    ("an array away", npz_member(lambda array, rng: None)),
    ("an array in another order", npz_member(npz_shuffled)),
    ("an array a little off", npz_member(npz_shifted)),
    ("its JSON damaged", npz_header_json),
    ("its JSON damaged ", npz_header_json),
    ("a zip bomb", zip_bomb),
]


# -- safetensors ----------------------------------------------------------------------------------------------------


def tensors_header(content: bytes, rng: Rng) -> bytes:
    """The header, damaged as JSON is."""
    length = struct.unpack("<Q", content[:8])[0]
    header, data = content[8 : 8 + length], content[8 + length :]
    changed = JSON[int(rng.integers(len(JSON)))][1](header, rng)
    return struct.pack("<Q", len(changed)) + changed + data


def tensors_length(content: bytes, rng: Rng) -> bytes:
    """Another length of the header than it has."""
    lengths = (0, 1, 2**31, 2**40, 2**63, 2**64 - 1)
    return struct.pack("<Q", lengths[int(rng.integers(len(lengths)))]) + content[8:]


def tensors_values(content: bytes, rng: Rng) -> bytes:
    """NaN in the last tensor."""
    return content[:-16] + b"\xff" * 16


SAFETENSORS: list[tuple[str, Damage]] = [
    ("its header damaged", tensors_header),
    ("its header damaged ", tensors_header),
    ("another length of its header", tensors_length),
    ("no finite numbers", tensors_values),
]
