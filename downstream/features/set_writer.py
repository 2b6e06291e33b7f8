"""Making a feature set, video by video, by one process or many, and going on with one that was begun."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from downstream.features.feature_spec import FeatureSpec, VideoEntry
from downstream.features.places import places_of
from downstream.features.record_shapes import SPEC
from downstream.features.scratch import drop_pages
from downstream.features.set_parts import BROKEN_PART, Part, block_rows, not_finite, part_file, read_part, write_part
from downstream.features.store import DTYPES, FORMAT, MANIFEST, FeatureSet, read_manifest
from pretrain.errors import UserError, nearest, problem_list
from pretrain.files import replacing, reserve, write_json
from pretrain.json_shapes import one_of, record
from pretrain.leftovers import is_temporary, temporary_path
from pretrain.names import written
from pretrain.versioned_json import read_json

logger = logging.getLogger(__name__)
SPEC_FILE = "spec.json"
OWN_ARRAY = re.compile(r"features-[0-9a-f]{16}\.npy")
"""Names that arrays of sets have; a user's files may begin alike."""


def _begun(value: Any) -> None:
    """A spec beside the type of its numbers."""
    record({"dtype": one_of(*DTYPES)})(value)
    SPEC({key: field for key, field in value.items() if key != "dtype"})


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
        self._refuse_other_parts()
        self._parts.mkdir(parents=True, exist_ok=True)
        write_json(self._parts / SPEC_FILE, spec.as_json() | {"dtype": dtype})

    def has(self, name: str) -> bool:
        """Whether that video is done: a part of its own, or in the finished set."""
        if (part := self._part(name)).exists():
            try:
                read_part(part, self.spec, self.dtype)
                return True
            except BROKEN_PART as error:
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
            write_part(temporary, features, self.dtype, meta)

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
            self._remove_parts()
            if self._before is None:
                raise UserError(f"no video has features, {self.folder} stays empty; see the messages above")
            return self._before
        array, sha256, videos = self._join(order, parts)
        manifest = {
            "format": FORMAT,
            "spec": self.spec.as_json(),
            "dtype": self.dtype,
            "made_with": None if self.made_with is None else dict(self.made_with),
            "places": places_of(self.made_with, self.folder),
            "array": array.name,
            "array_sha256": sha256,
            "videos": [video.as_json() for video in videos],
        }
        write_json(self.folder / MANIFEST, manifest)
        for old in self.folder.glob("features-*.npy"):
            if old != array and OWN_ARRAY.fullmatch(old.name):
                old.unlink()
        self._remove_parts()
        return FeatureSet.open(self.folder)

    def _remove_parts(self) -> None:
        """The folder of parts, but for what others put there; last of all what says that it is one."""
        for path in self._parts.iterdir():
            if path.suffix == ".safetensors" or is_temporary(path):
                path.unlink()
        (self._parts / SPEC_FILE).unlink()
        with suppress(OSError):  # there is something of others
            self._parts.rmdir()

    def _refuse_other_parts(self) -> None:
        """UserError where a folder of that name is not a feature set's."""
        if not (self._parts / SPEC_FILE).exists() and self._parts.exists():
            others = [path for path in self._parts.iterdir() if not is_temporary(path)]
            if others:
                raise UserError(
                    f"{self._parts} holds '{others[0].name}' and is no folder of a feature set that was begun: choose "
                    "another folder for the features"
                )

    def _join(self, order: Sequence[str], parts: Mapping[str, Part]) -> tuple[Path, str, list[VideoEntry]]:
        """All videos' numbers in one array, named by its hash: its path, the hash, where videos lie in it."""
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
        sha256 = digest.hexdigest()
        array = self.folder / f"features-{sha256[:16]}.npy"
        temporary.replace(array)
        return array, sha256, videos

    def _part(self, name: str) -> Path:
        return self._parts / part_file(name)

    def _part_names(self) -> dict[str, Part]:
        parts = {}
        for path in sorted(self._parts.glob("*.safetensors")):
            if path.name.startswith("."):
                continue  # what a killed process left half-written
            try:
                part = read_part(path, self.spec, self.dtype)
                parts[part.name] = part
            except BROKEN_PART as error:
                raise UserError(f"{path} is damaged ({error}); delete it and run again") from error
        return parts

    @contextmanager
    def _stored(self, name: str, parts: Mapping[str, Part]) -> Iterator[tuple[Any, dict[str, Any]]]:
        """Something that gives rows when it is sliced, and what else is known of the video."""
        if name in parts:
            with safe_open(parts[name].path, framework="numpy") as file:
                yield file.get_slice("features"), parts[name].facts
        else:
            assert self._before is not None
            yield self._before.read(name), self._before.videos[name].as_json()

    def _snippets(self, name: str, parts: Mapping[str, Part]) -> int:
        if name in parts:
            return parts[name].snippets
        assert self._before is not None
        return self._before.videos[name].snippets

    def _refuse_other_spec(self) -> None:
        file = self._parts / SPEC_FILE
        if self._before is not None:
            differences = self._before.spec.differences(self.spec)
            there = read_manifest(self.folder)
            if there["dtype"] != self.dtype:
                differences.append(f"dtype: {there['dtype']!r}, {self.dtype!r}")
            was, now = ((made or {}).get("precision") for made in (there.get("made_with"), self.made_with))
            if was and now and was != now:
                differences.append(f"precision: {was!r}, {now!r}")
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
