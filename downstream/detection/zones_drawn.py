"""The zones of a model on a frame of a video or a camera: a picture to check them by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from downstream.detection.model import Model, ScoredFile
from downstream.features.crops import decode_region
from downstream.visualisation.zone_picture import draw_zones, write_zone_picture
from pretrain.data.video import IndexCache, VideoError, VideoInfo, read_frames

ZONES_PICTURE = "zones.jpg"


def draw_model_zones(target: Path, model: Model, pixels: NDArray[np.uint8], info: VideoInfo) -> None:
    """Write the zones on a frame uint8 (height, width, 3) of a video that looks like this; nothing where there are
    none. VideoError where they leave nothing of what the detector sees."""
    if model.zones is None:
        return
    source = model.sources[0]
    clip = source.encoder.clip
    region = decode_region(info, source.settings.crops, clip.height, clip.width, source.encoder.border_crop)
    model.picture_mask(info, region, source)  # raises where nothing counts
    seen = source.encoder.seen(info)
    write_zone_picture(target, draw_zones(pixels, model.zones, model.cells_inside(info, seen), seen))


def write_zones_of(target: Path, model: Model, scored: Sequence[ScoredFile], cache: IndexCache) -> None:
    """The zones on the middle frame of the first video that was scored; what an earlier call drew goes."""
    target.unlink(missing_ok=True)
    first = next((video for video in scored if video.scores is not None and video.info is not None), None)
    if model.zones is None or first is None or first.info is None:
        return
    try:
        pixels = read_frames(first.path, [first.info.num_frames // 2], cache=cache)[0]
    except VideoError:  # it is gone since
        return
    draw_model_zones(target, model, pixels, first.info)
