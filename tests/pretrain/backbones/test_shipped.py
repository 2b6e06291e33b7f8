"""The weights that come with the package."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from downstream.features.encoders import EncoderConfig, open_encoder
from pretrain.backbones import BackboneConfig, build_backbone, load_backbone
from pretrain.backbones.shipped import SHIPPED_FOLDER, or_shipped
from scripts.export_backbone import main


def test_they_load_by_name_and_are_small() -> None:
    backbone, card = load_backbone(Path("shipped"))
    assert sum(file.stat().st_size for file in SHIPPED_FOLDER.iterdir()) < 1_000_000
    assert card["steps"] == 4000
    assert "no real footage" in card["data"]["footage"]
    assert {parameter.dtype for parameter in backbone.parameters()} == {torch.float32}
    started = build_backbone(BackboneConfig(weights=Path("shipped")))
    for key, value in backbone.state_dict().items():
        assert torch.equal(started.state_dict()[key], value)
    encoder = open_encoder(EncoderConfig(backbone="shipped"))
    assert (encoder.dim, encoder.border_crop) == (129, (0, 0, 0, 0))


def test_a_folder_of_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert or_shipped(Path("shipped")) == SHIPPED_FOLDER
    (tmp_path / "shipped").mkdir()
    assert or_shipped(Path("shipped")) == Path("shipped")


def test_exported_in_half_precision(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as left:
        main([str(SHIPPED_FOLDER), "--out", str(tmp_path / "half"), "--half"])
    assert not left.value.code
    again, card = load_backbone(tmp_path / "half")
    own, original = load_backbone(SHIPPED_FOLDER)
    assert all(torch.equal(value, own.state_dict()[key]) for key, value in again.state_dict().items())
    assert card["data"] == original["data"]
    assert (tmp_path / "half" / "backbone.safetensors").stat().st_size < 620_000
