"""A feature set on disk: one memory-mappable array of all snippets, and a manifest that says what they are.

    FOLDER/manifest.json            format, spec, the encoder's settings, name of the array file, one entry a video
    FOLDER/features-3f2a90....npy   (total snippets, crops or cells, dim), float16 or float32

The manifest is renamed into place last and names the array by its own hash: a kill at any moment leaves the old set or
the new one. While a set is being made, finished videos lie in `FOLDER/parts/`, one file each, so that making it can go
on after a kill and several processes can share the work.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from downstream.features.feature_spec import FeatureSpec, VideoEntry
from downstream.features.normalising import BLOCK_BYTES
from downstream.features.places import PLACES, Places, places_of
from downstream.features.record_shapes import ENTRY, FACTS, SPEC
from downstream.features.scratch import drop_pages
from pretrain.arrays import map_array
from pretrain.errors import UserError, nearest, problem_list
from pretrain.files import replacing, reserve, write_json
from pretrain.json_shapes import WrongShape, check, mapping, one_of, optional, record, sequence, text
from pretrain.leftovers import temporary_path
from pretrain.names import name_bytes, read_back, written
from pretrain.path_words import what_is_at
from pretrain.reading import Unreadable, own_file
from pretrain.versioned_json import LIST_BYTES, parse_json, read_json, read_versioned_json
from pretrain.weight_files import check_safetensors

logger = logging.getLogger(__name__)

FORMAT = "anomaly-pretext/features/2"
MANIFEST = "manifest.json"
DTYPES = ("float16", "float32")
_STORED = {"float16": "F16", "float32": "F32"}
"""As safetensors names them."""
_BROKEN_PART = (SafetensorError, OSError, ValueError, TypeError)
_MANIFEST = record(
    {
        "spec": SPEC,
        "dtype": one_of(*DTYPES),
        "array": text,
        "array_sha256": text,
        "videos": sequence(mapping()),
    },
    {"made_with": optional(mapping()), "places": PLACES},
)


def _begun(value: Any) -> None:
    """A spec beside the type of its numbers."""
    record({"dtype": one_of(*DTYPES)})(value)
    SPEC({key: field for key, field in value.items() if key != "dtype"})


class FeatureSet:
    """Features of many videos, read from disk only where they are asked for."""

    def __init__(
        self,
        folder: Path,
        spec: FeatureSpec,
        videos: Sequence[VideoEntry],
        array: NDArray[Any],
        made_with: Mapping[str, Any] | None = None,
        places: Places | None = None,
    ) -> None:
        self.folder, self.spec = folder, spec
        self.made_with = made_with
        """The settings of the encoder (`EncoderConfig.as_json`); None for imported features and old sets."""
        self.places = places
        """Where the encoder's files lie, from the set's folder."""
        self.dtype: str = array.dtype.name
        self.videos: Mapping[str, VideoEntry] = MappingProxyType({video.name: video for video in videos})
        """Entries by name, in stored order."""
        self._array = array

    @staticmethod
    def open(folder: str | Path) -> FeatureSet:
        """Open a set; UserError where it is none, not whole, or of another format. Reads the manifest only."""
        if not isinstance(folder, (str, Path)):
            raise UserError(f"a feature set is opened by its folder, not by a {type(folder).__name__}; give its path")
        folder = Path(folder)
        manifest = read_manifest(folder)
        file = own_file(folder, manifest["array"], f"the array of {folder / MANIFEST}")
        try:
            spec = FeatureSpec.from_json(manifest["spec"])
            videos = [_entry(values) for values in manifest["videos"]]
            array = map_array(file, kinds="f")
        except (TypeError, ValueError) as error:
            raise UserError(f"{folder} is no whole feature set ({error}); make it again") from error
        total = sum(video.snippets for video in videos)
        _refuse_overlap(folder, videos)
        if array.shape != (total, spec.crops_or_cells, spec.dim) or array.dtype.name not in DTYPES:
            raise UserError(
                f"{file} holds {array.dtype} {array.shape}, but {folder / MANIFEST} promises {total} snippets x "
                f"{spec.crops_or_cells} {'crops' if spec.grid is None else 'cells'} x {spec.dim}: the two are not of "
                "one set; make it again"
            )
        return FeatureSet(folder, spec, videos, array, manifest.get("made_with"), manifest.get("places"))

    def read(self, name: str) -> NDArray[Any]:
        """(snippets, crops or cells, dim) in the stored type, a view of the file: only pages that are used are read."""
        video = self.videos[name]
        view: NDArray[Any] = self._array[video.offset : video.offset + video.snippets]
        return view

    def check_finite(self, names: Iterable[str] | None = None) -> None:
        """UserError naming every video that holds NaN or infinity, and its first snippet; reads all of them."""
        bad = [text for name in (names or self.videos) if (text := not_finite(name, self.read(name)))]
        if bad:
            raise UserError(f"{self.folder}: {len(bad)} video(s) with values that are not finite:\n{problem_list(bad)}")


def _entry(values: dict[str, Any]) -> VideoEntry:
    try:
        check(values, ENTRY)
    except WrongShape as error:
        raise ValueError(f"'{str(values.get('name'))[:80]}': {error}") from None
    return VideoEntry.from_json(values)


class _Part(NamedTuple):
    """What the header of one video's file says; its numbers are not read."""

    path: Path
    name: str
    facts: dict[str, Any]
    snippets: int


