"""Hugging Face's video models from a folder on this machine: VideoMAE, V-JEPA 2, TimeSformer (`hf/<folder>`).

The network is transformers' own base model under its own keys; its map is what its last layer says of every patch, as
the model gives it (VideoMAE, 2022: no last layer norm where the model means over patches; V-JEPA 2, 2025: the encoder,
the predictor takes no part; TimeSformer, 2021: without the class token).
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from einops import rearrange

from pretrain.backbones.assembly import assemble
from pretrain.backbones.base import Backbone, ToMap
from pretrain.backbones.config import BackboneConfig, Clip
from pretrain.backbones.hugging_face_folder import (
    CONFIG_FILE,
    FAMILIES,
    PREPROCESSOR_FILE,
    SPAN_FRAMES,
    Family,
    Pixels,
    check_weight_files,
    read_config,
    read_pixels,
)
from pretrain.errors import UserError
from pretrain.weight_files import refuse_not_finite

HF_PREFIX = "hf/"
MOST_WEIGHTS, MOST_PATCHES = 10_000_000_000, 1 << 17
"""Of one network without weights, and of one clip; V-JEPA 2's largest have 1 billion and 18,432."""
SMALL = 1_000_000
"""Weights that may be missing without a look at their number: their names are told."""


def hf_folder(name: str) -> Path:
    """The folder that a name `hf/<folder>` says; the name itself where that is a folder."""
    inner = Path(name.removeprefix(HF_PREFIX)).expanduser()
    return Path(name) if not inner.exists() and Path(name).is_dir() else inner


def build_hf(config: BackboneConfig) -> Backbone:
    """The model in the folder named after `hf/`, with its weights; with random ones where `config.weights` follow.

    UserError: no such model, one of another kind, pickled weights, weights that are missing, a clip it cannot take.
    """
    folder = hf_folder(config.name)
    kind, values = read_config(folder)
    family, pixels = FAMILIES[kind], read_pixels(folder)
    stored = check_weight_files(folder) if config.weights is None else None
    values = values | _sizes(kind, family, values, config)
    with _offline():
        version = str(_transformers().__version__)
        settings = _settings(family, values, folder)
        clip = _clip(family, settings, pixels, config)
        _refuse_larger(family, settings, folder, stored)
        net, missing = _network(family, settings, folder) if config.weights is None else (_random(family, settings), [])
    # the folder's name is of this machine; what it holds is known by the family and the hash of its weights
    named = BackboneConfig(name=HF_PREFIX + kind, activation_checkpointing=config.activation_checkpointing)
    backbone = assemble(named, net, _MAPS[kind], clip)
    _refuse_missing(folder, missing, backbone)
    backbone.beside = {
        CONFIG_FILE: {
            "model_type": kind,
            "architectures": [family.model],
            "transformers_version": version,
            **_read_back(family, settings),
        },
        PREPROCESSOR_FILE: pixels.as_json(),
    }
    if config.weights is None:
        backbone.initialisation = f"weights of {folder.name or kind}"
    return backbone


def _sizes(kind: str, family: Family, values: dict[str, Any], config: BackboneConfig) -> dict[str, Any]:
    """What the configuration asks of the clip, in the model's words; UserError where the model cannot have it."""
    asked: dict[str, Any] = {}
    if config.clip_frames is not None:
        asked[family.frames] = config.clip_frames
    if config.height is not None or config.width is not None:
        own = values.get(family.size)
        default = tuple(own) if isinstance(own, list) else (own, own)
        height, width = config.height or default[0], config.width or default[1]
        if (height, width) != default and not (family.any_length and height == width):
            square = "squares alone, of any multiple of its patch" if family.any_length else "its own size alone"
            raise UserError(
                f"backbone.height and .width are {height} and {width}, and a {kind} takes {square}"
                f"{'' if default[0] is None else f' ({default[0]}x{default[1]})'}; leave them out"
            )
        if (height, width) != default:
            asked[family.size] = height
    own_frames = values.get(family.frames)
    if not family.any_length and asked.get(family.frames, own_frames) != own_frames:
        raise UserError(
            f"backbone.clip_frames is {config.clip_frames}, and this {kind} has positions for "
            f"{own_frames or 'its own number of'} frames alone; leave it out"
        )
    return asked


def _settings(family: Family, values: dict[str, Any], folder: Path) -> Any:
    """transformers' configuration of these values; UserError where they contradict each other."""
    try:
        return getattr(_transformers(), family.model.replace("Model", "Config"))(**values)
    except UserError:
        raise
    except Exception as error:  # the library checks by exceptions of its own
        raise UserError(
            f"{folder / CONFIG_FILE} cannot be used ({_first_line(error)}); get the folder again"
        ) from error


def _refuse_larger(family: Family, settings: Any, folder: Path, stored: int | None) -> None:
    """UserError where the configuration asks for far more weights than there are, before they take memory."""
    try:
        with torch.device("meta"):
            net = getattr(_transformers(), family.model)(settings)
    except Exception as error:
        raise UserError(
            f"no network can be made of {folder / CONFIG_FILE} ({_first_line(error)}); get it again"
        ) from error
    wanted = sum(parameter.numel() for parameter in net.parameters())
    most = MOST_WEIGHTS if stored is None else int(1.5 * stored) + SMALL
    if wanted > most:
        raise UserError(
            f"{folder / CONFIG_FILE} asks for a network of {wanted:,} weights, and "
            f"{'at most' if stored is None else 'the folder holds'} {most if stored is None else stored:,}"
            f"{' are read' if stored is None else ''}; get the folder again"
        )


