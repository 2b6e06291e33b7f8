"""Which videos lie under a folder: video files, and folders that hold frames. One walk, no `stat` per file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pretrain.data.catalogue import CatalogueConfig, Video
from pretrain.data.catalogues.left_alone import LeftAlone, is_system_folder
from pretrain.data.catalogues.listed_paths import in_other_form
from pretrain.data.catalogues.problems import Problems
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
    """UserError unless `root` is a folder."""
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
    tell. UserError for a folder that cannot be read.
    """
    pending, left = [str(root)], LeftAlone()
    seen: set[tuple[int, int]] = set()
    while pending:
        folder = pending.pop()
        identity = _identity(folder)
        if identity is None or identity in seen:
            continue
        seen.add(identity)
        folders, files = _entries(folder, left)
        videos = [name for name in files if _suffix(name) in VIDEO_SUFFIXES]
        yield from (os.path.join(folder, name) for name in videos)
        images = [] if videos or folders else [name for name in files if _suffix(name) in IMAGE_SUFFIXES]
        if images:
            yield folder
            left.add_series(folder, images)
        taken = {*videos, *images}
        for name in files:
            if name not in taken and _suffix(name) not in beside:
                left.add_file(name)
        masks = {name for name in folders if name.endswith("_gt") and name[:-3] in folders}
        for name in masks:
            left.add_folder(name)
        pending += [os.path.join(folder, name) for name in reversed(folders) if name not in masks]
    left.say(str(root))


def _identity(folder: str) -> tuple[int, int] | None:
    """Which real folder it is; None where it is gone by now."""
    try:
        status = os.stat(folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"cannot look at the folder '{folder}': {error.strerror}; mend its permissions") from error
    return status.st_dev, status.st_ino


def _entries(folder: str, left: LeftAlone) -> tuple[list[str], list[str]]:
    """Sorted names of the folders and files in `folder` that may be videos."""
    folders: list[str] = []
    files: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                is_folder = _is_folder(entry)
                if is_folder and (entry.name.startswith(".") or is_system_folder(entry.name)):
                    left.add_folder(entry.name)
                elif is_folder:
                    folders.append(entry.name)
                elif not entry.name.startswith("."):
                    files.append(entry.name)
                elif _suffix(entry.name) in VIDEO_SUFFIXES | IMAGE_SUFFIXES:
                    left.add_file(entry.name)
    except OSError as error:
        raise UserError(f"cannot list the folder '{folder}': {error.strerror}; mend its permissions") from error
    return sorted(folders), sorted(files)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle: as a file it fails by itself, when it is read
        return False


class OnDisk:
    """The videos under one root by name, for datasets whose lists name videos without saying where they lie."""

    def __init__(self, root: Path) -> None:
        require_root(root)
        self.root = root
        self._paths: dict[str, list[str]] = {}
        self._known: KnownNames | None = None
        for path in walk_videos(root, LIST_SUFFIXES):
            self._paths.setdefault(video_name(os.path.basename(path)), []).append(path)
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
        for wanted in (lambda path: _parent(path) == folder, os.path.isfile):
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
            problems.missing(f"{where}: no video '{name}' under {self.root}{self._known.hint(name)}")
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
        return os.path.join(self.root, listed or name)


Places = OnDisk | AsListed


def places(config: CatalogueConfig) -> Places:
    """Where listed videos lie: looked up under the root, or believed (`check_files`)."""
    return OnDisk(config.root) if config.check_files else AsListed(config.root)


def _parent(path: str) -> str:
    return os.path.basename(os.path.dirname(path))


def no_videos(root: Path) -> UserError:
    """The error for a root without a single video; what there is instead was told by the walk."""
    return UserError(
        f"no videos under '{root}' (looked for .mp4 .avi .mkv .mov .ts and {len(VIDEO_SUFFIXES) - 5} other endings, "
        "and folders of images); give their folder"
    )


def check_listed(paths: list[str], where: Callable[[int], str], problems: Problems) -> list[str | None]:
    """Each path where it exists, by one directory listing per folder, else None; the missing go to `problems`.

    A path whose last name is there in another Unicode form alone is that file's. A folder that
    does not exist is one problem, however many of its videos are listed.
    `where(index)` names the place of a path in the list, for the message.
    """
    by_folder: dict[str, list[int]] = {}
    for index, path in enumerate(paths):
        by_folder.setdefault(os.path.dirname(path), []).append(index)
    places: list[str | None] = list(paths)
    for folder, indices in by_folder.items():
        present = _names_in(folder)
        if present is None:
            problems.missing(
                f"the folder '{folder}' does not exist ({len(indices)} listed video(s) in it)", len(indices)
            )
            for index in indices:
                places[index] = None
            continue
        known = None
        for index in indices:
            name = paths[index].rpartition("/")[2]
            if name in present:
                continue
            other = in_other_form(name, present)
            places[index] = None if other is None else os.path.join(folder, other)
            if other is None:
                known = known or KnownNames(sorted(present))
                hint = _NOT_UTF8 if NOT_UTF8.search(name) else known.hint(name)
                problems.missing(f"{where(index)}: {paths[index]} does not exist{hint}")
    return places


def at_places(videos: list[Video], places: Sequence[str | None]) -> list[Video]:
    """The videos that `check_listed` found, each at the path where it lies."""
    found = zip(videos, places, strict=True)
    return [video if video.path == path else replace(video, path=path) for video, path in found if path is not None]


def _names_in(folder: str) -> set[str] | None:
    try:
        return set(os.listdir(folder or "."))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(f"cannot list the folder '{folder}': {error.strerror}; mend its permissions") from error
