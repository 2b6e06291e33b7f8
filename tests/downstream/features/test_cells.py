"""Cells come from the map they are said to come from; what gives no map of the picture is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor, nn

from downstream.features.cells import CellNetwork
from downstream.features.encoders import EncoderConfig, encoder_of, open_encoder
from downstream.features.snippets import SnippetSettings
from pretrain.backbones import Backbone, BackboneConfig, build_backbone, save_backbone
from pretrain.backbones.timm_frames import frames_map
from pretrain.errors import UserError

NO_BORDER = (0.0, 0.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def small() -> Backbone:
    """A map of 4x6 cells."""
    return build_backbone(BackboneConfig(height=32, width=48)).eval()


@pytest.fixture(scope="module")
def resnet() -> Backbone:
    return build_backbone(BackboneConfig(name="r3d_18", height=32, width=48, clip_frames=4)).eval()


def clips(backbone: Backbone, count: int = 2) -> Tensor:
    spec = backbone.spec
    shape = (count, 3, spec.clip.frames, spec.clip.height, spec.clip.width)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def output_of(backbone: Backbone, stage: str, given: Tensor) -> Tensor:
    """The slow way: the whole network runs, a hook keeps what the stage gave."""
    kept: list[Tensor] = []
    handle = backbone.net.get_submodule(stage).register_forward_hook(lambda _m, _i, output: kept.append(output))
    with torch.no_grad():
        backbone(given)
    handle.remove()
    return kept[0]


def test_the_mean_over_the_maps_cells_is_the_pooled_map(small: Backbone) -> None:
    network, given = CellNetwork(small, "map"), clips(small)
    with torch.no_grad():
        cells, feature_map = network(given), small(given)
    assert (network.grid, network.dim, cells.shape) == ((4, 6), 128, (2, 24, 128))
    torch.testing.assert_close(cells.mean(dim=1), small.pool(feature_map))
    torch.testing.assert_close(cells[:, 6 * 2 + 5], feature_map[:, :, :, 2, 5].mean(dim=2))  # rows first


def test_a_smaller_grid_pools_the_map_and_both_pools_lie_side_by_side(small: Backbone) -> None:
    network, given = CellNetwork(small, (2, 3), "mean_max"), clips(small)
    with torch.no_grad():
        cells, feature_map = network(given), small(given)
    assert (network.dim, cells.shape) == (256, (2, 6, 256))
    for row in range(2):
        for column in range(3):
            part = feature_map[:, :, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            expected = torch.cat([part.mean(dim=(2, 3, 4)), part.mean(dim=2).amax(dim=(2, 3))], dim=1)
            torch.testing.assert_close(cells[:, 3 * row + column], expected)


@pytest.mark.parametrize(
    ("name", "stage", "later", "grid"),
    [("small", "layers.1", "layers.2", (8, 12)), ("resnet", "layer3", "layer4", (4, 6))],
)
def test_a_stage_gives_its_own_output_and_later_ones_are_not_run(
    name: str, stage: str, later: str, grid: tuple[int, int], request: pytest.FixtureRequest
) -> None:
    backbone: Backbone = request.getfixturevalue(name)
    given = clips(backbone)
    expected = output_of(backbone, stage, given)
    ran: list[str] = []
    handle = backbone.net.get_submodule(later).register_forward_pre_hook(lambda *_: ran.append(later))
    network = CellNetwork(backbone, "map", stage=stage)
    with torch.no_grad():
        cells = network(given)
    handle.remove()
    assert not ran
    assert (network.grid, network.dim) == (grid, expected.shape[1])
    torch.testing.assert_close(cells, expected.mean(dim=2).flatten(2).transpose(1, 2))
    with torch.no_grad():
        small_map = backbone(given)  # no hook was left behind
    assert small_map.shape[1] == backbone.spec.feature_dim


def test_a_stage_of_an_image_model_run_frame_by_frame() -> None:
    backbone = build_backbone(BackboneConfig(name="timm/test_resnet", height=64, width=96, clip_frames=3)).eval()
    given = clips(backbone)
    expected = output_of(backbone, "layer2", given)  # (B * T, D, H, W)
    network = CellNetwork(backbone, "map", stage="layer2")
    with torch.no_grad():
        cells, mixed = network(given), CellNetwork(backbone, "map")(given)
        own = backbone(given)
    assert network.grid == tuple(expected.shape[2:])
    torch.testing.assert_close(cells, expected.unflatten(0, (2, 3)).mean(dim=1).flatten(2).transpose(1, 2))
    torch.testing.assert_close(mixed, own.mean(dim=2).flatten(2).transpose(1, 2))


def test_an_exported_image_model_has_cells_and_the_kind_tells_stages_apart(tmp_path: Path) -> None:
    backbone = build_backbone(BackboneConfig(name="timm/test_resnet", height=64, width=96, clip_frames=3))
    save_backbone(backbone, tmp_path / "backbone", {})
    config = EncoderConfig(backbone=str(tmp_path), grid="map")
    own, earlier = (
        open_encoder(dataclasses.replace(config, stage=stage)).spec(SnippetSettings()) for stage in (None, "layer2")
    )
    assert (own.grid, own.stage, earlier.grid, earlier.stage) == ((2, 3), None, (8, 12), "layer2")
    assert (own.output, earlier.output) == ("mixed_map", "map")
    assert own.weights_sha256 == earlier.weights_sha256
    assert {line.split(":")[0] for line in own.differences(earlier)} == {"dim", "output", "grid", "stage"}


def test_gradients_reach_the_weights_before_the_stage_and_no_others(small: Backbone) -> None:
    CellNetwork(small, (2, 2), stage="layers.1")(clips(small, 1)).sum().backward()
    reached = {name.split(".")[2] for name, value in small.named_parameters() if value.grad is not None}
    small.zero_grad(set_to_none=True)
    assert reached == {"0", "1"}


@pytest.mark.parametrize(
    ("stage", "text"),
    [
        ("layer33", r"r3d_18 has no stage 'layer33'; did you mean 'layer3'\? Its first levels: stem, .*layer4"),
        ("qqq", r"r3d_18 has no stage 'qqq'\. Its first levels: stem, "),
        ("fc", "stage 'fc' of r3d_18 is not on the way to its feature map"),
    ],
)
def test_unknown_stages(resnet: Backbone, stage: str, text: str) -> None:
    with pytest.raises(UserError, match=text):
        CellNetwork(resnet, "map", stage=stage)


@pytest.mark.parametrize(
    ("grid", "text"),
    [
        ((5, 6), "a grid of 5x6 cells was asked for; the feature map of small3d has 4x6: ask for more than one cell"),
        ((4, 7), "a grid of 4x7 cells was asked for; .* or choose an earlier --stage"),
        ((1, 1), "a grid of 1x1 cells was asked for"),
    ],
)
def test_grids_that_the_map_cannot_give(small: Backbone, grid: tuple[int, int], text: str) -> None:
    with pytest.raises(UserError, match=text):
        CellNetwork(small, grid)
    assert CellNetwork(small, (1, 6)).grid == (1, 6)


def test_a_map_of_one_cell_says_nothing_of_where() -> None:
    backbone = build_backbone(BackboneConfig(height=8, width=8))
    with pytest.raises(UserError, match=r"small3d has a single cell: .* Choose an earlier --stage, larger frames"):
        CellNetwork(backbone, "map")
    assert CellNetwork(backbone, "map", stage="layers.0").grid == (4, 4)


def test_channels_last_is_no_map(small: Backbone) -> None:
    video = build_backbone(BackboneConfig(name="swin3d_t", height=64, width=64, clip_frames=8))
    with pytest.raises(UserError, match=r"stage 'features\.0' of swin3d_t gives \(1, 4, 16, 16, 96\), no map \(B, D,"):
        CellNetwork(video, "map", stage="features.0")
    assert CellNetwork(video, "map").grid == (2, 2)
    # as many channels as rows and columns: the shapes alone do not tell that channels come last
    swin = timm.models.SwinTransformer(
        img_size=64, patch_size=4, embed_dim=16, depths=(1, 1), num_heads=(1, 2), window_size=4
    )
    clip = dataclasses.replace(small.spec.clip, height=64, width=64, frames=2)
    spec = dataclasses.replace(small.spec, name="swin", clip=clip, map_size=(2, 8, 8))
    frames = Backbone(dataclasses.replace(spec, feature_dim=32), swin, frames_map)
    with pytest.raises(UserError, match=r"stage 'layers\.0' of swin gives \(1, 16, 2, 16, 16\), no map"):
        CellNetwork(frames, "map", stage="layers.0")


def test_tokens_and_tuples_are_no_map() -> None:
    vit = build_backbone(BackboneConfig(name="timm/test_vit", clip_frames=1)).eval()
    with pytest.raises(UserError, match=r"stage 'blocks\.0' of timm/test_vit gives \(1, 101, 64\), no map"):
        CellNetwork(vit, "map", stage="blocks.0")
    assert CellNetwork(vit, "map").grid == (10, 10)


def test_a_stage_with_two_outputs_gives_no_map(small: Backbone) -> None:
    """As a block of torchvision's MViT: tokens and their grid."""

    class Two(nn.Module):
        def forward(self, clips: Tensor) -> tuple[Tensor, tuple[int, int]]:
            return clips, (1, 1)

    net = nn.Sequential(nn.Conv3d(3, 3, 1))
    net.add_module("block", Two())
    backbone = Backbone(small.spec, net, lambda n, given: n(given)[0])
    with pytest.raises(
        UserError, match=r"stage 'block' of small3d gives no feature map \(its output is a tuple, not one"
    ):
        CellNetwork(backbone, "map", stage="block")


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"stage": "layers.1"}, "stage is layers.1, but only cells can be of another stage: set grid too"),
        ({"grid": (0, 4)}, "grid is 0 4; rows and columns are at least 1"),
        (
            {"backbone": "timm/test_vit", "grid": "map"},
            "grid asks for cells, and 'timm/test_vit' has no map: .* Take a",
        ),
    ],
)
def test_configurations(config: dict[str, object], text: str) -> None:
    with pytest.raises(UserError, match=text):
        open_encoder(EncoderConfig(**config))  # type: ignore[arg-type]


def test_cells_are_of_one_crop(small: Backbone) -> None:
    encoder = encoder_of(EncoderConfig(grid="map"), small, NO_BORDER)
    with pytest.raises(UserError, match="crops is 5, and grid asks for cells: these are of the whole picture"):
        encoder.spec(SnippetSettings(crops=5))
    spec = encoder.spec(SnippetSettings())
    assert (spec.grid, spec.stage, spec.places, spec.crops) == ((4, 6), None, 24, ("centre",))
