"""Backbones from Python."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import anomaly_pretext as ap
from pretrain.backbones import save_backbone


def test_shipped_named_and_exported_ones_are_loaded(tmp_path: Path) -> None:
    shipped = ap.load_backbone()
    assert not shipped.training
    clip = shipped.spec.clip
    with torch.no_grad():
        feature_map = shipped(torch.zeros(2, 3, clip.frames, clip.height, clip.width))
    assert feature_map.shape[:2] == (2, shipped.spec.feature_dim)
    save_backbone(shipped, tmp_path, {})
    exported = ap.load_backbone(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(exported.parameters(), shipped.parameters(), strict=True))
    named = ap.load_backbone("small3d", weights=tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(named.parameters(), shipped.parameters(), strict=True))
    assert "small3d" in ap.list_backbones()
    for source in ("shipped", "small3d"):
        larger = ap.load_backbone(source, height=96, width=144).spec
        assert (larger.clip.height, larger.clip.width, larger.map_size) == (96, 144, (4, 12, 18))


def test_an_unknown_name_is_an_error_in_words() -> None:
    with pytest.raises(ap.UserError, match="small3d"):
        ap.load_backbone("small3")


def test_the_public_names_are_there_and_no_others() -> None:
    assert set(dir(ap)) == set(ap.__all__)
    assert all(getattr(ap, name) is not None for name in ap.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        ap.nothing  # noqa: B018
