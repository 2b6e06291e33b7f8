"""What a folder of a Hugging Face video model says: its family, its network's sizes, how pixels are normalised.

    FOLDER/config.json                 family (`model_type`) and sizes
    FOLDER/preprocessor_config.json    mean and std (or video_preprocessor_config.json, or processor_config.json)
    FOLDER/model.safetensors           weights (or model.safetensors.index.json and its parts)

Only what is named here is read: code of the folder, quantisation and adapters never reach the library. Nothing is
fetched, nothing is unpickled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pretrain.errors import UserError
from pretrain.json_shapes import Shape, either, fixed, flag, mapping, number, one_of, optional, record, text, whole
from pretrain.versioned_json import read_json
from pretrain.weight_files import stored_shapes

CONFIG_FILE, PREPROCESSOR_FILE = "config.json", "preprocessor_config.json"
PREPROCESSOR_FILES = (PREPROCESSOR_FILE, "video_preprocessor_config.json", "processor_config.json")
SHARDS_FILE = "model.safetensors.index.json"
MOST_SHARDS = 1000
SPAN_FRAMES = 64
"""Video frames that a clip spans by default: 16 frames, every fourth, as VideoMAE and torchvision's MViT read them."""
_AGAIN = "get the folder again from where the model came from"
_COUNT, _WIDTH, _SHARE = whole(1, 1024), whole(1, 1 << 17), number(0, 1)
_SIDE = either(fixed(whole(1, 4096), whole(1, 4096)), whole(1, 4096))
_TRANSFORMER: dict[str, Shape] = {
    "patch_size": _SIDE,
    "hidden_size": whole(1, 1 << 14),
    "num_hidden_layers": whole(1, 256),
    "num_attention_heads": whole(1, 1024),
    "hidden_act": text,
    "layer_norm_eps": number(0, 1),
    "initializer_range": number(0, 10),
    "attention_probs_dropout_prob": _SHARE,
    "qkv_bias": flag,
}


@dataclass(frozen=True, kw_only=True)
class Family:
    """One kind of network: what its configuration holds, and under which names."""

    model: str
    """Its class in transformers; that of the configuration has `Config` for `Model`."""
    attention: str
    """Which of the library's implementations computes it."""
    frames: str
    """Name of the number of frames in the configuration."""
    size: str
    """Name of the height and width in the configuration."""
    tubelet: bool
    """Whether patches span several frames (`tubelet_size`)."""
    any_length: bool
    """Positions are computed and belong to no length and no size: clips of others can be read."""
    shapes: Mapping[str, Shape]
    """What else is read of the configuration; all may be missing, and are then the library's defaults."""


