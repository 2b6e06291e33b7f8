"""Packing: which videos go into which shard, writing what is not there yet, the index over all of it.

    OUT/shard-00000.tar ...       members NAME.mp4, in the catalogue's order
    OUT/parts/shard-00000.json    of each finished shard: what of, and where in it
    OUT/shards.json               the index, written last

Sizes and order of the files alone decide what is in which shard, so a killed run goes on with the first shard that is
not finished, and the same catalogue gives the same bytes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pretrain.data.catalogue import Video
from pretrain.data.catalogues.fetched_lists import DEFAULT_LIST
from pretrain.data.catalogues.shards import FORMAT
from pretrain.data.remote import file_state, opened
from pretrain.data.shards.entries import entry_of, refuse_unreadable
from pretrain.data.shards.output import Output
from pretrain.data.shards.tar_writer import ShardWriter
from pretrain.data.video import IndexCache, VideoError, VideoInfo, probe, reading
from pretrain.json_shapes import fixed, mapping, of_type, record, sequence, text, whole
from pretrain.names import file_name

INDEX_FILE = DEFAULT_LIST["shards"]


@dataclass(frozen=True, kw_only=True)
class ToPack:
    """A video, and the file that is packed of it."""

    video: Video
    path: str
    """The video itself, or its proxy."""
    member: str
    """Its name in the shard."""
    size: int
    mtime_ns: int

    @property
    def state(self) -> list[Any]:
        """By which a finished shard is known to be of these files."""
        return [self.video.name, self.member, self.size, self.mtime_ns]


@dataclass(frozen=True)
class Fact:
    """What is known of a packed file."""

    offset: int
    bytes: int
    sha256: str
    measured: VideoInfo
    source_size: tuple[int, int] | None
    """Width and height of the video, where its proxy was packed and boxes are in the video's pixels."""


@dataclass(kw_only=True)
class PackReport:
    """What was done."""

    videos: int = 0
    shards: int = 0
    written: int = 0
    """How many of these were written now."""
    bytes: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    """Videos left out, by name, and why."""


_PART = record({
    "of": sequence(fixed(text, text, whole(0), whole())),
    "bytes": whole(0),
    "facts": mapping(of_type(Fact)),
    "failures": mapping(text),
})  # fmt: skip


def to_pack(videos: Sequence[Video], paths: dict[str, str]) -> tuple[list[ToPack], dict[str, str]]:
    """The files of these videos, with names in a shard that no two share; and what is not there, by name, and why."""
    found: list[ToPack] = []
    problems: dict[str, str] = {}
    taken: set[str] = set()
    for video in videos:
        path = paths[video.name]
        try:
            with reading(path):
                state = file_state(path)
        except VideoError as error:
            problems[video.name] = str(error)
            continue
        suffix = "." + path.rpartition(".")[2] if "." in path.rpartition("/")[2] else ""
        stem = file_name(video.name).lstrip(".") or "video"
        member = next(name for name in _candidates(stem, suffix) if name not in taken)
        taken.add(member)
        found.append(ToPack(video=video, path=path, member=member, size=state.size, mtime_ns=state.mtime_ns))
    return found, problems


def _candidates(stem: str, suffix: str) -> Any:
    yield f"{stem}{suffix}"
    number = 2
    while True:
        yield f"{stem}~{number}{suffix}"
        number += 1


def plan_shards(files: Sequence[ToPack], shard_bytes: int) -> list[list[ToPack]]:
    """Files in order, a shard full when it holds so many bytes."""
    shards: list[list[ToPack]] = []
    held = shard_bytes
    for file in files:
        if held >= shard_bytes:
            shards.append([])
            held = 0
        shards[-1].append(file)
        held += file.size
    return shards


def pack(
    files: Sequence[ToPack],
    out: Output,
    shard_bytes: int,
    cache: IndexCache | None = None,
    on_done: Callable[[str], None] = lambda name: None,
) -> PackReport:
    """Write the shards that are not there, then the index. A video that cannot be read is left out and named.

    Raises UserError where the index could not be read back, OSError and RemoteError where `out` takes no more.
    """
    refuse_unreadable(file.video for file in files)
    report = PackReport()
    entries: list[dict[str, Any]] = []
    sizes: dict[str, dict[str, int]] = {}
    plan = plan_shards(files, shard_bytes)
    for number, shard in enumerate(plan):
        name = f"shard-{number:05d}"
        part = _finished(out, name, shard)
        if part is None:
            part = _write_shard(out, name, shard, cache, on_done)
            report.written += 1
        else:
            for file in shard:
                on_done(file.video.name)
        report.failures |= part["failures"]
        sizes[f"{name}.tar"] = {"bytes": part["bytes"]}
        entries += [_entry(file, f"{name}.tar", part["facts"]) for file in shard if file.video.name in part["facts"]]
    out.write_json(INDEX_FILE, {"format": FORMAT, "shards": sizes, "videos": entries})
    _remove_further(out, len(plan))
    report.videos, report.shards = len(entries), len(plan)
    report.bytes = sum(size["bytes"] for size in sizes.values())
    return report


def _finished(out: Output, name: str, shard: Sequence[ToPack]) -> dict[str, Any] | None:
    """What is known of a shard that was finished before, of the same files; None where it is to be written."""
    part: dict[str, Any] | None = out.read_json(f"parts/{name}.json", _PART)
    if part is None or part["of"] != [file.state for file in shard] or part["failures"]:
        return None
    return part if out.size(f"{name}.tar") == part["bytes"] else None


def _write_shard(
    out: Output, name: str, shard: Sequence[ToPack], cache: IndexCache | None, on_done: Callable[[str], None]
) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    failures: dict[str, str] = {}
    with out.writing(f"{name}.tar") as temporary, open(temporary, "wb") as target:
        writer = ShardWriter(target)
        for file in shard:
            try:
                facts[file.video.name] = dataclasses.asdict(_add(writer, file, cache))
            except VideoError as error:
                failures[file.video.name] = str(error)
            on_done(file.video.name)
        size = writer.close()
        target.flush()
    part = {"of": [file.state for file in shard], "bytes": size, "facts": facts, "failures": failures}
    out.write_json(f"parts/{name}.json", part)
    return part


def _add(writer: ShardWriter, file: ToPack, cache: IndexCache | None) -> Fact:
    """Measure a file and append it. Raises VideoError."""
    measured = probe(file.path, cache=cache)
    source_size = None
    if file.video.boxes and file.path != file.video.path:
        source = probe(file.video.path, cache=cache)
        source_size = (source.width, source.height)
    with reading(file.path), opened(file.path) as own, open(own, "rb") as source_file:
        stored = writer.add(file.member, source_file, file.size)
    return Fact(stored.offset, stored.size, stored.sha256, measured, source_size)


def _entry(file: ToPack, shard: str, facts: dict[str, Any]) -> dict[str, Any]:
    fact = facts[file.video.name]
    measured = VideoInfo(**fact["measured"])
    source_size = None if fact["source_size"] is None else (fact["source_size"][0], fact["source_size"][1])
    place = {"shard": shard, "offset": fact["offset"], "bytes": fact["bytes"], "sha256": fact["sha256"]}
    return entry_of(file.video, file.member, measured, source_size) | place


def _remove_further(out: Output, number: int) -> None:
    """Remove shards of an earlier, larger catalogue."""
    names = out.names()
    while f"shard-{number:05d}.tar" in names:
        out.remove(f"shard-{number:05d}.tar")
        out.remove(f"parts/shard-{number:05d}.json")
        number += 1
