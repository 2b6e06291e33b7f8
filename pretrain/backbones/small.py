"""A small video network that learns on a CPU: the default backbone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pretrain.backbones.assembly import assemble, map_of_net
from pretrain.backbones.base import Backbone
from pretrain.backbones.config import BackboneConfig, Clip

SMALL3D_CLIP = Clip(frames=8, stride=2, height=64, width=96, mean=(0.45, 0.45, 0.45), std=(0.225, 0.225, 0.225))
"""What a CPU can pretrain on, 3:2 as a CCTV frame is once its clock is cut away."""


class ConvNormAct(nn.Sequential):
    """3D convolution, group normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: tuple[int, int, int]) -> None:
        convolution = nn.Conv3d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        super().__init__(convolution, nn.GroupNorm(max(1, outputs // 8), outputs), nn.ReLU(inplace=True))


class Small3D(nn.Module):
    """Four 3D convolutions, 0.3 million weights: `(B, 3, T, H, W)` -> `(B, 128, ceil(T/2), ceil(H/8), ceil(W/8))`.

    Ours; no published weights exist. What made it learn from minutes of surveillance footage (arrow of time on the
    demo's videos, accuracy on validation cameras after 3,200 to 4,800 clips; docs/results.md):
    - the first layer spans time: 0.84, against 0.54 with a first layer in space alone and three residual stages;
    - the last map stays fine (an eighth of the frame): with one more halving and a residual block 0.51 to 0.55;
    - the stem sees how each frame differs from the clip's mean, which under a static camera is what moves without its
      background, and, faintly, the frame itself: on frames alone it took half as many clips again to leave chance.
    Normalisation is by groups, not by batches: results do not depend on how a batch is shared out over processes.
    """

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            ConvNormAct(6, width // 8, 5, (1, 2, 2)),
            ConvNormAct(width // 8, width // 4, 3, (1, 2, 2)),
            ConvNormAct(width // 4, width // 2, 3, (2, 2, 2)),
            ConvNormAct(width // 2, width, 3, (1, 1, 1)),
        )
        self.feature_dim = width

    def forward(self, clips: Tensor) -> Tensor:
        """Normalised clips `(B, 3, T, H, W)` -> feature map."""
        moving = clips - clips.mean(dim=2, keepdim=True)
        # what moves deviates from the mean by about a tenth of the frame's own contrast
        features: Tensor = self.layers(torch.cat([2 * moving, clips / 4], dim=1))
        return features


def build_small3d(config: BackboneConfig) -> Backbone:
    """Our own small network with random weights."""
    return assemble(config, Small3D(), map_of_net, SMALL3D_CLIP.configured(config))
