"""Hugging Face video models in a folder: their map, what their export promises, and folders that are refused."""

from __future__ import annotations

import json
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from einops import rearrange

from pretrain.backbones import BackboneConfig, build_backbone, load_backbone, save_backbone
from pretrain.errors import UserError
from tests.pretrain.backbones.tiny_hugging_face import TINY, write_model

pytest.importorskip("transformers", reason="the hf extra is not installed")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Any]]:
    root = tmp_path_factory.mktemp("models")
    return {kind: (root / kind, write_model(kind, root / kind)) for kind in TINY}


def tokens(kind: str, net: Any, clips: torch.Tensor) -> torch.Tensor:
    """Of every patch, by transformers' own forward pass, as a map."""
    frames = clips.transpose(1, 2)
    if kind == "vjepa2":
        found = net(pixel_values_videos=frames, skip_predictor=True).last_hidden_state
        return rearrange(found, "b (t h w) d -> b d t h w", h=2, w=2)
    found = net(pixel_values=frames).last_hidden_state
    if kind == "videomae":
        return rearrange(found, "b (t h w) d -> b d t h w", h=2, w=2)
    return rearrange(found[:, 1:], "b (h w t) d -> b d t h w", h=2, w=2)


@pytest.mark.parametrize("kind", TINY)
def test_the_map_is_transformers_own_and_survives_an_export(
    kind: str, models: dict[str, tuple[Path, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network was asked"))
    folder, net = models[kind]
    backbone = build_backbone(BackboneConfig(name=f"hf/{folder}"))
    spec = backbone.spec
    assert (spec.name, spec.feature_dim, backbone.initialisation) == (f"hf/{kind}", 24, f"weights of {kind}")
    assert (spec.clip.frames, spec.clip.stride, spec.clip.height, spec.clip.width) == (4, 16, 32, 32)
    assert (spec.clip.mean, spec.clip.std) == ((0.4, 0.5, 0.6), (0.2, 0.25, 0.3))
    assert spec.map_size == (4 if kind == "timesformer" else 2, 2, 2)
    assert any(name.startswith("predictor") for name in backbone.off_path) == (kind == "vjepa2")
    clips = torch.randn(2, 3, 4, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(backbone.eval()(clips), tokens(kind, net, clips))
    trained = backbone.train()(clips)
    (trained**2).sum().backward()
    assert all((p.grad is not None) == p.requires_grad for p in backbone.parameters())

    with torch.no_grad():
        next(p for p in backbone.parameters() if p.requires_grad).add_(0.1)
    save_backbone(backbone, tmp_path / "export", {})
    shutil.move(tmp_path / "export", tmp_path / "elsewhere")
    again, card = load_backbone(tmp_path / "elsewhere")
    assert card["architecture"] == f"hf/{kind}"
    assert str(folder) not in (tmp_path / "elsewhere" / "backbone.json").read_text()
    assert again.spec == spec
    with torch.no_grad():
        torch.testing.assert_close(again(clips), backbone.eval()(clips))
    scope: dict[str, Any] = {}
    monkeypatch.chdir(tmp_path / "elsewhere")
    for line in card["how_to_load"]:
        exec(line, scope)
    assert scope["net"].state_dict().keys() == again.net.state_dict().keys()


def test_a_patch_stays_in_its_place(models: dict[str, tuple[Path, Any]]) -> None:
    """Pixels of one patch at one time change that place of the map the most."""
    for kind in TINY:
        backbone = build_backbone(BackboneConfig(name=f"hf/{models[kind][0]}")).eval()
        clips = torch.zeros(1, 3, 4, 32, 32)
        changed = clips.clone()
        changed[:, :, 2:, 16:, :16] = 8.0
        with torch.no_grad():
            moved = (backbone(changed) - backbone(clips)).square().sum(dim=(0, 1))
        half = moved.shape[0] // 2
        assert moved[half:, 1, 0].min() > moved[half:, 0].max(), kind
        assert moved[half:, 1, 0].min() > moved[:half].max(), kind


def test_a_classifiers_body_is_taken_and_other_lengths_where_they_can_be(tmp_path: Path) -> None:
    net = write_model("vjepa2", tmp_path / "m", classifier=True)
    backbone = build_backbone(BackboneConfig(name=f"hf/{tmp_path / 'm'}", clip_frames=6, height=48, width=48))
    assert backbone.spec.map_size == (3, 3, 3)
    assert torch.equal(backbone.net.encoder.layernorm.weight, net.vjepa2.encoder.layernorm.weight)
    with pytest.raises(UserError, match=r"takes squares alone, of any multiple of its patch \(32x32\)"):
        build_backbone(BackboneConfig(name=f"hf/{tmp_path / 'm'}", height=48))
    with pytest.raises(UserError, match=r"frames would be 5, and this model takes multiples of 2"):
        build_backbone(BackboneConfig(name=f"hf/{tmp_path / 'm'}", clip_frames=5))


def test_positions_of_a_table_are_of_one_length_and_size(models: dict[str, tuple[Path, Any]]) -> None:
    name = f"hf/{models['videomae'][0]}"
    with pytest.raises(UserError, match=r"clip_frames is 8, and this videomae has positions for 4 frames alone"):
        build_backbone(BackboneConfig(name=name, clip_frames=8))
    with pytest.raises(UserError, match=r"height and .width are 48 and 32, and a videomae takes its own size alone"):
        build_backbone(BackboneConfig(name=name, height=48))
    with pytest.raises(UserError, match=r"is a folder on this machine and brings its weights.*hf download"):
        build_backbone(BackboneConfig(name=name, download=True))


def test_weights_that_are_missing_or_broken(models: dict[str, tuple[Path, Any]], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "m"
    shutil.copytree(models["videomae"][0], folder)
    state = load_file(folder / "model.safetensors")
    save_file({key: value for key, value in state.items() if "layer.1.layernorm_before" not in key}, folder / "x")
    os.replace(folder / "x", folder / "model.safetensors")
    with pytest.raises(UserError, match=r"m lacks 2 weights of its videomae \(encoder.layer.1.layernorm_before"):
        build_backbone(BackboneConfig(name=f"hf/{folder}"))
    state["encoder.layer.0.layernorm_before.bias"][0] = torch.nan
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"1 of 24 numbers of the tensor 'encoder.layer.0.layernorm_before.bias'"):
        build_backbone(BackboneConfig(name=f"hf/{folder}"))
    state["encoder.layer.0.layernorm_before.bias"] = torch.zeros(25)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"the weights in .*m do not fit its config.json"):
        build_backbone(BackboneConfig(name=f"hf/{folder}"))


def test_a_configuration_that_asks_for_more_than_there_is(models: dict[str, tuple[Path, Any]], tmp_path: Path) -> None:
    folder = shutil.copytree(models["timesformer"][0], tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 12288, "num_hidden_layers": 200}))
    with pytest.raises(UserError, match=r"asks for a network of [\d,]{13,} weights, and the folder holds [\d,]{5,7};"):
        build_backbone(BackboneConfig(name=f"hf/{folder}"))
    (folder / "config.json").write_text(json.dumps(config | {"num_frames": 1024, "image_size": 1024}))
    with pytest.raises(UserError, match=r"would have 4,194,304 patches"):
        build_backbone(BackboneConfig(name=f"hf/{folder}"))
    (folder / "config.json").write_text(json.dumps(config | {"hidden_act": "nothing"}))
    with pytest.raises(UserError, match=r"no network can be made of .*config.json"):
        build_backbone(BackboneConfig(name=f"hf/{folder}"))


def test_without_transformers_the_extra_is_named(
    models: dict[str, tuple[Path, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match=r"pip install 'anomaly-pretext\[hf\]'"):
        build_backbone(BackboneConfig(name=f"hf/{models['videomae'][0]}"))


def test_published_checkpoints_have_older_names(models: dict[str, tuple[Path, Any]], tmp_path: Path) -> None:
    """VideoMAE's own: `videomae.` before every name, biases of attention under theirs, a decoder beside it."""
    from safetensors.torch import load_file, save_file

    folder, net = models["videomae"]
    shutil.copytree(folder, tmp_path / "m")
    older = {
        "videomae." + key.replace("query.bias", "q_bias").replace("value.bias", "v_bias"): value
        for key, value in load_file(folder / "model.safetensors").items()
    }
    assert any(key.endswith("q_bias") for key in older)
    older["decoder.norm.weight"] = torch.ones(3)
    save_file(older, tmp_path / "m" / "model.safetensors", metadata={"format": "pt"})
    state = build_backbone(BackboneConfig(name=f"hf/{tmp_path / 'm'}")).net.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())


def test_activations_that_are_computed_again_give_the_same_gradients(models: dict[str, tuple[Path, Any]]) -> None:
    clips = torch.randn(1, 3, 4, 32, 32)
    for kind in TINY:
        gradients = []
        for again in (False, True):
            config = BackboneConfig(name=f"hf/{models[kind][0]}", activation_checkpointing=again)
            backbone = build_backbone(config)
            backbone(clips).square().mean().backward()
            gradients.append([p.grad for p in backbone.parameters() if p.requires_grad])
        for one, other in zip(*gradients, strict=True):
            torch.testing.assert_close(one, other)
