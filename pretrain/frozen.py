"""A run on kept maps: those of its videos, made before the first step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from einops import rearrange
from torch import Tensor

from pretrain.backbones import Backbone
from pretrain.config import PretrainConfig
from pretrain.data.frozen_maps import MapStore, VideoToMap, check_room, drop_unfinished, make_maps, note_network
from pretrain.data.transforms import ClipTransform, neutral_augmentation
from pretrain.data.windows import WindowReader
from pretrain.prepare import Videos, cache_folder


def kept_maps(
    config: PretrainConfig, backbone: Backbone, reader: WindowReader, videos: Videos, accelerator: Accelerator
) -> tuple[WindowReader, Videos]:
    """`reader`, but of maps: all of the run's videos are sent through the image network, where they were not yet.

    Processes share the videos. Returns also the videos less those that could not be decoded to their end. UserError
    where these are too many, or the maps would take more than `data.maps_gb`.
    """
    store = MapStore.of(cache_folder(config), backbone, config.data.border_crop, config.data.reader)
    sources = {source.path: source for source in (*videos.train, *videos.validation)}
    wanted = [VideoToMap(path=source.path, info=source.info) for source in sources.values()]
    if accelerator.is_main_process:
        drop_unfinished(store)
    accelerator.wait_for_everyone()
    check_room(store, wanted, config.data.maps_gb)
    accelerator.wait_for_everyone()  # before any process adds to what is counted
    if accelerator.is_main_process:
        note_network(store, backbone.spec, config.data.border_crop, config.data.reader)
    accelerator.wait_for_everyone()
    network = FrameMaps(backbone, accelerator.device)
    mine = wanted[accelerator.process_index :: accelerator.num_processes]
    problems = make_maps(
        store,
        mine,
        lambda path, frames: reader.read(sources[path], frames),
        network,
        show=accelerator.is_main_process,
    )
    found = {path: reason for part in gather_object([problems]) for path, reason in part.items()}
    unreadable = {sources[path].name: reason for path, reason in found.items()}
    return replace(reader, maps=store), videos.without(unreadable, config.data.max_bad_fraction)


def frozen_words(config: PretrainConfig, backbone: Backbone, reader: WindowReader) -> str:
    """Lines for the console that say what a frozen image network means for a run; empty where nothing is frozen."""
    if not backbone.frozen or backbone.mixing is None:
        return ""
    trained = sum(parameter.numel() for parameter in backbone.mixing.parameters())
    words = f"the image network is frozen ({backbone.initialisation}); {trained:,} weights on top of it train\n"
    if reader.maps is None:
        return words
    lost = "" if config.augment == config.augmentation else "; crops, colour, jitter and noise of augment are left out"
    return f"{words}it saw every frame once, its maps are kept in {reader.maps.folder}{lost}\n"


class FrameMaps:
    """Whole frames, unaugmented, to the maps of the image network: uint8 (N, H, W, 3) -> (N, h, w, D)."""

    def __init__(self, backbone: Backbone, device: torch.device) -> None:
        self.backbone, self.device = backbone, device
        self.transform = ClipTransform(backbone.spec.clip).to(device)
        self.neutral = [torch.from_numpy(part)[None].to(device) for part in neutral_augmentation(1)]

    @torch.no_grad()
    def __call__(self, pixels: np.ndarray) -> Tensor:
        clips = rearrange(torch.from_numpy(pixels).to(self.device), "n h w c -> n 1 h w c")
        neutral = [part.expand(len(clips), *part.shape[1:]) for part in self.neutral]
        # for the 2D convolutions frame by frame it means channels_last: half as much again in speed (measured on a CPU)
        frames = self.transform(clips, neutral).contiguous(memory_format=torch.channels_last_3d)
        maps = self.backbone.map_of(frames)
        return rearrange(maps, "n d 1 h w -> n h w d")
