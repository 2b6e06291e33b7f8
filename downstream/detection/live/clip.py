"""A short film of kept frames: H.264 in MP4, each frame at its own time, as browsers and phones play it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from downstream.detection.live.picture_ring import KeptFrame
from pretrain.files import replacing

ENCODER = "libx264"
OPTIONS = {"preset": "veryfast", "crf": "26", "g": "50", "threads": "1"}
"""One thread: it works beside the scoring, and nobody waits for it."""
TICKS = 90_000
LAST_SECONDS = 0.1
"""How long the last frame is shown where there is no other to tell."""


def write_clip(target: Path, frames: Sequence[KeptFrame]) -> None:
    """Write the frames, at least one, of the first one's size: others are left out. OSError, `FFMPEG_ERRORS`.

    The file has its name when it is whole.
    """
    first = frames[0].pixels()
    height, width = (side - side % 2 for side in first.shape[:2])
    with (
        replacing(target) as temporary,
        av.open(str(temporary), "w", format="mp4", options={"movflags": "+faststart"}) as container,
    ):
        stream = container.add_stream(ENCODER, _rate(frames), OPTIONS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, TICKS)
        pts, last = -1, LAST_SECONDS
        for number, kept in enumerate(frames):
            pixels = kept.pixels()
            if pixels.shape != first.shape:  # the camera came back with another picture
                continue
            if number + 1 < len(frames):
                last = frames[number + 1].seconds - kept.seconds
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels[:height, :width]), "rgb24")
            pts = max(pts + 1, round((kept.seconds - frames[0].seconds) * TICKS))
            frame.pts, frame.time_base = pts, Fraction(1, TICKS)
            frame.duration = max(1, round(last * TICKS))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _rate(frames: Sequence[KeptFrame]) -> Fraction:
    """What the film is announced at."""
    seconds = frames[-1].seconds - frames[0].seconds
    rate = (len(frames) - 1) / seconds if seconds > 0 else 1 / LAST_SECONDS
    return Fraction(rate).limit_denominator(1001) or Fraction(1, 1001)
