"""The tests of benchmarks/real_cctv.py and the footage that networks are pretrained on, out of ../shared/real.

A test's catalogue holds labels, groups and spans, and is for scoring alone. What is trained on is written to files of
its own: `unlabelled` for pretraining and extraction, `fold` with labels of videos and no span.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.real_footage import FORMAT, read_json
from pretrain.data.catalogue import Catalogue, Video
from pretrain.data.video import frame_times, probe
from pretrain.errors import UserError
from pretrain.files import write_json

SUFFIXES = (".mp4", ".avi")


@dataclass(frozen=True, kw_only=True)
class RealTest:
    """One test of the benchmark."""

    name: str
    title: str
    """For tables."""
    videos: Catalogue
    """Labels, groups, spans and lengths; of split train is what is normal and may be learnt from (Ped2 alone)."""
    groups: str
    """What a group is: intervals are over these, and folds never part one."""
    snippet_frames: int = 16
    """About 0.7 seconds, as 16 frames are at 25 a second."""
    clip_stride: int | None = None
    """Of the network's clips; None: its own."""
    whole_clips: bool = False
    """Clips have a label and no times: one score a clip."""
    cross_validated: bool = False
    """Detectors learn from labels of videos, in folds that part no group."""


def fights(data: Path) -> RealTest:
    """All 87 streams; a group is the source of a stream's clips."""
    folder, videos = data / "fight_streams", []
    for part in ("train", "dev"):
        for name, truth in read_json(folder / f"{part}_ground_truth.json").items():
            spans = truth["intervals_0based_halfopen"]
            videos.append(
                video(folder / "videos" / f"{name}.mp4", truth["label"], truth["group"], spans, truth["frames"], 25.0)
            )
    return RealTest(
        name="fights", title="fight streams", videos=Catalogue(videos, "fights"), groups="source", cross_validated=True
    )


def vioperu(data: Path) -> RealTest:
    """Clips of municipal cameras; a group is a camera."""
    folder = data / "vioperu"
    videos = [
        video(folder / f"{name}.mp4", truth["label"], truth["camera"])
        for name, truth in read_json(folder / "truth.json").items()
    ]
    return RealTest(
        name="vioperu",
        title="VioPeru clips",
        videos=Catalogue(videos, "vioperu"),
        groups="camera",
        whole_clips=True,
        cross_validated=True,
    )


def ped2(data: Path) -> RealTest:
    """One camera at 10 frames a second: normal training clips, and the test clips that are given."""
    folder, videos = data / "ucsd_ped2", []
    for name, truth in read_json(folder / "truth.json").items():
        label = int(bool(truth["spans"]))
        videos.append(
            video(folder / f"{name}.mp4", label, name, truth["spans"], truth["frames"], 10.0, split=truth["split"])
        )
    return RealTest(
        name="ped2",
        title="UCSD Ped2",
        videos=Catalogue(videos, "ped2"),
        groups="clip",
        snippet_frames=8,
        clip_stride=1,
    )


def road_accidents(data: Path) -> RealTest:
    """Road cameras at 5 frames a second."""
    folder = data / "road_accidents"
    videos = [
        video(folder / f"{name}.mp4", int(bool(truth["spans"])), name, truth["spans"], truth["frames"], 5.0)
        for name, truth in read_json(folder / "truth.json").items()
    ]
    catalogue = Catalogue(videos, "road_accidents")
    return RealTest(
        name="road_accidents",
        title="road accidents",
        videos=catalogue,
        groups="clip",
        snippet_frames=4,
        clip_stride=1,
    )


def falls(data: Path) -> RealTest:
    """Staged indoors, times in seconds. There are three persons only: intervals are over clips."""
    folder, videos = data / "falls", []
    for name, truth in read_json(folder / "truth.json").items():
        path = folder / f"{name}.mp4"
        info, times = probe(str(path)), frame_times(str(path))
        spans = [tuple(np.searchsorted(times, span).tolist()) for span in truth["fall_seconds"]]
        videos.append(video(path, truth["label"], name, spans, info.num_frames, info.fps))
    return RealTest(name="falls", title="falls", videos=Catalogue(videos, "falls"), groups="clip")


TESTS: dict[str, Callable[[Path], RealTest]] = {
    "fights": fights,
    "vioperu": vioperu,
    "ped2": ped2,
    "road_accidents": road_accidents,
    "falls": falls,
}


def open_tests(data: Path) -> dict[str, RealTest]:
    """All tests by name; UserError where the footage, or a part of it, is not there."""
    if not data.is_dir():
        raise UserError(f"the real footage is not at {data}: set --data to its folder")
    try:
        return {name: open_test(data) for name, open_test in TESTS.items()}
    except FileNotFoundError as error:
        raise UserError(
            f"{error.filename} is not there: {data} is not the whole of the real footage; set --data to its folder"
        ) from error


