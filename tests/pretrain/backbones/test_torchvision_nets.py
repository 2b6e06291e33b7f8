"""torchvision's networks: maps, defaults, and files that load into torchvision itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision.models.video as video
from safetensors.torch import load_file
from torch import nn

from pretrain.backbones import BackboneConfig, build_backbone, save_backbone
from pretrain.errors import UserError

Features = Callable[[nn.Module, torch.Tensor], torch.Tensor]


def _without_head(name: str) -> Features:
    def features(net: nn.Module, clips: torch.Tensor) -> torch.Tensor:
        setattr(net, name, nn.Identity())
        return net(clips)

    return features


def _s3d(net: nn.Module, clips: torch.Tensor) -> torch.Tensor:
    return net.features(clips).mean(dim=(2, 3, 4))  # its own pooling wants 14 frames of 224x224


def _mvit(net: nn.Module, clips: torch.Tensor) -> torch.Tensor:
    tokens: list[torch.Tensor] = []
    net.norm.register_forward_hook(lambda module, given, output: tokens.append(output))
    net(clips)
    return tokens[0][:, 1:].mean(dim=1)


slow = pytest.mark.slow  # 5 to 20 s each: mvit takes one clip size only, the large swins are swin3d_t with more layers
CASES = [
    pytest.param("r3d_18", (1, 16, 24), (512, 1, 1, 2), _without_head("fc"), id="r3d_18"),
    pytest.param("mc3_18", (3, 16, 24), (512, 3, 1, 2), _without_head("fc"), id="mc3_18"),
    pytest.param("r2plus1d_18", (9, 16, 24), (512, 2, 1, 2), _without_head("fc"), id="r2plus1d_18"),
    pytest.param("s3d", (5, 17, 33), (1024, 1, 1, 1), _s3d, id="s3d"),
    pytest.param("mvit_v2_s", (16, 224, 224), (768, 8, 7, 7), _mvit, id="mvit_v2_s", marks=slow),
    pytest.param("mvit_v1_b", (16, 224, 224), (768, 8, 7, 7), _mvit, id="mvit_v1_b", marks=slow),
    pytest.param("swin3d_t", (2, 32, 48), (768, 1, 1, 2), _without_head("head"), id="swin3d_t"),
    pytest.param("swin3d_s", (2, 32, 48), (768, 1, 1, 2), _without_head("head"), id="swin3d_s", marks=slow),
    pytest.param("swin3d_b", (2, 32, 48), (1024, 1, 1, 2), _without_head("head"), id="swin3d_b", marks=slow),
]


@pytest.mark.parametrize(("name", "clip", "expected_map", "features"), CASES)
def test_map_and_file_in_bare_torchvision(
    name: str, clip: tuple[int, int, int], expected_map: tuple[int, ...], features: Features, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    frames, height, width = clip
    backbone = build_backbone(BackboneConfig(name=name, clip_frames=frames, height=height, width=width)).eval()
    clips = torch.randn(2, 3, *clip)
    with torch.no_grad():
        feature_map = backbone(clips)
    assert feature_map.shape == (2, *expected_map)
    assert (backbone.spec.feature_dim, *backbone.spec.map_size) == expected_map

    save_backbone(backbone, tmp_path, {})
    bare = getattr(video, name)().eval()
    bare.load_state_dict(load_file(tmp_path / "backbone.safetensors"), strict=True)
    with torch.no_grad():
        torch.testing.assert_close(features(bare, clips), backbone.pool(feature_map))


def test_defaults_are_those_of_torchvisions_weights() -> None:
    spec = build_backbone(BackboneConfig(name="r3d_18")).spec
    transforms = video.R3D_18_Weights.DEFAULT.transforms()
    assert (spec.clip.frames, spec.clip.stride, spec.clip.height, spec.clip.width) == (16, 2, 112, 112)
    assert (list(spec.clip.mean), list(spec.clip.std)) == (transforms.mean, transforms.std)


def test_mvit_refuses_other_clips() -> None:
    with pytest.raises(UserError, match=r"backbone.height is 112; 'mvit_v1_b' takes 224 alone. Leave it out"):
        build_backbone(BackboneConfig(name="mvit_v1_b", height=112))


def test_s3d_names_its_smallest_clip() -> None:
    with pytest.raises(UserError, match=r"backbone.clip_frames is 4; 's3d' needs at least 5"):
        build_backbone(BackboneConfig(name="s3d", clip_frames=4))
    with pytest.raises(UserError, match=r"backbone.width is 16; 's3d' needs at least 17"):
        build_backbone(BackboneConfig(name="s3d", width=16))


def test_download_without_network_is_one_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for variable in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(
        UserError, match=r"weights of 'r3d_18' could not be downloaded.*r3d_18-b3b3357e.pth.*as backbone.weights"
    ):
        build_backbone(BackboneConfig(name="r3d_18", download=True))
