from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from downstream.features.encoders import Encoder, EncoderConfig, open_encoder
from downstream.features.snippets import SnippetSettings
from pretrain.backbones import BackboneConfig, build_backbone, save_backbone
from pretrain.errors import UserError
from pretrain.weight_files import state_sha256

TOWER = "timm/test_vit"
"""timm's own model for tests: 0.4 million weights, 160x160 pixels."""


def clips(encoder: Encoder, count: int = 2) -> torch.Tensor:
    shape = (count, encoder.clip.frames, encoder.clip.height, encoder.clip.width, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def normalised(encoder: Encoder, given: torch.Tensor) -> torch.Tensor:
    pixels = given.permute(0, 4, 1, 2, 3).float() / 255
    mean, std = (torch.tensor(values).view(1, 3, 1, 1, 1) for values in (encoder.clip.mean, encoder.clip.std))
    return ((pixels - mean) / std).contiguous()


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    backbone = build_backbone(BackboneConfig(height=32, width=48))
    save_backbone(backbone, tmp_path / "run" / "backbone", {"data": {"border_crop": [0.1, 0.0, 0.0, 0.2]}})
    return tmp_path / "run"


def test_an_exported_backbone_gives_its_pooled_map(exported: Path) -> None:
    from pretrain.backbones import load_backbone

    encoder = open_encoder(EncoderConfig(backbone=str(exported), motion=False))
    assert (encoder.clip.height, encoder.clip.width, encoder.clip.frames, encoder.clip.stride) == (32, 48, 8, 2)
    assert encoder.border_crop == (0.1, 0.0, 0.0, 0.2)
    given = clips(encoder)
    backbone = load_backbone(exported)[0]
    feature_map = backbone(normalised(encoder, given))
    mean = feature_map.mean(dim=(2, 3, 4))
    torch.testing.assert_close(encoder.features(given), mean.detach(), rtol=1e-5, atol=1e-5)
    both = open_encoder(EncoderConfig(backbone=str(exported), pool="mean_max", motion=False))
    expected = torch.cat([mean, feature_map.amax(dim=(2, 3, 4))], dim=1).detach()
    torch.testing.assert_close(both.features(given), expected, rtol=1e-5, atol=1e-5)
    assert both.dim == 2 * encoder.dim == expected.shape[1]


def test_the_spec_says_what_makes_features_comparable(exported: Path) -> None:
    settings = SnippetSettings(crops=5, tail="pad")
    spec = open_encoder(EncoderConfig(backbone=str(exported))).spec(settings)
    assert (spec.encoder, spec.dim, spec.snippet_frames, spec.motion) == ("small3d", 129, 16, True)
    assert (spec.clip_frames, spec.clip_stride, len(spec.crops)) == (8, 2, 5)
    assert (spec.border_crop, spec.crop_height, spec.crop_width) == ((0.1, 0.0, 0.0, 0.2), 32, 48)
    assert (spec.mean, spec.std) == ((0.45, 0.45, 0.45), (0.225, 0.225, 0.225))
    assert (spec.output, spec.pool) == ("map", "mean")
    assert spec.describe_preprocessing() == (
        "RGB; border cut top 0.1, bottom 0, left 0, right 0.2 of the frame; scaled to cover 32x48; "
        "crops of 32x48; (pixels / 255 - (0.45, 0.45, 0.45)) / (0.225, 0.225, 0.225); feature map, pooled by mean; "
        "motion of the clip"
    )
    assert (spec.crop_margin, spec.tail) == (1.15, "pad")
    other = open_encoder(EncoderConfig(backbone=str(exported), pool="mean_max", border_crop=(0, 0, 0, 0)))
    changed = {line.split(":")[0] for line in spec.differences(other.spec(settings))}
    assert changed == {"dim", "border_crop", "pool"}
    one = open_encoder(EncoderConfig(backbone=str(exported))).spec(SnippetSettings())
    assert {line.split(":")[0] for line in spec.differences(one)} == {"crops", "crop_margin", "tail"}
    assert spec.encoding_differences(one) == []
    larger = EncoderConfig(weights=exported / "backbone" / "backbone.safetensors", height=32, width=64)
    changed = {line.split(":")[0] for line in spec.encoding_differences(open_encoder(larger).spec(settings))}
    assert changed == {"border_crop", "crop_width"}


def test_random_weights_follow_from_the_seed_and_from_nothing_else() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, again, other = (open_encoder(EncoderConfig(weights_seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    given = clips(one)
    assert torch.equal(one.features(given), again.features(given))
    assert one.weights_sha256 == again.weights_sha256 != other.weights_sha256


def test_the_hash_is_of_the_weights_wherever_they_come_from(exported: Path) -> None:
    by_folder = open_encoder(EncoderConfig(backbone=str(exported)))
    config = EncoderConfig(weights=exported / "backbone" / "backbone.safetensors", height=32, width=48)
    assert open_encoder(config).weights_sha256 == by_folder.weights_sha256
    state = {"b": torch.ones(2), "a": torch.zeros(1)}
    assert state_sha256(state.items()) == state_sha256(reversed(state.items()))
    assert state_sha256(state.items()) != state_sha256((state | {"b": torch.ones(1, 2)}).items())


def test_an_image_tower_is_timms_own_output_averaged_over_frames(tmp_path: Path) -> None:
    net = timm.create_model(TOWER.removeprefix("timm/"), num_classes=7).eval()
    save_file(net.state_dict(), tmp_path / "tower.safetensors")
    encoder = open_encoder(
        EncoderConfig(backbone=TOWER, weights=tmp_path / "tower.safetensors", image_frames=3, motion=False)
    )
    given = clips(encoder)
    net.reset_classifier(0)
    with torch.no_grad():
        frames = normalised(encoder, given).transpose(1, 2)
        expected = torch.stack([net(clip) for clip in frames])
    torch.testing.assert_close(encoder.features(given), expected.mean(dim=1), rtol=1e-5, atol=1e-5)
    assert encoder.spec(SnippetSettings(snippet_frames=24)).clip_stride == 8
    both = open_encoder(
        EncoderConfig(
            backbone=TOWER, weights=tmp_path / "tower.safetensors", image_frames=3, pool="mean_max", motion=False
        )
    )
    wide = torch.cat([expected.mean(dim=1), expected.amax(dim=1)], dim=1)
    torch.testing.assert_close(both.features(given), wide, rtol=1e-5, atol=1e-5)


def test_an_image_tower_refuses_weights_that_lack_a_part(tmp_path: Path) -> None:
    state = timm.create_model("test_vit").state_dict()
    del state["norm.weight"]
    save_file(state, tmp_path / "cut.safetensors")
    with pytest.raises(UserError, match=r"cut.safetensors does not fit 'timm/test_vit': 1 weights .* \(norm.weight\)"):
        open_encoder(EncoderConfig(backbone=TOWER, weights=tmp_path / "cut.safetensors"))


def test_an_image_tower_at_another_size_gives_as_many_numbers() -> None:
    encoder = open_encoder(EncoderConfig(backbone=TOWER, height=64, width=96, image_frames=1))
    assert encoder.features(clips(encoder)).shape == (2, encoder.dim)


def test_an_exported_timm_backbone_keeps_its_temporal_mixing(tmp_path: Path) -> None:
    backbone = build_backbone(BackboneConfig(name=TOWER, clip_frames=4, height=32, width=32)).eval()
    assert backbone.mixing is not None
    with torch.no_grad():
        for layer in backbone.mixing.layers:
            layer.project.weight.normal_(generator=torch.Generator().manual_seed(0))
    save_backbone(backbone, tmp_path / "x", {})
    encoder = open_encoder(EncoderConfig(backbone=str(tmp_path / "x"), motion=False))
    given = clips(encoder)
    with torch.no_grad():
        expected = backbone.pool(backbone(normalised(encoder, given)))
        unmixed = backbone.pool(backbone._to_map(backbone.net, normalised(encoder, given)))
    torch.testing.assert_close(encoder.features(given), expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(expected, unmixed, atol=1e-2)
    assert encoder.spec(SnippetSettings()).output == "mixed_map"


def test_bf16_is_near(exported: Path) -> None:
    exact, near = (
        open_encoder(EncoderConfig(backbone=str(exported), precision=p))
        for p in ("fp32", "bf16")  # type: ignore[arg-type]
    )
    given = clips(exact)
    found = near.features(given)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, exact.features(given), rtol=0.05, atol=0.02)


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"backbone": "smal3d"}, "backbone 'smal3d' is neither a folder nor a name; did you mean 'small3d'?"),
        ({"backbone": "timm/test_vitt"}, "timm has no model 'test_vitt'; did you mean 'test_vit'?"),
        ({"backbone": "timm/test_vit.none"}, "timm has no weights tagged as in 'test_vit.none'; leave the tag out"),
        ({"image_frames": 0}, "image_frames is 0; it must be at least 1"),
        ({"border_crop": (0.6, 0, 0, 0)}, r"border_crop is \(0.6, 0, 0, 0\); it holds four shares"),
        ({"weights": Path("x"), "download": True}, r"weights \(x\) and download are both set; choose one"),
    ],
)
def test_errors(config: dict[str, object], text: str) -> None:
    with pytest.raises(UserError, match=text):
        open_encoder(EncoderConfig(**config))  # type: ignore[arg-type]


