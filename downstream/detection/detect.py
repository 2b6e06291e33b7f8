"""From videos to events: scores, files, a report, films. What scripts/detect.py does where the input ends."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from accelerate import Accelerator
from accelerate.utils import gather_object
from tqdm import tqdm

from downstream.detection.config import DetectConfig
from downstream.detection.console_words import (
    describe_failed,
    describe_nothing,
    describe_rule,
    describe_short,
    describe_sizes,
    describe_speed,
    describe_totals,
    table,
)
from downstream.detection.inputs import FILMS
from downstream.detection.model import Model
from downstream.detection.open_model import open_model, with_camera, with_zones
from downstream.detection.output_files import write_output_files
from downstream.detection.records import FailedVideo
from downstream.detection.report import heat_of, write_detection_report
from downstream.detection.score_cache import FOLDER as SCORE_CACHE
from downstream.detection.scoring import score_all, videos_of
from downstream.detection.unfitted import UNFITTED_NOTE, or_unfitted
from downstream.detection.video_events import VideoDetection, find_video_events
from downstream.detection.writers import FRAME_SCORES
from downstream.detection.writers.events_json import document
from downstream.detection.zones_drawn import ZONES_PICTURE, write_zones_of
from downstream.events.rule import AlarmRule
from downstream.visualisation.film import write_film
from pretrain.accelerator import check_device, make_accelerator
from pretrain.cpu import keep_freed_memory
from pretrain.data.catalogue import Video
from pretrain.data.video import IndexCache
from pretrain.errors import UserError
from pretrain.files import json_text
from pretrain.guards import alone_in
from pretrain.names import file_name, shown
from pretrain.tracking import clock

REPORT = "report.html"


def detect(config: DetectConfig) -> int:
    """Score files and folders; returns the exit status."""
    keep_freed_memory()
    check_device(config.scoring.device)
    inputs = videos_of(config.inputs, config.out)
    accelerator = make_accelerator(config.scoring.device, "fp32")
    model = open_model(or_unfitted(config.detector), config.backbone, accelerator.device)
    model = with_camera(with_zones(model, config.zones), config.camera)
    rule = config.rule.applied_to(model.rule)
    with alone_in(config.out, accelerator):
        status = detect_into(config, inputs, model, rule, accelerator)
    accelerator.end_training()
    return status


def detect_into(
    config: DetectConfig, inputs: Sequence[Video], model: Model, rule: AlarmRule, accelerator: Accelerator
) -> int:
    """The same into a folder that is ours, by all processes together."""
    who = UNFITTED_NOTE if config.detector is None else model.describe()
    say(config, accelerator, f"{who}\n{describe_rule(rule, model)}")
    began = time.monotonic()
    cache = config.out / SCORE_CACHE if config.keep_scores else None
    scored = score_all(model, inputs, config.scoring, accelerator, cache)
    if accelerator.is_main_process:
        write_zones_of(config.out / ZONES_PICTURE, model, scored, IndexCache(config.scoring.index))
    speed = describe_speed(scored, time.monotonic() - began)
    videos = [find_video_events(video, rule, model.levels, model.zones) for video in scored if video.scores is not None]
    failed = [
        FailedVideo(name=video.name, path=video.path, problem=video.problem) for video in scored if video.scores is None
    ]
    facts, files = model.facts(rule), []
    if accelerator.is_main_process:
        files = write_output_files(config.out, facts, videos, failed, [FRAME_SCORES] if config.frames else [])
        (config.out / REPORT).unlink(missing_ok=True)  # of an earlier call: it would show other events
    indices = IndexCache(config.scoring.index)  # of what is drawn, for films and report alike
    films, undrawn = draw_films(config, videos, rule, accelerator, indices)
    if accelerator.is_main_process:
        if config.report:
            write_detection_report(config.out / REPORT, model, rule, videos, failed, films, indices)
        parts = [table(videos), describe_short(videos, model.snippet_frames)]
        parts += [describe_sizes(videos), describe_failed(failed)]
        parts.append(describe_totals(videos, f"{clock(time.monotonic() - began)}{speed}"))
        parts.append(describe_nothing(videos, rule.threshold))
        drawn = [ZONES_PICTURE] * (config.out / ZONES_PICTURE).exists()
        parts.append(describe_written(config, [*files, *drawn, *[f"{FILMS}/"] * bool(films)]))
        say(config, accelerator, "\n".join(filter(None, parts)))
        if config.json:
            content = document(facts, [video.record for video in videos], failed)
            print(json_text(content), flush=True)
    if undrawn:
        raise UserError("\n".join(undrawn))
    is_any = any(video.events for video in videos)
    return config.status_on_event if is_any and config.status_on_event else int(bool(failed))


def draw_films(
    config: DetectConfig,
    videos: Sequence[VideoDetection],
    rule: AlarmRule,
    accelerator: Accelerator,
    indices: IndexCache,
) -> tuple[dict[str, Path], list[str]]:
    """Films of the videos with the highest events, shared out over the processes: name -> file; why some are missing.

    One that cannot be drawn stops neither the others nor the report, and is told by whichever process speaks.
    """
    with_events = [video for video in videos if video.events]
    highest = sorted(with_events, key=lambda video: -max(event.peak_score for event in video.events))[: config.films]
    folder, heat = config.out / FILMS, heat_of(videos, rule)
    numbered = [(video, folder / f"{n:02d}-{file_name(video.name)}.mp4") for n, video in enumerate(highest, start=1)]
    if accelerator.is_main_process:
        for old in folder.glob("[0-9][0-9]*-*.mp4"):  # of an earlier call
            old.unlink()
    accelerator.wait_for_everyone()
    mine = numbered[accelerator.process_index :: accelerator.num_processes]
    problems: dict[str, str] = {}
    for video, target in tqdm(mine, "drawing films", unit="film", disable=None):
        try:
            note = write_film(
                target,
                video.path,
                video.scores,
                video.boxes,
                threshold=rule.threshold,
                events=video.spans,
                heat=heat,
                cache=indices,
                style=config.film_style,
                levels=video.levels,
            )
        except UserError as error:
            problems[video.name] = shown(str(error))
        else:
            if note:
                tqdm.write(shown(note), file=sys.stderr)
    undrawn = dict(gather_object(list(problems.items())))
    return {video.name: target for video, target in numbered if video.name not in undrawn}, list(undrawn.values())


def describe_written(config: DetectConfig, names: Sequence[str]) -> str:
    """Where everything lies."""
    report = f"\nreport       {config.out / REPORT}" if config.report else ""
    return f"written      {', '.join(names)} in {config.out}{report}"


def say(config: DetectConfig, accelerator: Accelerator, text: str) -> None:
    """For people, by one process; on stderr where stdout is for programs."""
    if accelerator.is_main_process:
        print(text, file=sys.stderr if config.json else sys.stdout, flush=True)
