"""Which parts of a backbone count as its stages, and which of them train."""

from __future__ import annotations

import pytest

from downstream.training.end_to_end.stages import stages_of, unfreeze
from pretrain.backbones import BackboneConfig, build_backbone
from pretrain.errors import UserError


@pytest.mark.parametrize(
    ("name", "last", "count"),
    [
        ("small3d", ["layers.3", "layers.2"], 4),
        ("r3d_18", ["layer4", "layer3"], 5),
        ("r2plus1d_18", ["layer4", "layer3"], 5),
        ("timm/vit_tiny_patch16_224", ["blocks.11", "blocks.10"], 13),
        ("timm/convnext_atto", ["stages.3", "stages.2"], 5),
    ],
)
def test_stages_are_the_blocks_before_the_map(name: str, last: list[str], count: int) -> None:
    backbone = build_backbone(BackboneConfig(name=name, clip_frames=4))
    stages = stages_of(backbone)
    assert len(stages) == count
    assert list(stages)[:-3:-1] == last
    trained = unfreeze(backbone, 1)
    assert last[0] in trained
    moving = [key for key, value in backbone.net.named_parameters() if value.requires_grad]
    assert moving
    assert not set(moving) & set(backbone.off_path)
    assert ("temporal mixing" in trained) == name.startswith("timm/")


def test_all_stages_are_the_whole_network_and_more_are_refused() -> None:
    backbone = build_backbone(BackboneConfig(name="timm/vit_tiny_patch16_224", clip_frames=2))
    unfreeze(backbone, 13)
    frozen = {key for key, value in backbone.net.named_parameters() if not value.requires_grad}
    assert frozen == set(backbone.off_path)
    with pytest.raises(UserError, match=r"videos\.unfreeze is 14; .* has 13 stages, the last ones first: blocks\.11"):
        unfreeze(backbone, 14)
