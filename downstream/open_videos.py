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

from downstream.config import FinetuneConfig, VideosConfig
from downstream.features.crops import BorderCrop, check_border
from downstream.prepare import split_training
from downstream.stages import unfreeze
from pretrain.backbones import BACKBONES, Backbone, BackboneConfig, build_backbone, load_backbone
from pretrain.backbones.timm_frames import PREFIX
from pretrain.data.catalogue import Catalogue, Video
from pretrain.data.catalogues import open_catalogue
from pretrain.data.check import read_quarantine
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
        self.found |= new
        for reason in new.values() if show else ():
            print(f"left out from here on: {reason}", file=sys.stderr, flush=True)
        if new and len(self.found) > self.limit * self.total:
            raise UserError(
                f"{len(self.found)} of {self.total} videos cannot be read, more than videos.max_bad_fraction = "
                f"{self.limit:g}:\n{problem_list(list(self.found.values()))}\nWrite a quarantine list with "
                "scripts/check_videos.py and give it as videos.quarantine, or raise videos.max_bad_fraction"
            )


@dataclass(frozen=True, kw_only=True)
class PreparedVideos:
    """The videos of a run that trains end to end."""

    train: Catalogue
    held_out: Catalogue
    test: Catalogue
    without_features: list[str]
    """Unreadable, therefore left out."""
    infos: Mapping[str, VideoInfo]
    bad: BadVideos
    backbone: str
    """What is trained, in words."""


def prepare_videos(config: FinetuneConfig) -> PreparedVideos:
    """Open the lists, every video and the backbone, carve the held-out part. UserError for all that is wrong."""
    if config.features.sets or config.features.normalise != "none":
        raise UserError(
            "videos.backbone and features (sets, normalise) are both set; a detector learns from videos or from "
            "features: leave one of the two out"
        )
    description = _describe(config.videos)
    catalogue = open_catalogue(config.catalogue)
    if config.videos.quarantine is not None:
        catalogue = catalogue.without(set(read_quarantine(config.videos.quarantine)))
    infos, unreadable = _open_all(list(catalogue), index_folder(config))
    bad = BadVideos(len(catalogue), config.videos.max_bad_fraction)
    bad.note(unreadable)
    catalogue = catalogue.without(set(unreadable))
    train, held_out = split_training(catalogue.subset("train"), config)
    return PreparedVideos(
        train=train,
        held_out=held_out,
        test=catalogue.subset("test"),
        without_features=sorted(unreadable),
        infos=infos,
        bad=bad,
        backbone=description,
    )


def index_folder(config: FinetuneConfig) -> Path:
    """Where packet indices are kept."""
    return config.videos.cache or config.output.parent / "cache" / "index"


def open_backbone(config: VideosConfig) -> tuple[Backbone, BorderCrop, dict[str, Any]]:
    """The backbone to go on with, the border cut off its frames, and the card it came with (empty for a name).

    Random weights come from torch's global generator. UserError: no such folder or name, or an option of names alone.
    """
    name = config.backbone or ""
    border = config.border_crop or (0.0, 0.0, 0.0, 0.0)
    if name in BACKBONES or name.startswith(PREFIX):
        wanted = BackboneConfig(name=name, weights=config.weights, download=config.download)
        return build_backbone(wanted), border, {}
    if not Path(name).exists():
        raise UserError(
            f"videos.backbone '{name}' is neither a folder nor a name{nearest(name, BACKBONES)} Give a run's folder, "
            f"an exported one, timm/<model>, or one of {', '.join(sorted(BACKBONES))}"
        )
    if config.weights is not None or config.download:
        raise UserError(
            f"{name} is an exported backbone and brings its weights: leave videos.weights and .download out"
        )
    backbone, card = load_backbone(Path(name))
    if config.border_crop is None:
        border = tuple(card.get("data", {}).get("border_crop", border))
        check_border(border)
    return backbone, border, card


def _describe(config: VideosConfig) -> str:
    with torch.random.fork_rng(devices=[]):
        backbone, _, _ = open_backbone(config)
    trained = ", ".join(unfreeze(backbone, config.unfreeze)) or "nothing of it"
    return f"{backbone.spec.name} ({backbone.initialisation}), {backbone.spec.feature_dim} numbers, trains: {trained}"


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
