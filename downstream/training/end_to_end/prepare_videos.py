"""Everything that can be known to be wrong before a detector trains from videos: lists, labels, files, the backbone."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from downstream.detector.objective import build_detector
from downstream.features.cells import CellNetwork
from downstream.features.encoders import exported_backbone
from downstream.features.feature_spec import VideoEntry
from downstream.features.snippets import SnippetSettings
from downstream.training.checks import has_ground_truth, rehearse_evaluation, split_training
from downstream.training.config import FinetuneConfig, VideosConfig
from downstream.training.end_to_end.stages import unfreeze
from pretrain.backbones import BACKBONES, Backbone, BackboneConfig, build_backbone
from pretrain.backbones.timm_frames import PREFIX
from pretrain.data.catalogue import Catalogue, Video
from pretrain.data.catalogues import open_catalogue
from pretrain.data.check import read_quarantine
from pretrain.data.geometry import NO_BORDER, BorderCrop
from pretrain.data.video import IndexCache, VideoError, VideoInfo, probe
from pretrain.errors import UserError, nearest, problem_list


class BadVideos:
    """Videos that could not be read, by name, and the share of all beyond which a run stops."""

    def __init__(self, total: int, limit: float) -> None:
        self.total, self.limit = total, limit
        self.found: dict[str, str] = {}

    def note(self, problems: Mapping[str, str], show: bool = True) -> None:
        """Name those that are met for the first time; UserError past the limit."""
        new = {name: reason for name, reason in problems.items() if name not in self.found}
        self.found.update(new)
        for reason in new.values() if show else ():
            print(f"left out from here on: {reason}", file=sys.stderr, flush=True)
        if new and len(self.found) > self.limit * self.total:
            raise UserError(
                f"{len(self.found)} of {self.total} videos cannot be read, more than videos.max_bad_fraction = "
                f"{self.limit:g}:\n{problem_list(list(self.found.values()))}\nWrite a quarantine list with "
                "scripts/check_videos.py and give it as videos.quarantine; or mend them, or raise "
                "videos.max_bad_fraction: what was trained is kept, --resume goes on from there"
            )


@dataclass(frozen=True, kw_only=True)
class PreparedVideos:
    """The videos of a run that trains end to end."""

    train: Catalogue
    held_out: Catalogue
    test: Catalogue
    """With the unreadable ones: whoever scores them says so by name."""
    without_features: list[str]
    """Unreadable, therefore left out of training, and without scores."""
    infos: Mapping[str, VideoInfo]
    bad: BadVideos
    backbone: str
    """What is trained, in words."""


def prepare_videos(config: FinetuneConfig) -> PreparedVideos:
    """Open the lists, every video and the backbone, carve the held-out part. UserError for all that is wrong."""
    if config.features.sets or config.features.normalise != "none" or config.features.pool_cells:
        raise UserError(
            "videos.backbone and features (sets, normalise, pool_cells) are both set; a detector learns from videos or "
            "from features: leave one of the two out"
        )
    description = _describe(config)
    catalogue = open_catalogue(config.catalogue)
    if config.videos.quarantine is not None:
        catalogue = catalogue.without(set(read_quarantine(config.videos.quarantine)))
    infos, unreadable = _open_all(list(catalogue), index_folder(config))
    bad = BadVideos(len(catalogue), config.videos.max_bad_fraction)
    bad.note(unreadable)
    train, held_out = split_training(catalogue.without(set(unreadable)).subset("train"), config)
    test = catalogue.subset("test")
    if config.score_test and has_ground_truth(test):
        _rehearse(config, [video for video in test if video.name in infos], infos)
    return PreparedVideos(
        train=train,
        held_out=held_out,
        test=test,
        without_features=sorted(unreadable),
        infos=infos,
        bad=bad,
        backbone=description,
    )


def _rehearse(config: FinetuneConfig, test: Sequence[Video], infos: Mapping[str, VideoInfo]) -> None:
    """UserError before training where ground truth and videos do not fit."""
    settings = SnippetSettings(snippet_frames=config.videos.snippet_frames)
    entries = {
        video.name: VideoEntry(
            name=video.name,
            offset=0,
            snippets=settings.count(infos[video.name].num_frames),
            frames=infos[video.name].num_frames,
            fps=None,
            snippet_frames=settings.snippet_frames,
        )
        for video in test
    }
    rehearse_evaluation(entries, test, config.evaluation.tail)


def index_folder(config: FinetuneConfig) -> Path:
    """Where packet indices are kept."""
    return (config.videos.cache or config.output.parent / "cache") / "index"


def open_backbone(config: VideosConfig) -> tuple[Backbone, BorderCrop, dict[str, Any]]:
    """The backbone to go on with, the border cut off its frames, and the card it came with (empty for a name).

    Random weights come from torch's global generator. UserError: no such folder or name, or an option of names alone.
    """
    name = config.backbone or ""
    if name in BACKBONES or name.startswith(PREFIX):
        wanted = BackboneConfig(name=name, weights=config.weights, download=config.download)
        return build_backbone(wanted), config.border_crop or NO_BORDER, {}
    if not Path(name).exists():
        raise UserError(
            f"videos.backbone '{name}' is neither a folder nor a name{nearest(name, BACKBONES)} Give a run's folder, "
            f"an exported one, timm/<model>, or one of {', '.join(sorted(BACKBONES))}"
        )
    if config.weights is not None or config.download:
        raise UserError(
            f"{name} is an exported backbone and brings its weights: leave videos.weights and .download out"
        )
    return exported_backbone(Path(name), config.border_crop)


def _describe(config: FinetuneConfig) -> str:
    wanted = config.videos
    with torch.random.fork_rng(devices=[]):
        backbone, _, card = open_backbone(wanted)
        # these two say what is wrong with the grid, and what does not go with it
        grid = None if wanted.grid is None else CellNetwork(backbone, wanted.grid).grid
        build_detector(config.detector, config.objective, backbone.spec.feature_dim, grid)
    trained = ", ".join(unfreeze(backbone, wanted.unfreeze)) or "nothing of it"
    # an exported backbone's `initialisation` is what its own training began with
    origin = f"from {wanted.backbone}" if card else backbone.initialisation
    return f"{backbone.spec.name} ({origin}), {backbone.spec.feature_dim} numbers, trains: {trained}"


def _open_all(videos: Sequence[Video], cache: Path) -> tuple[dict[str, VideoInfo], dict[str, str]]:
    """What each video is, and what could not be opened and why."""
    index_cache = IndexCache(cache)

    def open_one(video: Video) -> VideoInfo | str:
        try:
            info = probe(video.path, cache=index_cache)
        except VideoError as error:
            return str(error)
        return info if info.num_frames else f"{video.path}: no frame decodes; leave it out"

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:  # probing leaves the interpreter lock alone
        opened = list(tqdm(pool.map(open_one, videos), "opening videos", len(videos), disable=None, unit="video"))
    pairs = [(video.name, result) for video, result in zip(videos, opened, strict=True)]
    infos = {name: result for name, result in pairs if not isinstance(result, str)}
    return infos, {name: result for name, result in pairs if isinstance(result, str)}
