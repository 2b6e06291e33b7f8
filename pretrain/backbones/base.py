"""What a backbone is: the network, what it expects of its input, and the map it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pretrain.errors import UserError

ToMap = Callable[[nn.Module, torch.Tensor], torch.Tensor]
"""A plain function of (native network, clips (B, 3, T, H, W)) that gives the feature map (B, D, T', H', W')."""


@dataclass(frozen=True, kw_only=True)
class BackboneConfig:
    """Which network, how it starts, and the clips it reads."""

    name: str = "small3d"
    """small3d, r3d_18, mvit_v2_s, swin3d_t, ... (a wrong name is told all), timm/<any timm image model>, or
    hf/<folder> of a Hugging Face video model, which brings its weights (VideoMAE, V-JEPA 2, TimeSformer)."""
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


class Backbone(nn.Module):
    """A native network together with the way to its feature map.

    `net` is torchvision's, timm's or our own model under its own state-dict keys, classification head included, so that
    what is saved loads into the bare model. Parameters that the feature map does not depend on (the head) have
    `requires_grad=False`: they stay as they started, and DDP need not search for them.
    """

    def __init__(
        self,
        spec: BackboneSpec,
        net: nn.Module,
        to_map: ToMap,
        mixing: nn.Module | None = None,
        off_path: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.spec = spec
        self.net = net
        self.mixing = mixing
        self.off_path = tuple(off_path)
        """Names of the parameters of `net` that the feature map does not depend on."""
        self.initialisation = "random weights"
        """How the weights started, in words; goes on the card."""
        self.beside: Mapping[str, Mapping[str, Any]] = {}
        """JSON files that lie beside exported weights, by name: what the network's name does not say of its shape."""
        self.frozen = False
        """Does the image network stay as it is? Then temporal mixing alone trains."""
        self._to_map = to_map

    def freeze(self) -> None:
        """Keep the image network as it is: no gradient, and in evaluation mode, whatever mode the rest is in."""
        assert self.mixing is not None, "nothing would be left to train"
        self.frozen = True
        self.net.requires_grad_(False)
        self.net.eval()

    def thaw(self) -> None:
        """Undo `freeze`: everything trains that the feature map depends on."""
        self.frozen = False
        for name, parameter in self.net.named_parameters():
            parameter.requires_grad_(name not in self.off_path)
        self.train(self.training)

    def train(self, mode: bool = True) -> Backbone:
        """Training or evaluation mode; of a frozen image network (its normalisation, its dropout) always the latter."""
        super().train(mode)
        if self.frozen:
            self.net.eval()
        return self

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """Clips float (B, 3, T, H, W), normalised with the spec's mean and std -> feature map (B, D, T', H', W')."""
        return self.mixed(self.map_of(clips))

    def map_of(self, clips: torch.Tensor) -> torch.Tensor:
        """The native network's own map of clips, before temporal mixing; of image networks frame by frame."""
        return self._to_map(self.net, clips)

    def mixed(self, feature_map: torch.Tensor) -> torch.Tensor:
        """What `map_of` gave, mixed along time where this backbone does so."""
        return feature_map if self.mixing is None else self.mixing(feature_map)

    @staticmethod
    def pool(feature_map: torch.Tensor) -> torch.Tensor:
        """Feature map (B, D, T', H', W') -> features (B, D): the mean over time and space."""
        return feature_map.mean(dim=(2, 3, 4))


def not_fetched(name: str) -> UserError:
    """What is said where a card asks for published weights that are not on this machine."""
    return UserError(
        f"the published weights of '{name}' are not on this machine, and nothing is fetched because a card says so. "
        f"Run scripts/extract_features.py --backbone {name} --download once, which keeps them, or give the backbone as "
        "a folder (--backbone)"
    )
