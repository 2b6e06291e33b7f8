"""What a catalogue is: an immutable list of videos with unique names, and what is known of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, overload

from pretrain.data.remote.address import plain_addresses
from pretrain.errors import UserError, problem_list
from pretrain.names import same_form

if TYPE_CHECKING:
    from pretrain.data.video import VideoInfo

SPLITS = ("train", "test")


@dataclass(frozen=True, slots=True)
class Box:
    """A box around an anomaly in one frame: pixels, `x2` and `y2` exclusive, frames counted from 0."""

    frame: int
    x1: float
    y1: float
    x2: float
    y2: float
    track: int = 0


@dataclass(frozen=True, slots=True)
class Video:
    """One video of a catalogue.

    `name` is its unique key: the file name without folder and suffix unless a dataset says otherwise.
    """

    name: str
    path: str
    """A video file or a folder of frames; or an address, or a member of a tar file (`pretrain.data.remote`). A string,
    not a `Path`: a catalogue may hold a million of them."""
    label: int | None = None
    """1 = contains an anomaly somewhere, 0 = normal, None = unknown."""
    split: str = "train"
    """`train` or `test`."""
    class_name: str | None = None
    group: str | None = None
    """The camera, scene or source it comes from, where known. Validation parts are carved by group."""
    spans: tuple[tuple[int, int], ...] = ()
    """Anomalous frames as half-open spans `[start, end)`, counted from 0; sorted and disjoint."""
    boxes: tuple[Box, ...] = ()
    num_frames: int | None = None
    """As the annotations state it, where they do: a claim to check against the file, never a measurement."""
    fps: float | None = None
    measured: VideoInfo | None = None
    """What was measured of these very bytes when they were packed (kind `shards`): no file need be opened for it."""


class Catalogue(Sequence[Video]):
    """An immutable list of videos; names are unique and `split` is `train` or `test`.

    Raises UserError listing all problems at once.
    """

    def __init__(self, videos: Sequence[Video], source: str) -> None:
        self._videos = tuple(videos)
        self.source = source
        self._by_name = {video.name: index for index, video in enumerate(self._videos)}
        problems = [
            f"'{v.name}': split '{v.split}' is neither 'train' nor 'test'" for v in videos if v.split not in SPLITS
        ]
        if len(self._by_name) < len(self._videos):
            first: dict[str, Video] = {}
            for video in self._videos:
                if video.name in first:
                    both = plain_addresses(f"{first[video.name].path} and {video.path}")
                    problems.append(f"two videos named '{video.name}': {both}")
                first.setdefault(video.name, video)
        if problems:
            raise UserError(f"{len(problems)} problem(s) in {source}:\n{problem_list(problems)}")

    def __len__(self) -> int:
        return len(self._videos)

    def __iter__(self) -> Iterator[Video]:
        return iter(self._videos)

    @overload
    def __getitem__(self, index: int) -> Video: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Video, ...]: ...
    def __getitem__(self, index: int | slice) -> Video | tuple[Video, ...]:
        return self._videos[index]

    def by_name(self, name: str) -> Video:
        """The video of that name; KeyError if there is none."""
        return self._videos[self._by_name[name]]

    def subset(self, split: str) -> Catalogue:
        """The videos of one split, in order. An unknown split is a ValueError, not an empty catalogue."""
        if split not in SPLITS:
            raise ValueError(f"split '{split}' is neither 'train' nor 'test'")
        return Catalogue([video for video in self._videos if video.split == split], f"{self.source} ({split})")

    def without(self, names: set[str]) -> Catalogue:
        """The catalogue less the videos of these names (a quarantine list); names it does not hold are ignored.

        One that it holds in another Unicode form alone is that one: lists from macOS have letters decomposed.
        """
        others = {same_form(name) for name in names if not name.isascii() and name not in self._by_name}
        left = [v for v in self._videos if v.name not in names and not (others and same_form(v.name) in others)]
        return Catalogue(left, self.source)


@dataclass(frozen=True, kw_only=True)
class CatalogueConfig:
    """Where the videos are and what is known of them."""

    kind: str = "folder"
    """folder, csv, json, shards, or a dataset: ucf_crime, xd_violence, shanghaitech, ... (a wrong name is told all)."""
    root: Path = Path("data")
    """The folder that holds the videos (for csv and json: paths in the file are relative to it); or an address of one
    (s3://BUCKET/FOLDER, ...), or a tar file, or a folder of tar files (docs/remote.md)."""
    annotations: Path | None = None
    """The dataset's own list files (a folder), or the CSV or JSON file; or its address. Default: beside the videos."""
    allow_missing: bool = False
    """Leave out listed videos that are not on disk, with a count in the log. Otherwise they are an error."""
    check_files: bool = True
    """Look whether listed videos exist. Off, for those who have lists and features but no videos: `path` is what the
    list says (or root/name), nothing is looked for, and root need not exist where annotations is given. Not for
    folder, and for xd_violence only with a train_videos.txt: both learn their videos from the files alone."""


def cameras_of(videos: Iterable[Video]) -> dict[str, str]:
    """The `group` of each video, by its name, where it is known."""
    return {video.name: video.group for video in videos if video.group is not None}


def merge_spans(spans: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Half-open spans in any order -> the same frames as sorted, disjoint, non-touching half-open spans."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)
