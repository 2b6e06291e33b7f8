"""What detection found as a report: the page of downstream/report, filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from tqdm import tqdm

from downstream.detection.model import Model
from downstream.detection.records import FailedVideo
from downstream.detection.unfitted import UNFITTED_FOLDER, UNFITTED_NOTE
from downstream.detection.video_events import VideoDetection
from downstream.events.rule import AlarmRule
from downstream.report.content import Report, ReportVideo, Thumbnail, relative_link
from downstream.report.page import write_report
from downstream.report.thumbnails import peak_thumbnails
from downstream.visualisation.heat import HeatRange, heat_range
from pretrain.data.remote import is_remote
from pretrain.data.video import IndexCache, VideoError
from pretrain.names import shown as shown_name
from pretrain.tracking import clock

PICTURED = 60
"""Videos with thumbnails, those with the highest scores: a report must open at once."""


def write_detection_report(
    path: Path,
    model: Model,
    rule: AlarmRule,
    videos: Sequence[VideoDetection],
    failed: Sequence[FailedVideo],
    films: Mapping[str, Path],
    indices: IndexCache,
) -> None:
    """Write it atomically; videos are linked to their films, or to themselves where they lie near the report."""
    ranked = sorted(videos, key=lambda video: -video.highest_score)
    pictured = {video.name for video in ranked[:PICTURED]}
    heat = heat_of(videos, rule)
    shown = []
    for video in tqdm(videos, "pictures for the report", unit="video", disable=None):
        thumbnails: tuple[Thumbnail, ...] = ()
        problem = None
        if video.name in pictured:
            try:
                thumbnails = peak_thumbnails(video.path, video.scores, video.events, heat=heat, cache=indices)
            except VideoError as error:
                problem = f"no pictures: {error}"
        target = films.get(video.name, Path(video.path))
        has_link = target.is_file() or not is_remote(video.path)
        shown.append(
            ReportVideo(
                name=video.name,
                fps=video.fps,
                clock=video.clock,
                scores=video.scores,
                thumbnails=thumbnails,
                link=relative_link(target, path) if has_link and not target.is_dir() else None,
                problem=problem,
            )
        )
    shown += [ReportVideo(name=video.name, fps=25.0, scores=None, problem=video.problem) for video in failed]
    seconds = sum(video.seconds for video in videos)
    events = sum(len(video.events) for video in videos)
    report = Report(
        title=f"What was found in {shown_name(videos[0].name) if len(videos) == 1 else f'{len(videos)} videos'}",
        subtitle=f"{events} event(s) in {len(videos)} video(s), {clock(seconds)} of footage",
        lead=" ".join(UNFITTED_NOTE.split()) if model.path == UNFITTED_FOLDER else "",
        levels=model.levels,
        rule=rule,
        videos=tuple(shown),
        facts={
            "Detector": model.describe(),
            "Threshold": model.origin_of(rule),
            "Made": datetime.now().astimezone().isoformat(" ", "seconds"),
        },
    )
    write_report(path, report)


def heat_of(videos: Sequence[VideoDetection], rule: AlarmRule) -> HeatRange | None:
    """Which scores glow how much, alike in all pictures; None where the detector scores whole pictures."""
    scores = [video.scores for video in videos]
    return None if scores[0].map is None else heat_range(scores, rule.threshold)
