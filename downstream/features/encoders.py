"""What turns clips into feature vectors: a backbone of ours, a video network by name, or an image tower of timm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from downstream.features.cells import CellNetwork
from downstream.features.clip_motion import log_motion
from downstream.features.config import CROPS, OF_ONNX, EncoderConfig, SnippetSettings, check_border, check_crops
from downstream.features.crops import MARGIN, centre_region
from downstream.features.feature_spec import FeatureSpec, Grid, Output, Pool
from downstream.features.image_tower import ImageTower, build_tower, load_tower, tower_dim, tower_facts
from downstream.features.map_reach import WHOLE
from downstream.features.onnx_encoder import (
    ONNX_PREFIX,
    OnnxGiven,
    OnnxVectors,
    onnx_backbone,
    open_onnx_net,
)
from downstream.features.snippets import ClipView
from downstream.features.stages import StageVectors, deviation
from pretrain.backbones import (
    BACKBONES,
    Backbone,
    BackboneConfig,
    BackboneSpec,
    Clip,
    build_backbone,
    load_backbone,
)
from pretrain.backbones.hugging_face import HF_PREFIX
from pretrain.backbones.hugging_face_folder import is_model_folder
from pretrain.backbones.shipped import or_shipped
from pretrain.backbones.timm_frames import PREFIX, download_timm
from pretrain.backbones.weights import own_names, read_weights
from pretrain.data.geometry import NO_BORDER, BorderCrop
from pretrain.data.video import VideoInfo
from pretrain.errors import UserError, nearest
from pretrain.weight_files import state_sha256


class VideoNetwork(nn.Module):
    """Normalised clips (B, 3, T, H, W) -> features (B, D): a backbone's map, pooled over time and space.

    `stages`: beside it the map's deviation over time, and mean and deviation of the maps of these modules.
    """

    def __init__(self, backbone: Backbone, pool: Pool, stages: Sequence[str] = ()) -> None:
        super().__init__()
        self.backbone, self.pool = backbone, pool
        self.stages = StageVectors(backbone, stages) if stages else None
        own = backbone.spec.feature_dim
        self.dim = own * (2 if pool == "mean_max" else 1) + (own + sum(self.stages.dims) if self.stages else 0)

    def forward(self, clips: Tensor) -> Tensor:
        own, vectors = (self.backbone(clips), []) if self.stages is None else self.stages.run(clips)
        feature_map = own.float()
        parts = [self.backbone.pool(feature_map)]
        parts += [feature_map.amax(dim=(2, 3, 4))] if self.pool == "mean_max" else []
        parts += [deviation(feature_map), *vectors] if self.stages is not None else []
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


class Encoder:
    """Clips in, features out, and everything that must be known to make the same features again."""

    def __init__(
        self,
        config: EncoderConfig,
        spec: BackboneSpec,
        network: nn.Module,
        sha256: str,
        output: Output,
        border: BorderCrop,
    ) -> None:
        self.name, self.weights_sha256, self.pool, self.precision = spec.name, sha256, config.pool, config.precision
        self.clip = spec.clip
        """What the network reads; `stride` 0: its frames spread over the snippet, however long that is."""
        self.border_crop = border
        self.grid: Grid | None = network.grid if isinstance(network, CellNetwork) else None
        self.reach = network.reach if isinstance(network, CellNetwork) else WHOLE
        """Which part of a crop the cells are of; all of it where there are none."""
        self.stage = config.stage
        """The module whose map cells are of; None: the network's own map."""
        self.stages = config.stages
        """Modules whose maps are pooled beside the network's own."""
        self.motion = config.motion
        """Whether the last number of a vector is how much the clip's frames differ."""
        own = (
            network.dim
            if isinstance(network, (CellNetwork, VideoNetwork))
            else spec.feature_dim * (2 if config.pool == "mean_max" else 1)
        )
        self.dim = own + self.motion
        self.output: Output = output
        self.network = network.eval().requires_grad_(False)
        for parameter in self.network.parameters():
            if parameter.ndim == 5:  # 3D convolutions are faster so; 2D ones refuse the format
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last_3d)

    def to(self, device: torch.device) -> Encoder:
        """Move the weights; returns the encoder itself."""
        self.network.to(device)
        return self

    def view(self, snippet_frames: int) -> ClipView:
        """What it looks at in snippets of that many frames."""
        stride = self.clip.stride or max(1, snippet_frames // self.clip.frames)
        return ClipView(clip=replace(self.clip, stride=stride), border_crop=self.border_crop)

    def spec(self, settings: SnippetSettings) -> FeatureSpec:
        """What the features are that it makes of snippets so taken. UserError for cells of more than one crop."""
        check_crops(settings.crops)
        if self.grid is not None and settings.crops != 1:
            raise UserError(
                f"crops is {settings.crops}, and grid asks for cells: these are of the whole picture, so take one crop"
            )
        clip = self.view(settings.snippet_frames).clip
        return FeatureSpec(
            encoder=self.name,
            weights_sha256=self.weights_sha256,
            dim=self.dim,
            crops=CROPS[settings.crops],
            snippet_frames=settings.snippet_frames,
            clip_frames=clip.frames,
            clip_stride=clip.stride,
            border_crop=self.border_crop,
            crop_height=clip.height,
            crop_width=clip.width,
            mean=clip.mean,
            std=clip.std,
            output=self.output,
            pool=self.pool,
            crop_margin=MARGIN[settings.crops],
            tail=settings.tail,
            grid=self.grid,
            stage=self.stage,
            stages=self.stages,
            motion=self.motion,
        )

    def seen(self, info: VideoInfo) -> tuple[float, float, float, float]:
        """x1, y1, x2, y2: the part of a video's picture, in its pixels, that one crop shows, or its cells see."""
        region = centre_region(info, self.clip.height, self.clip.width, self.border_crop)
        down, across = info.height / region.decode_height, info.width / region.decode_width
        y, x, reach = region.y, region.x, self.reach
        return (
            (x + region.width * reach.left) * across,
            (y + region.height * reach.top) * down,
            (x + region.width * reach.right) * across,
            (y + region.height * reach.bottom) * down,
        )

    @torch.inference_mode()
    def features(self, clips: Tensor) -> Tensor:
        """uint8 clips (B, T, H, W, 3) on the encoder's device -> float32 (B, D), or (B, cells, D)."""
        mean, std = (torch.tensor(values, device=clips.device) for values in (self.clip.mean, self.clip.std))
        pixels = clips.float().mul_(1 / (255 * std)).sub_(mean / std)  # in place: half the time of the plain formula
        # the permuted view of frames in colour-last order already is what channels_last_3d means
        pixels = rearrange(pixels, "b t h w c -> b c t h w")
        with torch.autocast(clips.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            features: Tensor = self.network(pixels).float()
        return torch.cat([features, log_motion(clips, self.grid, self.reach)], dim=-1) if self.motion else features


def open_encoder(config: EncoderConfig, *, fetch: bool = True) -> Encoder:
    """The encoder a configuration asks for, on the CPU.

    `fetch` off: the configuration stands on a card, and nobody asked for a download now. Published weights are then
    taken from where an earlier download left them on this machine, or it is a UserError.
    UserError: neither a folder nor a name that is known, weights that are missing or do not fit, an option that only a
    name takes.
    """
    if config.backbone.startswith(ONNX_PREFIX) or (
        config.backbone.endswith(".onnx") and Path(config.backbone).is_file()
    ):
        return _onnx(config)
    for name in OF_ONNX:
        if getattr(config, name) is not None:
            raise UserError(
                f"{name} is set, and only onnx/<file> takes it: '{config.backbone}' says its own; leave it out"
            )
    if config.backbone.startswith(PREFIX):
        return _image_tower(config, fetch)
    if config.backbone in BACKBONES or config.backbone.startswith(HF_PREFIX):
        return _named(config, fetch)
    path = or_shipped(Path(config.backbone))
    if is_model_folder(path):
        return _named(replace(config, backbone=f"{HF_PREFIX}{path}"), fetch)
    if path.exists():
        return _exported(config, path)
    raise UserError(
        f"backbone '{config.backbone}' is neither a folder nor a name{nearest(config.backbone, BACKBONES) or '.'} Give "
        f"a run's folder, an exported one, timm/<model>, hf/<folder>, onnx/<file>, or one of "
        f"{', '.join(sorted(BACKBONES))}"
    )


def _exported(config: EncoderConfig, path: Path) -> Encoder:
    for name in ("weights", "download"):
        if getattr(config, name):
            raise UserError(f"{name} is set, but '{config.backbone}' is exported and brings its own; leave it out")
    backbone, border, _ = exported_backbone(path, config.border_crop, height=config.height, width=config.width)
    return encoder_of(config, backbone, border)


def exported_backbone(
    path: Path, border_crop: BorderCrop | None, *, height: int | None = None, width: int | None = None
) -> tuple[Backbone, BorderCrop, dict[str, Any]]:
    """The backbone, the border to cut off its frames (what it was pretrained with, unless another is given), its card.

    `height`, `width`: of its clips, where not as it was pretrained. UserError where there is none, or not whole.
    """
    backbone, card = load_backbone(path, height=height, width=width)
    border = border_crop or tuple(card.get("data", {}).get("border_crop", NO_BORDER))
    check_border(border)
    return backbone, border, card


def _named(config: EncoderConfig, fetch: bool) -> Encoder:
    wanted = BackboneConfig(
        name=config.backbone,
        weights=config.weights,
        download=config.download,
        height=config.height,
        width=config.width,
    )
    with torch.random.fork_rng(devices=[]):  # building draws from the global generator
        torch.manual_seed(config.weights_seed)
        backbone = build_backbone(wanted, fetch=fetch)
    return encoder_of(config, backbone, config.border_crop or NO_BORDER)


def encoder_of(config: EncoderConfig, backbone: Backbone, border: BorderCrop) -> Encoder:
    """The encoder that a backbone at hand is: freezes it. `config` says stride, pooling and precision."""
    spec = backbone.spec
    mixed = backbone.mixing is not None and config.stage is None  # an earlier stage comes before the mixing
    output: Output = "mixed_map" if mixed else "map"
    off_path = {f"net.{key}" for key in backbone.off_path}
    used = ((key, value) for key, value in backbone.state_dict().items() if key not in off_path)
    if config.clip_stride:
        spec = replace(spec, clip=replace(spec.clip, stride=config.clip_stride))
    network = (
        VideoNetwork(backbone, config.pool, config.stages)
        if config.grid is None
        else CellNetwork(backbone, config.grid, config.pool, config.stage)
    )
    return Encoder(config, spec, network, state_sha256(used), output, border)


def _onnx(config: EncoderConfig) -> Encoder:
    for name in ("weights", "download", "stage", "stages"):
        if getattr(config, name):
            raise UserError(f"{name} is set, and {config.backbone} is an ONNX file, which is one whole; leave it out")
    if config.precision != "fp32":
        raise UserError(f"precision is {config.precision}, and an ONNX file has its own; leave it out")
    own = {name: getattr(config, name) for name in OnnxGiven.__dataclass_fields__}
    net, spec, is_map = open_onnx_net(config.backbone, OnnxGiven(**own))
    network: nn.Module
    if is_map:
        backbone = onnx_backbone(net, spec)
        whole = config.grid is None
        network = (
            VideoNetwork(backbone, config.pool) if whole else CellNetwork(backbone, config.grid or "map", config.pool)
        )
    elif config.grid is not None:
        raise UserError(
            f"grid asks for cells, and {config.backbone} gives one vector for the whole picture; export it with its map"
        )
    elif config.pool != "mean" and not net.reads_frames:
        raise UserError(f"pool is {config.pool}, and {config.backbone} gives one vector a clip: leave it out")
    else:
        network = OnnxVectors(net, config.pool)
    output: Output = "map" if is_map else "image_output" if net.reads_frames else "network_output"
    return Encoder(config, spec, network, net.file.sha256, output, config.border_crop or NO_BORDER)


def _image_tower(config: EncoderConfig, fetch: bool) -> Encoder:
    model = config.backbone.removeprefix(PREFIX)
    if config.stages:
        raise UserError(
            f"stages is {' '.join(config.stages)}, and '{config.backbone}' has no maps of clips: it gives the "
            "image model's own pooled output. Leave it out, or take a video network, for instance a run's folder, "
            "small3d or r3d_18"
        )
    if config.grid is not None:
        raise UserError(
            f"grid asks for cells, and '{config.backbone}' has no map: it gives one vector for the whole picture, the "
            "image model's own pooled output. Take a video network, for instance a run's folder, small3d or r3d_18"
        )
    known = tower_facts(model)
    _, height, width = known["input_size"]
    clip = Clip(
        frames=config.image_frames,
        stride=config.clip_stride or 0,
        height=config.height or height,
        width=config.width or width,
        mean=tuple(known["mean"]),
        std=tuple(known["std"]),
    )
    weights = config.weights
    with torch.random.fork_rng(devices=[]):  # building draws from the global generator
        torch.manual_seed(config.weights_seed)
        net = build_tower(model, clip)
    if weights is not None:
        load_tower(net, model, own_names(read_weights(weights), net)[0], str(weights))
    elif config.download:
        load_tower(net, model, download_timm(model, fetch=fetch), f"the download of {config.backbone}")
    spec = BackboneSpec(
        name=config.backbone,
        feature_dim=tower_dim(net, clip),
        clip=clip,
        map_size=(clip.frames, 1, 1),
    )
    border = config.border_crop or NO_BORDER
    sha256 = state_sha256(net.state_dict().items())
    return Encoder(config, spec, ImageTower(net, config.pool), sha256, "image_output", border)
