"""A network of two convolutions."""

from torch import nn

from anomaly_pretext.plugins import Backbone, BackboneConfig, Clip, assemble, map_of_net

CLIP = Clip(frames=8, stride=2, height=64, width=96, mean=(0.45, 0.45, 0.45), std=(0.225, 0.225, 0.225))


def build_tiny3d(config: BackboneConfig) -> Backbone:
    net = nn.Sequential(nn.Conv3d(3, 16, 3, (1, 4, 4), 1), nn.ReLU(), nn.Conv3d(16, 32, 3, (1, 2, 2), 1), nn.ReLU())
    return assemble(config, net, map_of_net, CLIP.configured(config))
