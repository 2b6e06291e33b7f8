"""Features that were just made of one video, in the shape of a stored set: what is scored now and what was stored go
through the same code."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from downstream.features.config import SnippetSettings
from downstream.features.encoders import Encoder
from downstream.features.feature_spec import VideoEntry
from downstream.features.pipeline import Encoded
from downstream.features.scratch import drop_pages, scratch_array
from downstream.features.set_parts import block_rows, not_finite
from downstream.features.store import FeatureSet
from pretrain.data.video import VideoError


def in_memory_set(encoded: Encoded, encoder: Encoder, settings: SnippetSettings, dtype: str = "float32") -> FeatureSet:
    """A set of the one video that was encoded, with numbers of the type that a stored set would have.

    VideoError: features that are not finite in that type.
    """
    assert encoded.features is not None
    assert encoded.info is not None
    features = encoded.features
    if features.dtype.name != dtype:
        features = scratch_array(features.shape, dtype)
        block = block_rows(encoded.features[0].nbytes)
        with np.errstate(over="ignore"):
            for start in range(0, len(features), block):
                features[start : start + block] = encoded.features[start : start + block]
                drop_pages(encoded.features)  # a block in memory at a time, read or written
                drop_pages(features)
    features.flags.writeable = False  # a stored set's are not, either
    if wrong := not_finite(encoded.name, features):
        raise VideoError(f"features that are no finite {dtype} numbers in {wrong}; the video or the weights are broken")
    video = VideoEntry(
        name=encoded.name,
        offset=0,
        snippets=len(features),
        frames=encoded.info.num_frames,
        fps=encoded.info.fps,
        snippet_frames=settings.snippet_frames,
        size=(encoded.info.width, encoded.info.height),
        seen=encoder.seen(encoded.info),
    )
    return FeatureSet(Path(encoder.name), encoder.spec(settings), [video], features)
