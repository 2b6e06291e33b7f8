"""Tar shards with an index of ours (scripts/pack_shards.py writes both): opened by the index alone, nothing is listed.

    {"format": "anomaly-pretext/shards/1",
     "shards": {"shard-00000.tar": {"bytes": 268435456}, ...},
     "videos": [{"name": NAME, "path": MEMBER, ..., "shard": "shard-00000.tar", "offset": 512, "bytes": 345725,
                 "sha256": ..., "measured": {"num_frames": ..., "fps": ..., "width": ..., ...}}, ...]}

What else an entry holds is what one of our ground truth files does (`json_file`). A video's path says where its bytes
lie and how their SHA-256 begins, so they are fetched without asking for anything else, and proven when they come.
Every shard lies in the root: the index names no folder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrain.data.catalogue import Catalogue, CatalogueConfig, Video
from pretrain.data.catalogues.fetched_lists import DEFAULT_LIST
from pretrain.data.catalogues.json_file import KEYS, entry_problems, video_of_entry
from pretrain.data.remote.address import member_path, place_text, root_text
from pretrain.data.remote.tar_file import BLOCK, wrong_name
from pretrain.errors import UserError
from pretrain.json_shapes import WrongShape, anything, check, mapping, record, sequence, text, whole
from pretrain.versioned_json import LIST_BYTES, read_versioned_json, read_videos

if TYPE_CHECKING:
    from pretrain.data.video import VideoInfo

FORMAT = "anomaly-pretext/shards/1"
MEND = "pack the videos again (scripts/pack_shards.py), or fetch the file anew"
_SHARD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}\.tar")
_INDEX = record({"shards": mapping(record({"bytes": whole(0)})), "videos": sequence(anything)})
_PLACE = record({"name": text, "path": text, "shard": text, "offset": whole(BLOCK), "bytes": whole(0), "sha256": text})
_OWN = ("name", "shard", "offset", "bytes", "sha256", "measured")


def open_shards(config: CatalogueConfig) -> Catalogue:
    """The videos of `config.annotations` (default ROOT/shards.json), in the shards that lie in the root.

    UserError lists everything in the index that cannot be at once. Whether the shards are there is seen when one of
    their videos is read.
    """
    path = config.annotations or config.root / DEFAULT_LIST["shards"]
    path = path / DEFAULT_LIST["shards"] if path.is_dir() else path
    if not path.is_file():
        raise UserError(
            f"there is no index of shards {path}; give the folder of the shards (--catalogue.root), or pack videos "
            "(scripts/pack_shards.py). Tar files of others open with kind folder, csv, json or a dataset's name"
        )
    root = root_text(config.root)
    source = f"shards in {place_text(config.root)}"
    return Catalogue(list(read_index(path, root).values()), source)


def read_index(path: Path, root: str) -> dict[str, Video]:
    """Name -> video of an index, with paths into the shards of `root`. UserError."""
    content = read_versioned_json(path, "the index of shards", FORMAT, MEND, _INDEX, LIST_BYTES)
    shards = {name: int(shard["bytes"]) for name, shard in content["shards"].items()}
    if wrong := [name for name in shards if not _SHARD_NAME.fullmatch(name)]:
        raise UserError(f"{path} names the shard {wrong[0][:200]!r}, which is no name of a tar file beside it; {MEND}")

    def read(number: int, entry: Mapping[str, Any]) -> Video:
        return _video(number, dict(entry), shards, root)

    return read_videos(path, "the index of shards", content["videos"], "an entry of a video", read)


def _video(number: int, entry: dict[str, Any], shards: Mapping[str, int], root: str) -> Video:
    name, member = entry["name"], entry.get("path")
    wrong = _place_problems(entry, shards)
    wrong += [] if wrong else entry_problems({key: value for key, value in entry.items() if key in KEYS})
    wrong += [f"unknown key '{key}'" for key in entry if key not in (*KEYS, *_OWN)]
    if wrong:
        raise UserError(f"entry {number} ('{str(name)[:100]}'): {'; '.join(wrong)}")
    path = member_path(f"{root}/{entry['shard']}", str(member), entry["offset"], entry["bytes"], entry["sha256"])
    return video_of_entry(name, entry, path, _measured(name, entry.get("measured")))


def _place_problems(entry: dict[str, Any], shards: Mapping[str, int]) -> list[str]:
    """What is wrong with where a video lies."""
    try:
        check(entry, _PLACE)
    except WrongShape as error:
        return [str(error)]
    wrong = []
    if problem := wrong_name(entry["path"]):
        wrong.append(f"the name '{entry['path'][:100]}' {problem}")
    if not re.fullmatch(r"[0-9a-f]{64}", entry["sha256"]):
        wrong.append("its sha256 is not 64 figures of 0-9 and a-f")
    if entry["shard"] not in shards:
        wrong.append(f"it lies in '{entry['shard'][:100]}', which is none of the shards")
    elif entry["offset"] + entry["bytes"] > shards[entry["shard"]]:
        wrong.append(f"it ends beyond the {shards[entry['shard']]:,} bytes of {entry['shard']}")
    return wrong


def _measured(name: str, value: Any) -> VideoInfo | None:
    if value is None:
        return None
    from pretrain.data.video import VideoInfo
    from pretrain.json_shapes import every, number, of_type

    side = whole(1, 1 << 16)
    known = record({"num_frames": whole(1), "fps": number(1e-6, 1e6), "width": side, "height": side})
    try:
        check(value, every(of_type(VideoInfo), known))
    except WrongShape as error:
        raise UserError(f"'{name}': measured: {error}") from error
    return VideoInfo(**value)
