"""A network in an ONNX file as an encoder: frames or clips in, a vector or a map out. It is run, never trained.

    net.onnx     the network; its input says whether it reads frames (B, 3, H, W) or clips (B, 3, T, H, W)
    net.json     what the file does not say: {"mean": [...], "std": [...], "layout": "bcthw", "frames": 16, ...}

What flags say goes before net.json, that before what this package wrote into the file when it exported it. It runs on
the CPU.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from einops import rearrange
from torch import Tensor, nn

from downstream.features.config import Layout
from downstream.features.feature_spec import Pool
from pretrain.backbones import Backbone, BackboneSpec, Clip
from pretrain.errors import UserError
from pretrain.json_shapes import fixed, number, one_of, record, text, whole
from pretrain.onnx_files import OnnxFile, OnnxTensor, open_onnx
from pretrain.versioned_json import parse_json, read_json

ONNX_PREFIX = "onnx/"
_TYPES = {"tensor(float)": torch.float32, "tensor(float16)": torch.float16}
_THREE, _SIDE, _COUNT = fixed(*[number(-1e4, 1e4)] * 3), whole(1, 4096), whole(1, 1024)
_CARD = record(
    {},
    {
        "mean": _THREE,
        "std": fixed(*[number(1e-9, 1e4)] * 3),
        "layout": one_of(*get_args(Layout)),
        "frames": _COUNT,
        "height": _SIDE,
        "width": _SIDE,
        "clip_stride": _COUNT,
        "output": text,
    },
    closed=True,
)
MOST_NUMBERS = 1 << 20
"""In a vector, or places of a map."""


@dataclass(frozen=True, kw_only=True)
class OnnxGiven:
    """What was asked for by flags; None: the file's own."""

    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    layout: Layout | None = None
    height: int | None = None
    width: int | None = None
    clip_stride: int | None = None
    image_frames: int = 4


def onnx_path(name: str) -> Path:
    """The file that a name `onnx/<file>` says; the name itself where that is a file."""
    inner = Path(name.removeprefix(ONNX_PREFIX)).expanduser()
    return Path(name) if not inner.exists() and Path(name).is_file() else inner


def onnx_card(path: Path) -> Path:
    """What may lie beside a network."""
    return path.with_suffix(".json")


class OnnxNet(nn.Module):
    """Normalised clips (B, 3, T, H, W) -> its output: (B, D), (B, T, D) of frames, or a map (B, D, T, H, W)."""

    def __init__(self, file: OnnxFile, layout: Layout, output: str) -> None:
        super().__init__()
        self.file, self.layout, self.output = file, layout, output
        self.input = file.inputs[0]
        self.reads_frames = "t" not in layout
        # where the encoder is: the network itself has no tensor here
        self.anchor = nn.Parameter(torch.zeros(()), requires_grad=False)
        self.steps = nn.ModuleList(_Step(stride) for stride in file.strides)

    def forward(self, clips: Tensor) -> Tensor:
        frames = clips.shape[2]
        inner = " ".join(self.layout)
        if self.reads_frames:
            given = rearrange(clips, f"b c t h w -> {inner.replace('b', '(b t)')}")
        else:
            given = rearrange(clips, f"b c t h w -> {inner}")
        found = self._run(given.detach().cpu()).to(clips.device)
        if found.ndim > 2 and self.layout.endswith("c"):
            found = found.movedim(-1, 1)  # a network with channels last gives them last
        if not self.reads_frames:
            return found
        found = found.unflatten(0, (-1, frames))
        return found if found.ndim == 3 else found.transpose(1, 2)

    def _run(self, given: Tensor) -> Tensor:
        """In batches as large as the file fixes them, the last one filled up."""
        given = given.to(_TYPES[self.input.type]).contiguous()
        size = self.input.shape[0] or len(given)
        found = []
        for start in range(0, len(given), size):
            part = given[start : start + size]
            filled = (
                torch.cat([part, part[-1:].expand(size - len(part), *part.shape[1:])]) if len(part) < size else part
            )
            try:
                output = self.file.session.run([self.output], {self.input.name: filled.numpy()})[0]
            except Exception as error:  # onnxruntime's own
                raise UserError(
                    f"{self.file.path} cannot run on {tuple(filled.shape)} ({' '.join(str(error).split())[:300]}); "
                    "give other sizes, or export it again"
                ) from error
            if getattr(output, "ndim", 0) < 2 or len(output) != size or output.dtype.kind != "f":
                raise UserError(
                    f"{self.file.path} gives {_shape_words(output)} for a batch of {size}: no vector, no map of each; "
                    'name another output in its .json ({"output": NAME}), or export the network without its last part'
                )
            found.append(torch.from_numpy(output[: len(part)]).float())
        return torch.cat(found)


