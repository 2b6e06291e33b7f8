"""Everything that can be known to be wrong before training starts: videos, their lengths, where they move."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from pretext_tasks import ClipGeometry
from pretrain import stalls
from pretrain.backbones import BackboneSpec
from pretrain.config import PretrainConfig
from pretrain.data.catalogue import Catalogue, Video
from pretrain.data.catalogues import open_training_catalogue
from pretrain.data.check import read_quarantine
from pretrain.data.motion import cached_motion_profile
from pretrain.data.proxy import ProxyCache
from pretrain.data.remote.address import place_text
from pretrain.data.validation_split import split_validation
from pretrain.data.video import IndexCache, VideoError, probe
from pretrain.data.windows import Source, WindowReader
from pretrain.errors import UserError, problem_list
from pretrain.stalls import StallWatch, stuck


@dataclass(frozen=True, kw_only=True)
class Videos:
    """The videos of a run, sorted into what they are for."""

    train: list[Source]
    validation: list[Source]
    skipped_short: list[str]
    unreadable: dict[str, str]
    quarantined: int

    def without(self, problems: dict[str, str], limit: float) -> Videos:
        """These less some that turned out to be unreadable (name -> reason); UserError past the limit."""
        unreadable = self.unreadable | problems
        _stop_past_limit(unreadable, len(self.train) + len(self.validation) + len(self.unreadable), limit)
        train, validation = (
            [source for source in part if source.name not in problems] for part in (self.train, self.validation)
        )
        return replace(self, train=train, validation=validation, unreadable=unreadable)


def cache_folder(config: PretrainConfig) -> Path:
    """Where packet indices and motion profiles are kept."""
    return config.data.cache or config.output.parent / "cache"


Split = tuple[Catalogue, Catalogue, int]
"""Training videos, validation videos, and how many a quarantine list took away."""


def split_catalogue(config: PretrainConfig) -> Split:
    """Training and validation videos of the catalogue's training split, and how many the quarantine list took away."""
    catalogue = open_training_catalogue(config.catalogue)
    bad = set(read_quarantine(config.data.quarantine)) if config.data.quarantine else set()
    kept = catalogue.without(bad)
    train, validation = split_validation(
        kept, config.data.validation_fraction, config.seed, by=config.data.validation_by
    )
    return train, validation, len(catalogue) - len(kept)


def clip_geometry(config: PretrainConfig, spec: BackboneSpec) -> ClipGeometry:
    """Window and clip lengths; UserError where a task does not fit."""
    try:
        needed = config.tasks.min_window(spec.clip.frames, spec.clip.stride)
    except ValueError as error:
        raise UserError(str(error)) from None
    window = config.data.window_frames or needed + needed // 8
    if window < needed:
        raise UserError(
            f"data.window_frames is {window}, but the tasks need {needed} frames with clips of {spec.clip.frames} "
            f"frames at stride {spec.clip.stride}: raise it, or lower tasks.speed.strides, backbone.clip_frames or "
            "backbone.clip_stride"
        )
    return ClipGeometry(window_frames=window, clip_frames=spec.clip.frames, stride_frames=spec.clip.stride)


def window_reader(config: PretrainConfig, spec: BackboneSpec) -> WindowReader:
    """How this run reads windows."""
    margin = 1.0 if config.keeps_maps else config.data.decode_margin  # maps leave no crop to choose
    return WindowReader(
        tasks=config.tasks,
        geometry=clip_geometry(config, spec),
        height=round(spec.clip.height * margin),
        width=round(spec.clip.width * margin),
        border_crop=config.data.border_crop,
        motion_floor=config.data.motion_floor,
        reader=config.data.reader,
        index_cache=IndexCache(cache_folder(config) / "index"),
        control=config.data.control,
        motion_cache=cache_folder(config) / "motion",
    )


