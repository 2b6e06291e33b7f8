"""Which network, the clips it reads, and what it gives: what of a backbone is known without its network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from pretrain.errors import UserError


@dataclass(frozen=True, kw_only=True)
class BackboneConfig:
    """Which network, how it starts, and the clips it reads."""

    name: str = "small3d"
    """small3d, r3d_18, mvit_v2_s, swin3d_t, ... (a wrong name is told all), or timm/<any timm image model>."""
    weights: Path | None = None
    """Start from this file: an exported folder or file of ours, torchvision's or timm's own weights (safetensors, or
    .pth read with weights_only=True), or `shipped`: the weights of small3d that come with the package, pretrained on
    rendered footage. Default: random weights."""
    download: bool = False
    """Start from the published weights of that name, fetched by torchvision or timm. Nothing is fetched unasked."""
    clip_frames: int | None = None
    """Frames in a clip. Default: the architecture's own."""
    clip_stride: int | None = None
    """Video frames from one frame of a clip to the next. Default: the architecture's own."""
    height: int | None = None
    """Height of a clip in pixels. Default: the architecture's own."""
    width: int | None = None
    """Width of a clip in pixels. Default: the architecture's own."""
    freeze: bool = False
    """Keep the weights of an image network (timm/<model>) as they start, and train a small temporal module on its maps,
    which gives 128 numbers: for weights that are good already (ImageNet's, say). The image network's maps are computed
    once for each video (data.maps_gb)."""
    activation_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third more computation, the same gradients."""

    def __post_init__(self) -> None:
        for field in ("clip_frames", "clip_stride", "height", "width"):
            value = getattr(self, field)
            if value is not None and value < 1:
                raise UserError(f"backbone.{field} is {value}; it must be at least 1 (or left out, for the default)")
        if self.weights is not None and self.download:
            raise UserError(f"backbone.weights ({self.weights}) and backbone.download are both set; choose one of them")


@dataclass(frozen=True, kw_only=True)
class Clip:
    """The clip a network reads: its frames, their size, and how its pixels are normalised."""

    frames: int
    stride: int
    """Video frames from one frame of a clip to the next."""
    height: int
    width: int
    mean: tuple[float, float, float]
    """Per channel (RGB), of pixels scaled to [0, 1]: the input is `(pixels / 255 - mean) / std`."""
    std: tuple[float, float, float]

    def configured(self, config: BackboneConfig) -> Clip:
        """This clip with what the configuration sets."""
        return replace(
            self,
            frames=config.clip_frames or self.frames,
            stride=config.clip_stride or self.stride,
            height=config.height or self.height,
            width=config.width or self.width,
        )


@dataclass(frozen=True, kw_only=True)
class BackboneSpec:
    """What travels with a backbone: the input it expects and the size of what it gives."""

    name: str
    feature_dim: int
    clip: Clip
    map_size: tuple[int, int, int]
    """Frames, height and width of the feature map of one such clip."""