def video(
    path: Path,
    label: int,
    group: str,
    spans: Iterable[Sequence[int]] = (),
    frames: int | None = None,
    fps: float | None = None,
    split: str = "test",
) -> Video:
    """One video of a test."""
    if not path.is_file():
        raise FileNotFoundError(2, "no such file", str(path))
    last = frames or 0
    inside = tuple((int(start), min(int(end), last)) for start, end in spans if start < last)
    return Video(
        name=path.stem, path=str(path), label=label, split=split, group=group, spans=inside, num_frames=frames, fps=fps
    )


def footage(data: Path, tests: Mapping[str, RealTest], without: str) -> list[Video]:
    """What networks scored on the test `without`, and on the foreign tests, are pretrained on: no label, no span.

    Hockey, surveillance, Ped2's normal training clips, and of fight streams and VioPeru the one that is not scored.
    """
    if without not in ("fights", "vioperu"):
        raise ValueError(f"footage without '{without}'")
    pool = [
        Video(name=f"{folder}/{path.stem}", path=str(path))
        for folder in ("hockey", "surveillance")
        for path in sorted((data / folder).glob("*"))
        if path.suffix in SUFFIXES
    ]
    other = "vioperu" if without == "fights" else "fights"
    learnt = [*(("ped2", entry) for entry in tests["ped2"].videos if entry.split == "train")]
    learnt += [(other, entry) for entry in tests[other].videos]
    return pool + [Video(name=f"{name}/{entry.name}", path=entry.path, group=entry.group) for name, entry in learnt]


def write_unlabelled(path: Path, videos: Iterable[Video]) -> None:
    """A catalogue file that says where videos lie and which belong together, and nothing else."""
    write_catalogue(path, {entry.name: {"path": entry.path, "group": entry.group} for entry in videos})


def write_fold(path: Path, videos: Iterable[Video], held_out: set[str]) -> None:
    """A catalogue file with labels and without spans; videos of the groups `held_out` are its test split."""
    write_catalogue(
        path,
        {
            entry.name: {
                "path": entry.path,
                "label": entry.label,
                "group": entry.group,
                "split": "test" if entry.group in held_out else "train",
            }
            for entry in videos
        },
    )


def write_catalogue(path: Path, videos: Mapping[str, Mapping[str, Any]]) -> None:
    """Our JSON form."""
    write_json(path, {"format": FORMAT, "videos": {name: dict(entry) for name, entry in videos.items()}})


def folds(videos: Sequence[Video], count: int, seed: int = 0) -> list[set[str]]:
    """`count` sets of groups that share no group and hold about the same number of videos of either class.

    The largest groups first, each to the fold that is then most even; equal ones in an order drawn by the seed. The
    same for any order of the videos. UserError where there are fewer groups than folds.
    """
    sizes: dict[str, list[int]] = {}
    for entry in videos:
        sizes.setdefault(str(entry.group), [0, 0])[int(entry.label or 0)] += 1
    if len(sizes) < count:
        raise UserError(f"{len(sizes)} group(s) of videos cannot be shared out over {count} folds")
    names = sorted(sizes)
    drawn = np.random.default_rng(seed).permutation(len(names))
    order = sorted(drawn.tolist(), key=lambda index: -sum(sizes[names[index]]))
    loads, parts = np.zeros((count, 2)), [set[str]() for _ in range(count)]
    for index in order:
        size = np.array(sizes[names[index]])
        # to where the sum of squares grows least
        fold = int(np.argmin((loads * size).sum(axis=1) + 1e-6 * loads.sum(axis=1)))
        loads[fold] += size
        parts[fold].add(names[index])
    return parts


def few(test: RealTest, per_class: int) -> RealTest:
    """The test with a few videos of each class and split, of as many groups as there are, for `--quick`."""
    met: dict[str | None, int] = {}
    turns = {}
    for entry in test.videos:
        turns[entry.name] = met[entry.group] = met.get(entry.group, 0) + 1
    taken: dict[tuple[str, int | None], int] = {}
    kept = []
    for entry in sorted(test.videos, key=lambda entry: turns[entry.name]):
        kind = (entry.split, entry.label)
        taken[kind] = taken.get(kind, 0) + 1
        if taken[kind] <= per_class:
            kept.append(entry)
    return replace(test, videos=Catalogue(kept, test.name))


def few_videos(videos: Sequence[Video], per_folder: int) -> list[Video]:
    """The smallest files of each folder, for `--quick`."""
    folders: dict[str, list[Video]] = {}
    for entry in sorted(videos, key=lambda entry: (Path(entry.path).stat().st_size, entry.name)):
        folders.setdefault(entry.name.partition("/")[0], []).append(entry)
    return [entry for own in folders.values() for entry in own[:per_folder]]