def _read_part(path: Path, spec: FeatureSpec, dtype: str) -> _Part:
    """Unreadable, or an error of the library, where it is not one of this set's parts, whole."""
    check_safetensors(path)
    with safe_open(path, framework="numpy") as file:
        metadata, features = file.metadata() or {}, file.get_slice("features")
        name, facts = read_back(metadata.get("name", "")), parse_json(metadata.get("facts", ""))
        shape, stored = tuple(features.get_shape()), features.get_dtype()
    check(facts, FACTS)
    if path.name != _part_file(name):
        raise Unreadable(f"it is the part of another video, '{name[:80]}'")
    if len(shape) != 3 or shape[1:] != (spec.crops_or_cells, spec.dim) or not shape[0] or stored != _STORED[dtype]:
        raise Unreadable(f"it holds {stored} {shape}, which is not of this set")
    return _Part(path, name, facts, shape[0])


def _part_file(name: str) -> str:
    # names may hold any character; a digest is a file name everywhere
    return f"{hashlib.sha256(name_bytes(name)).hexdigest()[:32]}.safetensors"


def not_finite(name: str, features: NDArray[Any]) -> str:
    """Where features (snippets, ...) are NaN or infinite, in words; an empty string where nowhere."""
    if not features.size:
        return ""
    block = block_rows(features[0].nbytes)  # of a memory-mapped array: a block in memory at a time
    finite = []
    for start in range(0, len(features), block):
        part = features[start : start + block]
        finite.append(np.isfinite(part).reshape(len(part), -1).all(axis=1))
        drop_pages(features)
    rows = np.flatnonzero(~np.concatenate(finite))
    return f"'{name}': {len(rows)} of {len(features)} snippets, the first is {rows[0]}" if len(rows) else ""


