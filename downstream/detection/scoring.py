"""Scoring many videos over all processes: what detection and calibration do alike."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from accelerate import Accelerator
from accelerate.utils import gather_object

from downstream.detection.inputs import find_videos
from downstream.detection.model import Model, ScoredFile, score_files
from downstream.detection.records import FailedVideo
from downstream.detection.score_cache import ScoreCache
from downstream.features.extract import default_decoders, length_of, share
from downstream.features.progress import FrameProgress
from pretrain.data.catalogue import Video
from pretrain.errors import UserError, problem_list


@dataclass(frozen=True, kw_only=True)
class ScoringSettings:
    """How the work is done; no score depends on it."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes a GPU where there is one."""
    batch_clips: int = 32
    """Clips encoded at a time."""
    decoders: int | None = None
    """Videos decoded at a time by each process. Default: its share of the machine's cores, at most 8."""
    cache: Path | None = None
    """Folder of caches that other runs left: packet indices are kept in its `index`. Default: they are made anew."""

    def __post_init__(self) -> None:
        for name in ("batch_clips", "decoders"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name} is {value}; it must be at least 1")

    @property
    def index(self) -> Path | None:
        """Folder of packet indices."""
        return None if self.cache is None else self.cache / "index"


def videos_of(inputs: Sequence[str]) -> list[Video]:
    """Every video that was given, or lies in a folder that was; UserError as `find_videos`."""
    return [Video(name, path, split="test") for name, path in find_videos(inputs)]


def score_all(
    model: Model,
    videos: Sequence[Video],
    settings: ScoringSettings,
    accelerator: Accelerator,
    cache_folder: Path | None = None,
) -> list[ScoredFile]:
    """All videos in their order, shared out over the processes; the result is whole on each of them.

    `cache_folder`: for the scores of each video, which are taken from there the next time (`score_cache`). UserError
    where none can be scored.
    """
    cache = None if cache_folder is None else ScoreCache(cache_folder, model)
    before = {video.name: scored for video in videos if cache and (scored := cache.load(video))}
    accelerator.wait_for_everyone()  # every process has looked before one adds to it
    if before:
        accelerator.print(
            f"{len(before)} of {len(videos)} video(s) were scored before, see {cache_folder}", file=sys.stderr
        )
    pending = [video for video in videos if video.name not in before]
    work = {video.name: length_of(video) for video in pending}
    mine = {video.name: video for video in share(pending, work, accelerator.process_index, accelerator.num_processes)}
    progress = FrameProgress({name: work[name] for name in mine}, accelerator.is_main_process, "scoring")
    results = score_files(
        model,
        [(video.name, video.path) for video in mine.values()],
        cache=settings.index,
        decoders=settings.decoders or default_decoders(accelerator.device),
        batch_clips=settings.batch_clips,
        on_frames=progress.add,
    )
    scored_here = []
    with closing(results), closing(progress):
        for result in results:
            scored_here.append(result)
            if cache is not None:
                cache.store(result, mine[result.name])
            if result.problem:
                progress.say(f"not scored: {result.problem}")
    everything = before | {scored.name: scored for part in gather_object([scored_here]) for scored in part}
    if not any(scored.scores is not None for scored in everything.values()):
        raise UserError(f"none of the {len(videos)} video(s) can be scored:\n{problems_of(list(everything.values()))}")
    return [everything[video.name] for video in videos]


def problems_of(failed: Sequence[ScoredFile | FailedVideo]) -> str:
    """Why videos could not be scored, a line each."""
    return problem_list([video.problem for video in failed])
