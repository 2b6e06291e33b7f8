"""The configuration of a pretraining run: frozen dataclasses, composed once, saved with the run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pretext_tasks import PretextTasks
from pretrain.backbones import BackboneConfig
from pretrain.data.catalogue import CatalogueConfig
from pretrain.data.geometry import DECODE_MARGIN, NO_BORDER, BorderCrop
from pretrain.data.settings import NO_AUGMENTATION, AugmentConfig, Control
from pretrain.errors import UserError


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """How windows are drawn and read."""

    window_frames: int | None = None
    """Frames of the window that all tasks draw from; default: what the tasks need, and an eighth more."""
    border_crop: BorderCrop = NO_BORDER
    """Shares of the frame cut off at top, bottom, left, right: cut burnt-in clocks away, they tell the time."""
    decode_margin: float = DECODE_MARGIN
    """Frames are decoded this much larger than the backbone's input, for the random crop to choose from."""
    short_videos: Literal["skip", "hold"] = "skip"
    """Videos shorter than the window: left out and counted, or their last frame held."""
    validation_fraction: float = 0.2
    """Share of the training videos kept for validation."""
    validation_by: Literal["auto", "group", "video"] = "auto"
    """Hold out whole groups (cameras, scenes), single videos, or groups where the catalogue knows them."""
    motion_floor: float = 0.25
    """Windows are drawn by motion; this share of them evenly, so that nothing is never seen. 1 switches it off."""
    reader: Literal["pyav", "decord"] = "pyav"
    """What decodes."""
    cache: Path | None = None
    """Folder of packet indices and motion profiles, shared by runs; default: `cache` beside the run folder."""
    proxies: Path | None = None
    """A proxy cache made by `scripts/build_cache.py`; videos without a valid proxy stop the run."""
    maps_gb: float = 50.0
    """With backbone.freeze: maps of the image network are kept in the cache folder, up to so many GB, and the network
    sees each frame once. Of the augmentations only mirroring is left then. 0: keep none, and let it see augmented
    frames at every step."""
    quarantine: Path | None = None
    """A list written by `scripts/check_videos.py`; the videos it names are left out."""
    max_bad_fraction: float = 0.01
    """The run stops when more than this share of the videos cannot be read."""
    control: Control = "none"
    """Train and validate with the signal taken away, to find shortcuts: `no_signal` undoes what each task does
    (segments put in order, one stride, motion there and back, splices mended), `still` repeats one frame. Accuracy
    must then stay at chance."""
    workers: int = 2
    """Reading processes for each training process; 0 reads in the training process itself."""

    def __post_init__(self) -> None:
        if any(not 0 <= share < 0.5 for share in self.border_crop):
            raise UserError(f"data.border_crop is {self.border_crop}; every share must lie in [0, 0.5)")
        if self.decode_margin < 1:
            raise UserError(f"data.decode_margin is {self.decode_margin}; it must be at least 1")
        for name in ("validation_fraction", "motion_floor", "max_bad_fraction"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"data.{name} is {getattr(self, name)}; it must lie in [0, 1]")
        if not 0 < self.validation_fraction < 1:
            raise UserError(f"data.validation_fraction is {self.validation_fraction}; it must lie in (0, 1)")
        if not self.maps_gb >= 0:
            raise UserError(f"data.maps_gb is {self.maps_gb}; it must be 0 (keep no maps) or more")
        if self.workers < 0:
            raise UserError(f"data.workers is {self.workers}; it must be 0 or more")


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """AdamW, warm-up and a cosine."""

    steps: int = 20_000
    """Optimiser steps of the whole run."""
    batch_size: int = 32
    """Windows per step over all processes and accumulation rounds; each gives the clips of every task."""
    accumulate: int = 1
    """Rounds of forward and backward per step, where a step's batch does not fit the memory."""
    lr: float = 1e-3
    """Peak learning rate; a half cosine brings it down to a hundredth of it."""
    warmup_steps: int = 500
    """Steps of linear warm-up."""
    weight_decay: float = 0.05
    """AdamW's; not applied to biases and normalisation."""

    @property
    def final_lr_share(self) -> float:
        """Learning rate at the end, as a share of the peak."""
        return 0.01

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "accumulate"):
            if getattr(self, name) < 1:
                raise UserError(f"optim.{name} is {getattr(self, name)}; it must be at least 1")
        if not self.lr > 0:
            raise UserError(f"optim.lr is {self.lr}; it must be above 0")


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """Pretrain a video backbone on a folder of videos with four pretext tasks."""

    output: Path = Path("runs/pretrain")
    """Folder of the run: configuration, log, training states, the backbone, curves."""
    resume: bool = False
    """Go on from the newest whole training state in the run folder."""
    seed: int = 0
    """Decides everything random."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes a GPU where there is one."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Precision of the forward pass; weights are float32. Another --mixed_precision of accelerate is refused."""
    compile: bool = False
    """torch.compile for the backbone."""
    log_every: int = 20
    """Steps between two lines of the log."""
    validate_every: int = 1000
    """Steps between two validations; there is always one at the end."""
    save_every: int = 500
    """Steps between two training states; there is always one at the end and one when the run is stopped."""
    keep_states: int = 2
    """Newest training states kept."""
    validation_windows: int = 8
    """Windows per validation video in a validation."""

    catalogue: CatalogueConfig = field(default_factory=CatalogueConfig)
    data: DataConfig = field(default_factory=DataConfig)
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    tasks: PretextTasks = field(default_factory=PretextTasks)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)

    def __post_init__(self) -> None:
        for name in ("log_every", "validate_every", "save_every", "keep_states", "validation_windows"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.seed < 0:
            raise UserError(f"seed is {self.seed}; it must be 0 or more")

    @property
    def keeps_maps(self) -> bool:
        """Are tasks posed on kept maps of a frozen image network, rather than on pixels?"""
        return self.backbone.freeze and self.data.maps_gb > 0

    @property
    def augmentation(self) -> AugmentConfig:
        """The augmentation that is applied: maps can be mirrored, and nothing else."""
        return replace(NO_AUGMENTATION, flip=self.augment.flip) if self.keeps_maps else self.augment


# what may differ between a run and the run that goes on from it, because it changes no weight
FREE_TO_CHANGE = {"output", "resume", "log_every", "validate_every", "save_every", "keep_states", "validation_windows"}
FREE_TO_CHANGE |= {"data.workers", "data.cache"}
