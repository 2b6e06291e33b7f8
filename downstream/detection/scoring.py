"""Scoring many videos over all processes: what detection and calibration do alike."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from accelerate import Accelerator
from accelerate.utils import gather_object

from downstream.detection.config import ScoringSettings
from downstream.detection.inputs import find_videos
from downstream.detection.model import Model, ScoredFile, score_files
from downstream.detection.records import FailedVideo
from downstream.detection.score_cache import ScoreCache
from downstream.features.extract import default_decoders, length_of, share
from downstream.features.progress import FrameProgress
from pretrain.data.catalogue import Video
from pretrain.errors import UserError, problem_list


def videos_of(inputs: Sequence[str], out: Path | None = None) -> list[Video]:
    """Every video that was given, or lies in a folder that was; `out` and UserError as in `find_videos`."""
    return [Video(name, path, split="test") for name, path in find_videos(inputs, out)]


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