def block_rows(row_bytes: int) -> int:
    """How many rows make a block."""
    return max(1, BLOCK_BYTES // max(1, row_bytes))


def _write_part(file: Path, features: NDArray[Any], dtype: str, meta: Mapping[str, str]) -> None:
    """One tensor as safetensors, a block in memory at a time (the library's own writer wants all of it).

    The format: eight bytes that say how long the header is, the header as JSON, the numbers.
    UserError where a number is too large for the type.
    """
    stored = np.dtype(dtype).newbyteorder("<")
    tensor = {
        "dtype": _STORED[dtype],
        "shape": list(features.shape),
        "data_offsets": [0, features.size * stored.itemsize],
    }
    header = json.dumps({"__metadata__": dict(meta), "features": tensor}).encode()
    header += b" " * (-len(header) % 8)
    block = block_rows(features[0].nbytes)
    with open(file, "wb") as target:
        target.write(struct.pack("<Q", len(header)) + header)
        for start in range(0, len(features), block):
            with np.errstate(over="ignore"):
                rows = np.ascontiguousarray(features[start : start + block], dtype=stored)
            if not np.isfinite(rows).all():
                name = read_back(json.loads(header)["__metadata__"]["name"])
                with np.errstate(over="ignore"):
                    wrong = not_finite(name, features.astype(stored))
                raise UserError(f"too large for {dtype} (beyond 65504): {wrong}; store the set as float32")
            target.write(rows.data)


def _refuse_overlap(folder: Path, videos: Sequence[VideoEntry]) -> None:
    """A manifest that somebody edited: doubled names, or rows that belong to two videos or to none."""
    row = 0
    for video in videos:
        if video.offset != row or video.snippets < 0:
            raise UserError(f"{folder / MANIFEST}: '{video.name}' does not begin at row {row}; make the set again")
        row += video.snippets
    if len({video.name for video in videos}) < len(videos):
        raise UserError(f"{folder / MANIFEST} holds a video twice; make the set again")


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a set; UserError where there is none or it is of another format."""
    file = folder / MANIFEST
    if not file.is_file():
        if not folder.is_dir():
            raise UserError(
                f"{what_is_at(folder)}; give the folder of a feature set: scripts/extract_features.py makes one of "
                "videos, scripts/import_features.py of features that you have"
            )
        unfinished = (
            "; it was begun and not finished: run the same command again" if (folder / "parts").exists() else ""
        )
        raise UserError(
            f"{folder} is no feature set: there is no {MANIFEST}{unfinished}. Make one with "
            "scripts/extract_features.py or scripts/import_features.py"
        )
    return read_versioned_json(file, "the manifest", FORMAT, "make the set again", _MANIFEST, LIST_BYTES)


class FeatureWriter:
    """Makes a feature set video by video, and goes on with one that was begun.

    `add` may be called by many processes for different videos; `finish` by one, when all have added. Parts of another
    spec or type in the folder are refused: a folder holds one set.
    """

    def __init__(
        self, folder: Path, spec: FeatureSpec, dtype: str = "float16", made_with: Mapping[str, Any] | None = None
    ) -> None:
        """`made_with`: the settings of the encoder as JSON values, so that others can make such features again."""
        if dtype not in DTYPES:
            raise UserError(f"dtype '{dtype}'{nearest(dtype, DTYPES)}; features are stored as {' or '.join(DTYPES)}")
        self.folder, self.spec, self.dtype, self.made_with = folder, spec, dtype, made_with
        self._parts = folder / "parts"
        self._before = FeatureSet.open(folder) if (folder / MANIFEST).exists() else None
        self._refuse_other_spec()
        self._parts.mkdir(parents=True, exist_ok=True)
        write_json(self._parts / "spec.json", spec.as_json() | {"dtype": dtype})

    def has(self, name: str) -> bool:
        """Whether that video is done: a part of its own, or in the finished set."""
        if (part := self._part(name)).exists():
            try:
                _read_part(part, self.spec, self.dtype)
                return True
            except _BROKEN_PART as error:
                logger.warning("%s is damaged (%s) and is made anew", part, error)
                part.unlink()
        return self._before is not None and name in self._before.videos

    def add(
        self,
        name: str,
        features: NDArray[Any],
        *,
        frames: int | None = None,
        fps: float | None = None,
        snippet_frames: int | None = None,
        size: tuple[int, int] | None = None,
        seen: tuple[float, float, float, float] | None = None,
    ) -> None:
        """Store one video's features (snippets, crops or cells, dim), atomically.

        `snippet_frames` defaults to the spec's; `size` and `seen` say where cells lie, see `VideoEntry`.
        UserError, with nothing stored: wrong shape, no snippet, or values that are not finite in the stored type.
        """
        expected = (self.spec.crops_or_cells, self.spec.dim)
        if features.ndim != 3 or features.shape[1:] != expected or not len(features):
            places = "crop(s)" if self.spec.grid is None else "cells"
            raise UserError(
                f"'{name}': features of shape {features.shape}; expected (snippets >= 1, {expected[0]} {places}, "
                f"{expected[1]} numbers)"
            )
        if wrong := not_finite(name, features):
            raise UserError(f"not a finite number in {wrong}; mend or leave out that video")
        facts: dict[str, Any] = {
            "frames": frames,
            "fps": fps,
            "snippet_frames": snippet_frames or self.spec.snippet_frames,
        }
        facts |= {} if self.spec.grid is None else {"size": size, "seen": seen}
        meta = {"name": written(name), "facts": json.dumps(facts)}  # safetensors takes UTF-8 alone
        with replacing(self._part(name)) as temporary:
            _write_part(temporary, features, self.dtype, meta)

    def finish(self, names: Sequence[str] | None = None) -> FeatureSet:
        """Join the parts (and what the finished set held before) to one array, in the order of `names`.

        Default order: the videos of the set that was there, then the new ones by name. With nothing added and
        the same order the set stays as it is; without any video: UserError.
        """
        parts = self._part_names()
        before = self._before.videos if self._before is not None else {}
        order = [name for name in names if name in parts or name in before] if names is not None else []
        order = list(dict.fromkeys([*order, *before, *sorted(parts)]))
        if not parts and order == list(before):
            shutil.rmtree(self._parts)
            if self._before is None:
                raise UserError(f"no video has features, {self.folder} stays empty; see the messages above")
            return self._before
        videos: list[VideoEntry] = []
        temporary = temporary_path(self.folder / "features.npy")
        digest = hashlib.sha256()
        rows = sum(self._snippets(name, parts) for name in order)
        size = block_rows(self.spec.crops_or_cells * self.spec.dim * np.dtype(self.dtype).itemsize)
        target = np.lib.format.open_memmap(
            temporary, mode="w+", dtype=self.dtype, shape=(rows, self.spec.crops_or_cells, self.spec.dim)
        )
        try:
            reserve(temporary)
        except OSError:
            temporary.unlink()
            raise
        offset = 0
        for name in order:
            with self._stored(name, parts) as (features, values):
                snippets = self._snippets(name, parts)
                for start in range(0, snippets, size):
                    rows_of = features[start : min(start + size, snippets)]
                    target[offset + start : offset + start + len(rows_of)] = rows_of
                    digest.update(rows_of.tobytes())
                drop_pages(target)
            videos.append(VideoEntry.from_json(values | {"name": name, "offset": offset, "snippets": snippets}))
            offset += snippets
        target.flush()
        del target
        array = self.folder / f"features-{digest.hexdigest()[:16]}.npy"
        temporary.replace(array)
        manifest = {
            "format": FORMAT,
            "spec": self.spec.as_json(),
            "dtype": self.dtype,
            "made_with": None if self.made_with is None else dict(self.made_with),
            "places": places_of(self.made_with, self.folder),
            "array": array.name,
            "array_sha256": digest.hexdigest(),
            "videos": [video.as_json() for video in videos],
        }
        write_json(self.folder / MANIFEST, manifest)
        for old in self.folder.glob("features-*.npy"):
            if old != array:
                old.unlink()
        shutil.rmtree(self._parts)
        return FeatureSet.open(self.folder)

    def _part(self, name: str) -> Path:
        return self._parts / _part_file(name)

    def _part_names(self) -> dict[str, _Part]:
        parts = {}
        for path in sorted(self._parts.glob("*.safetensors")):
            if path.name.startswith("."):
                continue  # what a killed process left half-written
            try:
                part = _read_part(path, self.spec, self.dtype)
                parts[part.name] = part
            except _BROKEN_PART as error:
                raise UserError(f"{path} is damaged ({error}); delete it and run again") from error
        return parts

    @contextmanager
    def _stored(self, name: str, parts: Mapping[str, _Part]) -> Iterator[tuple[Any, dict[str, Any]]]:
        """Something that gives rows when it is sliced, and what else is known of the video."""
        if name in parts:
            with safe_open(parts[name].path, framework="numpy") as file:
                yield file.get_slice("features"), parts[name].facts
        else:
            assert self._before is not None
            yield self._before.read(name), self._before.videos[name].as_json()

    def _snippets(self, name: str, parts: Mapping[str, _Part]) -> int:
        if name in parts:
            return parts[name].snippets
        assert self._before is not None
        return self._before.videos[name].snippets

    def _refuse_other_spec(self) -> None:
        file = self._parts / "spec.json"
        if self._before is not None:
            differences = self._before.spec.differences(self.spec)
            if read_manifest(self.folder)["dtype"] != self.dtype:
                differences.append(f"dtype: {read_manifest(self.folder)['dtype']!r}, {self.dtype!r}")
        elif file.exists() and any(self._parts.glob("*.safetensors")):  # begun, with something in it
            values = read_json(file, "what was begun", "delete the folder", _begun)
            dtype = values.pop("dtype")
            differences = FeatureSpec.from_json(values).differences(self.spec)
            differences += [] if dtype == self.dtype else [f"dtype: {dtype!r}, {self.dtype!r}"]
        else:
            differences = []
        if differences:
            raise UserError(
                f"{self.folder} holds features of another kind (there, asked for):\n{problem_list(differences)}\n"
                "Choose another folder, or delete that one"
            )