class _Step(nn.Module):
    """What a convolution or pooling of the file steps by; `map_reach` asks for it."""

    def __init__(self, stride: tuple[int, ...]) -> None:
        super().__init__()
        self.stride = stride


class OnnxVectors(nn.Module):
    """Normalised clips (B, 3, T, H, W) -> features (B, D): the network's own vector, or those of frames pooled."""

    def __init__(self, net: OnnxNet, pool: Pool) -> None:
        super().__init__()
        self.net, self.pool = net, pool

    def forward(self, clips: Tensor) -> Tensor:
        found: Tensor = self.net(clips)
        if not self.net.reads_frames:
            return found
        mean = found.mean(dim=1)
        return mean if self.pool == "mean" else torch.cat([mean, found.amax(dim=1)], dim=1)


def open_onnx_net(name: str, given: OnnxGiven) -> tuple[OnnxNet, BackboneSpec, bool]:
    """The network, what it expects and gives, and whether that is a map. `spec.clip.stride` 0: frames spread.

    UserError, in one message each: what is no such file, an input that is neither frames nor clips, sizes and
    normalisation that nobody says, outputs that are neither vectors nor maps.
    """
    path = onnx_path(name)
    file = open_onnx(path, torch.get_num_threads())
    told = _metadata(file) | _card(path)
    told |= {
        key: value
        for key in ("mean", "std", "layout", "height", "width", "clip_stride")
        if (value := getattr(given, key)) is not None
    }
    tensor = _only_input(file)
    layout = told.get("layout") or _layout(path, tensor)
    clip = _clip(path, tensor, layout, told, given)
    net = OnnxNet(file, layout, _output(file, told.get("output")))
    with torch.inference_mode():
        found = net(torch.zeros(1, 3, clip.frames, clip.height, clip.width))
    is_map = found.ndim == 5
    if found.ndim != (3 if net.reads_frames else 2) and not is_map:
        raise UserError(
            f"{path} gives {tuple(found.shape)} for one clip: neither a vector (batch, numbers) nor a map "
            "(batch, numbers, [time,] height, width); take another output, or export tokens in their places"
        )
    if max(found.shape[1:]) > MOST_NUMBERS or not found.numel():
        raise UserError(f"{path} gives {tuple(found.shape)} for one clip; at most {MOST_NUMBERS:,} numbers are read")
    dim = int(found.shape[1] if is_map else found.shape[-1])
    size = (int(found.shape[2]), int(found.shape[3]), int(found.shape[4])) if is_map else (clip.frames, 1, 1)
    return net, BackboneSpec(name=f"{ONNX_PREFIX}{path.name}", feature_dim=dim, clip=clip, map_size=size), is_map


def onnx_backbone(net: OnnxNet, spec: BackboneSpec) -> Backbone:
    """A network whose map is pooled as that of any backbone; it cannot be trained."""
    return Backbone(spec, net, lambda own, clips: own(clips))


def card_of_net(net: OnnxNet, spec: BackboneSpec) -> dict[str, Any]:
    """net.json with all that was told, however it was told."""
    clip = spec.clip
    values: dict[str, Any] = {
        "mean": list(clip.mean),
        "std": list(clip.std),
        "layout": net.layout,
        "output": net.output,
    }
    values |= {"height": clip.height, "width": clip.width}
    values |= {} if net.reads_frames else {"frames": clip.frames}
    return values | ({"clip_stride": clip.stride} if clip.stride else {})


def _card(path: Path) -> dict[str, Any]:
    file = onnx_card(path)
    if not file.is_file():
        return {}
    content: dict[str, Any] = read_json(
        file, "what is told of the network", "see docs/backbones.md for its keys", _CARD
    )
    return content


