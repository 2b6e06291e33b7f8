"""What scripts/extract_features.py can be told: which network, which snippets of which videos."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from downstream.features.feature_spec import Pool, Tail
from pretrain.data.catalogue import CatalogueConfig
from pretrain.data.geometry import BorderCrop
from pretrain.errors import UserError

_PLACES = ("centre", "top_left", "top_right", "bottom_left", "bottom_right")
CROPS: dict[int, tuple[str, ...]] = {
    1: _PLACES[:1],
    5: _PLACES,
    10: (*_PLACES, *(f"{place}_mirrored" for place in _PLACES)),
}
"""Names of the crops in stored order. `top_left_mirrored` is the top left corner of the mirrored frame."""
MAX_SNIPPET_FRAMES = 4096
"""More than two minutes under one score; what a shorter video lacks of a snippet is encoded as its last frame."""


def check_crops(crops: int) -> None:
    """UserError unless there are that many crops."""
    if crops not in CROPS:
        raise UserError(f"crops is {crops}; there are sets of {', '.join(map(str, CROPS))}")


def check_border(border_crop: BorderCrop) -> None:
    """UserError unless the four shares leave something of the frame."""
    if len(border_crop) != 4 or any(not 0 <= share < 0.5 for share in border_crop):
        raise UserError(f"border_crop is {border_crop}; it holds four shares (top, bottom, left, right) in [0, 0.5)")


@dataclass(frozen=True, kw_only=True)
class SnippetSettings:
    """How a video is divided into snippets, and what is seen of each."""

    snippet_frames: int = 16
    """Video frames a snippet stands for; snippets do not overlap."""
    crops: Literal[1, 5, 10] = 1
    """1: the centre. 5: also the four corners. 10: also the five of the mirrored frame."""
    tail: Tail = "drop"
    """Frames left after the last whole snippet: no snippet of theirs (a video shorter than a snippet has one all the
    same), or one more snippet that holds the last frame."""

    def __post_init__(self) -> None:
        if not 1 <= self.snippet_frames <= MAX_SNIPPET_FRAMES:
            raise UserError(f"snippet_frames is {self.snippet_frames}; it must lie in [1, {MAX_SNIPPET_FRAMES}]")
        check_crops(self.crops)

    def count(self, num_frames: int) -> int:
        """Snippets of a video of that many frames, at least one."""
        whole = num_frames // self.snippet_frames if self.tail == "drop" else -(-num_frames // self.snippet_frames)
        return max(1, whole)


Layout = Literal["bcthw", "btchw", "bthwc", "bchw", "bhwc"]
"""Axes of what a network takes: batch, channels, time, height, width."""
OF_ONNX = ("mean", "std", "layout")


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Which network makes the features."""

    backbone: str = "small3d"
    """A run's folder or an exported one; `shipped`, the small3d that comes with the package; or a name: small3d, a
    video network of torchvision (r3d_18, swin3d_t, ...), or timm/<model>, any image model of timm, which encodes single
    frames (timm/vit_base_patch16_clip_224.openai is CLIP's image tower); or hf/<folder>, a Hugging Face video model on
    this machine (VideoMAE, V-JEPA 2, TimeSformer); or onnx/<file.onnx>, any network of frames or clips."""
    weights: Path | None = None
    """For a name: its weights, a .safetensors or .pth file. Default: random weights."""
    download: bool = False
    """For a name: its published weights, fetched by torchvision or timm. Nothing is fetched unasked."""
    weights_seed: int = 0
    """For a name without weights: decides the random ones."""
    height: int | None = None
    """Height of a crop in pixels. Default: the network's own, or what it was pretrained on. A network of convolutions
    takes any, and can be worth more on larger frames than it was pretrained on: docs/results.md."""
    width: int | None = None
    """Width of a crop in pixels, likewise."""
    clip_stride: int | None = None
    """Video frames from one frame of a clip to the next. Default: the backbone's own; of an image tower, so that its
    frames spread over the snippet."""
    image_frames: int = 4
    """Frames of each snippet that an image tower encodes; their features are averaged."""
    mean: tuple[float, float, float] | None = None
    """For onnx/<file>: what is taken off its pixels, scaled to [0, 1]. Default: what FILE.json beside it says."""
    std: tuple[float, float, float] | None = None
    """For onnx/<file>: what they are divided by then."""
    layout: Layout | None = None
    """For onnx/<file>: its axes (batch, channels, time, height, width). Default: by where the 3 colours are."""
    border_crop: tuple[float, float, float, float] | None = None
    """Shares of the frame cut off at top, bottom, left, right. Default: what the backbone was pretrained with."""
    pool: Pool = "mean"
    """mean over the feature map, or mean_max: mean and maximum side by side, twice as wide. Of cells, the maximum is
    over the places of a cell and not over time."""
    grid: Literal["map"] | tuple[int, int] | None = None
    """Store features of cells of the picture, to find out where: `map` for the cells of the feature map itself, or rows
    and columns that it is pooled to. Default: one vector for the whole picture."""
    stage: str | None = None
    """With grid: take the cells from the map of this module of the network (of r3d_18: layer3), which is finer than the
    last one. Default: the network's own map."""
    stages: tuple[str, ...] = ()
    """Of whole pictures: add the maps of these modules of the network (of small3d: layers.1 layers.2) to each vector,
    the mean of each and the mean of its deviation over time, and that deviation of the network's own map."""
    motion: bool = True
    """One number more a vector, the last: the logarithm of how much the clip's frames differ, of each cell with grid.
    Networks lose it when they pool; scores that are composed take it as a part of its own."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of the forward pass; features are always float32."""

    def __post_init__(self) -> None:
        for name in ("height", "width", "clip_stride", "image_frames"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name} is {value}; it must be at least 1")
        if self.weights is not None and self.download:
            raise UserError(f"weights ({self.weights}) and download are both set; choose one of them")
        if self.border_crop is not None:
            check_border(self.border_crop)
        if self.stage is not None and self.grid is None:
            raise UserError(f"stage is {self.stage}, but only cells can be of another stage: set grid too")
        if self.stages and self.grid is not None:
            raise UserError(
                f"stages is {' '.join(self.stages)}, and grid asks for cells, which are of one stage: set stage "
                "instead, or leave grid out"
            )
        if len(set(self.stages)) < len(self.stages):
            raise UserError(f"stages is {' '.join(self.stages)}: name each once")
        if self.std is not None and min(self.std) <= 0:
            raise UserError(f"std is {' '.join(map(str, self.std))}; each must be above 0")
        if isinstance(self.grid, tuple) and min(self.grid) < 1:
            raise UserError(f"grid is {self.grid[0]} {self.grid[1]}; rows and columns are at least 1")

    def as_json(self) -> dict[str, Any]:
        """For manifests and packages; what ONNX files alone take is left out of the others'."""
        return {
            name: str(value) if isinstance(value, Path) else value
            for name, value in dataclasses.asdict(self).items()
            if value is not None or name not in OF_ONNX
        }

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> EncoderConfig:
        """The inverse of `as_json`, or of what was written before there was motion; TypeError for unknown keys."""
        read: dict[str, Any] = {"motion": False} | {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        if read.get("weights") is not None:
            read["weights"] = Path(read["weights"])
        return EncoderConfig(**read)


@dataclass(frozen=True, kw_only=True)
class ExtractConfig:
    """Turn the videos of a catalogue into a feature set.

    Run the same command again after a kill: finished videos are kept. Videos that cannot be read are named, listed in
    OUT/failed.txt (a list that --quarantine takes) and left out. Exit status: 0 all done, 1 some videos are missing, 2
    the command itself was wrong.

        python scripts/extract_features.py --out features/ours --backbone runs/pretrain --catalogue.root data/videos
        accelerate launch scripts/extract_features.py ...            # over all GPUs
        ... --out features/clip --backbone timm/vit_base_patch16_clip_224.openai --download
        ... --out features/cells --backbone runs/pretrain --grid map   # cells of the picture, to find out where
    """

    out: Path
    """Folder of the feature set."""
    encoder: Annotated[EncoderConfig, tyro.conf.arg(name="")] = field(default_factory=EncoderConfig)
    catalogue: CatalogueConfig = field(default_factory=CatalogueConfig)
    snippets: Annotated[SnippetSettings, tyro.conf.arg(name="")] = field(default_factory=SnippetSettings)
    split: Literal["all", "train", "test"] = "all"
    """Which videos of the catalogue."""
    quarantine: Path | None = None
    """A list written by scripts/check_videos.py; the videos it names are left out."""
    dtype: Literal["float16", "float32"] = "float16"
    """What features are stored as."""
    batch_clips: int = 32
    """Clips encoded at a time."""
    decoders: int | None = None
    """Videos decoded at a time by each process. Default: its share of the machine's cores, at most 8; one less than
    that where the encoder runs on a CPU too."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes a GPU where there is one."""
    cache: Path | None = None
    """Folder of caches that other runs left, the same as pretraining's data.cache: packet indices are read from and
    kept in its `index`. Default: they are made anew."""
    max_bad_fraction: float = 0.01
    """When more than this share of the videos fail, the end of the run says so loudly."""

    def __post_init__(self) -> None:
        for name in ("batch_clips", "decoders"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name} is {value}; it must be at least 1")
        if not 0 <= self.max_bad_fraction <= 1:
            raise UserError(f"max_bad_fraction is {self.max_bad_fraction}; it must lie in [0, 1]")
