"""What a training sample costs to read: ours, with proxies, and as one would write it today with decord."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from benchmarks.footage import join_clips, write_clips
from benchmarks.input_memory import our_memory, own_process, plain_memory
from benchmarks.input_ways import HEIGHT, WIDTH, Ours, Plain, Window, cost, decode_limit, draw_windows, window_reader
from pretrain.cli import run_command
from pretrain.data.catalogue import Video
from pretrain.data.catalogues.disk import VIDEO_SUFFIXES
from pretrain.data.proxy import ProxyCache, ProxySettings, build_proxies
from pretrain.data.video import IndexCache, read_frames
from pretrain.errors import UserError

SAMPLES = 4
"""Samples of a window: one a task."""
Timed = Callable[[Window], tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class InputPipelineConfig:
    """Time one sample a task (clips of 16 frames, 128x171): the same videos, the same frames asked of every way.

    plain: four datasets, each opens the video with decord (one thread, scaling to the same size) for its own sample.
    ours: the window once for all tasks, with a stored packet index. proxies: the same from a proxy cache.
    limit: PyAV opens the video, reads and decodes the packets from the keyframe on that are needed, and does nothing
    else; decode_limit_fraction is its time over that of ours, which also loads the index, scales, converts to RGB and
    puts the clips together. (packets in memory: without opening and reading.) CPU is that of all threads.
    """

    quick: bool = False
    """Fewer and shorter videos, 1000 windows for the memory: under a minute."""
    videos: Path | None = None
    """A folder of your own videos instead of those made here; then there is no 10-minute file."""
    seed: int = 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit status."""
    options = tyro.cli(InputPipelineConfig, args=arguments, prog="input_pipeline.py")
    run_command(lambda: run(options))


def run(options: InputPipelineConfig) -> None:
    """Make the videos, time, print the table and the RESULT line."""
    rng = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        clips, long = make_videos(options, work)
        proxies = make_proxies(clips, work / "proxies")
        reader = window_reader(work / "index")
        ours, through_proxy, plain = Ours(reader, use_proxy=False), Ours(reader, use_proxy=True), Plain(threads=1)
        ways: dict[str, Timed] = {
            "plain, 1 thread": cost(plain.read),
            "plain, decord's threads": cost(Plain(threads=0).read),
            "ours": cost(ours.read),
            "ours, proxies": cost(through_proxy.read),
            "limit: open, read, decode": decode_limit(work / "index", with_file=True),
            "limit: packets in memory": decode_limit(work / "index", with_file=False),
        }
        windows = draw_windows(clips, proxies, reader, 8 if options.quick else 96, rng)
        check_same_frames(windows[: len(clips)], work / "index")
        short = measure(ways, windows, rng)
        result = {
            "cpu_ratio_gop250": ratio(short, "plain, 1 thread", "ours"),
            "cpu_ratio_10min": None,
            "cpu_ratio_proxy": ratio(short, "plain, 1 thread", "ours, proxies"),
            "decode_limit_fraction": ratio(short, "limit: open, read, decode", "ours"),
        }
        print_table("10 to 20 s, GOP 250" if options.videos is None else str(options.videos), short)
        if long:
            del ways["ours, proxies"], ways["plain, decord's threads"]
            tenth = measure(ways, draw_windows([long], [long], reader, 4 if options.quick else 40, rng), rng)
            result["cpu_ratio_10min"] = ratio(tenth, "plain, 1 thread", "ours")
            print_table("10 minutes, GOP 250", tenth)
        count, every = (1000, 20) if options.quick else (5000, 2)
        held, growth = own_process(our_memory, clips, proxies, work / "index", count, every)
        plain_held = own_process(plain_memory, clips, 12)
        print(f"\nmemory of a worker: ours {held:.0f} MB above the bare process, plain {plain_held:.0f} MB")
        print(f"growth over {count} windows (1 in {every} from the video, else its proxy): {growth:.2f} MB")
        print("RESULT " + json.dumps(result | {"rss_growth_mb": round(growth, 2)}))


def make_videos(options: InputPipelineConfig, work: Path) -> tuple[list[str], str | None]:
    """`(clips, 10-minute file)`; of the user's own videos there is no second."""
    if options.videos is not None:
        found = sorted(str(path) for path in options.videos.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES)
        if not found:
            raise UserError(f"no video in {options.videos}: give a folder that holds some")
        return found, None
    started = time.perf_counter()
    clips = write_clips(work, *((4, (10, 12)) if options.quick else (16, (10, 20))), seed=options.seed)
    long = work / "long.mp4"
    join_clips(clips, long, seconds=600)
    print(f"{len(clips)} clips and a 10-minute file of 320x240 made in {time.perf_counter() - started:.1f} s")
    return [str(path) for path in clips], str(long)


def make_proxies(clips: Sequence[str], folder: Path) -> list[str]:
    """The proxy of each clip, made with the default settings."""
    videos = [Video(name=str(number), path=path) for number, path in enumerate(clips)]
    report = build_proxies(ProxyCache(folder), videos, ProxySettings(), workers=2)
    if report.failures:
        raise UserError(f"no proxy: {'; '.join(report.failures.values())}")
    paths = ProxyCache(folder).paths(videos)
    return [paths[video.name] for video in videos]


def check_same_frames(windows: Sequence[Window], index_cache: Path) -> None:
    """Print in how many frames decord and our reader differ at full size; none: both gave what was asked for.

    It also leaves every video's packet index in the cache, where a run has it from its start.
    """
    import decord

    total = different = 0
    for window in windows:
        frames = np.unique(window.frames)
        theirs = decord.VideoReader(window.path, ctx=decord.cpu(0), num_threads=1).get_batch(frames.tolist()).asnumpy()
        ours = read_frames(window.path, frames, cache=IndexCache(index_cache))
        total += len(frames)
        different += int((np.abs(ours.astype(np.int16) - theirs).mean(axis=(1, 2, 3)) > 1).sum())
    print(f"frames in which decord's pictures differ from ours, at full size: {different} of {total}")


def measure(
    ways: dict[str, Timed], windows: Sequence[Window], rng: np.random.Generator
) -> dict[str, tuple[float, float]]:
    """Mean `(CPU, wall)` seconds per sample of each way; the ways take turns at every window, in random order."""
    spent = {name: np.zeros(2) for name in ways}
    for window in {window.path: window for window in windows}.values():
        for timed in ways.values():
            timed(window)  # warm: files in memory, indexes made
    for window in windows:
        for place in rng.permutation(len(ways)):
            name = list(ways)[place]
            spent[name] += ways[name](window)
    return {name: tuple(total / (len(windows) * SAMPLES)) for name, total in spent.items()}


def ratio(costs: dict[str, tuple[float, float]], above: str, below: str) -> float:
    """CPU of one way over that of another."""
    return round(float(costs[above][0] / costs[below][0]), 3)


def print_table(title: str, costs: dict[str, tuple[float, float]]) -> None:
    """One line a way."""
    print(f"\n{title}, clips of 16 frames at {HEIGHT}x{WIDTH}   CPU ms/sample   wall ms/sample   plain/this (CPU)")
    for name, (cpu, wall) in costs.items():
        print(f"  {name:<28}{1000 * cpu:>28.2f}{1000 * wall:>17.2f}{ratio(costs, 'plain, 1 thread', name):>19.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
