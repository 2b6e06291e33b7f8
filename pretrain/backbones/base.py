"""What a backbone is: the network, what it expects of its input, and the map it gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from pretrain.backbones.config import BackboneSpec
from pretrain.errors import UserError

ToMap = Callable[[nn.Module, torch.Tensor], torch.Tensor]
"""A plain function of (native network, clips (B, 3, T, H, W)) that gives the feature map (B, D, T', H', W')."""


class Backbone(nn.Module):
    """A native network together with the way to its feature map.

    `net` is torchvision's, timm's or our own model under its own state-dict keys, classification head included, so that
    what is saved loads into the bare model. Parameters that the feature map does not depend on (the head) have
    `requires_grad=False`: they stay as they started, and DDP need not search for them.
    """

    def __init__(
        self,
        spec: BackboneSpec,
        net: nn.Module,
        to_map: ToMap,
        mixing: nn.Module | None = None,
        off_path: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.spec = spec
        self.net = net
        self.mixing = mixing
        self.off_path = tuple(off_path)
        """Names of the parameters of `net` that the feature map does not depend on."""
        self.initialisation = "random weights"
        """How the weights started, in words; goes on the card."""
        self.frozen = False
        """Does the image network stay as it is? Then temporal mixing alone trains."""
        self._to_map = to_map

    def freeze(self) -> None:
        """Keep the image network as it is: no gradient, and in evaluation mode, whatever mode the rest is in."""
        assert self.mixing is not None, "nothing would be left to train"
        self.frozen = True
        self.net.requires_grad_(False)
        self.net.eval()

    def thaw(self) -> None:
        """Undo `freeze`: everything trains that the feature map depends on."""
        self.frozen = False
        for name, parameter in self.net.named_parameters():
            parameter.requires_grad_(name not in self.off_path)
        self.train(self.training)

    def train(self, mode: bool = True) -> Backbone:
        """Training or evaluation mode; of a frozen image network (its normalisation, its dropout) always the latter."""
        super().train(mode)
        if self.frozen:
            self.net.eval()
        return self

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """Clips float (B, 3, T, H, W), normalised with the spec's mean and std -> feature map (B, D, T', H', W')."""
        return self.mixed(self.map_of(clips))

    def map_of(self, clips: torch.Tensor) -> torch.Tensor:
        """The native network's own map of clips, before temporal mixing; of image networks frame by frame."""
        return self._to_map(self.net, clips)

    def mixed(self, feature_map: torch.Tensor) -> torch.Tensor:
        """What `map_of` gave, mixed along time where this backbone does so."""
        return feature_map if self.mixing is None else self.mixing(feature_map)

    @staticmethod
    def pool(feature_map: torch.Tensor) -> torch.Tensor:
        """Feature map (B, D, T', H', W') -> features (B, D): the mean over time and space."""
        return feature_map.mean(dim=(2, 3, 4))


def not_fetched(name: str) -> UserError:
    """What is said where a card asks for published weights that are not on this machine."""
    return UserError(
        f"the published weights of '{name}' are not on this machine, and nothing is fetched because a card says so. "
        f"Run scripts/extract_features.py --backbone {name} --download once, which keeps them, or give the backbone as "
        "a folder (--backbone)"
    )
