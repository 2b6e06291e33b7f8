"""timm's image models: frame by frame, whatever their output looks like, and files that load into timm itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file

from pretrain.backbones import BackboneConfig, build_backbone, load_backbone, save_backbone
from pretrain.errors import UserError

CASES = [
    pytest.param("resnet10t", (32, 64), (512, 1, 2), {}, id="NCHW"),
    pytest.param("convnext_atto", (32, 64), (320, 1, 2), {}, id="NCHW-norm-in-head"),
    pytest.param("mambaout_femto", (32, 64), (288, 1, 2), {}, id="NHWC"),
    pytest.param("swin_tiny_patch4_window7_224", (32, 64), (768, 1, 2), {"img_size": (32, 64)}, id="NHWC-sized"),
    pytest.param("vit_tiny_patch16_224", (32, 48), (192, 2, 3), {"img_size": (32, 48)}, id="tokens-cls"),
    pytest.param(
        "deit_tiny_distilled_patch16_224", (32, 48), (192, 2, 3), {"img_size": (32, 48)}, id="tokens-two-prefix"
    ),
    pytest.param("vit_tiny_patch16_224", (40, 40), (192, 2, 2), {"img_size": (40, 40)}, id="tokens-cut-border"),
    pytest.param("mixer_s32_224", (224, 224), (512, 7, 7), {}, id="tokens-no-prefix"),
]


def _config(model: str, height: int, width: int) -> BackboneConfig:
    return BackboneConfig(name=f"timm/{model}", clip_frames=2, height=height, width=width)


@pytest.mark.parametrize(("model", "size", "frame_map", "arguments"), CASES)
def test_map_and_file_in_bare_timm(
    model: str, size: tuple[int, int], frame_map: tuple[int, int, int], arguments: dict[str, object], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    backbone = build_backbone(_config(model, *size)).eval()
    clips = torch.randn(2, 3, 2, *size)
    dim, rows, columns = frame_map
    with torch.no_grad():
        feature_map = backbone(clips)
    assert feature_map.shape == (2, dim, 2, rows, columns)

    save_backbone(backbone, tmp_path, {})
    bare = timm.create_model(model, **arguments).eval()
    bare.load_state_dict(load_file(tmp_path / "backbone.safetensors"), strict=True)
    with torch.no_grad():
        frame = bare.forward_features(clips[1, :, 1][None])[0]
    if frame.ndim == 2:
        frame = frame[-rows * columns :].reshape(rows, columns, dim)
    if frame.shape[0] != dim:
        frame = frame.permute(2, 0, 1)
    # temporal mixing starts as the identity, so this is also what the whole backbone gives
    torch.testing.assert_close(feature_map[1, :, 1], frame)


def test_a_place_of_the_map_is_that_place_of_the_frame() -> None:
    """Tokens put back in the wrong order would move the change elsewhere."""
    torch.manual_seed(0)
    backbone = build_backbone(_config("vit_tiny_patch16_224", 32, 64)).eval()
    for block in backbone.net.blocks:  # without attention a token sees its own patch alone
        torch.nn.init.zeros_(block.attn.proj.weight)
    clips = torch.randn(1, 3, 2, 32, 64)
    changed = clips.clone()
    changed[:, :, 1, 16:, 32:48] += 1
    with torch.no_grad():
        moved = (backbone(clips) - backbone(changed)).abs().amax(dim=(0, 1)) > 1e-6
    assert moved.nonzero().tolist() == [[1, 1, 2]]


def test_normalisation_and_size_come_from_timm() -> None:
    spec = build_backbone(BackboneConfig(name="timm/vit_tiny_patch16_224")).spec
    assert (spec.clip.mean, spec.clip.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert (spec.clip.frames, spec.clip.height, spec.clip.width, spec.map_size) == (16, 224, 224, (16, 14, 14))


def test_mixing_survives_saving(tmp_path: Path) -> None:
    backbone = build_backbone(_config("resnet10t", 32, 32)).eval()
    for parameter in backbone.mixing.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    save_backbone(backbone, tmp_path, {})
    again, _ = load_backbone(tmp_path)
    clips = torch.randn(1, 3, 2, 32, 32)
    with torch.no_grad():
        assert torch.equal(again(clips), backbone(clips))
        assert not torch.equal(again(clips[:, :, [1, 0]])[:, :, [1, 0]], again(clips))  # frames see each other


def test_weights_of_another_frame_size_are_resized(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = timm.create_model("vit_tiny_patch16_224", img_size=64)
    torch.save(net.state_dict(), tmp_path / "vit.pth")
    config = BackboneConfig(name="timm/vit_tiny_patch16_224", height=32, width=48, weights=tmp_path / "vit.pth")
    backbone = build_backbone(config)
    assert backbone.net.pos_embed.shape == (1, 7, 192)
    assert torch.equal(backbone.net.blocks[3].mlp.fc1.weight, net.blocks[3].mlp.fc1.weight)
    assert torch.equal(backbone.net.pos_embed[:, 0], net.pos_embed[:, 0])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("timm/resnet10", "timm has no model 'resnet10'; did you mean 'resnet10t'?"),
        ("timm/resnet10t.nonsense", "timm has no weights tagged 'nonsense' for 'resnet10t'; leave the tag out"),
        ("timm/crossvit_9_240", "timm's CrossVit gives list for frames of 240x240, which is no map of places"),
    ],
)
def test_names_that_cannot_be_built(name: str, text: str) -> None:
    with pytest.raises(UserError) as caught:
        build_backbone(BackboneConfig(name=name))
    assert text in str(caught.value)


def test_size_the_model_cannot_take(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(UserError, match=r"'timm/levit_128' cannot take clips of 16 frames of 100x224 pixels"):
        build_backbone(BackboneConfig(name="timm/levit_128", height=100))
    assert not caplog.records  # torch's own traceback is kept back


def test_download_without_network_is_one_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match="the weights of 'timm/resnet10t' could not be downloaded"):
        build_backbone(BackboneConfig(name="timm/resnet10t", download=True))
