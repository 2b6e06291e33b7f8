"""Maps of a frozen image network, kept: each frame goes through it once, and steps of training read its maps.

    CACHE/maps/3f2a.../network.json           what the maps are of: network, frame size, border, reader
    CACHE/maps/3f2a.../ab/cdef....npy         of a video: float16 (frames, height, width, dim), read by a memory map

The folder is named by all that decides a map's numbers, the network's weights among it; a file by its video's path,
size and time of change, as proxies are. A file is whole or not there, so a run that was killed goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from torch import Tensor
from tqdm import tqdm

from pretrain.backbones import Backbone, BackboneSpec
from pretrain.backbones.temporal_mixing import TemporalModule
from pretrain.data.geometry import BorderCrop
from pretrain.data.proxy.manifest import SourceState
from pretrain.data.video import VideoError, VideoInfo
from pretrain.errors import UserError
from pretrain.files import replacing, reserve, write_json
from pretrain.weight_files import state_sha256

VERSION = 1
"""Raised whenever the same settings would give other maps."""
FRAMES_AT_ONCE = 64
"""Frames that are decoded, and go through the network, together."""
UNFINISHED_SECONDS = 3600.0
"""A half-made file that nobody has written to for so long was left by a killed run."""
LARGEST = float(np.finfo(np.float16).max)


@dataclass(frozen=True, kw_only=True)
class MapStore:
    """Where the maps of one network lie, one file a video; picklable for workers."""

    folder: Path
    """Of this network and this way of reading frames."""
    shape: tuple[int, int, int]
    """Of a frame's map: height, width, dim."""

    @staticmethod
    def of(cache: Path, backbone: Backbone, border_crop: BorderCrop, reader: str) -> MapStore:
        """The store below a cache folder; nothing is made yet."""
        spec = backbone.spec
        record = network_record(spec, border_crop, reader) | {
            "weights_sha256": state_sha256(backbone.net.state_dict().items())
        }
        digest = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
        folder = cache / "maps" / digest[:16]
        module = backbone.mixing
        assert isinstance(module, TemporalModule), "the image network of this backbone is not frozen"
        return MapStore(folder=folder, shape=(spec.map_size[1], spec.map_size[2], module.map_dim))

    def path_of(self, video: str) -> Path:
        """The file of a video (what is decoded: the video or its proxy) as it is now. VideoError where it is gone."""
        state = json.dumps(asdict(SourceState.of(video)), sort_keys=True)
        digest = hashlib.sha256(state.encode()).hexdigest()
        return self.folder / digest[:2] / f"{digest[2:32]}.npy"

    def bytes_of(self, num_frames: int) -> int:
        """Disk that the maps of so many frames take."""
        return 2 * num_frames * int(np.prod(self.shape))

    def read(self, video: str, frames: np.ndarray) -> np.ndarray:
        """Maps of frames (any shape): float16 (*frames.shape, height, width, dim). VideoError where there are none."""
        path = self.path_of(video)
        try:
            maps = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise VideoError(f"{video}: its maps cannot be read from {path} ({error}); start with --resume") from error
        needed, position = np.unique(frames, return_inverse=True)
        return np.asarray(maps[needed])[position.reshape(frames.shape)]


@dataclass(frozen=True, kw_only=True)
class VideoToMap:
    """A video whose maps are wanted."""

    path: str
    info: VideoInfo


def make_maps(
    store: MapStore,
    videos: Sequence[VideoToMap],
    read: Callable[[str, np.ndarray], np.ndarray],
    encode: Callable[[np.ndarray], Tensor],
    *,
    show: bool = False,
) -> dict[str, str]:
    """Make the maps that are not there yet; returns the paths of videos that could not be read, and why.

    `read(path, frames)` gives pixels (frames, height, width, 3), `encode(pixels)` their maps (frames, height, width,
    dim). UserError where a map does not fit half precision, or the disk is full.
    """
    problems: dict[str, str] = {}
    for video in tqdm(videos, "maps of the image network", disable=None if show else True, unit="video"):
        try:
            file = store.path_of(video.path)
            if not file.exists():
                _make(file, store, video, read, encode)
        except VideoError as error:
            problems[video.path] = str(error)
        except OSError as error:
            raise UserError(
                f"the maps of {video.path} cannot be written to {store.folder} ({error.strerror or error}): make room "
                "and start again with --resume (what is whole is kept), or set data.maps_gb 0, to keep none"
            ) from error
    return problems


def _make(
    file: Path,
    store: MapStore,
    video: VideoToMap,
    read: Callable[[str, np.ndarray], np.ndarray],
    encode: Callable[[np.ndarray], Tensor],
) -> None:
    count = video.info.num_frames
    with replacing(file) as temporary:
        maps = open_memmap(temporary, mode="w+", dtype=np.float16, shape=(count, *store.shape))
        reserve(temporary)
        for start in range(0, count, FRAMES_AT_ONCE):
            block = encode(read(video.path, np.arange(start, min(start + FRAMES_AT_ONCE, count))))
            if not bool(block.abs().amax() <= LARGEST):  # written so that NaN fails too
                raise UserError(
                    f"the image network's map of {video.path}, frames {start} and on, is not finite in half precision; "
                    "take other weights, or set data.maps_gb 0, to keep no maps"
                )
            maps[start : start + len(block)] = block.cpu().numpy()
        maps.flush()
        del maps


def check_room(store: MapStore, videos: Iterable[VideoToMap], limit_gb: float) -> None:
    """UserError where the maps of these videos, and all others of the cache, would take more than `limit_gb`."""
    own = {store.path_of(video.path): store.bytes_of(video.info.num_frames) for video in videos}
    root = store.folder.parent
    others = sum(file.stat().st_size for file in root.glob("*/*/*.npy") if file not in own)
    needed = sum(own.values())
    if needed + others > limit_gb * 1e9:
        height, width, dim = store.shape
        beside = f", and {others / 1e9:.3g} GB of other maps lie in {root}" if others else ""
        raise UserError(
            f"data.maps_gb is {limit_gb:g}; the maps of the frozen image network ({dim} x {height} x {width} numbers a "
            f"frame) need {needed / 1e9:.3g} GB{beside}. Raise it, remove what is not needed any more, lower "
            "backbone.height and .width, or set it to 0: then no maps are kept, and every step computes its own"
        )


def network_record(spec: BackboneSpec, border_crop: BorderCrop, reader: str) -> dict[str, Any]:
    """All that decides a map's numbers, beside the weights."""
    clip = spec.clip
    size = {"height": clip.height, "width": clip.width, "mean": list(clip.mean), "std": list(clip.std)}
    return {"version": VERSION, "network": spec.name, "border_crop": list(border_crop), "reader": reader} | size


def note_network(store: MapStore, spec: BackboneSpec, border_crop: BorderCrop, reader: str) -> None:
    """Say beside the maps what they are of, for people."""
    write_json(store.folder / "network.json", network_record(spec, border_crop, reader))


def drop_unfinished(store: MapStore) -> None:
    """Remove what killed runs left half-made; not what another run, on whichever machine, is making now."""
    for file in store.folder.parent.glob("*/*/.*.tmp.npy"):
        with suppress(FileNotFoundError):  # finished in between
            if time.time() - file.stat().st_mtime > UNFINISHED_SECONDS:
                file.unlink()
