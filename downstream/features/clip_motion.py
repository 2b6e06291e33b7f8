"""How much the frames of a clip differ: the number that networks lose when they pool, and that fights show best."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from downstream.features.feature_spec import NOISE_FLOOR, Grid
from downstream.features.map_reach import WHOLE, Reach


def log_motion(clips: Tensor, grid: Grid | None = None, reach: Reach = WHOLE) -> Tensor:
    """uint8 clips (B, T, H, W, 3) -> float32 (B, 1), of cells (B, cells, 1), rows first.

    The logarithm of the mean absolute difference of successive frames of the clip, in grey levels from 0 to 255, over
    the picture or over each cell. A clip of one frame has none: the floor's logarithm. `reach`: the part of the input
    that cells divide.
    """
    height, width = clips.shape[2:4]
    rows = slice(round(reach.top * height), round(reach.bottom * height))
    columns = slice(round(reach.left * width), round(reach.right * width))
    grey = clips[:, :, rows, columns].float().mean(dim=4)
    differences = (grey[:, 1:] - grey[:, :-1]).abs_()
    size = grid or (1, 1)
    if differences.shape[1]:
        cells = functional.adaptive_avg_pool2d(differences.mean(dim=1, keepdim=True), size).flatten(2)
    else:
        cells = torch.zeros(len(clips), 1, size[0] * size[1], device=clips.device)
    values = (cells + NOISE_FLOOR).log()
    return values.squeeze(1) if grid is None else values.transpose(1, 2)
