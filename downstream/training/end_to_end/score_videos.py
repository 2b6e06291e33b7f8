"""Scores of whole videos straight from their files: extraction and detector in one go, nothing stored."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from accelerate import Accelerator
from accelerate.utils import gather_object

from downstream.detector.inference import score_videos
from downstream.detector.model import Detector
from downstream.features.config import SnippetSettings
from downstream.features.encoders import Encoder
from downstream.features.extract import default_decoders, length_of, share
from downstream.features.fusion import FusedFeatures
from downstream.features.in_memory_set import in_memory_set
from downstream.features.pipeline import encode_videos
from downstream.scores.video_scores import VideoScores
from pretrain.data.catalogue import Video

BATCH_CLIPS = 32


def score_whole(
    encoder: Encoder,
    detector: Detector,
    videos: Sequence[Video],
    settings: SnippetSettings,
    accelerator: Accelerator,
    cache: Path,
) -> tuple[list[VideoScores], dict[str, str]]:
    """Scores in the order of `videos` without those that cannot be read; these by name, and why.

    The work is shared out over the processes, the result is whole on each of them: all of them must call it. `cache`
    is the folder of packet indices.
    """
    work = {video.name: length_of(video) for video in videos}
    mine = share(videos, work, accelerator.process_index, accelerator.num_processes)
    scored: dict[str, VideoScores] = {}
    problems: dict[str, str] = {}
    results = encode_videos(
        [(video.name, video.path) for video in mine],
        encoder,
        settings,
        accelerator.device,
        batch_clips=BATCH_CLIPS,
        decoders=default_decoders(accelerator.device),
        cache=cache,
    )
    with closing(results):
        for result in results:
            if result.problem is not None:
                problems[result.name] = str(result.problem)
                continue
            features = FusedFeatures([in_memory_set(result, encoder, settings)])
            scored[result.name] = score_videos(detector, features, [result.name], accelerator.device)[0]
    gathered = gather_object([(scored, problems)])
    everything = {name: item for part, _ in gathered for name, item in part.items()}
    failed = {name: reason for _, part in gathered for name, reason in part.items()}
    return [everything[video.name] for video in videos if video.name in everything], failed
