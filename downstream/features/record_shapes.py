"""What stands in manifests and cards about features, as `pretrain.json_shapes`: types and ranges of every field.

Limits: vectors of 2^20 numbers, grids of 256 x 256 cells, 4,096 crops, crops of 4,096 pixels a side.
"""

from __future__ import annotations

from typing import get_args

from downstream.features.feature_spec import OF_SOME, FeatureSpec
from downstream.features.normalising import Normalise
from pretrain.json_shapes import (
    anything,
    every,
    fixed,
    number,
    of_type,
    one_of,
    optional,
    record,
    sequence,
    text,
    whole,
)

MOST_NUMBERS = 1 << 20
"""In one vector."""
COUNT, SIDE = whole(1, 1 << 20), whole(1, 4096)
GRID = fixed(whole(1, 256), whole(1, 256))
_RANGES = {
    "dim": whole(1, MOST_NUMBERS),
    "crops": sequence(text, 1, 4096),
    "snippet_frames": optional(COUNT),
    "clip_frames": optional(COUNT),
    "clip_stride": optional(COUNT),
    "border_crop": optional(fixed(*[number(0, 1)] * 4)),
    "crop_height": optional(SIDE),
    "crop_width": optional(SIDE),
}
SPEC = every(
    of_type(FeatureSpec),
    record(
        {name: _RANGES.get(name, anything) for name in FeatureSpec.__dataclass_fields__ if name not in OF_SOME},
        {"grid": optional(GRID)},
    ),
)
"""`FeatureSpec.as_json`."""
_TIMES = {
    "frames": optional(whole(1, 1 << 40)),
    "fps": optional(number(1e-6, 1e6)),
    "snippet_frames": optional(COUNT),
}
_PICTURE = {
    "size": optional(fixed(whole(1, 1 << 20), whole(1, 1 << 20))),
    "seen": optional(fixed(*[number()] * 4)),
}
FACTS = record(_TIMES, _PICTURE, closed=True)
"""Of a `VideoEntry`, what does not depend on where it lies in the array."""
ENTRY = record({"name": text, "offset": whole(0), "snippets": whole(0, 1 << 32), **_TIMES}, _PICTURE, closed=True)
"""`VideoEntry.as_json`."""
NORMALISE = one_of(*get_args(Normalise))
