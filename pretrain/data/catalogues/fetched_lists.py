"""Lists and annotations that lie at an address, or in a tar file: fetched before a catalogue is opened.

A list that is one file (csv, json, shards) is read from a copy. A named dataset has several, in folders: those are laid
out again on this machine, as they lie there, in COPIES/lists, and found there as on any disk. Only lists are fetched,
never a video: text, CSV and JSON files, and the masks in `test_frame_mask`.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

from pretrain.data.catalogue import CatalogueConfig
from pretrain.data.catalogues.trees import files_below, is_elsewhere
from pretrain.data.remote.address import address_of, joined, local_root, place_text, plain_addresses, root_text
from pretrain.data.remote.copies import local_copy, opened
from pretrain.data.remote.errors import RemoteError
from pretrain.data.remote.settings import copy_settings
from pretrain.data.remote.state import file_state
from pretrain.errors import UserError
from pretrain.files import copy_file
from pretrain.reading import CARD_BYTES, LIST_BYTES

DEFAULT_LIST = {"csv": "videos.csv", "json": "annotations/ground_truth.json", "shards": "shards.json"}
"""Kinds whose list is one file: its place below the root, where no other is given."""
SUFFIXES = (".txt", ".csv", ".tsv", ".json")
MASKS = "test_frame_mask"


@dataclass(frozen=True, kw_only=True)
class FetchedLists(CatalogueConfig):
    """Where the videos are, with lists on this machine."""

    lists: Path
    """A folder laid out as the root, with its lists alone."""


def with_lists_here(config: CatalogueConfig) -> CatalogueConfig:
    """The configuration as it is where its lists lie on this disk, else with what was fetched. UserError."""
    root = local_root(config.root)
    annotations = None if config.annotations is None else local_root(config.annotations)
    config = replace(config, root=root, annotations=annotations)
    if config.kind == "folder":
        return config
    if config.kind in DEFAULT_LIST:
        return replace(config, annotations=_one_list(config))
    if annotations is not None and is_elsewhere(annotations):
        return replace(config, annotations=_laid_out(annotations))
    if annotations is None and is_elsewhere(root):
        kept = {field: getattr(config, field) for field in CatalogueConfig.__dataclass_fields__}
        return FetchedLists(**kept, lists=_laid_out(root))
    return config


def lists_root(config: CatalogueConfig) -> Path:
    """The folder that is looked through for lists where none is named: the root, or what was fetched of it."""
    return config.lists if isinstance(config, FetchedLists) else config.root


def _one_list(config: CatalogueConfig) -> Path | None:
    given = config.annotations
    if given is None and not is_elsewhere(config.root):
        return None
    path = root_text(given) if given is not None else joined(root_text(config.root), DEFAULT_LIST[config.kind])
    if given is not None and address_of(given) is None:
        return given
    try:
        if file_state(path).size > LIST_BYTES:
            raise UserError(f"{plain_addresses(path)} is larger than {LIST_BYTES:,} bytes, which no list is")
        return Path(local_copy(path))
    except RemoteError as error:
        raise UserError(f"cannot read the list: {error} (--catalogue.annotations)") from error


def _laid_out(root: Path) -> Path:
    """A folder of this disk with the lists of an address or a tar file, each where it lies there."""
    from pretrain.data.catalogues.disk import is_video_name

    top = root_text(root)
    lists = {name: path for name, path in files_below(top, is_video_name).items() if _is_list(name)}
    states = {name: file_state(path) for name, path in lists.items()}
    if too_large := [name for name, state in states.items() if state.size > CARD_BYTES]:
        raise UserError(
            f"{place_text(root)}: the list {too_large[0]} is larger than {CARD_BYTES:,} bytes; give the folder of the "
            "lists alone (--catalogue.annotations)"
        )
    identity = hashlib.sha256(repr((top, sorted(states.items()))).encode(errors="surrogateescape")).hexdigest()
    folder = copy_settings().folder / "lists" / identity[:32]
    for name, path in lists.items():
        target = folder / name
        if target.is_file() and target.stat().st_size == states[name].size:
            continue
        with opened(path) as file:
            copy_file(Path(file), target)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _is_list(name: str) -> bool:
    folder, _, base = name.rpartition("/")
    if any(part in ("", ".", "..") for part in name.split("/")) or base.startswith("."):
        return False
    is_mask = base.endswith(".npy") and os.path.basename(folder) == MASKS
    return is_mask or base.lower().endswith(SUFFIXES)
