"""A plain folder of videos, nested in any way.

ROOT/anything/street.mp4             unknown label, train
ROOT/normal/a.mp4  ROOT/abnormal/b/  labels from the top folder (b/ is a folder of frames)
ROOT/train/normal/a.mp4              split and label, in either order: normal/train/ is as good
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pretrain.data.catalogue import SPLITS, Catalogue, CatalogueConfig, Video
from pretrain.data.catalogues.disk import exact_name, no_videos, require_root, video_name, walk_videos
from pretrain.data.catalogues.problems import Problems
from pretrain.data.catalogues.trees import relative_folder
from pretrain.data.remote.address import base_name, is_remote, local_root, place_text
from pretrain.errors import UserError

_LABELS = {"normal": 0, "abnormal": 1}


def open_folder(config: CatalogueConfig) -> Catalogue:
    """All videos under `config.root`. What lies in neither `train/` nor `test/` is train.

    UserError: no such folder, no video in it, check_files off, or two videos of one name (all such pairs are listed).
    """
    if not config.check_files:
        raise UserError(
            "catalogue kind 'folder' knows its videos from their files alone, so check_files cannot be off; without the"
            " videos give a list of them: kind csv or json with annotations set to the file"
        )
    require_root(config.root)
    videos = _told_apart(list(_videos(config.root)))
    if not videos:
        raise no_videos(config.root)
    source = f"folder {place_text(config.root)}"
    problems = Problems(source)
    first: dict[str, Video] = {}
    for video in videos:
        other = first.setdefault(video.name, video)
        if other is not video:
            problems.add(f"two videos named '{video.name}': {other.path} and {video.path}; rename one (names are keys)")
    problems.stop_if_any()
    return Catalogue(videos, source)


def _told_apart(videos: list[Video]) -> list[Video]:
    """Two files whose names differ in their Unicode form alone are two videos, each named as its file is."""
    if len(counts := Counter(video.name for video in videos)) == len(videos):
        return videos
    return [
        video if counts[video.name] == 1 else replace(video, name=exact_name(base_name(video.path))) for video in videos
    ]


def _videos(root: Path) -> Iterator[Video]:
    known: dict[str, tuple[int | None, str]] = {}
    for path in walk_videos(root):
        folder = relative_folder(path, root) if is_remote(path) else path.rpartition("/")[0]
        if folder not in known:
            known[folder] = _label_and_split(folder if is_remote(path) else relative_folder(path, root))
        label, split = known[folder]
        # The root itself may be the one folder of frames, written as `.` or with `..` in it.
        own = path == str(local_root(root))
        name = os.path.basename(os.path.abspath(path)) if own else video_name(base_name(path))
        yield Video(name, path, label, split)


def _label_and_split(folder: str) -> tuple[int | None, str]:
    """From the first two folders below the root, in either order, in any case."""
    label: int | None = None
    split: str | None = None
    for part in folder.lower().split(os.sep)[:2]:
        if label is None and part in _LABELS:
            label = _LABELS[part]
        elif split is None and part in SPLITS:
            split = part
        else:
            break
    return label, split or "train"
