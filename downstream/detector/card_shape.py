"""What stands on a detector's card: types and ranges of every field, checked before a network is built of it.

Limits: vectors of 2^20 numbers, networks 65,536 wide, 2^24 members of a coreset, 64 fused feature sets.
"""

from __future__ import annotations

from typing import Any

from downstream.detector.config import DetectorConfig
from downstream.detector.loss_config import Guidance
from downstream.detector.normal_config import NormalConfig
from downstream.features.config import EncoderConfig
from downstream.features.places import PLACES
from downstream.features.record_shapes import COUNT, GRID, MOST_NUMBERS, NORMALISE, SIDE, SPEC
from downstream.features.store import DTYPES
from pretrain.json_shapes import (
    Shape,
    anything,
    either,
    every,
    mapping,
    null,
    number,
    of_type,
    one_of,
    optional,
    record,
    sequence,
    text,
    whole,
)

TRAINED, LABEL_FREE = "mil", "normal"
"""Kinds of detectors: trained on labels of videos, or fitted to footage."""
MOST_SETS = 64
"""Feature sets that are fused."""
ENCODER = every(
    of_type(EncoderConfig),
    record(
        {},
        {
            "height": optional(SIDE),
            "width": optional(SIDE),
            "clip_stride": optional(COUNT),
            "image_frames": whole(1, 1024),
            "weights_seed": whole(0),
            "grid": either(null, one_of("map"), GRID),
        },
    ),
)
"""`EncoderConfig.as_json`."""
_FEATURES = record(
    {
        "specs": sequence(SPEC, 1, MOST_SETS),
        "normalise": NORMALISE,
        "made_with": sequence(optional(ENCODER), 1, MOST_SETS),
        "dtypes": sequence(one_of(*DTYPES), 1, MOST_SETS),
    },
    {"pool_cells": optional(GRID), "places": sequence(PLACES, 1, MOST_SETS)},
)
_KNOWN = record(
    {
        "kind": one_of(TRAINED, LABEL_FREE),
        "config": mapping(),
        "dim": whole(1, MOST_NUMBERS),
        "features": _FEATURES,
        "sha256": text,
    },
    {
        "threshold": number(),
        "trained_on": sequence(text),
        "selected_on": sequence(text),
        "taught_on": sequence(text),
        "selected": optional(record({"video_auc": optional(number())})),
        "objective": mapping(),
        "backbone": one_of("backbone"),
    },
)
_WIDTH = whole(1, 1 << 16)
_CARDS = {
    TRAINED: record(
        {
            "config": every(
                of_type(DetectorConfig), record({}, {"width": _WIDTH, "hidden": _WIDTH, "memories": whole(0, 1 << 16)})
            ),
            "guidance": optional(of_type(Guidance)),
            "cluster_temperature": number(1e-6, 1e6),
        }
    ),
    LABEL_FREE: record(
        {
            "config": every(of_type(NormalConfig), record({}, {"parts": sequence(text, 1, 16)})),
            "members": whole(0, 1 << 24),
        },
        {"cameras": sequence(text, 0, 1 << 16)},
    ),
}


def _card(content: Any) -> None:
    """The shape of a detector's card: what both kinds have, what one has, and that lists go together."""
    _KNOWN(content)
    _CARDS[content["kind"]](content)
    features = content["features"]
    count = len(features["specs"])
    for name in ("made_with", "dtypes"):
        record({name: sequence(anything, count, count)})(features)


CARD: Shape = _card
