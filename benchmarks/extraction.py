"""What extraction costs: ours, and as one would write it today with decord, one clip at a time."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro

from benchmarks.footage import write_clips
from downstream.features.config import EncoderConfig, SnippetSettings
from downstream.features.crops import cut_crops
from downstream.features.encoders import Encoder, open_encoder
from downstream.features.extract import default_decoders
from downstream.features.pipeline import encode_videos
from downstream.features.snippets import SnippetStream
from pretrain.cli import run_command
from pretrain.cpu import keep_freed_memory
from pretrain.data.catalogues.disk import VIDEO_SUFFIXES
from pretrain.data.video import IndexCache
from pretrain.errors import UserError

CPU, WALL = 0, 1


@dataclass(frozen=True, kw_only=True)
class ExtractionConfig:
    """Time the features of the same videos, from the same network, both ways.

    plain: for each snippet decord.VideoReader.get_batch (one reader a video, decord's threads, scaled by decord to the
    same size), one crop, one clip through the network at a time. ours: extraction as the command runs it. decode and
    model: the two halves of ours, each alone. CPU is that of all threads.
    """

    quick: bool = False
    """Fewer videos: under a minute."""
    videos: Path | None = None
    """A folder of your own videos instead of those made here."""
    backbone: str = "small3d"
    """As --backbone of scripts/extract_features.py."""
    crops: Literal[1, 5, 10] = 1
    batch_clips: int = 32
    device: Literal["auto", "cpu", "cuda"] = "auto"
    rounds: int = 3
    """Each way is timed so often, in turns; the fastest of each counts."""
    seed: int = 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    options = tyro.cli(ExtractionConfig, args=arguments, prog="extraction.py")
    run_command(lambda: run(options))


def run(options: ExtractionConfig) -> None:
    """Make the videos, time, print the table and the RESULT line."""
    keep_freed_memory()
    wanted = "cuda" if options.device == "auto" and torch.cuda.is_available() else options.device
    device = torch.device("cpu" if wanted == "auto" else wanted)
    encoder = open_encoder(EncoderConfig(backbone=options.backbone)).to(device)
    settings = SnippetSettings(crops=options.crops)
    with tempfile.TemporaryDirectory() as folder:
        videos = make_videos(options, Path(folder))
        frames = sum(SnippetStream(v, settings, encoder.view(16), IndexCache(None)).info.num_frames for v in videos)
        ways: dict[str, Callable[[], Any]] = {
            "plain": lambda: [plain(video, encoder, settings, device) for video in videos],
            "ours": lambda: ours(videos, encoder, settings, device, options.batch_clips),
            "decode alone": lambda: [decode(video, encoder, settings) for video in videos],
            "model alone": model_alone(videos, encoder, settings, device, options.batch_clips),
        }
        check_alike(ways["plain"](), ways["ours"](), options.crops)
        costs = measure(ways, 1 if options.quick else options.rounds)
    print(f"\n{len(videos)} videos, {frames} frames, {options.backbone} on {device}, {options.crops} crop(s)")
    print(f"  {'':<16}{'frames/s':>10}{'CPU s':>10}{'wall s':>10}{'plain/this (wall)':>20}")
    for name, (cpu, wall) in costs.items():
        print(f"  {name:<16}{frames / wall:>10.0f}{cpu:>10.2f}{wall:>10.2f}{costs['plain'][WALL] / wall:>20.2f}")
    decoding, modelling = costs["decode alone"][WALL], costs["model alone"][WALL]
    result = {
        "frames_ratio": round(costs["plain"][WALL] / costs["ours"][WALL], 3),
        "decode_share": round(decoding / (decoding + modelling), 3),
    }
    print("RESULT " + json.dumps(result))


def make_videos(options: ExtractionConfig, work: Path) -> list[str]:
    """The user's videos, or clips of 320x240 made here."""
    if options.videos is None:
        return [
            str(path) for path in write_clips(work, *((4, (6, 8)) if options.quick else (12, (10, 20))), options.seed)
        ]
    found = sorted(str(path) for path in options.videos.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES)
    if not found:
        raise UserError(f"no video in {options.videos}: give a folder that holds some")
    return found


