"""One video into one proxy, and the proof that frame i of the proxy is frame i of the source."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from pretrain.data.proxy.settings import ProxySettings
from pretrain.data.video import (
    IndexCache,
    JpegPackWriter,
    VideoError,
    VideoInfo,
    frame_times,
    probe,
    read_frames,
    stream_frames,
)

TICKS_PER_SECOND = 90_000
"""Time base of H.264 proxies: a whole number of ticks for 24, 25, 30, 50, 60 and 29.97 fps."""
MAX_TIME_ERROR_SECONDS = 1e-3
CHECKED_FRAMES = 8
MAX_THUMBNAIL_ERROR = 12.0
"""Grey levels, mean over a thumbnail. Compression stays far below; another scene lies far above."""
THUMBNAIL = 8


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """What was written."""

    num_frames: int
    duration_seconds: float
    height: int
    width: int


def render(source: str, target: Path, settings: ProxySettings) -> Rendered:
    """Write the proxy of `source` to `target` and check it: frame count, times, and some pictures.

    Pictures go through the RGB that reading the source at this size gives, so rotation and colour range are settled
    once. Raises VideoError where the source does not decode or the proxy does not hold what it should.
    """
    indexes = IndexCache(None)  # the source's index has served its turn when the proxy is there
    info = probe(source, cache=indexes)
    times = frame_times(source, cache=indexes)
    size = settings.picture_size(info.height, info.width)
    checked = np.unique(np.linspace(0, info.num_frames - 1, CHECKED_FRAMES).round().astype(int))
    thumbnails: list[np.ndarray] = []
    with _writer(target, settings, size, info, times) as writer:
        for number, picture in stream_frames(source, range(info.num_frames), size=size, cache=indexes):
            writer.add(picture)
            if number in checked:
                thumbnails.append(_thumbnail(picture))
    _verify(source, target, times, checked, np.stack(thumbnails))
    return Rendered(num_frames=info.num_frames, duration_seconds=info.duration_seconds, height=size[0], width=size[1])


class H264Writer:
    """H.264 that decodes fast: no B-frames, one reference, no CABAC, no deblocking; keyframes at a fixed distance."""

    def __init__(
        self, target: Path, settings: ProxySettings, size: tuple[int, int], info: VideoInfo, times: np.ndarray
    ) -> None:
        ticks = np.round(times * TICKS_PER_SECOND).astype(np.int64)
        # x264 wants times that grow: two frames closer than a tick are set one tick apart
        self._ticks = np.maximum.accumulate(ticks - np.arange(len(ticks))) + np.arange(len(ticks))
        self._count = 0
        self._container = av.open(str(target), "w", format="mp4")
        options = {
            "preset": "veryfast",
            "tune": "fastdecode",
            "crf": str(settings.chosen_quality),
            "x264-params": f"keyint={settings.gop}:min-keyint=1:scenecut=0:bframes=0:ref=1:mbtree=0:log-level=none",
        }
        rate = Fraction(info.fps).limit_denominator(1001)
        self._stream = self._container.add_stream("libx264", rate=rate, options=options)
        self._stream.height, self._stream.width, self._stream.pix_fmt = size[0], size[1], "yuv420p"
        self._stream.time_base = self._stream.codec_context.time_base = Fraction(1, TICKS_PER_SECOND)
        self._stream.codec_context.thread_count = 1

    def add(self, picture: np.ndarray) -> None:
        """Append one RGB picture."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame.pts = int(self._ticks[self._count])
        frame.time_base = Fraction(1, TICKS_PER_SECOND)
        self._count += 1
        self._container.mux(self._stream.encode(frame))

    def __enter__(self) -> H264Writer:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if kind is None:
                self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()


def _writer(
    target: Path, settings: ProxySettings, size: tuple[int, int], info: VideoInfo, times: np.ndarray
) -> H264Writer | JpegPackWriter:
    if settings.format == "h264":
        return H264Writer(target, settings, size, info, times)
    return JpegPackWriter(target, size, times, settings.chosen_quality)


def _verify(source: str, proxy: Path, times: np.ndarray, checked: np.ndarray, thumbnails: np.ndarray) -> None:
    """Raise VideoError unless the proxy decodes to as many frames at the same times, and those checked look alike."""
    indexes = IndexCache(None)
    if proxy.suffix == ".mp4":
        indexes.get(proxy, count=True)  # decodes it all
    held = frame_times(proxy, cache=indexes)
    if len(held) != len(times):
        raise VideoError(f"{source}: its proxy holds {len(held)} frames instead of {len(times)}; please report this")
    late = float(np.abs(held - times).max())
    if late > MAX_TIME_ERROR_SECONDS:
        raise VideoError(f"{source}: frames of its proxy are up to {1000 * late:.1f} ms off; please report this")
    shown = np.stack([_thumbnail(picture) for picture in read_frames(proxy, checked, cache=indexes)])
    differences = np.abs(shown - thumbnails).mean(axis=(1, 2))
    if differences.max() > MAX_THUMBNAIL_ERROR:
        worst = int(differences.argmax())
        raise VideoError(
            f"{source}: frame {checked[worst]} of its proxy differs by {differences[worst]:.0f} grey levels "
            f"(limit {MAX_THUMBNAIL_ERROR:.0f}); choose a better quality"
        )


def _thumbnail(picture: np.ndarray) -> np.ndarray:
    """Grey means of at most THUMBNAIL x THUMBNAIL tiles, float32."""
    grey = picture.mean(axis=2, dtype=np.float32)
    rows = np.array_split(grey, min(THUMBNAIL, grey.shape[0]), axis=0)
    return np.stack(
        [[tile.mean() for tile in np.array_split(row, min(THUMBNAIL, row.shape[1]), axis=1)] for row in rows]
    )
