"""How much moves where in a video: estimated once on small thumbnails, kept, used to draw windows that move."""

from __future__ import annotations

import hashlib
import logging
import zlib
from pathlib import Path

import numpy as np

from pretrain.arrays import read_array
from pretrain.data.remote import file_state, is_remote
from pretrain.data.video import IndexCache, probe, read_frames, reading
from pretrain.files import replacing
from pretrain.names import name_bytes
from pretrain.reading import Unreadable

logger = logging.getLogger(__name__)

BIN_FRAMES = 8
THUMBNAIL = (24, 32)
BLOCK_THUMBNAILS = 512
PROFILE_VERSION = 2


def motion_profile(path: str, *, reader: str = "pyav", cache: IndexCache | None = None) -> np.ndarray:
    """Mean absolute difference of thumbnails `BIN_FRAMES` apart, in grey levels: float32 (bins,), at least one bin.

    Bin i covers frames `[i * BIN_FRAMES, (i + 1) * BIN_FRAMES)`. Thumbnails average sensor noise away.
    """
    count = probe(path, reader=reader, cache=cache).num_frames
    wanted = np.arange(0, count, BIN_FRAMES)
    differences: list[np.ndarray] = []
    last: np.ndarray | None = None
    for start in range(0, len(wanted), BLOCK_THUMBNAILS):
        block = read_frames(path, wanted[start : start + BLOCK_THUMBNAILS], size=THUMBNAIL, reader=reader, cache=cache)
        grey = block.astype(np.float32).mean(axis=3)
        previous = grey[:1] if last is None else last
        differences.append(np.abs(np.diff(grey, axis=0, prepend=previous)).mean(axis=(1, 2)))
        last = grey[-1:]
    profile = np.concatenate(differences).astype(np.float32)
    return np.append(profile[1:], profile[-1:])  # the difference across a bin belongs to the bin it starts from


def cached_motion_profile(
    path: str, folder: Path, *, reader: str = "pyav", cache: IndexCache | None = None
) -> np.ndarray:
    """`motion_profile`, computed once for each state of a file (path, size, time of change)."""
    with reading(path):
        state = file_state(path)
    place = state.path if is_remote(path) else Path(path).resolve()
    key = hashlib.sha256(name_bytes(f"{PROFILE_VERSION} {place} {state.size} {state.mtime_ns}")).hexdigest()
    file = folder / key[:2] / f"{key[2:]}.npy"
    if file.exists():
        try:
            return _unsealed(read_array(file, kinds="u", shape=(None,)))
        except Unreadable as error:
            logger.warning("the motion profile %s is made anew: %s", file, error)
    profile = motion_profile(path, reader=reader, cache=cache)
    with replacing(file) as temporary:
        np.save(temporary, _sealed(profile))
    return profile


def _sealed(profile: np.ndarray) -> np.ndarray:
    """float32 (bins,) -> uint32 (bins + 1,): its bits, and a checksum of them: any other numbers would be believed."""
    return np.append(profile.view(np.uint32), np.uint32(zlib.crc32(profile.tobytes())))


def _unsealed(stored: np.ndarray) -> np.ndarray:
    """The inverse; Unreadable where it is not what was written."""
    if stored.dtype != np.uint32 or len(stored) < 2 or zlib.crc32(stored[:-1].tobytes()) != int(stored[-1]):
        raise Unreadable("its content is not what was written")
    return stored[:-1].view(np.float32)


def window_start_weights(profile: np.ndarray, num_frames: int, window_frames: int, floor: float) -> np.ndarray:
    """Probability of each start bin of a window: grows with the window's mean motion, never below `floor` of even.

    float64 (starts,), sums to 1. Start i stands for the first frames `[i * BIN_FRAMES, (i + 1) * BIN_FRAMES)` that
    leave room for the window.
    """
    starts = (num_frames - window_frames) // BIN_FRAMES + 1
    bins = max(1, round(window_frames / BIN_FRAMES))
    cumulative = np.concatenate([[0.0], np.cumsum(profile, dtype=np.float64)])
    first = np.arange(starts)
    last = np.minimum(first + bins, len(profile))
    motion = (cumulative[last] - cumulative[first]) / np.maximum(last - first, 1)
    even = np.full(starts, 1 / starts)
    total = motion.sum()
    return even if total <= 0 else floor * even + (1 - floor) * motion / total


def draw_window_start(
    profile: np.ndarray, num_frames: int, window_frames: int, floor: float, rng: np.random.Generator
) -> int:
    """First frame of a window, drawn by motion; every start has a chance."""
    weights = window_start_weights(profile, num_frames, window_frames, floor)
    start = int(rng.choice(len(weights), p=weights)) * BIN_FRAMES + int(rng.integers(BIN_FRAMES))
    return min(start, num_frames - window_frames)
