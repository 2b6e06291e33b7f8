"""What detection found as a report: the page of downstream/report, filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from tqdm import tqdm

from downstream.detection.model import Model, ScoredFile
from downstream.detection.outputs import VideoDetection
from downstream.events.rule import AlarmRule
from downstream.report.content import Report, ReportVideo, Thumbnail, relative_link
from downstream.report.page import write_report
from downstream.report.thumbnails import peak_thumbnails
from downstream.visualisation.heat import HeatRange, heat_range
from pretrain.data.video import IndexCache, VideoError
from pretrain.tracking import clock

PICTURED = 60
"""Videos with thumbnails, those with the highest scores: a report must open at once."""


def write_detection_report(
    path: Path,
    model: Model,
    rule: AlarmRule,
    found: Sequence[VideoDetection],
    failed: Sequence[ScoredFile],
    films: Mapping[str, Path],
    indices: IndexCache,
) -> None:
    """Write it atomically; videos are linked to their films, or to themselves where they lie near the report."""
    ranked = sorted(found, key=lambda each: -float(each.scores.scores.max()))
    pictured = {each.name for each in ranked[:PICTURED]}
    heat = heat_of(found, rule)
    videos = []
    for each in tqdm(found, "pictures for the report", unit="video", disable=None):
        thumbnails: tuple[Thumbnail, ...] = ()
        problem = None
        if each.name in pictured:
            try:
                thumbnails = peak_thumbnails(each.path, each.scores, each.events, heat=heat, cache=indices)
            except VideoError as error:
                problem = f"no pictures: {error}"
        target = films.get(each.name, Path(each.path))
        videos.append(
            ReportVideo(
                name=each.name,
                fps=each.info.fps,
                scores=each.scores,
                thumbnails=thumbnails,
                link=None if target.is_dir() else relative_link(target, path),
                problem=problem,
            )
        )
    videos += [ReportVideo(name=each.name, fps=25.0, scores=None, problem=each.problem) for each in failed]
    seconds = sum(each.info.num_frames / each.info.fps for each in found)
    events = sum(len(each.events) for each in found)
    report = Report(
        title="What was found",
        subtitle=f"{events} event(s) in {len(found)} video(s), {clock(seconds)} of footage",
        rule=rule,
        videos=tuple(videos),
        facts={
            "Detector": model.describe(),
            "Threshold": model.rule_from if rule == model.rule else "given on the command line",
            "Made": datetime.now().astimezone().isoformat(" ", "seconds"),
        },
    )
    write_report(path, report)


def heat_of(found: Sequence[VideoDetection], rule: AlarmRule) -> HeatRange | None:
    """Which scores glow how much, alike in all pictures; None where the detector scores whole pictures."""
    scores = [each.scores for each in found]
    return None if scores[0].map is None else heat_range(scores, rule.threshold)