def plain(path: str, encoder: Encoder, settings: SnippetSettings, device: torch.device) -> np.ndarray:
    """float32 (snippets, crops, dim): every clip fetched on its own and encoded on its own."""
    import decord

    stream = SnippetStream(path, settings, encoder.view(settings.snippet_frames), IndexCache(None))
    region = stream.region
    video = decord.VideoReader(path, ctx=decord.cpu(0), height=region.decode_height, width=region.decode_width)
    rows = []
    for frames in stream.frames[:, 0]:
        pictures = torch.from_numpy(video.get_batch(frames.tolist()).asnumpy())
        pictures = pictures[:, region.y : region.y + region.height, region.x : region.x + region.width]
        clips = cut_crops(pictures[None], settings.crops, encoder.clip.height, encoder.clip.width)[0]
        rows.append([encoder.features(clip[None].to(device))[0].cpu().numpy() for clip in clips])
    return np.asarray(rows)


def ours(
    videos: Sequence[str], encoder: Encoder, settings: SnippetSettings, device: torch.device, batch_clips: int
) -> list[np.ndarray]:
    """The same by the road that the command takes; in the order of `videos`."""
    results = encode_videos(
        [(video, video) for video in videos],
        encoder,
        settings,
        device,
        batch_clips=batch_clips,
        decoders=default_decoders(device),
    )
    with closing(results):
        found = {result.name: result.features for result in results}
    return [np.asarray(found[video]) for video in videos]


def decode(path: str, encoder: Encoder, settings: SnippetSettings) -> int:
    """Everything up to the chunks that go to the device, one video at a time; their number."""
    stream = SnippetStream(path, settings, encoder.view(settings.snippet_frames), IndexCache(None))
    return sum(1 for _ in stream.chunks())


def model_alone(
    videos: Sequence[str], encoder: Encoder, settings: SnippetSettings, device: torch.device, batch_clips: int
) -> Callable[[], None]:
    """Crops and network on chunks that are there already: one chunk over and over, as often as all videos need."""
    view = encoder.view(settings.snippet_frames)
    streams = [SnippetStream(video, settings, view, IndexCache(None)) for video in videos]
    chunk = torch.from_numpy(next(streams[0].chunks())[:1]).to(device)
    clips = sum(stream.frames.shape[0] * stream.frames.shape[1] for stream in streams) * settings.crops

    def encode() -> None:
        for start in range(0, clips, batch_clips):
            count = min(batch_clips, clips - start)
            repeated = chunk.expand(-(-count // settings.crops), *chunk.shape[1:])
            batch = cut_crops(repeated, settings.crops, encoder.clip.height, encoder.clip.width).flatten(0, 2)
            encoder.features(batch[:count]).cpu()

    return encode


def check_alike(theirs: Sequence[np.ndarray], found: Sequence[np.ndarray], crops: int) -> None:
    """Print how much the two ways' features differ: their pictures are scaled by other code."""
    one, other = (
        np.concatenate([part.reshape(-1, crops, part.shape[-1]) for part in side]) for side in (theirs, found)
    )
    if one.shape != other.shape:
        raise RuntimeError(f"the two ways give {one.shape} and {other.shape}")
    difference = np.linalg.norm(one - other, axis=-1) / np.linalg.norm(one, axis=-1)
    print(f"relative difference of their features: median {np.median(difference):.3f}, most {difference.max():.3f}")


def measure(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, tuple[float, float]]:
    """`(CPU, wall)` seconds of each way: its fastest round; the ways take turns."""
    best: dict[str, tuple[float, float]] = {}
    for _ in range(rounds):
        for name, way in ways.items():
            cpu, wall = time.process_time(), time.perf_counter()
            way()
            spent = (time.process_time() - cpu, time.perf_counter() - wall)
            if name not in best or spent[WALL] < best[name][WALL]:
                best[name] = spent
    return best


if __name__ == "__main__":
    main(sys.argv[1:])
