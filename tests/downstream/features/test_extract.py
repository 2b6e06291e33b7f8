"""The features of a snippet are a function of the video and the encoder, of nothing around them."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from downstream.features import pipeline, snippets
from downstream.features.encoders import Encoder, EncoderConfig, open_encoder
from downstream.features.extract import ExtractConfig, extract, share
from downstream.features.pipeline import encode_videos, extract_video
from downstream.features.progress import FrameProgress
from downstream.features.set_writer import FeatureWriter
from downstream.features.snippets import SnippetSettings, SnippetStream, clip_offsets, snippet_clips
from downstream.features.store import FeatureSet
from pretrain import stalls
from pretrain.data.catalogue import CatalogueConfig, Video
from pretrain.data.check import read_quarantine
from pretrain.data.video import IndexCache, VideoError, read_frames
from pretrain.errors import OwnError, UserError
from tests.downstream.features.views import view_of
from tests.pretrain.encoding import encode_video

CPU = torch.device("cpu")
LENGTHS = {"a": 70, "b": 40, "c": 7, "d": 32}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four real videos, one of them shorter than a snippet; d is larger than the others."""
    folder = tmp_path_factory.mktemp("videos")
    for seed, (name, length) in enumerate(LENGTHS.items()):
        height, width = (96, 128) if name == "d" else (48, 72)
        encode_video(folder / f"{name}.mp4", seed, num_frames=length, height=height, width=width)
    return folder


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return open_encoder(EncoderConfig(height=32, width=48))


def config(folder: Path, out: Path, **fields: object) -> ExtractConfig:
    default = ExtractConfig(
        out=out,
        encoder=EncoderConfig(height=32, width=48),
        catalogue=CatalogueConfig(root=folder),
        dtype="float32",
        device="cpu",
        decoders=1,
    )
    return dataclasses.replace(default, **fields)  # type: ignore[arg-type]


