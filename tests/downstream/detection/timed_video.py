"""Videos whose frames have times of their own, and a model that sees brightness: what happens when is known exactly."""

from __future__ import annotations

import io
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from downstream.detection.model import Model
from downstream.events.rule import AlarmRule
from tests.downstream.detection.live.models import small_encoder, small_group, small_model

TICKS = 1000


def bright_model(snippet_frames: int = 4) -> Model:
    """Scores are above 0.7 where pictures are bright, below where they are dark."""
    encoder = small_encoder()
    encoder.dim = 1
    encoder.features = lambda clips: clips.float().mean((1, 2, 3, 4))[:, None] / 250  # type: ignore[method-assign]
    group = small_group(encoder, snippet_frames=snippet_frames)
    for parameter in group.detectors[0].parameters():
        parameter.data.fill_(0.2)
    return small_model(group, rule=AlarmRule(threshold=0.72, release=0.72))


def encode_times(
    times: Iterable[float], bright: tuple[float, float], container: str = "matroska", rate: int = 25
) -> bytes:
    """H.264 with a frame at each of these seconds, bright within `bright`; `rate` is what is claimed."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream("libx264", rate=rate, options={"g": "8", "preset": "ultrafast", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 72, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, TICKS)
        rng = np.random.default_rng(0)
        for seconds in times:
            # noise, so that every frame takes its share of the bytes
            value = 240 if bright[0] <= seconds < bright[1] else 0
            picture = value + rng.integers(0, 15, (48, 72, 3), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = round(seconds * TICKS), Fraction(1, TICKS)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return file.getvalue()


def write_times(path: Path, times: Iterable[float], bright: tuple[float, float], rate: int = 25) -> Path:
    """The same in a file."""
    path.write_bytes(encode_times(times, bright, rate=rate))
    return path
