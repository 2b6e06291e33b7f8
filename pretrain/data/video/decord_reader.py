"""decord behind the same seam, for those who have it (or a GPU build of it).

decord 0.6 can return other frames than those asked for, without an error: measured on MPEG-4 AVI files with B-frames.
`scripts/check_videos.py --compare-readers` says for which of your files the readers agree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pretrain.data.video.container import check_file, local_file, open_stream, pixel_aspect_of
from pretrain.data.video.info import VideoError, VideoInfo, displayed_size
from pretrain.data.video.packet_index import rate_of
from pretrain.errors import UserError

if TYPE_CHECKING:
    from pretrain.data.video.index_cache import IndexCache


class DecordReader:
    """Opens the file anew for each call: decord keeps 20 to 60 MB per open file. It has no use for an index cache."""

    def probe(self, path: str, cache: IndexCache | None) -> VideoInfo:
        video = _open(path, None)
        times = self._times(path, video)
        height, width = _guarded(path, lambda: video[0].asnumpy()).shape[:2]
        height, width = displayed_size(width, height, 0, _pixel_aspect(path))
        fps, constant, seconds = rate_of(times, float(video.get_avg_fps()))
        return VideoInfo(len(video), fps, width, height, seconds, "unknown", 0, constant)

    def frame_times(self, path: str, cache: IndexCache | None) -> np.ndarray:
        return self._times(path, _open(path, None))

    def read(self, path: str, frames: np.ndarray, size: tuple[int, int] | None, cache: IndexCache | None) -> np.ndarray:
        if size is None and _pixel_aspect(path) != 1:  # decord knows no shape of pixels
            info = self.probe(path, cache)
            size = info.height, info.width
        video = _open(path, size)
        return np.asarray(_guarded(path, lambda: video.get_batch(frames.tolist()).asnumpy()))

    def _times(self, path: str, video: Any) -> np.ndarray:
        starts = np.asarray(_guarded(path, lambda: video.get_frame_timestamp(range(len(video)))))[:, 0]
        return (starts - starts[0]).astype(np.float64)


def _pixel_aspect(path: str) -> float:
    with open_stream(path) as (_, stream):
        return pixel_aspect_of(stream)


def _decord() -> Any:
    try:
        import decord
    except ImportError as error:
        raise UserError(
            "reader 'decord': the package is not installed; `pip install decord`, or use reader 'pyav'"
        ) from error
    decord.logging.set_level(decord.logging.QUIET)  # it prints FFmpeg's complaints to the terminal
    return decord


def _open(path: str, size: tuple[int, int] | None) -> Any:
    decord = _decord()
    height, width = size or (-1, -1)
    with local_file(path) as file:
        check_file(path, file)
        video = _guarded(
            path, lambda: decord.VideoReader(file, ctx=decord.cpu(0), width=width, height=height, num_threads=1)
        )
    if not len(video):
        raise VideoError(f"{path}: no frame decodes (reader decord); try reader 'pyav', or take it off the list")
    return video


def _guarded(path: str, call: Any) -> Any:
    """Run a decord call; its errors become VideoErrors of one line."""
    try:
        return call()
    except (_decord()._ffi.base.DECORDError, RuntimeError, ValueError, IndexError) as error:
        lines = [line for line in str(error).splitlines() if line.strip()] or ["no reason given"]
        reason = lines[0].rsplit("Check failed: ", 1)[-1].strip()
        raise VideoError(f"{path}: decord cannot read it ({reason}); try reader 'pyav'") from error
