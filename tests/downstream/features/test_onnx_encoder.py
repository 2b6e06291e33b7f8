"""Networks in ONNX files as encoders: frames and clips, vectors and maps, and what each of them lacks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from downstream.features.clip_motion import log_motion
from downstream.features.encoders import Encoder, EncoderConfig, open_encoder
from downstream.features.snippets import SnippetSettings
from pretrain.backbones import BackboneConfig, build_backbone
from pretrain.errors import UserError
from pretrain.export import export_onnx, onnx_metadata
from tests.pretrain.tiny_onnx import write_net

pytest.importorskip("onnxruntime", reason="the onnx extra is not installed")

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
FLAGS: dict[str, Any] = {"mean": MEAN, "std": STD}


def clips(encoder: Encoder, count: int = 3) -> torch.Tensor:
    shape = (count, encoder.clip.frames, encoder.clip.height, encoder.clip.width, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def expected_map(given: torch.Tensor, weights: np.ndarray) -> torch.Tensor:
    """(B, 5, T, H / 4, W / 4), by PyTorch."""
    pixels = (given.float() / 255 - torch.tensor(MEAN)) / torch.tensor(STD)
    kernel = torch.from_numpy(weights).reshape(5, 3, 1, 4, 4)
    return functional.conv3d(pixels.movedim(-1, 1), kernel, stride=(1, 4, 4))


@pytest.mark.parametrize("batch", ["batch", 1, 2])
@pytest.mark.parametrize("shape", [(3, 6, 8, 12), (3, 8, 12)], ids=["clips", "frames"])
def test_vectors_of_clips_and_of_frames(batch: int | str, shape: tuple[int, ...], tmp_path: Path) -> None:
    weights = write_net(tmp_path / "n.onnx", [batch, *shape])
    encoder = open_encoder(EncoderConfig(backbone=f"onnx/{tmp_path / 'n.onnx'}", **FLAGS))
    given = clips(encoder)
    assert given.shape[1] == (6 if len(shape) == 4 else 4)
    found = encoder.features(given)
    mean = expected_map(given, weights).mean(dim=(2, 3, 4))
    torch.testing.assert_close(found, torch.cat([mean, log_motion(given)], dim=1), rtol=1e-4, atol=1e-5)
    spec = encoder.spec(SnippetSettings())
    assert (spec.encoder, spec.dim, spec.mean, spec.clip_stride) == ("onnx/n.onnx", 6, MEAN, 16 // given.shape[1])
    assert spec.output == ("network_output" if len(shape) == 4 else "image_output")


@pytest.mark.parametrize("shape", [(3, 6, 8, 12), (3, 8, 12)], ids=["clips", "frames"])
def test_maps_are_pooled_and_give_cells(shape: tuple[int, ...], tmp_path: Path) -> None:
    weights = write_net(tmp_path / "n.onnx", ["batch", *shape], vector=False)
    backbone = f"onnx/{tmp_path / 'n.onnx'}"
    encoder = open_encoder(EncoderConfig(backbone=backbone, pool="mean_max", motion=False, **FLAGS))
    given = clips(encoder)
    wanted = expected_map(given, weights)
    both = torch.cat([wanted.mean(dim=(2, 3, 4)), wanted.amax(dim=(2, 3, 4))], dim=1)
    torch.testing.assert_close(encoder.features(given), both, rtol=1e-4, atol=1e-5)
    cells = open_encoder(EncoderConfig(backbone=backbone, grid="map", motion=False, **FLAGS))
    assert cells.grid == (2, 3)
    torch.testing.assert_close(
        cells.features(given), wanted.mean(dim=2).flatten(2).transpose(1, 2), rtol=1e-4, atol=1e-5
    )


def test_a_card_beside_it_says_what_flags_may_change(tmp_path: Path) -> None:
    write_net(tmp_path / "n.onnx", ["b", 3, "t", "h", "w"])
    card = {"mean": list(MEAN), "std": list(STD), "frames": 8, "height": 16, "width": 24, "clip_stride": 2}
    (tmp_path / "n.json").write_text(json.dumps(card))
    encoder = open_encoder(EncoderConfig(backbone=str(tmp_path / "n.onnx")))
    assert (encoder.clip.frames, encoder.clip.height, encoder.clip.width, encoder.clip.stride) == (8, 16, 24, 2)
    assert encoder.clip.std == STD
    other = open_encoder(EncoderConfig(backbone=str(tmp_path / "n.onnx"), height=32, std=(1, 1, 1), clip_stride=1))
    assert (other.clip.height, other.clip.std, other.clip.stride) == (32, (1.0, 1.0, 1.0), 1)
    (tmp_path / "n.json").write_text(json.dumps(card | {"fps": 3}))
    with pytest.raises(UserError, match=r"n.json cannot be used: it has 'fps'; known are .*mean, std, layout"):
        open_encoder(EncoderConfig(backbone=str(tmp_path / "n.onnx")))


def test_what_export_backbone_wrote_into_the_file_counts(tmp_path: Path) -> None:
    spec = build_backbone(BackboneConfig()).spec
    write_net(tmp_path / "n.onnx", ["b", 3, 8, 8, 8], metadata=onnx_metadata(spec))
    encoder = open_encoder(EncoderConfig(backbone=f"onnx/{tmp_path / 'n.onnx'}"))
    assert (encoder.clip.mean, encoder.clip.std, encoder.clip.stride) == (spec.clip.mean, spec.clip.std, 2)


@pytest.mark.slow  # 10 s: the exporter
def test_what_this_package_exported_needs_no_card(tmp_path: Path) -> None:
    backbone = build_backbone(BackboneConfig(clip_frames=4, height=32, width=48)).eval()
    export_onnx(backbone, tmp_path / "backbone.onnx")
    encoder = open_encoder(EncoderConfig(backbone=f"onnx/{tmp_path / 'backbone.onnx'}", motion=False))
    assert (encoder.clip.mean, encoder.clip.stride) == (backbone.spec.clip.mean, backbone.spec.clip.stride)
    given = clips(encoder)
    pixels = ((given.float() / 255 - 0.45) / 0.225).movedim(-1, 1)
    with torch.no_grad():
        wanted = backbone.pool(backbone(pixels))
    torch.testing.assert_close(encoder.features(given), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "flags", "text"),
    [
        ([1, 3, 8, 8], {"mean": MEAN}, r"nobody says how pixels are normalised for .*\(std missing\)"),
        (["b", "c", 8, 8], FLAGS, r"where its 3 colours are is not said: give --layout, one of bchw, bhwc"),
        ([1, 3, 8, 3], FLAGS, r"where its 3 colours are is ambiguous"),
        ([1, 3, "h", 8], FLAGS, r'takes any height .*by --height, or \{"height": ...\} in n.json'),
        ([1, 3, "t", 8, 8], FLAGS, r'takes any frames .*by \{"frames": ...\} in n.json'),
        ([1, 3, 8, 8], FLAGS | {"height": 16}, r"height is 16, and .*n.onnx reads 8 alone"),
        ([1, 3, 8, 8], FLAGS | {"layout": "bcthw"}, r"layout is bcthw, and the input .* do not go together"),
        ([1, 3, 8, 8], FLAGS | {"grid": "map"}, r"grid asks for cells, and .* gives one vector"),
        ([1, 3, 4, 8, 8], FLAGS | {"pool": "mean_max"}, r"pool is mean_max, and .* gives one vector a clip"),
        ([1, 3, 8, 8], FLAGS | {"weights": Path("w.pth")}, r"weights is set, and .* is an ONNX file"),
        ([1, 3, 8, 8], FLAGS | {"precision": "bf16"}, r"precision is bf16, and an ONNX file has its own"),
    ],
)
def test_what_does_not_fit_is_one_message(shape: Any, flags: dict[str, Any], text: str, tmp_path: Path) -> None:
    write_net(tmp_path / "n.onnx", shape)
    with pytest.raises(UserError, match=text):
        open_encoder(EncoderConfig(backbone=f"onnx/{tmp_path / 'n.onnx'}", **flags))


def test_inputs_of_other_kinds(tmp_path: Path) -> None:
    write_net(tmp_path / "d.onnx", [1, 3, 8, 8], kind=11)
    with pytest.raises(UserError, match=r"tensor\(double\).* as float or float16|cannot run"):
        open_encoder(EncoderConfig(backbone=f"onnx/{tmp_path / 'd.onnx'}", **FLAGS))
    with pytest.raises(UserError, match=r"mean is set, and only onnx/<file> takes it: 'small3d' says its own"):
        open_encoder(EncoderConfig(mean=MEAN))
    with pytest.raises(UserError, match=r"is an ONNX file, which is run and not trained"):
        build_backbone(BackboneConfig(name="onnx/x.onnx"))
