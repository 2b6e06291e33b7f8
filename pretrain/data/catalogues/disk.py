"""Which videos lie under a folder: video files, and folders that hold frames. One walk, no `stat` per file."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pretrain.data.catalogue import CatalogueConfig, Video
from pretrain.data.catalogues.left_alone import LeftAlone, is_system_folder
from pretrain.data.catalogues.listed_paths import in_other_form
from pretrain.data.catalogues.problems import Problems
from pretrain.data.catalogues.trees import (
    DiskTree,
    ListedTree,
    TarFiles,
    Tree,
    in_tars,
    is_elsewhere,
    names_at,
    tree_of,
)
from pretrain.data.remote.address import (
    TAR,
    base_name,
    folder_name,
    is_remote,
    joined,
    local_root,
    parse,
    place_text,
    plain_addresses,
    root_text,
)
from pretrain.errors import UserError
from pretrain.names import NOT_UTF8, KnownNames, same_form

VIDEO_SUFFIXES = frozenset((
    ".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".ts", ".flv", ".wmv", ".3gp", ".gif",
    ".mts", ".m2ts", ".m2t", ".mp2t", ".trp", ".tp", ".mod", ".tod", ".vob", ".evo", ".mxf", ".gxf", ".dv", ".dif",
    ".dav", ".264", ".h264", ".avc", ".265", ".h265", ".hevc", ".m1v", ".m2v", ".mpv", ".mpe", ".mjpeg", ".mjpg",
    ".asf", ".f4v", ".3g2", ".3gpp", ".ogv", ".ogm", ".divx", ".xvid", ".rm", ".rmvb", ".m4s", ".cmfv", ".wtv",
    ".dvr-ms", ".ivf", ".obu", ".y4m", ".nut", ".nsv", ".amv", ".qt", ".mj2",
))  # fmt: skip
"""Endings of files that FFmpeg opens. (Whether one can be read is said when it is.)"""
IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".webp", ".jp2", ".ppm", ".pgm", ".pnm")
)
LIST_SUFFIXES = frozenset((".txt", ".csv", ".tsv", ".json", ".mat", ".npy", ".npz", ".xml", ".md", ".pdf"))
"""Endings of the lists and annotations that come with a dataset."""
_NOT_UTF8 = "; its bytes are not UTF-8: where the list is not CSV text in UTF-8 (or JSON), save it as such"


def video_name(file_name: str) -> str:
    """A video's key: its file name less a known video suffix, in one Unicode form.

    Other dots stay (`Bad.Boys.1995__#00-26-51_label_A`); NFC because some file systems return names decomposed.
    """
    return same_form(exact_name(file_name))


def exact_name(file_name: str) -> str:
    """A file name less a known video suffix, in the Unicode form that the disk has it in."""
    base, dot, suffix = file_name.rpartition(".")
    return base if base and dot + suffix.lower() in VIDEO_SUFFIXES else file_name


def _suffix(file_name: str) -> str:
    return "." + file_name.rpartition(".")[2].lower()


def require_root(root: Path) -> None:
    """UserError unless `root` is a folder, or a tar file; an address says by itself what is wrong with it."""
    if is_elsewhere(root):
        return
    root = local_root(root)
    if not root.exists():
        raise UserError(f"the video folder '{root}' does not exist; give the folder of the videos (--catalogue.root)")
    if not root.is_dir():
        raise UserError(f"'{root}' is a file; give the folder of the videos (--catalogue.root)")


def walk_videos(root: Path, beside: frozenset[str] = frozenset()) -> Iterator[str]:
    """Paths of all videos under `root` in sorted order: video files, and folders of frames.

    A folder of frames holds images, no video file and no folder (a stray thumbnail beside videos makes no video).
    Linked folders are followed, each real folder once. Skipped are hidden entries, folders of systems (`@eaDir`), and
    pixel masks in the manner of UCSD (`Test001_gt` beside `Test001`). What was left alone is told at the end, with what
    may be several videos taken as one; `beside` are endings that belong beside videos, of which there is nothing to
    tell. Where no video lies outside of tar files, those in them count. UserError for what cannot be read.
    """
    left, tars, found = LeftAlone(), list[str](), False
    for path in _walk(tree_of(root, is_video_name), beside, left, tars):
        found = True
        yield path
    if tars and not found:
        yield from _walk(ListedTree(str(local_root(root)), in_tars(tars)), beside, left, [])
    else:
        for tar in tars:
            left.add_file(os.path.basename(tar))
    left.say(place_text(root))


def _walk(tree: Tree, beside: frozenset[str], left: LeftAlone, tars: list[str]) -> Iterator[str]:
    """The videos of one tree; its tar files go to `tars`."""
    pending = [tree.top]
    seen: set[Hashable] = set()
    while pending:
        folder = pending.pop()
        identity = tree.identity(folder)
        if identity is None or identity in seen:
            continue
        seen.add(identity)
        folders, files = _entries(tree, folder, left)
        videos = [name for name in files if is_video_name(name)]
        yield from (tree.path(folder, name) for name in videos)
        images = [] if videos or folders else [name for name in files if _suffix(name) in IMAGE_SUFFIXES]
        if images and isinstance(tree, DiskTree):
            yield folder
            left.add_series(folder, images)
        elif images:
            left.add_frames(folder)
        taken = {*videos, *images}
        for name in files:
            if _suffix(name) == TAR and isinstance(tree, DiskTree):
                tars.append(tree.path(folder, name))
            elif name not in taken and _suffix(name) not in beside:
                left.add_file(name)
        masks = {name for name in folders if name.endswith("_gt") and name[:-3] in folders}
        for name in masks:
            left.add_folder(name)
        pending += [tree.path(folder, name) for name in reversed(folders) if name not in masks]


def is_video_name(name: str) -> bool:
    """Whether a file of that name is a video, by its ending."""
    return _suffix(name) in VIDEO_SUFFIXES


def _entries(tree: Tree, folder: str, left: LeftAlone) -> tuple[list[str], list[str]]:
    """Sorted names of the folders and files in `folder` that may be videos."""
    folders: list[str] = []
    files: list[str] = []
    for name, is_folder in tree.entries(folder):
        if is_folder and (name.startswith(".") or is_system_folder(name)):
            left.add_folder(name)
        elif is_folder:
            folders.append(name)
        elif not name.startswith("."):
            files.append(name)
        elif _suffix(name) in VIDEO_SUFFIXES | IMAGE_SUFFIXES:
            left.add_file(name)
    return sorted(folders), sorted(files)


class OnDisk:
    """The videos under one root by name, for datasets whose lists name videos without saying where they lie."""

    def __init__(self, root: Path) -> None:
        require_root(root)
        self.root = root
        self._paths: dict[str, list[str]] = {}
        self._known: KnownNames | None = None
        for path in walk_videos(root, LIST_SUFFIXES):
            self._paths.setdefault(video_name(base_name(path)), []).append(path)
        if not self._paths:
            raise no_videos(root)

    def names(self) -> list[str]:
        """Every name found, in the walk's order."""
        return list(self._paths)

    def has(self, name: str) -> bool:
        """Whether a video of that name was found."""
        return video_name(name) in self._paths

    def locate(self, name: str, where: str, problems: Problems, folder: str = "", listed: str = "") -> str | None:
        """The one path of `name`, wherever it is `listed`; otherwise None, and the problem is added, at `where`.

        Of several files of that name, those in a folder called `folder` win (UCF-Crime's archive holds 50 videos
        twice), then a video file over folders of frames (ShanghaiTech users often keep both).
        """
        candidates = self._paths.get(video_name(name), [])
        for wanted in (lambda path: folder_name(path) == folder, _is_file):
            if len(candidates) > 1:
                candidates = [path for path in candidates if wanted(path)] or candidates
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            problems.add(
                f"{where}: {len(candidates)} videos named '{name}' ({', '.join(candidates)}); keep one of them"
            )
        else:
            self._known = self._known or KnownNames(self._paths)
            problems.missing(f"{where}: no video '{name}' under {place_text(self.root)}{self._known.hint(name)}")
        return None


