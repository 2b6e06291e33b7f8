"""ONNX and torch.export: the same features, any batch size, no file where they differ."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from pretrain import export
from pretrain.backbones import Backbone, BackboneConfig, build_backbone
from pretrain.errors import UserError

CONFIGS = [
    BackboneConfig(clip_frames=4, height=32, width=48),
    BackboneConfig(name="r3d_18", clip_frames=4, height=32, width=32),
    BackboneConfig(name="timm/resnet10t", clip_frames=3, height=32, width=32),
    pytest.param(  # 10 s: the exporter decomposes attention
        BackboneConfig(name="timm/vit_tiny_patch16_224", clip_frames=3, height=32, width=48), marks=pytest.mark.slow
    ),
    pytest.param(  # 30 s for the same reason
        BackboneConfig(name="swin3d_t", clip_frames=2, height=32, width=64), marks=pytest.mark.slow
    ),
]


def _trained(config: BackboneConfig) -> Backbone:
    """A backbone whose batch norm and mixing are past their start, where errors would not show."""
    torch.manual_seed(0)
    backbone = build_backbone(config)
    if backbone.mixing is not None:
        for parameter in backbone.mixing.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
    with torch.no_grad():
        for _ in range(3):
            backbone(torch.randn(4, 3, config.clip_frames, config.height, config.width))
    return backbone


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_onnx_gives_the_same_features(config: BackboneConfig, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="the onnx extra is not installed")
    backbone = _trained(config)
    path = tmp_path / "backbone.onnx"
    assert export.export_onnx(backbone, path) <= export.TOLERANCE
    assert list(tmp_path.iterdir()) == [path]

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    clips = torch.randn(5, 3, config.clip_frames, config.height, config.width)
    (features,) = session.run(["features"], {"clips": clips.numpy()})
    with torch.no_grad():
        expected = backbone.eval().pool(backbone(clips))
    torch.testing.assert_close(torch.from_numpy(features), expected, atol=1e-4, rtol=0)
    assert session.get_modelmeta().custom_metadata_map["architecture"] == config.name
    assert str(Path(export.__file__).parent).encode() not in path.read_bytes()


FROZEN = BackboneConfig(name="timm/test_resnet", clip_frames=4, height=32, width=48, freeze=True)


@pytest.mark.parametrize("config", [CONFIGS[0], FROZEN], ids=lambda config: config.name)
def test_torch_export_gives_the_same_features(config: BackboneConfig, tmp_path: Path) -> None:
    backbone = _trained(config)
    path = tmp_path / "backbone.pt2"
    assert export.export_program(backbone, path) <= export.TOLERANCE
    clips = torch.randn(5, 3, 4, 32, 48)
    with torch.no_grad():
        expected = backbone.eval().pool(backbone(clips))
        torch.testing.assert_close(torch.export.load(path).module()(clips), expected)
    assert str(Path(export.__file__).parent).encode() not in path.read_bytes()


def test_a_difference_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime", reason="the onnx extra is not installed")
    backbone = _trained(CONFIGS[0])
    real = export._run_onnx
    monkeypatch.setattr(export, "_run_onnx", lambda path, clips: [found + 2e-4 for found in real(path, clips)])
    with pytest.raises(
        export.ExportError, match=r"ONNX file's features differ from PyTorch's by 0.0002; at most 0.0001"
    ):
        export.export_onnx(backbone, tmp_path / "backbone.onnx")
    assert list(tmp_path.iterdir()) == []


def test_nan_and_a_wrong_shape_are_differences() -> None:
    backbone = build_backbone(CONFIGS[0])
    module = export.PooledBackbone(backbone).eval()
    dim = backbone.spec.feature_dim
    with pytest.raises(export.ExportError, match="by nan"):
        export._check("ONNX", module, backbone, lambda clips: [torch.full((len(c), dim), torch.nan) for c in clips])
    with pytest.raises(
        export.ExportError, match=r"gives shape \(1, 3\) for a batch of 1, not \(1, 128\); no file was left"
    ):
        export._check("ONNX", module, backbone, lambda clips: [torch.zeros(len(c), 3) for c in clips])


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        sys.modules, "onnxruntime", None
    )  # what Python itself does for a module that cannot be imported
    with pytest.raises(
        UserError, match=r"--onnx needs onnxruntime, not installed here: pip install 'anomaly-pretext\[onnx\]'"
    ):
        export.export_onnx(build_backbone(CONFIGS[0]), tmp_path / "backbone.onnx")
