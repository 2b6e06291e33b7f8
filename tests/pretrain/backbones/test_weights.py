"""Starting weights from files of ours, torchvision's and timm's; and files that do not fit."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from pretrain.backbones import BackboneConfig, build_backbone, save_backbone
from pretrain.errors import UserError

TINY = {"clip_frames": 2, "height": 16, "width": 16}


@pytest.fixture(scope="module")
def mc3_18() -> torch.nn.Module:
    torch.manual_seed(3)
    return torchvision.models.video.mc3_18()


def _same(state: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return state.keys() == other.keys() and all(torch.equal(state[key], other[key]) for key in state)


def test_torchvisions_pth(mc3_18: torch.nn.Module, tmp_path: Path) -> None:
    torch.save(mc3_18.state_dict(), tmp_path / "mc3_18.pth")
    backbone = build_backbone(BackboneConfig(name="mc3_18", weights=tmp_path / "mc3_18.pth", **TINY))
    assert _same(backbone.net.state_dict(), mc3_18.state_dict())
    assert backbone.initialisation == "weights of mc3_18.pth"


def test_wrapped_and_prefixed_checkpoint(mc3_18: torch.nn.Module, tmp_path: Path) -> None:
    state = {f"module.{key}": value for key, value in mc3_18.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "checkpoint.pt")
    backbone = build_backbone(BackboneConfig(name="mc3_18", weights=tmp_path / "checkpoint.pt", **TINY))
    assert _same(backbone.net.state_dict(), mc3_18.state_dict())


def test_safetensors_without_a_card(tmp_path: Path) -> None:
    net = timm.create_model("resnet10t")
    save_file(net.state_dict(), tmp_path / "model.safetensors")
    config = BackboneConfig(
        name="timm/resnet10t", clip_frames=2, height=32, width=32, weights=tmp_path / "model.safetensors"
    )
    assert _same(build_backbone(config).net.state_dict(), net.state_dict())


@pytest.mark.parametrize("given", ["folder", "file", "run"])
def test_an_export_of_ours(given: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    original = build_backbone(BackboneConfig(**TINY))
    save_backbone(original, tmp_path / "backbone", {})
    path = {"folder": tmp_path / "backbone", "file": tmp_path / "backbone/backbone.safetensors", "run": tmp_path}[given]
    again = build_backbone(BackboneConfig(weights=path, clip_frames=4, height=32, width=32))
    assert _same(again.state_dict(), original.state_dict())


def test_mixing_of_an_export_is_taken_too(tmp_path: Path) -> None:
    config = {"name": "timm/resnet10t", "clip_frames": 2, "height": 32, "width": 32}
    original = build_backbone(BackboneConfig(**config))
    torch.nn.init.normal_(original.mixing.layers[0].project.weight)
    save_backbone(original, tmp_path, {})
    assert _same(build_backbone(BackboneConfig(**config, weights=tmp_path)).state_dict(), original.state_dict())


def test_head_of_another_size_is_left_out_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    net = torchvision.models.video.mc3_18(num_classes=7)
    torch.save(net.state_dict(), tmp_path / "ucf.pth")
    with caplog.at_level(logging.WARNING):
        backbone = build_backbone(BackboneConfig(name="mc3_18", weights=tmp_path / "ucf.pth", **TINY))
    assert "fc.weight (7, 512) in the file, (400, 512) here" in caplog.text
    assert backbone.initialisation == "weights of ucf.pth, without its head"
    assert torch.equal(backbone.net.layer4[1].conv2[0].weight, net.layer4[1].conv2[0].weight)
    assert backbone.net.fc.weight.shape == (400, 512)


def test_file_without_a_head(mc3_18: torch.nn.Module, tmp_path: Path) -> None:
    state = {key: value for key, value in mc3_18.state_dict().items() if not key.startswith("fc.")}
    torch.save(state, tmp_path / "body.pth")
    backbone = build_backbone(BackboneConfig(name="mc3_18", weights=tmp_path / "body.pth", **TINY))
    assert torch.equal(backbone.net.stem[0].weight, mc3_18.stem[0].weight)


def test_ours_of_another_architecture_is_named(tmp_path: Path) -> None:
    save_backbone(build_backbone(BackboneConfig(**TINY)), tmp_path, {})
    with pytest.raises(
        UserError, match=r"holds a 'small3d', and backbone.name is 'mc3_18'; set backbone.name to 'small3d'"
    ):
        build_backbone(BackboneConfig(name="mc3_18", weights=tmp_path, **TINY))


def test_foreign_file_of_another_architecture(mc3_18: torch.nn.Module, tmp_path: Path) -> None:
    torch.save(mc3_18.state_dict(), tmp_path / "a.pth")
    with pytest.raises(UserError) as caught:
        build_backbone(BackboneConfig(name="r2plus1d_18", weights=tmp_path / "a.pth", **TINY))
    text = str(caught.value)
    assert "a.pth does not fit backbone 'r2plus1d_18' at 2 frames of 16x16" in text
    assert "missing in the file: layer1.0.conv1.0.0.weight" in text
    assert "unknown here: layer1.0.conv1.0.weight" in text
    assert "set backbone.name to the file's" in text
    with pytest.raises(UserError, match=r"does not fit backbone 'timm/resnet10t'"):
        build_backbone(
            BackboneConfig(name="timm/resnet10t", clip_frames=2, height=32, width=32, weights=tmp_path / "a.pth")
        )


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "it_ran"),)

    torch.save({"state_dict": Harmful()}, tmp_path / "bad.pth")
    with pytest.raises(UserError, match="holds more than tensors, and unpickling it could run anything"):
        build_backbone(BackboneConfig(name="mc3_18", weights=tmp_path / "bad.pth", **TINY))
    assert not (tmp_path / "it_ran").exists()


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no weight file .*nothing.pth"):
        build_backbone(BackboneConfig(weights=tmp_path / "nothing.pth"))
    with pytest.raises(UserError, match=r"holds no backbone.safetensors and no backbone/backbone.safetensors"):
        build_backbone(BackboneConfig(weights=tmp_path))
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{")
    with pytest.raises(UserError, match=r"cut.safetensors is no readable safetensors file"):
        build_backbone(BackboneConfig(weights=tmp_path / "cut.safetensors"))
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(UserError, match=r"text.pth (is no readable PyTorch file|holds more than tensors)"):
        build_backbone(BackboneConfig(weights=tmp_path / "text.pth"))
    (tmp_path / "empty.pth").write_bytes(b"")
    with pytest.raises(UserError, match=r"empty.pth is no readable PyTorch file"):
        build_backbone(BackboneConfig(weights=tmp_path / "empty.pth"))
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(UserError, match=r"list.pth holds no state dict"):
        build_backbone(BackboneConfig(weights=tmp_path / "list.pth"))