class AsListed:
    """Stands in for `OnDisk` where nobody looks at the disk: every listed video lies where its list says."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def has(self, name: str) -> bool:
        """Always False: no file is known by its name."""
        return False

    def locate(self, name: str, where: str, problems: Problems, folder: str = "", listed: str = "") -> str:
        """ROOT/listed, or ROOT/name where the list says no more than a name."""
        return joined(root_text(self.root), listed or name)


Places = OnDisk | AsListed


def places(config: CatalogueConfig) -> Places:
    """Where listed videos lie: looked up under the root, or believed (`check_files`)."""
    return OnDisk(config.root) if config.check_files else AsListed(config.root)


def _is_file(path: str) -> bool:
    return is_remote(path) or os.path.isfile(path)


def no_videos(root: Path) -> UserError:
    """The error for a root without a single video; what there is instead was told by the walk."""
    others = len(VIDEO_SUFFIXES) - 5
    return UserError(
        f"no videos under '{place_text(root)}' (looked for .mp4 .avi .mkv .mov .ts and {others} other endings, "
        "and folders of images); give their folder"
    )


def check_listed(
    paths: list[str], where: Callable[[int], str], problems: Problems, root: Path | None = None
) -> list[str | None]:
    """Each path where it exists, by one directory listing per folder, else None; the missing go to `problems`.

    A path whose last name is there in another Unicode form alone is that file's. A folder that
    does not exist is one problem, however many of its videos are listed. What lies in no folder may lie in a tar file
    of the `root`. `where(index)` names the place of a path in the list, for the message.
    """
    in_tar = [is_remote(path) and bool(parse(path).member) for path in paths]
    by_folder: dict[str, list[int]] = {}
    for index, path in enumerate(paths):
        if not in_tar[index]:
            by_folder.setdefault(os.path.dirname(path), []).append(index)
    places: list[str | None] = list(paths)
    shards = TarFiles(root)
    for index in (number for number, is_member in enumerate(in_tar) if is_member):
        places[index] = shards.place_of(paths[index])
        if places[index] is None:
            problems.missing(f"{where(index)}: {plain_addresses(paths[index])} does not exist")
    for folder, indices in by_folder.items():
        present = names_at(folder)
        if present is None and not any(shards.has(paths[index]) for index in indices):
            shown = plain_addresses(folder)
            problems.missing(
                f"the folder '{shown}' does not exist ({len(indices)} listed video(s) in it)", len(indices)
            )
            for index in indices:
                places[index] = None
            continue
        known = None
        for index in indices:
            name = paths[index].rpartition("/")[2]
            if present is not None and name in present:
                continue
            other = in_other_form(name, present or set())
            places[index] = shards.under_root(paths[index]) if other is None else f"{folder or '.'}/{other}"
            if places[index] is None:
                known = known or KnownNames(sorted(present or ()))
                hint = _NOT_UTF8 if NOT_UTF8.search(name) else known.hint(name)
                problems.missing(f"{where(index)}: {plain_addresses(paths[index])} does not exist{hint}")
    return places


def at_places(videos: list[Video], places: Sequence[str | None]) -> list[Video]:
    """The videos that `check_listed` found, each at the path where it lies."""
    found = zip(videos, places, strict=True)
    return [video if video.path == path else replace(video, path=path) for video, path in found if path is not None]
