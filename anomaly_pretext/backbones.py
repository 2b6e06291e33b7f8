"""Backbones from Python."""

from __future__ import annotations

from pathlib import Path

from anomaly_pretext.arguments import as_path, in_python
from pretrain.backbones import Backbone, BackboneConfig, build_backbone
from pretrain.backbones import load_backbone as load_exported
from pretrain.backbones.build import list_backbones as known_names
from pretrain.errors import UserError

__all__ = ["list_backbones", "load_backbone"]


def list_backbones() -> list[str]:
    """The names that `load_backbone` knows; `timm/<model>` is any image model of timm beside them."""
    return known_names()


@in_python
def load_backbone(
    source: str | Path = "shipped",
    *,
    weights: str | Path | None = None,
    height: int | None = None,
    width: int | None = None,
) -> Backbone:
    """A backbone in evaluation mode: `backbone(clips (B, 3, T, H, W)) -> feature map (B, D, T', H', W')`.

    `source`: a run of `pretrain`, an exported folder or its weight file; `shipped`, the small network that comes with
    the package; or a name (`list_backbones`, `timm/<model>`), with `weights` or at random (`torch.manual_seed`).
    `height`, `width`: pixels of its clips, where not those of pretraining, or the name's own; networks of convolutions
    take any. `backbone.spec.clip` says what its clips are. UserError: nothing there, weights that do not fit, a size
    that the network cannot have.
    """
    source = as_path("source", source, "a run, an exported folder, 'shipped', or a name (list_backbones)")
    if weights is not None and (str(source) == "shipped" or source.is_dir()):
        raise UserError(f"{source} brings its weights: leave weights out, or give the name of a network with them")
    if weights is None and (str(source) == "shipped" or Path(source).exists()):
        return load_exported(Path(source), height=height, width=width)[0]
    own = None if weights is None else as_path("weights", weights, "a .safetensors or .pth file")
    return build_backbone(BackboneConfig(name=str(source), weights=own, height=height, width=width)).eval()
