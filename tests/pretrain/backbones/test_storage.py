"""The exported folder: its card, its hash, its atomic writing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pretrain.backbones import Backbone, BackboneConfig, build_backbone, load_backbone, save_backbone
from pretrain.backbones.storage import copy_backbone
from pretrain.errors import UserError
from pretrain.files import sha256_of

DETAILS = {"tasks": ["temporal_order", "speed"], "steps": 12, "accuracy": {"temporal_order": 0.75}}


@pytest.fixture
def backbone() -> Backbone:
    torch.manual_seed(0)
    return build_backbone(BackboneConfig(clip_frames=4, clip_stride=3, height=32, width=48))


def test_there_and_back(backbone: Backbone, tmp_path: Path) -> None:
    paths = save_backbone(backbone, tmp_path, DETAILS)
    assert [path.name for path in paths] == ["backbone.safetensors", "backbone.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backbone.json", "backbone.safetensors"]
    again, card = load_backbone(tmp_path)
    assert again.spec == backbone.spec
    assert not again.training
    clips = torch.randn(2, 3, 4, 32, 48)
    with torch.no_grad():
        assert torch.equal(again(clips), backbone.eval()(clips))
    assert card["steps"] == 12
    assert card["accuracy"] == {"temporal_order": 0.75}


def test_card(backbone: Backbone, tmp_path: Path) -> None:
    save_backbone(backbone, tmp_path, DETAILS)
    card = json.loads((tmp_path / "backbone.json").read_text())
    assert card["format"] == "anomaly-pretext/backbone/1"
    assert card["architecture"] == "small3d"
    assert card["clip"] == {"frames": 4, "stride": 3, "height": 32, "width": 48}
    assert list(card["map_size"].values()) == list(backbone(torch.zeros(1, 3, 4, 32, 48)).shape[2:])
    assert card["normalisation"]["mean"] == list(backbone.spec.clip.mean)
    assert card["sha256"] == {"backbone.safetensors": sha256_of(tmp_path / "backbone.safetensors")}
    assert card["libraries"]["torch"] == torch.__version__
    assert card["initialisation"] == "random weights"


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("r3d_18", {"height": 16, "width": 16}),
        ("timm/resnet10t", {"height": 32, "width": 32}),
        ("timm/vit_tiny_patch16_224", {"height": 32, "width": 48}),
        ("small3d", {"height": 16, "width": 16}),
    ],
)
def test_the_lines_on_the_card_load_the_file(
    name: str, sizes: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = build_backbone(BackboneConfig(name=name, clip_frames=2, **sizes))
    save_backbone(backbone, tmp_path, {})
    card = json.loads((tmp_path / "backbone.json").read_text())
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {}
    exec("\n".join(card["how_to_load"]), scope)
    loaded = scope["net"].state_dict()
    expected = backbone.state_dict() if name == "small3d" else backbone.net.state_dict()
    assert loaded.keys() == expected.keys()
    assert all(torch.equal(loaded[key], expected[key]) for key in expected)


def test_equal_weights_give_equal_bytes(backbone: Backbone, tmp_path: Path) -> None:
    hashes = set()
    for index in range(5):
        save_backbone(backbone, tmp_path / str(index), {})
        hashes.add(sha256_of(tmp_path / str(index) / "backbone.safetensors"))
    assert len(hashes) == 1


def test_state_of_a_sharded_run_replaces_the_own_one(backbone: Backbone, tmp_path: Path) -> None:
    state = {key: torch.full_like(value, 2) for key, value in backbone.state_dict().items()}
    save_backbone(backbone, tmp_path, {}, state=state)
    assert all((value == 2).all() for value in load_backbone(tmp_path)[0].state_dict().values())


def test_channels_last_weights_can_be_saved(tmp_path: Path) -> None:
    backbone = build_backbone(BackboneConfig(clip_frames=2, height=16, width=16)).to(
        memory_format=torch.channels_last_3d
    )
    save_backbone(backbone, tmp_path, {})
    again, _ = load_backbone(tmp_path)
    assert all(torch.equal(again.state_dict()[key], value) for key, value in backbone.state_dict().items())


def test_a_changed_file_is_refused(backbone: Backbone, tmp_path: Path) -> None:
    save_backbone(backbone, tmp_path, {})
    file = tmp_path / "backbone.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(
        UserError, match=r"backbone.safetensors is not the file its card describes .*Copy backbone.safetensors and"
    ):
        load_backbone(tmp_path)
    file.unlink()
    with pytest.raises(UserError, match=r"backbone.safetensors is missing, and .*backbone.json names it"):
        load_backbone(tmp_path)


def test_cards_that_are_none(backbone: Backbone, tmp_path: Path) -> None:
    with pytest.raises(
        UserError,
        match=r"there is no file or folder '.*nowhere', no backbone: give the folder of a run of pretrain\.py",
    ):
        load_backbone(tmp_path / "nowhere")
    save_backbone(backbone, tmp_path, {})
    card = tmp_path / "backbone.json"
    card.write_text('{"format": "anomaly-pretext/backbone/9"}')
    with pytest.raises(
        UserError, match="has the format 'anomaly-pretext/backbone/9', not 'anomaly-pretext/backbone/1'; export the"
    ):
        load_backbone(tmp_path)
    card.write_text("{")
    with pytest.raises(UserError, match=r"cannot read the card .*backbone.json .*; export the backbone again"):
        load_backbone(tmp_path)
    card.unlink()
    with pytest.raises(UserError, match=r"there is no .*backbone.json; an exported backbone is a folder with"):
        load_backbone(tmp_path)


def test_a_failed_save_leaves_the_old_one(backbone: Backbone, tmp_path: Path) -> None:
    save_backbone(backbone, tmp_path, {"steps": 1})
    with pytest.raises(ValueError):
        save_backbone(build_backbone(BackboneConfig()), tmp_path, {"steps": float("nan")})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backbone.json", "backbone.safetensors"]
    assert load_backbone(tmp_path)[1]["steps"] == 1


def test_copy(backbone: Backbone, tmp_path: Path) -> None:
    save_backbone(backbone, tmp_path / "backbone", {})
    copies = copy_backbone(tmp_path, tmp_path / "export")
    assert [path.name for path in copies] == ["backbone.safetensors", "backbone.json"]
    assert load_backbone(tmp_path / "export")[0].spec == backbone.spec


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/evil", "evil.safetensors"])
def test_a_card_names_its_own_files_alone(backbone: Backbone, tmp_path: Path, name: str) -> None:
    made, out = tmp_path / "made", tmp_path / "deep" / "out"
    save_backbone(backbone, made, {})
    card = json.loads((made / "backbone.json").read_text())
    (tmp_path / "evil").write_bytes(b"x")
    card["sha256"][name] = sha256_of(tmp_path / "evil")
    (made / "backbone.json").write_text(json.dumps(card))
    for use in (lambda: copy_backbone(made, out), lambda: load_backbone(made)):
        with pytest.raises(UserError, match=r"the card .* cannot be used: sha256 has .*; known are"):
            use()
    assert not out.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil", "made"]


def test_links_out_of_its_folder_are_not_followed(backbone: Backbone, tmp_path: Path) -> None:
    save_backbone(backbone, tmp_path / "made", {})
    for name in ("backbone.safetensors", "backbone.json"):
        (tmp_path / "made" / name).rename(tmp_path / name)
        (tmp_path / "made" / name).symlink_to(tmp_path / name)
        with pytest.raises(UserError, match="is a link that leads out of"):
            copy_backbone(tmp_path / "made", tmp_path / "out")
        (tmp_path / "made" / name).unlink()
        (tmp_path / name).rename(tmp_path / "made" / name)
    assert not (tmp_path / "out").exists()


def test_a_frozen_image_network_comes_back_with_its_temporal_module_and_can_be_trained(tmp_path: Path) -> None:
    config = BackboneConfig(name="timm/test_resnet", clip_frames=4, height=32, width=48, freeze=True)
    backbone = build_backbone(config).eval()
    save_backbone(backbone, tmp_path / "a", {})
    again, card = load_backbone(tmp_path / "a")
    clips = torch.randn(2, 3, 4, 32, 48)
    with torch.no_grad():
        assert torch.equal(again(clips), backbone(clips))
    assert card["temporal_module"] == "narrow"
    assert card["not_trained"] == [name for name, _ in backbone.net.named_parameters()]
    assert not again.frozen
    assert any(parameter.requires_grad for parameter in again.net.parameters())
    save_backbone(again, tmp_path / "b", {})  # as after training end to end
    assert load_backbone(tmp_path / "b")[1]["temporal_module"] == "narrow"


@pytest.mark.parametrize("freeze", [False, True])
def test_weights_with_the_other_temporal_module_are_refused(freeze: bool, tmp_path: Path) -> None:
    config = BackboneConfig(name="timm/test_resnet", clip_frames=4, height=32, width=48, freeze=not freeze)
    save_backbone(build_backbone(config), tmp_path, {})
    with pytest.raises(UserError, match=r"comes with another temporal module: .* Set backbone.freeze as it was set"):
        build_backbone(replace(config, freeze=freeze, weights=tmp_path))
    build_backbone(replace(config, weights=tmp_path))
