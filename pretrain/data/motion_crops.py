"""Crops that lie where something moves. [ours]

A small crop of a street is mostly empty, and of an empty one no pretext task can be solved. Among all places that a
crop of the drawn size can have, one is taken in proportion to the square of the motion inside it (so that what moves is
seldom cut): mean |frame difference| above half as much again as the picture's median, which is noise and the camera's
own shaking.

No further random number is needed: those that placed the crop anywhere are taken for the row, and for the column in it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pretrain.data.transforms import Augmentation

COARSE = 48
"""Places across the larger side of the picture that are told apart."""
FLOOR = 0.001
"""Of the strongest place, that every other has as well: without any motion a crop lies anywhere."""
STILL = 1.5
"""Of the median motion of all places: as much is noise."""
Floats = NDArray[np.float64]


def crop_on_motion(clip: NDArray[np.uint8], augmentation: Augmentation) -> Augmentation:
    """The same with the crop moved to where this clip (frames, height, width, 3) moves; of another size it is not."""
    x, y, half_width, half_height = (float(value) for value in augmentation.crop)
    width, height = abs(half_width), half_height
    if width >= 1 and height >= 1:
        return augmentation
    motion = coarse_motion(clip)
    rows, columns = motion.shape
    inside = box_sums(motion, max(1, round(height * rows)), max(1, round(width * columns)))
    weights = inside**2 + FLOOR * (inside**2).max() + 1e-9
    row = drawn(weights.sum(axis=1), _share(y, height))
    column = drawn(weights[row], _share(x, width))
    crop = augmentation.crop.copy()
    crop[:2] = _centre(column, weights.shape[1], width), _centre(row, weights.shape[0], height)
    return augmentation._replace(crop=crop)


def coarse_motion(clip: NDArray[np.uint8]) -> Floats:
    """(rows, columns): how much a place's green values change from frame to frame, less `STILL` medians."""
    step = max(1, -(-max(clip.shape[1:3]) // COARSE))
    small = clip[:, ::step, ::step, 1].astype(np.float64)
    if len(small) < 2:
        return np.zeros(small.shape[1:])
    motion = np.abs(np.diff(small, axis=0)).mean(axis=0)
    excess: Floats = np.maximum(motion - STILL * np.median(motion), 0)
    return excess


def box_sums(values: Floats, height: int, width: int) -> Floats:
    """(rows, columns) -> the sum inside a box of this size at every place it can have, by its upper left corner."""
    summed = np.pad(values.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    sums: Floats = (
        summed[height:, width:] - summed[:-height, width:] - summed[height:, :-width] + summed[:-height, :-width]
    )
    return np.maximum(sums, 0)  # differences of sums may be a hair below


def drawn(weights: Floats, share: float) -> int:
    """The index at which `share`, 0 to 1, of the weights' sum is reached: with an even number, one in proportion."""
    summed = weights.cumsum()
    return min(int(np.searchsorted(summed, share * summed[-1], side="right")), len(weights) - 1)


def _share(centre: float, half: float) -> float:
    """The even number within [0, 1] that placed the centre of a crop."""
    room = 1 - half
    return 0.5 if room <= 0 else min(max((centre / room + 1) / 2, 0.0), 1.0)


def _centre(index: int, places: int, half: float) -> float:
    """The centre, within +-(1 - half), of the crop at one of so many places."""
    return 0.0 if places == 1 else (2 * index / (places - 1) - 1) * (1 - half)
