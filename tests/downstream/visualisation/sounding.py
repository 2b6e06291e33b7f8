"""Videos whose flashes and clicks come at the same moments, for tests of films; and when they come in what was made."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

MOMENTS = (1.0, 2.0)
FPS = 25
_CHUNK = 1024


def encode_with_sound(
    path: Path,
    codec: str = "aac",
    rate: int = 48000,
    *,
    times: np.ndarray | None = None,
    video_start: float = 0.0,
    sound_start: float = 0.0,
    sound_end: float = 3.0,
) -> Path:
    """Frames at `times` (seconds after `video_start`), 75 at 25 a second by default, and sound by the same clock."""
    times = np.arange(75) / FPS if times is None else times
    unit = Fraction(1, FPS) if path.suffix == ".avi" else Fraction(1, 1000)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "g": "25"})
        video.width, video.height, video.pix_fmt, video.codec_context.time_base = 72, 48, "yuv420p", unit
        sound = container.add_stream(codec, rate=rate, layout="mono")
        entries = [*_flashes(times, video_start, unit), *_clicks(rate, video_start, sound_start, sound_end)]
        for _, is_sound, frame in sorted(entries, key=lambda entry: entry[0]):
            container.mux((sound if is_sound else video).encode(frame))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))
    return path


def _flashes(times: np.ndarray, start: float, unit: Fraction) -> list[tuple[float, bool, Any]]:
    entries = []
    for time in times.tolist():
        is_bright = any(abs(time - moment) < 0.4 / FPS for moment in MOMENTS)
        frame = av.VideoFrame.from_ndarray(np.full((48, 72, 3), 235 if is_bright else 20, np.uint8), format="rgb24")
        frame.pts, frame.time_base = round((time + start) / unit), unit
        entries.append((time, False, frame))
    return entries


def _clicks(rate: int, clock: float, start: float, end: float) -> list[tuple[float, bool, Any]]:
    times = start + np.arange(round((end - start) * rate)) / rate
    samples = np.zeros(len(times), np.float32)
    for moment in MOMENTS:
        on = (times >= moment) & (times < moment + 0.03)
        samples[on] = 0.8 * np.cos((times[on] - moment) * 2 * np.pi * 800)
    entries = []
    for first in range(0, len(samples), _CHUNK):
        frame = av.AudioFrame.from_ndarray(samples[None, first : first + _CHUNK].copy(), format="fltp", layout="mono")
        frame.rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = first + round((start + clock) * rate)
        entries.append((start + first / rate, True, frame))
    return entries


class Moments(NamedTuple):
    """Seconds by the file's clock."""

    flashes: list[float]
    clicks: list[float]


def moments_of(film: Path, picture_rows: int) -> Moments:
    """When the upper rows of a film turn bright, and when its sound turns loud."""
    with av.open(str(film)) as container:
        bright = [f.time for f in container.decode(video=0) if f.to_ndarray(format="gray")[:picture_rows].mean() > 150]
    loud: list[float] = []
    with av.open(str(film)) as container:
        for frame in container.decode(audio=0):
            loud += (frame.time + np.flatnonzero(np.abs(frame.to_ndarray()[0]) > 0.2) / frame.sample_rate).tolist()
    return Moments(_onsets(bright), _onsets(loud))


def _onsets(times: list[float]) -> list[float]:
    return [time for time, before in zip(times, [-1.0, *times], strict=False) if time - before > 0.3]
