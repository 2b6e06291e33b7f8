"""An image model of timm that encodes single frames, CLIP's image tower among them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import timm
import torch
from einops import rearrange
from torch import Tensor, nn

from downstream.features.feature_spec import Pool
from pretrain.backbones import Clip
from pretrain.backbones.timm_frames import check_name, constructor_arguments, resized
from pretrain.errors import UserError


class ImageTower(nn.Module):
    """Normalised clips (B, 3, T, H, W) -> features (B, D): the image model's own pooled output, over the frames."""

    def __init__(self, net: Any, pool: Pool) -> None:
        super().__init__()
        self.net, self.pool = net, pool

    def forward(self, clips: Tensor) -> Tensor:
        images = rearrange(clips, "b c t h w -> (b t) c h w")
        pooled = self.net.forward_head(self.net.forward_features(images), pre_logits=True).float()
        frames = rearrange(pooled, "(b t) d -> b t d", t=clips.shape[2])
        mean = frames.mean(dim=1)
        return mean if self.pool == "mean" else torch.cat([mean, frames.amax(dim=1)], dim=1)


def tower_facts(model: str) -> dict[str, Any]:
    """What timm knows of the model: `input_size`, `mean`, `std`; UserError for a name or tag it does not know."""
    check_name(model)
    try:
        return dict(timm.get_pretrained_cfg(model).to_dict())
    except RuntimeError as error:
        raise UserError(f"timm has no weights tagged as in '{model}'; leave the tag out") from error


def build_tower(model: str, clip: Clip) -> Any:
    """The model without its classifier, with random weights from torch's global generator; UserError."""
    try:
        return timm.create_model(model, num_classes=0, **constructor_arguments(model, clip))
    except (AssertionError, ValueError, RuntimeError, ZeroDivisionError) as error:
        raise UserError(
            f"'timm/{model}' cannot be built for frames of {clip.height}x{clip.width} pixels: {error}. Leave height "
            "and width out, or take multiples of its patch or window"
        ) from error


def load_tower(net: Any, model: str, state: Mapping[str, Tensor], source: str) -> None:
    """Put stored weights into the model. UserError where any weight of it is missing or of another shape."""
    own = net.state_dict()
    if any(key not in state or state[key].shape != value.shape for key, value in own.items()):
        state = resized(net, dict(state))
    wrong = sorted(
        key
        for key, value in own.items()
        if (key not in state or state[key].shape != value.shape) and not key.endswith("num_batches_tracked")
    )
    if wrong:
        raise UserError(
            f"{source} does not fit 'timm/{model}': {len(wrong)} weights are missing or of another shape "
            f"({', '.join(wrong[:3])}{', ...' if len(wrong) > 3 else ''}); give weights of this model"
        )
    # what is left over is the classifier, which features do not pass through
    net.load_state_dict({key: value for key, value in state.items() if key in own}, strict=False)


def tower_dim(net: Any, clip: Clip) -> int:
    """Width of the pooled output, from one frame: names of the attribute differ between models."""
    with torch.inference_mode():
        image = torch.zeros(1, 3, clip.height, clip.width)
        pooled = net.eval().forward_head(net.forward_features(image), pre_logits=True)
    if pooled.ndim != 2:
        raise UserError(f"timm's {type(net).__name__} gives {tuple(pooled.shape)}, no vector a frame; choose another")
    return int(pooled.shape[1])