def _metadata(file: OnnxFile) -> dict[str, Any]:
    """What `scripts/export_backbone.py --onnx` wrote into the file, where it did."""
    told: dict[str, Any] = {}
    for key in ("mean", "std", "clip_stride"):
        if key in file.metadata:
            try:
                told[key] = parse_json(file.metadata[key])
            except ValueError:
                continue
    try:
        _CARD(told)
    except ValueError:  # somebody else's, under the same names
        return {}
    return told


def _only_input(file: OnnxFile) -> OnnxTensor:
    if len(file.inputs) != 1:
        raise UserError(
            f"{file.path} has {len(file.inputs)} inputs ({', '.join(each.name[:40] for each in file.inputs[:4])}); an "
            "encoder has one, of frames or clips: export it so"
        )
    (tensor,) = file.inputs
    if tensor.type not in _TYPES or len(tensor.shape) not in (4, 5):
        raise UserError(
            f"the input of {file.path} is {tensor.words()}; an encoder reads normalised frames (batch, 3, height, "
            "width) or clips (batch, 3, frames, height, width) as float or float16: export it so"
        )
    return tensor


def _layout(path: Path, tensor: OnnxTensor) -> Layout:
    """The one layout in which the colours are where the shape has 3."""
    fitting = [each for each in get_args(Layout) if len(each) == len(tensor.shape)]
    found = [each for each in fitting if tensor.shape[each.index("c")] == 3]
    if len(found) != 1:
        raise UserError(
            f"the input of {path} is {tensor.words()}, and where its 3 colours are is "
            f"{'not said' if not found else 'ambiguous'}: give --layout, one of {', '.join(fitting)} (batch, channels, "
            'time, height, width), or put {"layout": ...} into ' + onnx_card(path).name
        )
    layout: Layout = found[0]
    return layout


def _clip(path: Path, tensor: OnnxTensor, layout: Layout, told: Mapping[str, Any], given: OnnxGiven) -> Clip:
    if len(layout) != len(tensor.shape) or tensor.shape[layout.index("c")] not in (3, None):
        raise UserError(f"layout is {layout}, and the input of {path} is {tensor.words()}: they do not go together")
    sizes: dict[str, int] = {}
    for name, axis in (("frames", "t"), ("height", "h"), ("width", "w")):
        fixed_size = tensor.shape[layout.index(axis)] if axis in layout else None
        wanted = told.get(name) if axis in layout else given.image_frames
        if fixed_size is not None and wanted not in (None, fixed_size):
            raise UserError(f"{name} is {wanted}, and {path} reads {fixed_size} alone; leave it out")
        if fixed_size is None and wanted is None:
            flag = "" if name == "frames" else f"--{name}, or "
            raise UserError(
                f"{path} takes any {name} ({tensor.words()}): say which by {flag}"
                f'{{"{name}": ...}} in {onnx_card(path).name} beside it'
            )
        sizes[name] = int(fixed_size or wanted or 0)
    if missing := [name for name in ("mean", "std") if name not in told]:
        raise UserError(
            f"nobody says how pixels are normalised for {path} ({' and '.join(missing)} missing): give --mean and "
            "--std of pixels scaled to [0, 1] (0 0 0 and 1 1 1 for none), or put them into "
            f"{onnx_card(path).name} beside it; features of pixels normalised otherwise would be worthless"
        )
    mean, std = tuple(map(float, told["mean"])), tuple(map(float, told["std"]))
    if min(std) <= 0:
        raise UserError(f"std is {' '.join(map(str, std))}; each must be above 0")
    return Clip(stride=told.get("clip_stride") or 0, mean=mean, std=std, **sizes)  # type: ignore[arg-type]


def _output(file: OnnxFile, wanted: str | None) -> str:
    names = [each.name for each in file.outputs]
    if wanted is not None and wanted not in names:
        raise UserError(f"{file.path} has no output '{wanted[:80]}'; it has {', '.join(names[:8])}")
    if wanted is None and len(names) > 1:
        raise UserError(
            f"{file.path} has {len(names)} outputs ({', '.join(names[:8])}): say which are the features by "
            f'{{"output": {json.dumps(names[0])}}} in {onnx_card(file.path).name} beside it'
        )
    return wanted or names[0]


def _shape_words(output: Any) -> str:
    return f"{tuple(output.shape)} {output.dtype}" if hasattr(output, "shape") else f"a {type(output).__name__}"
