from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pretrain.backbones import build_backbone
from pretrain.config import PretrainConfig
from pretrain.data.video import IndexCache
from pretrain.errors import UserError
from pretrain.prepare import enlarged, prepare_videos, split_catalogue, window_reader
from tests.pretrain.conftest import changed


def test_a_quarantine_list_takes_videos_away(tiny_config: PretrainConfig, tmp_path: Path) -> None:
    listed = tmp_path / "quarantine.txt"
    listed.write_text("# from check_videos\nclip1\tunreadable\nclip3\ttruncated\n")
    train, validation, count = split_catalogue(changed(tiny_config, data__quarantine=listed))
    assert count == 2
    assert not {"clip1", "clip3"} & {video.name for video in (*train, *validation)}


def test_an_unreadable_video_past_the_limit_stops_the_run_and_is_named(
    tiny_config: PretrainConfig, clips_folder: Path, tmp_path: Path
) -> None:
    for path in clips_folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "broken.mp4").write_bytes(b"this is no video")
    config = changed(tiny_config, catalogue__root=tmp_path)
    with pytest.raises(
        UserError, match=r"1 of 7 videos cannot be read, more than .* = 0.01:\n  - .*broken.mp4"
    ) as caught:
        prepare_videos(config, 32, 0, 1, lambda: None)
    assert "scripts/check_videos.py" in str(caught.value)
    videos = prepare_videos(changed(config, data__max_bad_fraction=0.2), 32, 0, 1, lambda: None)
    assert list(videos.unreadable) == ["broken"]


def test_the_border_is_cut_and_the_frame_covers_what_the_backbone_wants(tiny_config: PretrainConfig) -> None:
    """Frames are 48x72 pixels; with half the height cut at the top what is left is the bottom half."""
    spec = build_backbone(tiny_config.backbone).spec
    cut = window_reader(changed(tiny_config, data__border_crop=(0.4, 0.0, 0.0, 0.0)), spec)
    whole = window_reader(tiny_config, spec)
    source = prepare_videos(tiny_config, 32, 0, 1, lambda: None).train[0]
    frames = np.array([[0, 5], [5, 3]])
    assert cut.read(source, frames).shape == (2, 2, cut.height, cut.width, 3)
    np.testing.assert_array_equal(cut.read(source, frames)[0, 1], cut.read(source, frames)[1, 0])
    assert not np.array_equal(cut.read(source, frames), whole.read(source, frames))


def test_frames_past_the_end_show_the_last_one(tiny_config: PretrainConfig) -> None:
    reader = window_reader(tiny_config, build_backbone(tiny_config.backbone).spec)
    source = prepare_videos(tiny_config, 32, 0, 1, lambda: None).train[0]
    last = source.info.num_frames - 1
    read = reader.read(source, np.array([last, last + 1, last + 500]))
    np.testing.assert_array_equal(read[0], read[1])
    np.testing.assert_array_equal(read[0], read[2])


def test_proxies_that_are_too_small_are_said(tiny_config: PretrainConfig, tmp_path: Path) -> None:
    spec = build_backbone(tiny_config.backbone).spec
    source = prepare_videos(tiny_config, 32, 0, 1, lambda: None).train[0]
    config = changed(tiny_config, data__proxies=tmp_path)
    reader = replace(window_reader(tiny_config, spec), height=100, index_cache=IndexCache(None))
    assert "1 of 1 proxies are lower than the 100 pixels read" in enlarged(config, reader, [source])
    assert enlarged(tiny_config, reader, [source]) == ""