FAMILIES: dict[str, Family] = {
    "videomae": Family(
        model="VideoMAEModel",
        attention="sdpa",
        frames="num_frames",
        size="image_size",
        tubelet=True,
        any_length=False,
        shapes=_TRANSFORMER
        | {
            "image_size": _SIDE,
            "num_channels": one_of(3),
            "num_frames": _COUNT,
            "tubelet_size": whole(1, 64),
            "intermediate_size": _WIDTH,
            "hidden_dropout_prob": _SHARE,
            "qv_bias": flag,
            "use_mean_pooling": flag,
        },
    ),
    "vjepa2": Family(
        model="VJEPA2Model",
        attention="sdpa",
        frames="frames_per_clip",
        size="crop_size",
        tubelet=True,
        any_length=True,
        shapes=_TRANSFORMER
        | {
            "patch_size": whole(1, 4096),
            "crop_size": whole(1, 4096),
            "in_chans": one_of(3),
            "frames_per_clip": _COUNT,
            "tubelet_size": whole(1, 64),
            "mlp_ratio": number(0.01, 64),
            "drop_path_rate": _SHARE,
            "attention_dropout": _SHARE,
            "num_pooler_layers": whole(0, 64),
            "pred_hidden_size": whole(1, 1 << 14),
            "pred_num_attention_heads": whole(1, 1024),
            "pred_num_hidden_layers": whole(0, 256),
            "pred_num_mask_tokens": whole(0, 1024),
            "pred_zero_init_mask_tokens": flag,
            "pred_mlp_ratio": number(0.01, 64),
        },
    ),
    "timesformer": Family(
        model="TimesformerModel",
        attention="eager",
        frames="num_frames",
        size="image_size",
        tubelet=False,
        any_length=False,
        shapes=_TRANSFORMER
        | {
            "patch_size": whole(1, 4096),
            "image_size": whole(1, 4096),
            "num_channels": one_of(3),
            "num_frames": _COUNT,
            "intermediate_size": _WIDTH,
            "hidden_dropout_prob": _SHARE,
            "attention_type": one_of("divided_space_time", "space_only", "joint_space_time"),
            "drop_path_rate": _SHARE,
        },
    ),
}
"""By `model_type`."""
_THREE = either(fixed(*[number(-1e4, 1e4)] * 3), number(-1e4, 1e4))
_PREPROCESSOR = record(
    {},
    {
        "image_mean": optional(_THREE),
        "image_std": optional(_THREE),
        "do_normalize": optional(flag),
        "do_rescale": optional(flag),
        "rescale_factor": optional(number(1e-9, 1e4)),
    },
)


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """How the network's pixels are normalised, of values scaled to [0, 1]: `(pixels / 255 - mean) / std`."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def as_json(self) -> dict[str, Any]:
        """As `read_pixels` reads it, and transformers."""
        return {
            "image_mean": list(self.mean),
            "image_std": list(self.std),
            "do_normalize": True,
            "do_rescale": True,
            "rescale_factor": 1 / 255,
        }


def is_model_folder(folder: Path) -> bool:
    """Whether it looks like one of a Hugging Face model, and like none of our exports."""
    return (folder / CONFIG_FILE).is_file() and not any(
        (place / "backbone.json").is_file() for place in (folder, folder / "backbone")
    )


def read_config(folder: Path) -> tuple[str, dict[str, Any]]:
    """The family and those fields of config.json that make its network.

    UserError: no such folder or file, another kind of model, sizes past every published network.
    """
    if not folder.is_dir():
        raise UserError(
            f"there is no folder {folder} of a Hugging Face model; give hf/FOLDER with what `hf download` or "
            "save_pretrained wrote (nothing is fetched by its name); where a detector's was moved: --backbone FOLDER"
        )
    file = folder / CONFIG_FILE
    if not file.is_file():
        raise UserError(f"{folder} has no {CONFIG_FILE}, so it holds no Hugging Face model; {_AGAIN}")
    what = "the model's configuration"
    kind = read_json(file, what, _AGAIN, record({"model_type": text}))["model_type"]
    if kind not in FAMILIES:
        raise UserError(
            f"{folder} holds a model of type '{kind[:80]}'; video models of these types are read: "
            f"{', '.join(FAMILIES)}. An image model of timm: timm/<model>; any other network: export it to ONNX and "
            "extract its features with --backbone onnx/FILE"
        )
    family = FAMILIES[kind]
    content = read_json(file, what, _AGAIN, record({"model_type": text}, family.shapes))
    return kind, {name: content[name] for name in family.shapes if content.get(name) is not None}


def read_pixels(folder: Path) -> Pixels:
    """How the folder says that pixels are normalised; UserError where it does not."""
    for name in PREPROCESSOR_FILES:
        if not (folder / name).is_file():
            continue
        what = "the model's preprocessing"
        content = read_json(folder / name, what, _AGAIN, record({}))
        inner = content.get("video_processor") or content.get("image_processor")
        if isinstance(inner, dict):  # one file for all processors, as transformers 5 writes them
            content = inner
        _check_preprocessor(content, folder / name)
        if content.get("do_normalize", True) is False or {"image_mean", "image_std"} <= content.keys():
            return _pixels(content, folder / name)
    raise UserError(
        f"{folder} does not say how pixels are normalised (no {PREPROCESSOR_FILE} with image_mean and image_std), and "
        f"features of pixels normalised otherwise would be worthless; {_AGAIN}"
    )


def _check_preprocessor(content: dict[str, Any], file: Path) -> None:
    try:
        _PREPROCESSOR(content)
    except ValueError as error:
        raise UserError(f"the model's preprocessing {file} cannot be used: {error}; {_AGAIN}") from error


def _pixels(content: Mapping[str, Any], file: Path) -> Pixels:
    factor = content.get("rescale_factor") or 1 / 255
    scale = 255 * (factor if content.get("do_rescale") is not False else 1.0)
    if content.get("do_normalize") is False:
        mean, std = _three(0.0), _three(1.0)
    else:
        mean, std = _three(content["image_mean"]), _three(content["image_std"])
    if min(std) <= 0:
        raise UserError(f"the model's preprocessing {file} has an image_std of {min(std):g}, not above 0; {_AGAIN}")
    # scale * pixels / 255, less the mean, over std: the same as pixels / 255 with both divided by the scale
    a, b, c = (value / scale for value in mean)
    d, e, f = (value / scale for value in std)
    return Pixels(mean=(a, b, c), std=(d, e, f))


def _three(value: Any) -> tuple[float, ...]:
    if value is None:
        raise UserError(f"image_mean or image_std of the model's preprocessing is empty; {_AGAIN}")
    return tuple(map(float, value)) if isinstance(value, list) else (float(value),) * 3


def check_weight_files(folder: Path) -> int:
    """How many weights the folder holds. UserError unless they are whole and safetensors; a pickle is not opened."""
    if (folder / "adapter_config.json").is_file():
        raise UserError(
            f"{folder} holds an adapter beside a model; merge it (peft: merge_and_unload, save_pretrained), give that"
        )
    whole_file, shards = folder / "model.safetensors", folder / SHARDS_FILE
    files = [whole_file] if whole_file.is_file() else _shards(folder) if shards.is_file() else []
    if not files:
        pickles = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in folder.glob(pattern))
        raise UserError(
            f"{folder} has no model.safetensors"
            + (f", and {pickles[0]} is a pickle, which could run anything and is not opened. " if pickles else ". ")
            + "Get the safetensors version of the model, or where you trust the file: "
            "AutoModel.from_pretrained(FOLDER).save_pretrained(NEW), and copy preprocessor_config.json"
        )
    return sum(math.prod(shape) for file in files for shape in stored_shapes(file, "weights").values())


def _shards(folder: Path) -> list[Path]:
    index = folder / SHARDS_FILE
    content = read_json(index, "the list of weight files", _AGAIN, record({"weight_map": mapping(text)}))
    names = list(dict.fromkeys(content["weight_map"].values()))
    if not names or len(names) > MOST_SHARDS:
        raise UserError(f"{index} names {len(names)} weight files, not 1 to {MOST_SHARDS}; {_AGAIN}")
    for name in names:
        if "/" in name or not name.endswith(".safetensors"):
            raise UserError(f"{index} names {name[:200]!r}, no .safetensors file of its folder; {_AGAIN}")
        if not (folder / name).is_file():
            raise UserError(f"{folder / name} is missing, and {index} names it; {_AGAIN}")
    return [folder / name for name in names]
