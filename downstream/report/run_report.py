"""A report of a fine-tuning run: its test videos, what the detector found in them, and what it was worth."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from downstream.events.finder import find_events
from downstream.events.rule import FALLBACK_FPS, AlarmRule, RuleChanges
from downstream.report.content import Report, ReportVideo, Thumbnail, relative_link
from downstream.report.run_contents import RunScores, read_run, run_curve, run_facts, run_levels, run_metrics, run_rule
from downstream.report.thumbnails import peak_thumbnails
from downstream.report.where import with_maps_of
from downstream.runs.run_folder import RunFolder
from downstream.scores.video_scores import VideoScores
from downstream.visualisation.heat import HeatRange, heat_range
from pretrain.data.catalogue import Catalogue, Video
from pretrain.data.remote import is_remote
from pretrain.data.video import FrameClock, VideoError, has_times, probe, video_clock
from pretrain.errors import UserError, problem_list


class ReportView(NamedTuple):
    """How the videos of a report are looked at."""

    rule: AlarmRule
    heat: HeatRange | None
    thumbnails: int
    fps: float | None
    out: Path
    films: dict[str, Path]


def report_of_run(
    run: Path,
    catalogue: Catalogue,
    out: Path,
    *,
    changes: RuleChanges | None = None,
    fps: float | None = None,
    thumbnails: int = 3,
    where: Path | None = None,
) -> Report:
    """The report of the test videos of `catalogue` that the run scored; `page.write_report(out, ...)` writes it.

    `out`: where the page will lie, so that its links fit. `changes`: to the run's own rule for events. `fps`: of videos
    whose lists and files do not say it. `thumbnails`: of each video at most so many; videos whose files are not there
    have none. `where`: a run of cells, whose maps and films say where; what is said of when is all `run`'s. UserError:
    no finished run, no test video, scores of none of them, or no maps.
    """
    if thumbnails < 0 or (fps is not None and not 0 < fps < 1e6):
        raise UserError(f"thumbnails is {thumbnails}, fps {fps}; thumbnails is 0 or more, fps above 0")
    videos = catalogue.subset("test")
    if not videos:
        raise UserError(f"{catalogue.source}: no video of split 'test'; there is nothing to report")
    scores = read_run(run)
    RunFolder(run).refuse_seen_in_training(videos)
    own, origin = run_rule(run)
    rule = (changes or RuleChanges()).applied_to(own)
    by_name = {entry.name: entry for entry in scores.file.videos}
    shown = [entry for video in videos if (entry := by_name.get(video.name)) is not None]
    if not shown:
        names = problem_list([f"'{video.name}'" for video in videos], limit=5)
        raise UserError(f"{run} scored none of the {len(videos)} test videos of {catalogue.source}:\n{names}")
    heat: HeatRange | None = None
    if where is not None:
        placed, heat = with_maps_of(where, shown)
        by_name |= placed
    elif all(entry.map is not None for entry in shown):
        heat = heat_range(shown, rule.threshold)
    view = ReportView(rule, heat, thumbnails, fps, out, RunFolder(where or run).localisation.film_of())
    unscored = scores.file.unscored
    made = []
    for video in tqdm(videos, desc="report", unit="video", disable=None):
        problem = unscored.get(video.name, "" if video.name in by_name else "the run has no scores of it")
        made.append(report_video(video, by_name.get(video.name), problem, view))
    return Report(
        title=f"What was found in {len(shown)} test videos",
        subtitle=f"by {run.resolve().name}{'' if where is None else f' (where: {where.resolve().name})'}, videos of "
        f"{catalogue.source}{_without_scores(len(videos) - len(shown))}",
        levels=run_levels(run),
        rule=rule,
        videos=tuple(made),
        metrics=run_metrics(run),
        curve=run_curve(run),
        facts=run_facts(run, scores) | {"Written": f"{datetime.now():%Y-%m-%d %H:%M}"},
        notes=_notes(scores, list(videos), view, origin if rule == own else "given on the command line"),
    )


def _without_scores(count: int) -> str:
    return f"; {count} more have no scores and are in no figure" if count else ""


def report_video(video: Video, scores: VideoScores | None, problem: str, view: ReportView) -> ReportVideo:
    """One video; what goes wrong with its file is said beside it and spoils no report."""
    there = is_remote(video.path) or Path(video.path).exists()
    fps, pictures = video.fps or view.fps or FALLBACK_FPS, tuple[Thumbnail, ...]()
    clock: FrameClock | None = None
    try:
        if has_times(video.path) or (there and not video.fps):
            fps, clock = probe(video.path).fps, video_clock(video.path)
        if there and scores is not None and view.thumbnails:
            events = find_events(scores, view.rule, clock or fps)
            pictures = peak_thumbnails(video.path, scores, events, count=view.thumbnails, heat=view.heat)
    except VideoError as error:
        problem = problem or f"no pictures: {error}"
    except UserError as error:  # a map of another video
        problem = problem or str(error)
    spans = video.spans or (() if video.label == 0 else None)
    return ReportVideo(
        name=video.name,
        fps=fps,
        clock=clock,
        scores=scores,
        label=video.label,
        class_name=video.class_name,
        spans=spans,
        thumbnails=pictures,
        link=_link(video, there, view),
        problem=problem or None,
    )


def _link(video: Video, there: bool, view: ReportView) -> str | None:
    film = view.films.get(video.name.replace("/", "_"))
    if film is not None:
        return relative_link(film, view.out)
    return relative_link(Path(video.path), view.out) if there and Path(video.path).is_file() else None


def _notes(scores: RunScores, videos: list[Video], view: ReportView, origin: str) -> tuple[str, ...]:
    guessed = sum(not (video.fps or view.fps or Path(video.path).exists()) for video in videos)
    rest = len(scores.file.videos) - sum(video.name in {entry.name for entry in scores.file.videos} for video in videos)
    notes = [
        scores.note,
        f"The rule for events: {origin}.",
        f"{guessed} video(s): frames per second not known; times assume {FALLBACK_FPS:g} (--fps)." if guessed else "",
        f"{rest} scored video(s) are no test videos of this catalogue and are left out." if rest else "",
        "Figures are means over all seeds of the run, with intervals over draws of videos.",
    ]
    return tuple(filter(None, notes))
