"""The command `build_cache`: its settings, which videos, what was gained: disk, time, epochs to break even."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro
from tqdm import tqdm

from pretrain.cli import parse
from pretrain.data.catalogue import CatalogueConfig, Video
from pretrain.data.catalogues import open_catalogue, open_training_catalogue
from pretrain.data.proxy import BuildReport, ProxyCache, ProxySettings, build_proxies
from pretrain.errors import UserError, problem_list
from pretrain.folder_lock import only_writer_in
from pretrain.yaml_file import read_configuration

PRETRAINING_GROUPS = {"output", "data", "backbone", "tasks", "augment", "optim"}


@dataclass(frozen=True, kw_only=True)
class BuildCacheConfig:
    """Turn the videos of a catalogue into small proxies that decode many times faster.

    Pretraining reads them with `data.proxies: OUT`; frame numbers and times stay those of the videos. Run it again
    after a kill, after adding videos, or when videos changed: it makes only what is missing or stale. Videos that
    cannot be read are named and left out (exit status 1). The last lines say what was gained: disk per hour of video,
    and after how many epochs the work has paid for itself.

        python scripts/build_cache.py --catalogue.root data/videos --out data/proxies --workers 8
        python scripts/build_cache.py configs/demo_pretrain.yaml     # its catalogue, data.proxies and data.quarantine
    """

    out: Path
    """Folder of the proxies."""
    catalogue: CatalogueConfig = field(default_factory=CatalogueConfig)
    proxy: Annotated[ProxySettings, tyro.conf.arg(name="")] = field(default_factory=ProxySettings)
    splits: Literal["train", "all"] = "train"
    """train: what pretraining reads. all: test videos as well (for feature extraction)."""
    quarantine: Path | None = None
    """A list written by scripts/check_videos.py; the videos it names are left out."""
    workers: int = os.cpu_count() or 1
    """Videos made at a time, one process each."""
    rebuild: bool = False
    """Make all proxies anew, also where other settings were used before."""
    measure_windows: int = 8
    """Windows read both ways for the break-even; 0 leaves it out."""

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise UserError(f"workers is {self.workers}; it must be at least 1")
        if self.measure_windows < 0:
            raise UserError(f"measure_windows is {self.measure_windows}; it must be 0 or more")


def read_config(arguments: Sequence[str], prog: str) -> BuildCacheConfig:
    """Settings from flags and YAML files; a pretraining run's own files serve as well."""
    files = list(takewhile(lambda argument: argument.endswith((".yaml", ".yml")), arguments))
    flags = arguments[len(files) :]
    groups = {str(key).split(".")[0] for file in files for key in read_configuration(Path(file))}
    if not groups & PRETRAINING_GROUPS:
        return parse(BuildCacheConfig, arguments, prog)
    from pretrain.config import PretrainConfig  # late: needs torch

    run = parse(PretrainConfig, files, prog)
    if run.data.proxies is None and not any(flag.startswith("--out") for flag in flags):
        raise UserError(f"{' '.join(files)}: data.proxies is not set: set it to the proxies' folder, or give --out")
    default = BuildCacheConfig(out=run.data.proxies or Path(), catalogue=run.catalogue, quarantine=run.data.quarantine)
    return parse(BuildCacheConfig, flags, prog, default=default)


def build_cache(config: BuildCacheConfig) -> int:
    """Build, print what came of it; 1 where a video was left out."""
    with only_writer_in(config.out):
        return _build(config)


def _build(config: BuildCacheConfig) -> int:
    videos = choose_videos(config)
    cache = ProxyCache(config.out)
    started = time.perf_counter()
    with tqdm(total=len(videos), desc="making proxies", unit="video", disable=None) as bar:
        report = build_proxies(
            cache,
            videos,
            config.proxy,
            workers=config.workers,
            rebuild=config.rebuild,
            on_done=lambda _: _advance(bar),
        )
    print_summary(report, config, time.perf_counter() - started)
    print_break_even(report, cache, videos, config)
    if not report.failures:
        print(f"to use them: data.proxies: {config.out}")
        return 0
    print(f"{len(report.failures)} of {len(videos)} videos left out:\n{problem_list(list(report.failures.values()))}")
    if report.not_tried:
        print(
            f"no room is left on the disk of {config.out}: {report.not_tried} more not tried; free some and run again"
        )
    return 1


def _advance(bar: tqdm) -> None:
    bar.update()


def choose_videos(config: BuildCacheConfig) -> list[Video]:
    """The catalogue's videos of the splits asked for, less those on the quarantine list."""
    from pretrain.data.check import without_quarantined

    catalogue = open_training_catalogue(config.catalogue)
    if config.splits == "all":
        catalogue = open_catalogue(config.catalogue)
    return list(without_quarantined(catalogue, config.quarantine))


def print_summary(report: BuildReport, config: BuildCacheConfig, wall_seconds: float) -> None:
    """Videos, hours, disk, time."""
    manifests = report.manifests.values()
    hours = sum(manifest.duration_seconds for manifest in manifests) / 3600
    held = sum(manifest.proxy_bytes for manifest in manifests) / 1e6
    source = sum(manifest.source.size for manifest in manifests) / 1e6
    print(f"{len(manifests)} proxies in {config.out}, {hours:.2f} hours of video: {report.built} made now")
    if hours:
        print(f"disk: {held:.1f} MB, {held / hours:.0f} MB per hour of video (the videos: {source / hours:.0f})")
    print(f"time: {wall_seconds:.1f} s with {config.workers} workers")


def print_break_even(report: BuildReport, cache: ProxyCache, videos: list[Video], config: BuildCacheConfig) -> None:
    """After how many epochs, of one window a video, the CPU time of the build is won back."""
    # asked again: a recorder may have removed the video since
    held = [video for video in videos if video.name in report.manifests and cache.manifest(video)]
    if not held or not config.measure_windows:
        return
    from pretrain.data.proxy.savings import measure_savings  # late: needs torch, which no worker process should import

    savings = measure_savings(held, cache.paths(held), np.random.default_rng(0), windows=config.measure_windows)
    if savings is None:
        print("break-even: not measured, every video is shorter than a window of the default tasks")
        return
    build_seconds = sum(manifest.build_cpu_seconds for manifest in report.manifests.values())
    epochs = savings.break_even_epochs(build_seconds, len(held))
    verdict = f"paid for after {epochs:.1f} epochs of one window a video" if epochs else "never: they save nothing here"
    print(
        f"break-even: a window costs {1000 * savings.source_seconds:.1f} ms CPU from the videos, "
        f"{1000 * savings.proxy_seconds:.1f} ms from the proxies ({savings.windows} windows); building took "
        f"{build_seconds:.1f} s CPU: {verdict}"
    )
