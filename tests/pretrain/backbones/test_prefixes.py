"""Names that wrappers put before a network's own."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from pretrain.backbones import BackboneConfig, build_backbone
from pretrain.backbones.prefixes import remove_prefix, unwrapped
from pretrain.errors import UserError

OWN = {"layer.weight": torch.zeros(2), "layer.bias": torch.zeros(1), "encoder.weight": torch.zeros(3)}


def state(prefix: str, start: float = 1.0) -> dict[str, Tensor]:
    return {prefix + key: torch.full_like(value, start) for key, value in OWN.items()}


@pytest.mark.parametrize(
    "prefix",
    ["", "module.", "_orig_mod.", "model.", "backbone.", "encoder.", "module._orig_mod.model.backbone.encoder."],
)
def test_any_nesting_is_removed_and_told(prefix: str) -> None:
    found, removed = remove_prefix(state(prefix), OWN, "w.pth")
    assert removed == prefix
    assert found.keys() == OWN.keys()
    assert all(bool((value == 1).all()) for value in found.values())


def test_what_lies_beside_the_prefix_is_left_out() -> None:
    found, removed = remove_prefix(state("model.encoder.") | {"model.head.weight": torch.ones(9)}, OWN, "w.pth")
    assert (removed, found.keys()) == ("model.encoder.", OWN.keys())


@pytest.mark.parametrize("other", ["", "model."])
def test_two_networks_in_one_file_are_refused_unless_they_are_one(other: str) -> None:
    with pytest.raises(UserError, match=r"w.pth holds 2 networks .* under .*'module\.'.* nobody says which"):
        remove_prefix(state("module.") | state(other, 2.0), OWN, "w.pth")
    found, _ = remove_prefix(state("module.") | state(other, 1.0), OWN, "w.pth")
    assert found.keys() >= OWN.keys()


def test_a_prefix_that_brings_too_little_is_none() -> None:
    foreign = {"model.layer.weight": torch.ones(2), "model.other": torch.ones(1)}
    assert remove_prefix(foreign, OWN, "w.pth") == (foreign, "")


def test_wrappers_in_any_nesting_and_two_of_them() -> None:
    inner = {"a": torch.ones(1)}
    nested: Any = {"epoch": 1, "model": {"step": 2, "state_dict": inner}}
    assert unwrapped(nested, "w.pth") is inner
    with pytest.raises(UserError, match=r"w.pth holds weights under 'state_dict' and under 'model'.*save one of them"):
        unwrapped({"state_dict": inner, "model": inner}, "w.pth")


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_a_named_network_takes_them_and_says_so(ending: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config: dict[str, Any] = {"clip_frames": 2, "height": 16, "width": 16}
    original = build_backbone(BackboneConfig(**config))
    prefixed = {f"module._orig_mod.backbone.{key}": value for key, value in original.net.state_dict().items()}
    prefixed["module._orig_mod.head.weight"] = torch.ones(2)
    file = tmp_path / f"w.{ending}"
    if ending == "pth":
        torch.save({"model": {"state_dict": prefixed}}, file)
    else:
        save_file(prefixed, file)
    with caplog.at_level(logging.WARNING):
        backbone = build_backbone(BackboneConfig(weights=file, **config))
    assert all(torch.equal(value, original.net.state_dict()[key]) for key, value in backbone.net.state_dict().items())
    assert backbone.initialisation == f"weights of w.{ending} under 'module._orig_mod.backbone.'"
    assert "the prefix 'module._orig_mod.backbone.' of its names was removed, and 1 tensor(s)" in caplog.text
