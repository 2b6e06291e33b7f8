"""Which stages of a backbone train: the last ones, counted from the feature map."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from pretrain.backbones import Backbone
from pretrain.errors import UserError

CONTAINER_SHARE = 0.85
"""A list that holds more than this share of the weights is no stage but the stages' list. torchvision's and timm's
ResNets keep up to 80 % in their last stage; lists of blocks (ViT, Swin, ConvNeXt, EfficientNet) hold 90 % and more."""


def stages_of(backbone: Backbone) -> dict[str, list[nn.Module]]:
    """The stages of the native network by name, in order: its top-level blocks on the path to the feature map.

    Blocks with weights in vectors alone (a norm) belong to the stage before them; the parts of a list that is nearly
    the whole network are taken one by one.
    """
    names = {id(parameter): name for name, parameter in backbone.net.named_parameters()}
    on_path = set(names) - {number for number, name in names.items() if name in set(backbone.off_path)}
    found: dict[str, list[nn.Module]] = {}
    for name, block in _blocks(backbone.net, "", on_path):
        weights = [parameter for parameter in block.parameters() if id(parameter) in on_path]
        if found and all(weight.ndim <= 1 for weight in weights):
            found[next(reversed(found))].append(block)
        else:
            found[name] = [block]
    return found


def unfreeze(backbone: Backbone, count: int) -> dict[str, list[nn.Module]]:
    """Let the last `count` stages train, and temporal mixing if count > 0; freeze all else. Returns what trains.

    All stages: also the weights that belong to none (a table of positions). UserError where there are fewer stages.
    """
    stages = stages_of(backbone)
    if count > len(stages):
        raise UserError(
            f"videos.unfreeze is {count}; {backbone.spec.name} has {len(stages)} stages, the last ones first: "
            f"{', '.join(reversed(stages))}"
        )
    trained = dict(list(stages.items())[len(stages) - count :])
    if count and backbone.mixing is not None:
        trained["temporal mixing"] = [backbone.mixing]
    if count < len(stages):
        chosen = {id(p) for modules in trained.values() for module in modules for p in module.parameters()}
        for parameter in backbone.parameters():
            # never switched on here: what is off the path to the map stays frozen
            parameter.requires_grad_(parameter.requires_grad and id(parameter) in chosen)
    return trained


def _blocks(module: nn.Module, prefix: str, on_path: set[int]) -> Iterator[tuple[str, nn.Module]]:
    sizes = {
        name: sum(parameter.numel() for parameter in child.parameters() if id(parameter) in on_path)
        for name, child in module.named_children()
    }
    for name, child in module.named_children():
        if type(child) in (nn.Sequential, nn.ModuleList) and sizes[name] > CONTAINER_SHARE * sum(sizes.values()):
            yield from _blocks(child, f"{prefix}{name}.", on_path)
        elif sizes[name]:
            yield f"{prefix}{name}", child
