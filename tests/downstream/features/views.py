"""What an encoder looks at, where only its frames and pixels matter."""

from __future__ import annotations

from downstream.features.snippets import ClipView
from pretrain.backbones import Clip
from pretrain.data.geometry import NO_BORDER, BorderCrop


def view_of(*, frames: int, stride: int, height: int, width: int, border_crop: BorderCrop = NO_BORDER) -> ClipView:
    """A view of clips whose pixels are not normalised."""
    clip = Clip(frames=frames, stride=stride, height=height, width=width, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    return ClipView(clip=clip, border_crop=border_crop)
