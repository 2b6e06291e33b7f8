"""Kept maps: whose they are, whole or not there, never more than is allowed."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from pretrain.backbones import BackboneConfig, build_backbone
from pretrain.data import frozen_maps
from pretrain.data.frozen_maps import MapStore, VideoToMap, check_room, drop_unfinished, make_maps
from pretrain.data.geometry import NO_BORDER
from pretrain.data.video import VideoError, probe
from pretrain.errors import UserError
from tests.pretrain.encoding import encode_video

FRAMES = 100
SHAPE = (2, 3, 4)


@pytest.fixture
def video(tmp_path: Path) -> VideoToMap:
    path = str(encode_video(tmp_path / "v.mp4", 0, num_frames=FRAMES))
    return VideoToMap(path=path, info=probe(path))


@pytest.fixture
def store(tmp_path: Path) -> MapStore:
    return MapStore(folder=tmp_path / "maps" / "network", shape=SHAPE)


def numbered(_path: str, frames: np.ndarray) -> np.ndarray:
    """Pixels that say which frame they are of."""
    return np.broadcast_to(frames[:, None, None, None], (len(frames), 4, 6, 3))


def encode(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels[:, :1, :1, :1].astype(np.float32)).expand(-1, *SHAPE)


def test_every_frame_has_its_map_and_any_order_of_them_is_read(store: MapStore, video: VideoToMap) -> None:
    assert make_maps(store, [video], numbered, encode) == {}
    frames = np.array([[99, 0, 65], [7, 7, 64]])
    read = store.read(video.path, frames)
    assert read.shape == (2, 3, *SHAPE)
    assert read.dtype == np.float16
    assert (read == frames[..., None, None, None]).all()
    assert store.path_of(video.path).stat().st_size - store.bytes_of(FRAMES) < 1000


def test_what_is_there_is_not_made_again_and_another_video_of_the_name_is(store: MapStore, video: VideoToMap) -> None:
    def never(_path: str, _frames: np.ndarray) -> np.ndarray:
        raise AssertionError("read again")

    make_maps(store, [video], numbered, encode)
    make_maps(store, [video], never, encode)
    os.utime(video.path, ns=(1, 1))
    with pytest.raises(AssertionError, match="read again"):
        make_maps(store, [video], never, encode)
    with pytest.raises(VideoError, match="its maps cannot be read"):
        store.read(video.path, np.array([0]))


def test_a_run_that_was_killed_leaves_no_half_and_goes_on(store: MapStore, video: VideoToMap) -> None:
    def killed(path: str, frames: np.ndarray) -> np.ndarray:
        if frames[0] > 0:
            raise KeyboardInterrupt
        return numbered(path, frames)

    with pytest.raises(KeyboardInterrupt):
        make_maps(store, [video], killed, encode)
    assert not [file for file in store.folder.rglob("*") if file.is_file()]
    left, others = (store.path_of(video.path).with_name(f".{name}.123.tmp.npy") for name in ("left", "others"))
    for half in (left, others):
        half.write_bytes(b"of a process that nobody could clean up after")
    os.utime(left, ns=(1, 1))
    drop_unfinished(store)
    assert not left.exists()
    assert others.exists(), "another run may be at it"
    make_maps(store, [video], numbered, encode)
    assert store.path_of(video.path).exists()


def test_a_video_that_breaks_off_has_none_and_is_named(store: MapStore, video: VideoToMap) -> None:
    def broken(path: str, frames: np.ndarray) -> np.ndarray:
        raise VideoError(f"{path}: frame {frames[0]} cannot be decoded")

    assert make_maps(store, [video], broken, encode) == {video.path: f"{video.path}: frame 0 cannot be decoded"}
    assert not store.path_of(video.path).exists()


@pytest.mark.parametrize("value", [1e5, float("nan")])
def test_numbers_that_half_precision_cannot_hold_are_refused(store: MapStore, video: VideoToMap, value: float) -> None:
    with pytest.raises(UserError, match=r"is not finite in half precision; take other weights, or set data.maps_gb 0"):
        make_maps(store, [video], numbered, lambda pixels: torch.full((len(pixels), *SHAPE), value))
    assert not store.path_of(video.path).exists()


def test_a_full_disk_says_what_to_do(store: MapStore, video: VideoToMap, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(frozen_maps, "reserve", full)
    with pytest.raises(UserError, match=r"No space left on device\): make room and start again with --resume"):
        make_maps(store, [video], numbered, encode)
    assert not store.path_of(video.path).exists()


def test_no_more_disk_than_allowed_other_networks_maps_counted(store: MapStore, video: VideoToMap) -> None:
    needed = store.bytes_of(FRAMES)
    check_room(store, [video], needed / 1e9)
    with pytest.raises(UserError, match=r"data.maps_gb is 1e-06; .* \(4 x 2 x 3 numbers a frame\) need 4.8e-06 GB\. R"):
        check_room(store, [video], 1e-6)
    make_maps(store, [video], numbered, encode)
    check_room(store, [video], needed / 1e9)  # its own are not counted twice
    other = dataclasses.replace(store, folder=store.folder.with_name("other"))
    with pytest.raises(UserError, match=r"and 4.93e-06 GB of other maps lie in .*maps\. Raise it, remove"):
        check_room(other, [video], needed / 1e9)


def test_a_store_belongs_to_weights_size_border_and_reader(tmp_path: Path) -> None:
    def folder(seed: int = 0, border: float = 0.0, reader: str = "pyav", **size: int) -> Path:
        torch.manual_seed(seed)
        config = BackboneConfig(name="timm/test_resnet", clip_frames=2, freeze=True, **({"height": 32} | size))
        return MapStore.of(tmp_path, build_backbone(config), (border, *NO_BORDER[1:]), reader).folder

    assert folder() == folder()
    assert folder(clip_stride=5) == folder(), "which frames are read is the tasks' business"
    others = [folder(seed=1), folder(border=0.1), folder(reader="decord"), folder(height=64), folder(width=64)]
    assert len({folder(), *others}) == 6
