"""The command `pack_shards`: its settings, which files, what came of it."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tqdm import tqdm

from pretrain.data.catalogue import CatalogueConfig
from pretrain.data.remote.address import address_of, local_root
from pretrain.errors import UserError, problem_list
from pretrain.folder_lock import only_writer_in


@dataclass(frozen=True, kw_only=True)
class PackShardsConfig:
    """Pack the videos of a catalogue, or their proxies, into tar files with an index of them.

    A store then holds few large files instead of many small ones, and a catalogue of shards opens without listing
    anything: labels, lengths and places are in the index. Run it again after a kill: finished shards are kept.
    Videos that cannot be read are named and left out (exit status 1).

        python scripts/pack_shards.py --catalogue.root data/videos --out s3://bucket/videos
        python scripts/pack_shards.py --catalogue.root data/videos --proxies data/proxies --out shards
        then:  --catalogue.kind shards --catalogue.root s3://bucket/videos
    """

    out: Path
    """Folder of the shards, or its address (s3://BUCKET/FOLDER, ...)."""
    catalogue: CatalogueConfig = field(default_factory=CatalogueConfig)
    proxies: Path | None = None
    """Pack the proxies in this folder instead (scripts/build_cache.py; with test videos: its --splits all). Boxes are
    scaled to them."""
    splits: Literal["all", "train", "test"] = "all"
    quarantine: Path | None = None
    """A list written by scripts/check_videos.py; the videos it names are left out."""
    shard_mb: float = 256.0
    """A shard is full when it holds so many megabytes; a single video may be larger."""
    cache: Path | None = None
    """Folder of caches, the same as pretraining's data.cache: packet indices are kept in its `index`."""

    def __post_init__(self) -> None:
        if not 0 < self.shard_mb <= 1e6:
            raise UserError(f"shard_mb is {self.shard_mb:g}; it must lie in (0, 1000000]")


def pack_shards(config: PackShardsConfig) -> int:
    """Pack, print what came of it; 1 where a video was left out."""
    is_here = address_of(config.out) is None
    with only_writer_in(local_root(config.out)) if is_here else nullcontext():
        return _pack(config)


def _pack(config: PackShardsConfig) -> int:
    from pretrain.data.check import listed_videos
    from pretrain.data.proxy import ProxyCache
    from pretrain.data.shards.output import Output
    from pretrain.data.shards.pack import pack, to_pack
    from pretrain.data.video import IndexCache

    videos = listed_videos(config.catalogue, config.splits, config.quarantine, "pack")
    paths = {video.name: video.path for video in videos}
    if config.proxies is not None:
        paths = ProxyCache(config.proxies).paths(videos)
    elif folders := [video.name for video in videos if os.path.isdir(video.path)]:
        raise UserError(
            f"{len(folders)} of {len(videos)} videos are folders of images ('{folders[0]}', ...), and a shard holds "
            "files: make proxies of them (scripts/build_cache.py --splits all) and give their folder as --proxies"
        )
    files, missing = to_pack(videos, paths)
    out = Output(address_of(config.out) or str(local_root(config.out)))
    cache = IndexCache(None if config.cache is None else config.cache / "index")
    with tqdm(total=len(files), desc="packing", unit="video", disable=None) as bar:
        report = pack(files, out, int(config.shard_mb * 1e6), cache, lambda _: _advance(bar))
    failures = missing | report.failures
    print(
        f"{report.videos} videos in {report.shards} shard(s), {report.bytes / 1e6:.1f} MB, in {out.shown}: "
        f"{report.written} written now"
    )
    print(f"to use them: --catalogue.kind shards --catalogue.root {out.shown}")
    if failures:
        print(f"{len(failures)} of {len(videos)} videos left out:\n{problem_list(list(failures.values()))}")
    return int(bool(failures))


def _advance(bar: tqdm) -> None:
    bar.update()