def one_by_one(path: Path, encoder: Encoder) -> np.ndarray:
    """The slow way: all frames at once, snippet by snippet, batches of one; 1 crop."""
    stream = SnippetStream(str(path), SnippetSettings(), encoder.view(16), IndexCache(None))
    region = stream.region
    frames = read_frames(path, range(stream.info.num_frames), size=(region.decode_height, region.decode_width))
    y, x = region.y + (region.height - encoder.clip.height) // 2, region.x + (region.width - encoder.clip.width) // 2
    frames = frames[:, y : y + encoder.clip.height, x : x + encoder.clip.width]
    rows = []
    for start in range(0, max(16, len(frames) // 16 * 16), 16):
        chosen = [min(start + 2 * number, len(frames) - 1) for number in range(8)]
        rows.append(encoder.features(torch.from_numpy(frames[chosen])[None])[0].numpy())
    return np.stack(rows)[:, None]


def test_clips_of_a_snippet() -> None:
    assert clip_offsets(16, 8, 2).tolist() == [[0, 2, 4, 6, 8, 10, 12, 14]]
    assert clip_offsets(16, 4, 2).tolist() == [[0, 2, 4, 6], [8, 10, 12, 14]]
    assert clip_offsets(10, 4, 1).tolist() == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]
    assert clip_offsets(4, 4, 2).tolist() == [[-2, 0, 2, 4]]


@given(
    length=st.integers(1, 90),
    snippet=st.integers(1, 20),
    clip=st.tuples(st.integers(1, 9), st.integers(1, 4)),
    tail=st.sampled_from(["drop", "pad"]),
)
def test_frames_lie_in_the_video_and_cover_the_snippet(
    length: int, snippet: int, clip: tuple[int, int], tail: str
) -> None:
    settings = SnippetSettings(snippet_frames=snippet, tail=tail)  # type: ignore[arg-type]
    view = view_of(frames=clip[0], stride=clip[1], height=8, width=8)
    frames = snippet_clips(length, settings, view)
    assert len(frames) == max(1, length // snippet if tail == "drop" else -(-length // snippet))
    assert frames.min() >= 0
    assert frames.max() < length
    for number, chosen in enumerate(frames.reshape(len(frames), -1)):
        inside = np.arange(number * snippet, min((number + 1) * snippet, length))
        if len(inside):  # no frame of the snippet lies further from a chosen one than the stride
            assert np.abs(inside[:, None] - chosen).min(axis=1).max() < clip[1]


@pytest.mark.parametrize("frames", [0, 4097])
def test_a_snippet_has_a_length_that_a_score_can_speak_for(frames: int) -> None:
    with pytest.raises(UserError, match=rf"snippet_frames is {frames}; it must lie in \[1, 4096\]"):
        SnippetSettings(snippet_frames=frames)


@pytest.mark.parametrize("name", LENGTHS)
def test_features_are_those_of_the_slow_way(folder: Path, encoder: Encoder, name: str) -> None:
    features, info = extract_video(folder / f"{name}.mp4", encoder, SnippetSettings(), CPU)
    assert info.num_frames == LENGTHS[name]
    np.testing.assert_allclose(features, one_by_one(folder / f"{name}.mp4", encoder), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("batch_clips", "decoders", "chunk_bytes"), [(1, 1, 1), (7, 3, 40_000), (64, 4, 8 << 20)])
def test_features_depend_on_no_neighbour_batch_or_chunk(
    folder: Path,
    encoder: Encoder,
    monkeypatch: pytest.MonkeyPatch,
    batch_clips: int,
    decoders: int,
    chunk_bytes: int,
) -> None:
    monkeypatch.setattr(snippets.SnippetStream.chunks, "__defaults__", (chunk_bytes,))
    settings = SnippetSettings(crops=10, tail="pad")
    alone = {name: extract_video(folder / f"{name}.mp4", encoder, settings, CPU)[0] for name in LENGTHS}
    videos = [(name, str(folder / f"{name}.mp4")) for name in LENGTHS]
    together = encode_videos(videos, encoder, settings, CPU, batch_clips=batch_clips, decoders=decoders)
    found = {result.name: result.features for result in together}
    assert found.keys() == alone.keys()
    for name, features in alone.items():
        assert features.shape == (-(-LENGTHS[name] // 16), 10, 129)
        np.testing.assert_allclose(found[name], features, rtol=1e-5, atol=1e-5)


def test_features_of_a_snippet_do_not_depend_on_what_follows(folder: Path, encoder: Encoder, tmp_path: Path) -> None:
    frames = read_frames(folder / "a.mp4", range(48))
    for name, count in (("short", 32), ("long", 48)):
        (tmp_path / name).mkdir()
        for number, frame in enumerate(frames[:count]):
            Image.fromarray(frame).save(tmp_path / name / f"{number:03d}.png")
    short, long = (extract_video(tmp_path / n, encoder, SnippetSettings(), CPU)[0] for n in ("short", "long"))
    np.testing.assert_allclose(short, long[:2], rtol=1e-5, atol=1e-5)


def test_mirrored_crops_of_a_mirrored_video_are_the_plain_ones(encoder: Encoder, tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (16, 40, 56, 3)).astype(np.uint8)  # no scaling: exact pixels
    for name, pictures in (("plain", frames), ("mirrored", frames[:, :, ::-1])):
        (tmp_path / name).mkdir()
        for number, frame in enumerate(pictures):
            Image.fromarray(np.ascontiguousarray(frame)).save(tmp_path / name / f"{number:03d}.png")
    settings = SnippetSettings(crops=10)
    plain, mirrored = (extract_video(tmp_path / n, encoder, settings, CPU)[0] for n in ("plain", "mirrored"))
    np.testing.assert_allclose(mirrored[:, 5:], plain[:, :5], rtol=1e-4, atol=1e-4)
    assert np.abs(plain[:, 5:] - plain[:, :5]).max() > 1e-3


def test_several_clips_of_a_snippet_are_averaged(folder: Path) -> None:
    half = open_encoder(EncoderConfig(height=32, width=48, clip_stride=1))
    both, _ = extract_video(folder / "b.mp4", half, SnippetSettings(), CPU)
    each, _ = extract_video(folder / "b.mp4", half, SnippetSettings(snippet_frames=8), CPU)
    np.testing.assert_allclose(both, each[:4].reshape(2, 2, 1, 129).mean(axis=1), rtol=1e-5, atol=1e-5)


def test_a_bad_video_is_named_and_changes_no_other(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mixed = tmp_path / "videos"
    mixed.mkdir()
    for name in LENGTHS:
        (mixed / f"{name}.mp4").symlink_to(folder / f"{name}.mp4")
    assert extract(config(mixed, tmp_path / "good")) == 0
    (mixed / "bb.mp4").write_bytes(b"no video" * 100)
    whole = (folder / "a.mp4").read_bytes()
    (mixed / "cut.mp4").write_bytes(whole[: len(whole) // 8])
    capfd.readouterr()
    assert extract(config(mixed, tmp_path / "mixed", decoders=3)) == 1
    said = capfd.readouterr()
    assert "left out: bb: not a video" in said.err
    assert "2 of 6 videos failed and are left out, see" in said.out
    assert "WARNING: 33% of the videos failed, more than max_bad_fraction = 0.01" in said.out
    assert "incomplete: 4 of 6 videos, 9 snippets x 1 crop(s) x 129; 149 frames now at" in said.out
    assert set(read_quarantine(tmp_path / "mixed" / "failed.txt")) == {"bb", "cut"}
    good, mixed_set = FeatureSet.open(tmp_path / "good"), FeatureSet.open(tmp_path / "mixed")
    assert list(good.videos) == list(mixed_set.videos) == sorted(LENGTHS)
    for name in LENGTHS:
        np.testing.assert_allclose(mixed_set.read(name), good.read(name), rtol=1e-5, atol=1e-5)
        assert (good.videos[name].frames, good.videos[name].fps) == (LENGTHS[name], 25.0)
    assert extract(config(mixed, tmp_path / "mixed")) == 1
    assert not (tmp_path / "mixed" / "parts").exists()


def test_a_second_run_does_only_what_is_new(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    some = tmp_path / "videos"
    some.mkdir()
    for name in "ab":
        (some / f"{name}.mp4").symlink_to(folder / f"{name}.mp4")
    out = tmp_path / "out"
    assert extract(config(some, out)) == 0
    assert "note:" not in capfd.readouterr().out  # their size was chosen
    first = FeatureSet.open(out).read("a").copy()
    (some / "c.mp4").symlink_to(folder / "c.mp4")
    assert extract(config(some, out)) == 0
    assert "done: 3 videos (2 done before), 7 snippets x 1 crop(s) x 129; 7 frames now" in capfd.readouterr().out
    np.testing.assert_array_equal(FeatureSet.open(out).read("a"), first)
    assert extract(config(some, out)) == 0
    with pytest.raises(UserError, match="holds features of another kind"):
        extract(config(some, out, encoder=EncoderConfig(height=32, width=48, weights_seed=3)))


def test_who_chose_no_size_is_told_of_larger_frames(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    extract(config(folder, tmp_path / "whole", encoder=EncoderConfig()))
    out = capfd.readouterr().out
    assert "note: frames of 64x96, as in pretraining. Where what matters is small in the picture, --height 192" in out
    extract(config(folder, tmp_path / "cells", encoder=EncoderConfig(grid="map")))
    assert "note:" not in capfd.readouterr().out


def test_damage_behind_some_snippets_fails_the_whole_video(
    folder: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = snippets.stream_frames

    def breaks(path: str, frames: object, **rest: object) -> object:
        for number, picture in good(path, frames, **rest):  # type: ignore[arg-type]
            if "a.mp4" in path and number > 40:
                raise VideoError(f"{path}: damaged")
            yield number, picture

    monkeypatch.setattr(snippets, "stream_frames", breaks)
    videos = [(name, str(folder / f"{name}.mp4")) for name in "ab"]
    results = encode_videos(videos, encoder, SnippetSettings(), CPU, batch_clips=3, decoders=2)
    found = {result.name: result for result in results}
    assert found["a"].features is None
    assert "damaged" in str(found["a"].problem)
    np.testing.assert_allclose(found["b"].features, one_by_one(folder / "b.mp4", encoder), rtol=1e-5, atol=1e-5)


def test_an_error_of_ours_is_no_bad_video(folder: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object, **__: object) -> object:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(snippets, "stream_frames", breaks)
    with pytest.raises(RuntimeError, match="out of memory"):
        extract_video(folder / "a.mp4", encoder, SnippetSettings(), CPU)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=30), st.integers(1, 4))
def test_every_video_goes_to_one_process(lengths: list[int], world_size: int) -> None:
    videos = [Video(name=str(number), path="") for number in range(len(lengths))]
    work = {str(number): float(length) for number, length in enumerate(lengths)}
    shares = [share(videos, work, rank, world_size) for rank in range(world_size)]
    assert sorted(v.name for part in shares for v in part) == sorted(work)
    totals = [sum(work[v.name] for v in part) for part in shares]
    assert max(totals) - min(totals) <= max(lengths)


def test_progress_guesses_the_rest_from_the_share_done() -> None:
    progress = FrameProgress({"a": 30.0, "b": 10.0}, show=False, label="extracting")
    progress.add("a", 100, 200)
    assert "extracting: 38 % of the videos, 100 frames" in progress.line()


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"batch_clips": 0}, "batch_clips is 0; it must be at least 1"),
        ({"max_bad_fraction": 2.0}, r"max_bad_fraction is 2.0; it must lie in \[0, 1\]"),
        ({"split": "test"}, "no video of split 'test' to extract features of"),
    ],
)
def test_errors(folder: Path, tmp_path: Path, fields: dict[str, object], text: str) -> None:
    with pytest.raises(UserError, match=text):
        extract(config(folder, tmp_path / "out", **fields))


def test_packet_indices_are_shared_with_pretrainings_cache(folder: Path, tmp_path: Path) -> None:
    """`--cache` takes the folder that data.cache names: what pretraining keeps in `index` is read, not made again."""
    cache = tmp_path / "cache"
    assert extract(config(folder, tmp_path / "first", cache=cache)) == 0
    kept = {path: path.stat().st_mtime_ns for path in cache.rglob("*.npz")}
    assert {path.relative_to(cache).parts[0] for path in kept} == {"index"}
    assert len(kept) == len(LENGTHS)
    assert extract(config(folder, tmp_path / "second", cache=cache)) == 0
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.npz")} == kept


def encoded(folder: Path, videos: Iterable[tuple[str, str]]) -> list[str]:
    encoder = open_encoder(EncoderConfig(height=32, width=48))
    results = encode_videos(videos, encoder, SnippetSettings(), torch.device("cpu"), batch_clips=8, decoders=1)
    return [result.name for result in results]


def test_a_read_that_never_returns_ends_the_run_with_the_videos_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()
    monkeypatch.setattr(stalls, "STALL_SECONDS", 0.3)
    monkeypatch.setattr(stalls, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(pipeline, "STOP_SECONDS", 0.1)
    monkeypatch.setattr(pipeline, "SnippetStream", lambda *_: ended.wait())
    with pytest.raises(OwnError, match=r"no frame was decoded for 0 s, and nothing was done .*\n  - far away"):
        encoded(folder, [("far away", str(folder / "a.mp4"))])
    ended.set()


def test_a_decoding_thread_that_dies_is_no_end_without_a_word(folder: Path) -> None:
    def listed() -> Iterator[tuple[str, str]]:
        yield "a", str(folder / "a.mp4")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        encoded(folder, listed())


def test_a_set_that_lost_videos_is_not_done(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever took them away: here a part that vanishes before the set is joined."""
    real = FeatureWriter.finish

    def finish(writer: FeatureWriter, names: Sequence[str] | None = None) -> FeatureSet:
        next((tmp_path / "out" / "parts").glob("*.safetensors")).unlink()
        return real(writer, names)

    monkeypatch.setattr(FeatureWriter, "finish", finish)
    assert extract(config(folder, tmp_path / "out")) == 1
    out = capfd.readouterr().out
    assert "1 of 4 videos are not in the set though none of them failed" in out
    assert "incomplete: 3 of 4 videos" in out