def test_an_export_of_convolutions_reads_frames_of_any_size(exported: Path) -> None:
    from pretrain.backbones import load_backbone

    encoder = open_encoder(EncoderConfig(backbone=str(exported), height=64, width=80, motion=False))
    spec = encoder.spec(SnippetSettings())
    assert (spec.crop_height, spec.crop_width, spec.dim) == (64, 80, 128)
    given = clips(encoder)
    mean = load_backbone(exported)[0](normalised(encoder, given)).mean(dim=(2, 3, 4))  # the weights as they were
    torch.testing.assert_close(encoder.features(given), mean.detach(), rtol=1e-5, atol=1e-5)
    cells = open_encoder(EncoderConfig(backbone=str(exported), height=64, grid="map", motion=False))
    assert (cells.grid, cells.clip.width) == ((8, 6), 48)
    assert load_backbone(exported, height=64)[0].spec.map_size == (4, 8, 6)


def test_an_export_that_takes_one_size_alone_says_so(exported: Path, tmp_path: Path) -> None:
    card = exported / "backbone" / "backbone.json"
    card.write_text(card.read_text().replace('"small3d"', '"mvit_v2_s"').replace('"frames": 8', '"frames": 16'))
    with pytest.raises(UserError, match=r"height is 64; 'mvit_v2_s' takes 224 alone\. Leave it out"):
        open_encoder(EncoderConfig(backbone=str(exported), height=64))


def test_an_export_brings_its_weights(exported: Path) -> None:
    with pytest.raises(UserError, match=r"weights is set, but .* is exported and brings its own"):
        open_encoder(EncoderConfig(backbone=str(exported), weights=Path("x")))