def _network(family: Family, settings: Any, folder: Path) -> tuple[Any, list[str]]:
    """The model with the folder's weights, and the names of those that are missing there."""
    try:
        net, info = getattr(_transformers(), family.model).from_pretrained(
            str(folder),
            config=settings,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            attn_implementation=family.attention,
            output_loading_info=True,
        )
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"the weights in {folder} do not fit its {CONFIG_FILE} ({_first_line(error)}); get the folder again"
        ) from error
    refuse_not_finite(net.state_dict(), str(folder))
    return net, sorted(map(str, info["missing_keys"]))


def _random(family: Family, settings: Any) -> Any:
    settings._attn_implementation = family.attention
    try:
        return getattr(_transformers(), family.model)(settings)
    except Exception as error:
        raise UserError(f"no network can be made of {CONFIG_FILE} ({_first_line(error)}); get it again") from error


def _refuse_missing(folder: Path, missing: list[str], backbone: Backbone) -> None:
    needed = [name for name in missing if name not in backbone.off_path]
    if needed:
        raise UserError(
            f"{folder} lacks {len(needed)} weights of its {backbone.spec.name.removeprefix(HF_PREFIX)} "
            f"({', '.join(needed[:3])}{', ...' if len(needed) > 3 else ''}); get the folder again"
        )


def _clip(family: Family, settings: Any, pixels: Pixels, config: BackboneConfig) -> Clip:
    """The clip that the model reads. Its configuration names no stride: so that it spans `SPAN_FRAMES` [ours]."""
    frames, size = getattr(settings, family.frames), getattr(settings, family.size)
    height, width = size if isinstance(size, (list, tuple)) else (size, size)
    patch = settings.patch_size if isinstance(settings.patch_size, (list, tuple)) else (settings.patch_size,) * 2
    tubelet = settings.tubelet_size if family.tubelet else 1
    steps = (("frames", frames, tubelet), ("height", height, patch[0]), ("width", width, patch[1]))
    for name, length, step in steps:
        if length < step or length % step:
            raise UserError(
                f"the clip's {name} would be {length}, and this model takes multiples of {step}; "
                f"leave backbone.{'clip_frames' if name == 'frames' else name} out, or give such a one"
            )
    patches = math.prod(length // step for _, length, step in steps)
    if patches > MOST_PATCHES:
        raise UserError(f"a clip of this model would have {patches:,} patches, and at most {MOST_PATCHES:,} are read")
    stride = config.clip_stride or max(1, SPAN_FRAMES // frames)
    return Clip(frames=frames, stride=stride, height=height, width=width, mean=pixels.mean, std=pixels.std)


def _read_back(family: Family, settings: Any) -> dict[str, Any]:
    """All that `read_config` reads, defaults of the library included: a later version may have others."""
    values = {name: getattr(settings, name, None) for name in family.shapes}
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in values.items() if value is not None
    }


def _grid(net: Any, clips: torch.Tensor) -> tuple[int, int]:
    patch = net.config.patch_size
    down, across = patch if isinstance(patch, (list, tuple)) else (patch, patch)
    return clips.shape[3] // down, clips.shape[4] // across


def _videomae_map(net: Any, clips: torch.Tensor) -> torch.Tensor:
    tokens = net(pixel_values=clips.transpose(1, 2)).last_hidden_state
    rows, columns = _grid(net, clips)
    return rearrange(tokens, "b (t h w) d -> b d t h w", h=rows, w=columns)


def _vjepa2_map(net: Any, clips: torch.Tensor) -> torch.Tensor:
    tokens = net(pixel_values_videos=clips.transpose(1, 2), skip_predictor=True).last_hidden_state
    rows, columns = _grid(net, clips)
    return rearrange(tokens, "b (t h w) d -> b d t h w", h=rows, w=columns)


def _timesformer_map(net: Any, clips: torch.Tensor) -> torch.Tensor:
    tokens = net(pixel_values=clips.transpose(1, 2)).last_hidden_state[:, 1:]  # token 0 is the class token
    rows, columns = _grid(net, clips)
    if net.config.attention_type == "space_only":  # frames are images of their own there
        return rearrange(tokens, "(b t) (h w) d -> b d t h w", t=clips.shape[2], h=rows, w=columns)
    return rearrange(tokens, "b (h w t) d -> b d t h w", h=rows, w=columns)


_MAPS: dict[str, ToMap] = {"videomae": _videomae_map, "vjepa2": _vjepa2_map, "timesformer": _timesformer_map}


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise UserError(
            "hf/<folder> needs transformers, not installed here: pip install 'anomaly-pretext[hf]'"
        ) from error
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    """Nobody is asked for anything, whatever the library would like to know; timm may be, later."""
    from huggingface_hub import constants  # timm stands on it

    before, name = (constants.HF_HUB_OFFLINE, os.environ.get("HF_HUB_OFFLINE")), "HF_HUB_OFFLINE"
    constants.HF_HUB_OFFLINE, os.environ[name] = True, "1"
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before[0]
        os.environ.pop(name, None)
        if before[1] is not None:
            os.environ[name] = before[1]


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
