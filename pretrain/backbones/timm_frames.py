"""Any timm image model as a video backbone: frame by frame, then temporal mixing of our own."""

from __future__ import annotations

import inspect
import sys
from typing import Any

import timm
import torch
from einops import rearrange
from torch import nn

from pretrain.backbones.assembly import assemble
from pretrain.backbones.base import Backbone, not_fetched
from pretrain.backbones.config import BackboneConfig, Clip
from pretrain.errors import UserError, nearest

PREFIX = "timm/"
FRAMES, STRIDE = 16, 2
"""An image model has no clip of its own; these are those of torchvision's 3D ResNets [ours]."""


def build_timm(config: BackboneConfig) -> Backbone:
    """The timm model named after `timm/` with random weights; UserError for a name timm does not know."""
    model = config.name.removeprefix(PREFIX)
    check_name(model)
    data = _data_config(model)
    _, height, width = data["input_size"]
    default = Clip(
        frames=FRAMES, stride=STRIDE, height=height, width=width, mean=tuple(data["mean"]), std=tuple(data["std"])
    )
    clip = default.configured(config)
    try:
        net = timm.create_model(model, **constructor_arguments(model, clip))
    except (AssertionError, ValueError, RuntimeError, ZeroDivisionError) as error:
        raise UserError(
            f"'{config.name}' cannot be built for frames of {clip.height}x{clip.width} pixels: {error}. Leave "
            f"backbone.height and .width out ({height}x{width}), or take multiples of its patch or window"
        ) from error
    return assemble(config, net, frames_map, clip, per_frame=True)


def frames_map(net: Any, clips: torch.Tensor) -> torch.Tensor:
    """Clips (B, 3, T, H, W) -> the image model's map of every frame, (B, D, T, h, w)."""
    num_frames, size = clips.shape[2], (clips.shape[3], clips.shape[4])
    output = net.forward_features(rearrange(clips, "b c t h w -> (b t) c h w"))
    return rearrange(_as_map(net, output, size), "(b t) d h w -> b d t h w", t=num_frames)


def _as_map(net: nn.Module, output: Any, size: tuple[int, int]) -> torch.Tensor:
    """What `forward_features` gives, as (N, D, h, w): NCHW and NHWC maps, and tokens with or without prefix."""
    if isinstance(output, torch.Tensor) and output.ndim == 4:
        return rearrange(output, "n h w d -> n d h w") if getattr(net, "output_fmt", "NCHW") == "NHWC" else output
    if isinstance(output, torch.Tensor) and output.ndim == 3:
        known = getattr(net, "num_prefix_tokens", None)
        for num_prefix in (known,) if known is not None else (0, 1, 2):
            grid = _grid(net, output.shape[1] - num_prefix, size)
            if grid is not None:
                return rearrange(output[:, num_prefix:], "n (h w) d -> n d h w", h=grid[0], w=grid[1])
    shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
    raise UserError(
        f"timm's {type(net).__name__} gives {shape} for frames of {size[0]}x{size[1]}, which is no map of places; "
        f"choose another timm model (convolutional ones, ViT, Swin, ConvNeXt and their kin work)"
    )


def _grid(net: nn.Module, num_tokens: int, size: tuple[int, int]) -> tuple[int, int] | None:
    """Rows and columns: of the model's own patches, else with the frame's proportions; None where there are no such."""
    patches = getattr(getattr(net, "patch_embed", None), "grid_size", None)
    if patches is not None and patches[0] * patches[1] == num_tokens:
        return patches[0], patches[1]
    for rows in range(1, num_tokens + 1):
        columns, rest = divmod(num_tokens, rows)
        if rest == 0 and rows * size[1] == columns * size[0]:
            return rows, columns
    return None


def constructor_arguments(model: str, clip: Clip) -> dict[str, Any]:
    """`img_size` for models built for one size, where the clip has another; convolutional ones take any."""
    _, height, width = _data_config(model)["input_size"]
    if (clip.height, clip.width) == (height, width) or not _takes_img_size(model):
        return {}
    return {"img_size": (clip.height, clip.width)}


def _takes_img_size(model: str) -> bool:
    with torch.device("meta"):  # nothing is allocated or initialised
        try:
            timm.create_model(model, img_size=_data_config(model)["input_size"][1:])
        except TypeError:
            return False
    return True


def download_timm(model: str, *, fetch: bool = True) -> dict[str, torch.Tensor]:
    """The published weights of that timm model.

    `fetch` off: only from where an earlier download left them. Raises UserError without a network, without such a file,
    or where there are none.
    """
    check_name(model)
    if not fetch:
        return _kept_weights(model)
    try:
        state: dict[str, torch.Tensor] = timm.create_model(model, pretrained=True).state_dict()
    except Exception as error:  # the hub's client raises errors of several HTTP libraries; all mean "no weights came"
        reason = f"{type(error).__name__}: {str(error).split('. ')[0]}"
        raise UserError(
            f"the weights of 'timm/{model}' could not be downloaded ({reason}). "
            f"Fetch them where there is a network and give the file as backbone.weights, or leave backbone.download out"
        ) from error
    return state


def _kept_weights(model: str) -> dict[str, torch.Tensor]:
    """Published weights that an earlier download left in the hub's folder; UserError where there are none."""
    from huggingface_hub import try_to_load_from_cache  # timm's own way to the hub

    repository = timm.get_pretrained_cfg(model).hf_hub_id
    kept = try_to_load_from_cache(repository, "model.safetensors") if repository else None
    if not isinstance(kept, str):
        raise not_fetched(PREFIX + model)
    try:
        # the file is there: timm reads it without asking anybody
        state: dict[str, torch.Tensor] = timm.create_model(
            model, pretrained=True, pretrained_cfg_overlay={"file": kept}
        ).state_dict()
    except Exception as error:
        raise UserError(f"the kept weights of 'timm/{model}' cannot be used ({error}); fetch them again") from error
    return state


def resized(net: nn.Module, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`state` as timm's own loader would adapt it to `net`: renamed keys, position tables of another frame size."""
    adapt = getattr(sys.modules[type(net).__module__], "checkpoint_filter_fn", None)
    if adapt is None or len(inspect.signature(adapt).parameters) < 2:
        return state
    try:
        adapted: dict[str, torch.Tensor] = adapt(dict(state), net)
    except (KeyError, RuntimeError, ValueError, AttributeError, IndexError):
        return state  # made for another architecture; the comparison of keys that follows says so in words
    return adapted


def check_name(model: str) -> None:
    """Raise UserError, with the nearest known name, where timm has no such model."""
    architecture = model.split(".")[0]
    if not timm.is_model(architecture):
        raise UserError(
            f"timm has no model '{architecture}'{nearest(architecture, timm.list_models())} "
            f"`timm.list_models()` gives all names"
        )


def _data_config(model: str) -> dict[str, Any]:
    architecture, _, tag = model.partition(".")
    try:
        config = timm.get_pretrained_cfg(model)
    except RuntimeError as error:
        raise UserError(f"timm has no weights tagged '{tag}' for '{architecture}'; leave the tag out") from error
    return dict(config.to_dict())
