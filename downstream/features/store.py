"""A feature set on disk: one memory-mappable array of all snippets, and a manifest that says what they are.

    FOLDER/manifest.json            format, spec, the encoder's settings, name of the array file, one entry a video
    FOLDER/features-3f2a90....npy   (total snippets, crops or cells, dim), float16 or float32

The manifest is renamed into place last and names the array by its own hash: a kill at any moment leaves the old set or
the new one. While a set is being made, finished videos lie in `FOLDER/parts/`, one file each, so that making it can go
on after a kill and several processes can share the work.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray

from downstream.features.feature_spec import FeatureSpec, VideoEntry
from downstream.features.places import PLACES, Places
from downstream.features.record_shapes import ENTRY, SPEC
from downstream.features.set_parts import not_finite
from pretrain.arrays import map_array
from pretrain.errors import UserError, problem_list
from pretrain.json_shapes import WrongShape, check, mapping, one_of, optional, record, sequence, text
from pretrain.path_words import what_is_at
from pretrain.reading import own_file
from pretrain.versioned_json import LIST_BYTES, read_versioned_json

FORMAT = "anomaly-pretext/features/2"
MANIFEST = "manifest.json"
DTYPES = ("float16", "float32")
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
