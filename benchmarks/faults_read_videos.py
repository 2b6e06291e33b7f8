"""Readers of videos, and of what is kept of them: packet indices, motion, proxies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.faults_reader import Reader, main_of, sha
from benchmarks.faults_world import (
    FOLDER_OF_FRAMES,
    LISTED,
    encode,
)
from pretrain.data.catalogue import CatalogueConfig
from pretrain.data.catalogues import open_catalogue
from pretrain.data.motion import cached_motion_profile
from pretrain.data.proxy import ProxyCache
from pretrain.data.video import IndexCache, frame_times, probe, read_frames, stream_frames

OTHER_CODECS = {"other/a.avi": "mpeg4", "other/b.mkv": "libx264", "other/c.ts": "mpeg2video", "other/d.mov": "mjpeg"}


def write_other_videos() -> None:
    """Other containers and codecs than the world's, and a pack of JPEG images."""
    for number, (name, codec) in enumerate(OTHER_CODECS.items()):
        encode(Path(name), number, 40, abnormal=False, codec=codec)
    flags = ("--out", "packs", *LISTED, "--workers", "1", "--format", "jpeg", "--measure-windows", "0")
    main_of("scripts.build_cache", *flags)


def read_videos() -> str:
    """Everything that can be asked of a video, of every file whose reading ends in frames."""
    paths = ["videos/v8.mp4", *OTHER_CODECS, FOLDER_OF_FRAMES, *map(str, sorted(Path("packs").rglob("v0*.jpegpack")))]
    parts: list[Any] = []
    for path in paths:
        info = probe(path)
        parts += [frame_times(path), read_frames(path, range(0, info.num_frames, 7), size=(24, 36))]
        parts += [picture.copy() for _, picture in stream_frames(path, range(info.num_frames), size=(24, 36))]
    return sha(*parts)


def world_videos() -> list[str]:
    """Paths of the world's videos."""
    return sorted(str(path) for path in Path("videos").glob("*.mp4"))


def frames_by_index() -> str:
    """Frames and times of all videos, found by the stored packet indices."""
    cache = IndexCache("cache/index")
    parts: list[Any] = []
    for path in world_videos():
        info = probe(path, cache=cache)
        wanted = range(0, info.num_frames, 11)
        parts += [repr(info), frame_times(path, cache=cache), read_frames(path, wanted, size=(24, 36), cache=cache)]
    return sha(*parts)


def motion() -> str:
    """Where videos move, as pretraining draws its windows by."""
    return sha(*(cached_motion_profile(path, Path("cache/motion")) for path in world_videos()))


def frames_of_proxies() -> str:
    """Frames of all proxies, as pretraining reads them."""
    videos = open_catalogue(CatalogueConfig(kind="json", root=Path("videos"))).subset("train")
    paths = ProxyCache("proxies").paths(list(videos))
    parts = [read_frames(path, range(probe(path).num_frames), size=(24, 36)) for path in paths.values()]
    return sha(*parts)


VIDEOS = (
    Reader(
        name="videos",
        files=("videos/v8.mp4", "other/*", "frames/*/*", "packs/*/v0*"),
        run=read_videos,
        prepare=write_other_videos,
    ),
    Reader(name="packet indices", files=("cache/index/*/*.npz",), run=frames_by_index, is_cache=True, weight=2.0),
    Reader(name="motion profiles", files=("cache/motion/*/*.npy",), run=motion, is_cache=True),
    Reader(name="proxies", files=("proxies/*.json", "proxies/*/*"), run=frames_of_proxies, is_cache=True),
)
