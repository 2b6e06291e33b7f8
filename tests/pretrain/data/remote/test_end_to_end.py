"""Pretraining's windows, a whole run and feature extraction: bit by bit the same from a store as from a folder.

And each process fetches its own share, each video at most once on a machine.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pretrain.backbones import build_backbone
from pretrain.config import PretrainConfig
from pretrain.data import windows
from pretrain.data.catalogue import CatalogueConfig
from pretrain.data.catalogues import open_catalogue
from pretrain.data.loading import load_batches
from pretrain.data.proxy import ProxyCache, ProxySettings, build_proxies
from pretrain.data.remote.address import parse
from pretrain.data.shards.output import Output
from pretrain.data.shards.pack import pack, to_pack
from pretrain.data.windows import Share, TrainWindows
from pretrain.prepare import prepare_videos, window_reader
from scripts.extract_features import main as extract
from tests.pretrain.conftest import changed
from tests.pretrain.conftest import clips_folder as clips_folder
from tests.pretrain.conftest import tiny_config as tiny_config
from tests.stores import BUCKET, Web


def shards_of(folder: Path, out: str) -> None:
    videos = list(open_catalogue(CatalogueConfig(root=folder)))
    pack(to_pack(videos, {video.name: video.path for video in videos})[0], Output(out), 1)


def elsewhere(config: PretrainConfig, tmp_path: Path, kind: str, root: str) -> PretrainConfig:
    catalogue = CatalogueConfig(kind=kind, root=Path(root))
    return changed(config, catalogue=catalogue, output=tmp_path / kind, data__cache=tmp_path / "other-cache")


def dataset(config: PretrainConfig, rank: int = 0, world_size: int = 1) -> TrainWindows:
    reader = window_reader(config, build_backbone(config.backbone).spec)
    found = prepare_videos(config, reader.geometry.window_frames, rank, world_size, lambda: None)
    share = Share(batch_size=4, accumulate=1, rank=rank, world_size=world_size)
    return TrainWindows(found.train, reader, config.augment, share, config.seed)


def batches(config: PretrainConfig, workers: int = 0) -> list[torch.Tensor]:
    own = dataset(config)
    keys = own.keys(0, 4)
    found = list(load_batches(own, keys, workers, False)) if workers else [own[key] for key in keys]
    assert all(not batch.problems for batch in found)
    return [batch.clips for batch in found]


def assert_equal(found: list[torch.Tensor], expected: list[torch.Tensor]) -> None:
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_windows_from_s3_are_those_of_the_folder(tiny_config: PretrainConfig, s3: Any, tmp_path: Path) -> None:
    folder = tiny_config.catalogue.root
    for path in folder.iterdir():
        s3.put_file(str(path), f"{BUCKET}/videos/{path.name}")
    shards_of(folder, f"s3://{BUCKET}/shards")
    expected = batches(tiny_config)
    assert_equal(batches(elsewhere(tiny_config, tmp_path, "folder", f"s3://{BUCKET}/videos")), expected)
    assert_equal(batches(elsewhere(tiny_config, tmp_path, "shards", f"s3://{BUCKET}/shards"), workers=1), expected)


def test_features_from_s3_are_those_of_the_folder(tiny_config: PretrainConfig, s3: Any, tmp_path: Path) -> None:
    folder = tiny_config.catalogue.root
    shards_of(folder, f"s3://{BUCKET}/shards")
    places = {"here": ("folder", str(folder)), "there": ("shards", f"s3://{BUCKET}/shards")}
    for name, (kind, root) in places.items():
        flags = ["--catalogue.kind", kind, "--catalogue.root", root, "--out", str(tmp_path / name)]
        with pytest.raises(SystemExit) as left:
            extract([*flags, "--height", "32", "--width", "48", "--device", "cpu", "--decoders", "1"])
        assert not left.value.code
    found, expected = (
        [np.load(file) for file in sorted((tmp_path / n).glob("features-*.npy"))] for n in ("there", "here")
    )
    assert len(expected) > 0
    assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))


def test_windows_of_packed_proxies_are_those_of_the_proxies(tiny_config: PretrainConfig, tmp_path: Path) -> None:
    videos = list(open_catalogue(tiny_config.catalogue))
    cache = ProxyCache(tmp_path / "proxies")
    build_proxies(cache, videos, ProxySettings(short_side=40))
    pack(to_pack(videos, cache.paths(videos))[0], Output(str(tmp_path / "shards")), 1 << 20)
    on_shards = elsewhere(tiny_config, tmp_path, "shards", str(tmp_path / "shards"))
    assert_equal(batches(on_shards), batches(changed(tiny_config, data__proxies=cache.folder)))


def _read_share(own: TrainWindows, rank: int, results: Any) -> None:
    own.share = Share(batch_size=4, accumulate=1, rank=rank, world_size=2)
    results.put((rank, [own[key].clips.numpy() for key in own.keys(0, 1)]))


def test_two_processes_fetch_what_their_windows_need_each_video_once(
    tiny_config: PretrainConfig, web: Web, tmp_path: Path
) -> None:
    shards_of(tiny_config.catalogue.root, str(web.folder))
    config = elsewhere(tiny_config, tmp_path, "shards", web.address)
    own = dataset(config)
    assert {name for name, _ in web.sent} == {"shards.json"}  # nothing is fetched in advance
    needed = {own.draw(number).source.name for number in range(4)}
    assert len(needed) < len(own.sources)
    web.sent.clear()
    for file in (tmp_path / "copies").glob("??/*/*.mp4"):
        file.unlink()
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    processes = [context.Process(target=_read_share, args=(own, rank, results)) for rank in (0, 1)]
    for process in processes:
        process.start()
    parts = dict(results.get(timeout=60) for _ in processes)
    for process in processes:
        process.join()
    size = {parse(s.path).store.rpartition("/")[2]: parse(s.path).size for s in own.sources if s.name in needed}
    assert {name: web.bytes_of(name) for name, _ in web.sent if name.endswith(".tar")} == size
    both = np.concatenate([parts[0][0], parts[1][0]])
    assert np.array_equal(both, dataset(tiny_config)[0, 0].clips.numpy())


def test_without_an_index_each_process_opens_its_share_and_then_reads_what_is_kept(
    tiny_config: PretrainConfig, web: Web, tmp_path: Path
) -> None:
    for path in tiny_config.catalogue.root.iterdir():
        (web.folder / path.name).write_bytes(path.read_bytes())
    names = sorted(path.name for path in web.folder.iterdir())
    (web.folder / "videos.csv").write_text("path\n" + "\n".join(names) + "\n", encoding="utf-8")
    config = elsewhere(tiny_config, tmp_path, "csv", web.address)
    config = changed(config, catalogue=dataclasses.replace(config.catalogue, check_files=False))
    reader = window_reader(config, build_backbone(config.backbone).spec)
    seen: list[set[str]] = []

    def wait() -> None:
        seen.append({name for name, _ in web.sent if name.endswith(".mp4")})
        raise InterruptedError

    with pytest.raises(InterruptedError):
        prepare_videos(config, reader.geometry.window_frames, 1, 2, wait)
    assert len(seen[0]) == len(names) // 2
    dataset(config)
    for file in (tmp_path / "copies").glob("??/*/*.mp4"):
        file.unlink()
    web.sent.clear()
    dataset(config)  # a second run: lengths and motion are kept
    assert not [name for name, _ in web.sent if name.endswith(".mp4")]


def test_a_video_that_cannot_be_fetched_is_named_and_counts_in_no_loss(
    tiny_config: PretrainConfig, web: Web, tmp_path: Path
) -> None:
    shards_of(tiny_config.catalogue.root, str(web.folder))
    own = dataset(elsewhere(tiny_config, tmp_path, "shards", web.address))
    lost = own.draw(0).source  # by now it is there
    for file in (tmp_path / "copies").glob("??/*/*.mp4"):
        file.unlink()
    (web.folder / parse(lost.path).store.rpartition("/")[2]).write_bytes(bytes(100_000))
    batch = windows.read_batch(own.reader, [own.draw(number) for number in range(4)])
    assert list(batch.problems) == [lost.name]
    assert "its bytes are not those that the index of the shards names" in batch.problems[lost.name]
    assert batch.valid.tolist() == [0, 1, 1, 1]