def prepare_videos(
    config: PretrainConfig,
    window_frames: int,
    rank: int,
    world_size: int,
    wait: Callable[[], None],
    split: Split | None = None,
) -> Videos:
    """Open every video once: length, packet index, motion, all cached. Processes share the work, then read the caches.

    Videos that were measured when they were packed are not opened: motion is looked at when windows are drawn.

    `split` is what `split_catalogue` gave, where the caller has it already: a large catalogue takes seconds to open.
    Raises UserError naming every unreadable video when they are more than `data.max_bad_fraction`, and when no video
    is long enough.
    """
    train, validation, quarantined = split_catalogue(config) if split is None else split
    videos = [*train, *validation]
    paths = proxy_paths(config, videos)
    _open_all(config, videos[rank::world_size], paths, show=rank == 0)
    wait()
    sources, unreadable = _open_all(config, videos, paths, show=False)
    _stop_past_limit(unreadable, len(videos), config.data.max_bad_fraction)
    short = [s.name for s in sources.values() if s.info.num_frames < window_frames]
    if config.data.short_videos == "skip":
        sources = {name: s for name, s in sources.items() if s.info.num_frames >= window_frames}
    parts = [[sources[v.name] for v in part if v.name in sources] for part in (train, validation)]
    for what, part, whole in zip(("training", "validation"), parts, (train, validation), strict=True):
        if not part:
            raise UserError(
                f"none of the {len(whole)} {what} videos of {place_text(config.catalogue.root)} holds a window of "
                f"{window_frames} frames: set data.short_videos to hold, or lower data.window_frames and "
                "tasks.speed.strides"
            )
    skipped = short if config.data.short_videos == "skip" else []
    return Videos(
        train=parts[0], validation=parts[1], skipped_short=skipped, unreadable=unreadable, quarantined=quarantined
    )


def enlarged(config: PretrainConfig, reader: WindowReader, sources: Sequence[Source]) -> str:
    """A line for the console when proxies are smaller than the frames read from them, else an empty string."""
    needed = reader.height / (1 - reader.border_crop[0] - reader.border_crop[1])
    small = [source for source in sources if source.info.height < needed]
    if config.data.proxies is None or not small:
        return ""
    return (
        f"note: {len(small)} of {len(sources)} proxies are lower than the {math.ceil(needed)} pixels read and "
        f"are enlarged: build the cache with --short-side {2 * math.ceil(needed / 2)}, if the videos have as much\n"
    )


def proxy_paths(config: PretrainConfig, videos: Sequence[Video]) -> dict[str, str]:
    """Where each video is decoded from: its proxy where the run uses a proxy cache, else the video itself."""
    if config.data.proxies is None:
        return {video.name: video.path for video in videos}
    return ProxyCache(config.data.proxies).paths(videos)


def _open_all(
    config: PretrainConfig, videos: Sequence[Video], paths: dict[str, str], show: bool
) -> tuple[dict[str, Source], dict[str, str]]:
    """Sources by name, and what could not be opened and why."""
    folder = cache_folder(config)
    cache = IndexCache(folder / "index")

    def open_one(video: Video) -> Source | str:
        path = paths[video.name]
        if video.measured is not None and path == video.path and config.data.reader == "pyav":
            return Source(name=video.name, path=path, info=video.measured, motion=None)
        try:
            info = probe(path, reader=config.data.reader, cache=cache)
            motion = cached_motion_profile(path, folder / "motion", reader=config.data.reader, cache=cache)
        except VideoError as error:
            return str(error)
        return Source(name=video.name, path=path, info=info, motion=motion)

    sources: dict[str, Source] = {}
    problems: dict[str, str] = {}
    # decoding leaves the interpreter lock alone, so threads are enough
    pool = ThreadPoolExecutor(max_workers=os.cpu_count())
    try:
        opened = [pool.submit(open_one, video) for video in videos]
        read = zip(videos, opened, strict=True)
        for video, future in tqdm(read, "reading videos", len(videos), disable=None if show else True, unit="video"):
            result = _result(future, video)
            if isinstance(result, str):
                problems[video.name] = result
            else:
                sources[video.name] = result
    finally:  # Ctrl-C: what was not begun shall not begin
        pool.shutdown(wait=False, cancel_futures=True)
    return sources, problems


def _result(future: Future[Source | str], video: Video) -> Source | str:
    """Wait for it; OwnError where nothing moves any more."""
    watch = None
    while not wait([future], stalls.POLL_SECONDS).done:
        watch = watch or StallWatch()
        if watch.is_stuck():
            raise stuck("video was opened", [video.name])
    return future.result()


def _stop_past_limit(unreadable: dict[str, str], total: int, limit: float) -> None:
    if len(unreadable) > limit * total:
        raise UserError(
            f"{len(unreadable)} of {total} videos cannot be read, more than data.max_bad_fraction = {limit}:\n"
            f"{problem_list(list(unreadable.values()))}\nWrite a quarantine list with scripts/check_videos.py and give "
            "it as data.quarantine, or raise data.max_bad_fraction"
        )
