"""What a user points at: video files, folders of them, folders of frames; or a stream, which never ends."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pretrain.addresses import URL, is_open_address, may_be_address, shown
from pretrain.data.catalogues.disk import VIDEO_SUFFIXES, is_video_name, no_videos, video_name, walk_videos
from pretrain.data.catalogues.trees import is_elsewhere, relative_folder
from pretrain.data.remote import is_remote
from pretrain.data.remote.address import base_name
from pretrain.errors import UserError, problem_list

FILMS = "films"
"""Of a folder of results, where its own videos lie."""


def is_stream(text: str) -> bool:
    """Whether it is a URL, or a device such as /dev/video0. An address of a store of files (s3://...) is none."""
    if URL.match(text):
        return not is_open_address(text)
    try:
        return stat.S_ISCHR(os.stat(text).st_mode)
    except (OSError, ValueError):  # ValueError: a NUL in it
        return False


def find_videos(inputs: Sequence[str], out: Path | None = None) -> list[tuple[str, str]]:
    """`(name, path)` of every video: of a file its own name, of a folder's the way from there, less the suffix.

    A file or folder may lie in a store, or in a tar file. `out`: a folder of results, whose films are no inputs where
    it lies in one that is.

    Names are unique: where two would be one, both keep their suffix, or the whole path. UserError: nothing there, a
    folder without videos, a stream beside other inputs.
    """
    problems = [f"'{shown(text)}' is a stream; give it alone" for text in inputs if is_stream(text)]
    here = [text for text in inputs if not is_stream(text) and not is_remote(text)]
    problems += [_missing(text) for text in here if not os.path.exists(text)]
    if problems:
        raise UserError(f"{len(problems)} input(s) cannot be scored:\n{problem_list(problems)}")
    by_place: dict[str, tuple[str, str]] = {}
    for text in inputs:
        if is_remote(text) or is_elsewhere(Path(text)):
            by_place |= {path: (relative, path) for relative, path in _elsewhere(text)}
            continue
        if not os.path.isdir(text):
            by_place[os.path.realpath(text)] = (os.path.basename(text), text)
            continue
        paths = [path for path in walk_videos(Path(text)) if not _is_result(path, text, out)]
        if not paths:
            raise no_videos(Path(text))
        is_frames = paths == [str(Path(text))]  # the walk leaves `./` and a last `/` out
        root = os.path.dirname(os.path.abspath(text)) if is_frames else text
        for path in paths:
            by_place[os.path.realpath(path)] = (os.path.relpath(path, root), path)
    return _unique(list(by_place.values()))


def _is_result(path: str, folder: str, out: Path | None) -> bool:
    """Whether a video that was found in `folder` is of an earlier call, which wrote to `out`."""
    if out is None:
        return False
    given, results = Path(os.path.realpath(folder)), Path(os.path.realpath(out))
    if given == results:
        results /= FILMS
    return results != given and results not in given.parents and results in Path(os.path.realpath(path)).parents


def _elsewhere(text: str) -> list[tuple[str, str]]:
    """`(way from there, path)` of a video, or of those below a folder, in a store or a tar file."""
    if is_remote(text) and is_video_name(base_name(text)):
        return [(base_name(text), text)]
    found = [(relative_folder(path, Path(text)), path) for path in walk_videos(Path(text))]
    if not found:
        raise no_videos(Path(text))
    return [(os.path.normpath(os.path.join(folder, base_name(path))), path) for folder, path in found]


def _missing(text: str) -> str:
    if may_be_address(text):
        return f"'{shown(text)}' is no file, and not written like an address (rtsp://host/path)"
    return f"there is no '{text}'"


def _unique(videos: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Of three names the shortest that is nobody else's: without the suffix, with it, the path as given."""
    paths = [path for _, path in videos]
    names = [_without_suffix(relative) for relative, _ in videos]
    for longer in ([relative for relative, _ in videos], paths):
        counts = Counter(names)
        names = [more if counts[name] > 1 else name for name, more in zip(names, longer, strict=True)]
    # a path can be another video's short name
    return list(zip(names if len(set(names)) == len(names) else paths, paths, strict=True))


def _without_suffix(relative: str) -> str:
    folder, base = os.path.split(relative)
    is_video = os.path.splitext(base)[1].lower() in VIDEO_SUFFIXES
    return os.path.join(folder, video_name(base)) if is_video else relative
