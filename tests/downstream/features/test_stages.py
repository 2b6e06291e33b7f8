"""Vectors of several stages hold what their maps hold, are described, and refuse what has none."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from einops import rearrange

from downstream.detection.open_model import _from_spec
from downstream.features.encoders import EncoderConfig, VideoNetwork, encoder_of, open_encoder
from downstream.features.feature_spec import FeatureSpec
from downstream.features.snippets import SnippetSettings
from downstream.features.stages import StageVectors, moments
from pretrain.backbones import Backbone, BackboneConfig, build_backbone, save_backbone
from pretrain.errors import UserError
from tests.downstream.features.test_cells import NO_BORDER, clips, output_of

STAGES = ("layers.1", "layers.2")


@pytest.fixture(scope="module")
def small() -> Backbone:
    return build_backbone(BackboneConfig(height=32, width=48)).eval()


def test_moments_are_mean_and_deviation_over_time() -> None:
    moving = torch.zeros(1, 2, 2, 1, 2)
    moving[0, 0, :, 0, 0] = torch.tensor([1.0, 3.0])  # mean 2, deviation 1, of one of two places
    moving[0, 1] = 5.0
    assert moments(moving).tolist() == [[1.0, 5.0, 0.5, 0.0]]
    assert moments(moving[:, :, :1])[:, 2:].tolist() == [[0.0, 0.0]]  # one moment: none, and not NaN


def test_a_vector_is_the_maps_mean_then_deviations_then_the_stages(small: Backbone) -> None:
    given = clips(small)
    network = VideoNetwork(small, "mean", STAGES)
    with torch.no_grad():
        found, plain, own = network(given), VideoNetwork(small, "mean")(given), small(given)
        wanted = [moments(own), *(moments(output_of(small, stage, given)) for stage in STAGES)]
    assert found.shape == (2, network.dim) == (2, 2 * 128 + 2 * 32 + 2 * 64)
    assert torch.equal(found[:, :128], plain)
    assert torch.allclose(found, torch.cat(wanted, dim=1), atol=1e-6)
    assert not any(module._forward_hooks for module in small.modules())


def test_networks_of_images_have_them_too() -> None:
    frames = build_backbone(BackboneConfig(name="timm/resnet18", height=32, width=48, clip_frames=4)).eval()
    given = clips(frames)
    with torch.no_grad():
        found = VideoNetwork(frames, "mean_max", ("layer2",))(given)
        stage = rearrange(output_of(frames, "layer2", given), "(b t) d h w -> b d t h w", b=len(given))
    assert torch.allclose(found[:, -256:], moments(stage), atol=1e-5)


def test_the_encoder_is_made_again_from_its_description(small: Backbone, tmp_path: Path) -> None:
    save_backbone(small, tmp_path / "exported", {})
    config = EncoderConfig(backbone=str(tmp_path / "exported"), stages=STAGES)
    encoder = open_encoder(config)
    spec = encoder.spec(SnippetSettings())
    assert (spec.stages, spec.dim, spec.crops_or_cells) == (STAGES, 449, 1)
    assert "; beside it layers.1, layers.2 and deviations over time; motion" in spec.describe_preprocessing()
    assert FeatureSpec.from_json(spec.as_json()) == spec
    assert EncoderConfig.from_json(config.as_json()) == config
    again = dataclasses.replace(_from_spec(spec), backbone=config.backbone)
    assert open_encoder(again).spec(SnippetSettings()) == spec
    plain = encoder_of(EncoderConfig(), small, NO_BORDER).spec(SnippetSettings())
    assert "stages" not in plain.as_json()
    assert {line.split(":")[0] for line in plain.differences(spec)} >= {"dim", "stages"}


def test_what_has_no_such_maps_is_refused(small: Backbone) -> None:
    with pytest.raises(UserError, match=r"small3d has no stage 'layer\.1'; did you mean 'layers\.1'"):
        StageVectors(small, ("layer.1",))
    with pytest.raises(UserError, match=r"timm/resnet18 is not on the way|gives \(4, 512\), no map"):
        StageVectors(build_backbone(BackboneConfig(name="timm/resnet18", height=32, width=48)).eval(), ("global_pool",))


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"stages": STAGES, "grid": "map"}, "stages is layers.1 layers.2, and grid asks for cells, which are of one"),
        ({"stages": ("layers.1", "layers.1")}, "stages is layers.1 layers.1: name each once"),
        ({"backbone": "timm/test_vit", "stages": STAGES}, "and 'timm/test_vit' has no maps of clips: .*or r3d_18"),
        ({"backbone": "onnx/a", "stages": STAGES}, "stages is set, and onnx/a is an ONNX file, which is one whole"),
    ],
)
def test_configurations(config: dict[str, object], text: str) -> None:
    with pytest.raises(UserError, match=text):
        open_encoder(EncoderConfig(**config))  # type: ignore[arg-type]
