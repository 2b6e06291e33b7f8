"""A camera, a stream or a file played like one, watched until it ends: scores and alarms as they come.

What scripts/detect.py does with an input that is not read to its end. Exit status: 0, however it was stopped (or what
`status_on_event` says, where anything was found); 1 where the input was lost for good; 2 where it never answered.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack

import numpy as np

from downstream.detection.config import DetectConfig
from downstream.detection.console_words import describe_rule
from downstream.detection.inputs import find_videos, is_stream
from downstream.detection.live.console import Console, stop_signals
from downstream.detection.live.frame_queue import Opened
from downstream.detection.live.live_output import LiveOutput
from downstream.detection.live.open_outlets import open_outlets, open_pictures, open_ring, seconds_kept
from downstream.detection.live.run import LiveRun, scorer_for
from downstream.detection.live.scorer import region_for
from downstream.detection.live.source import FrameSource
from downstream.detection.open_model import open_model, with_camera, with_zones
from downstream.detection.unfitted import UNFITTED_NOTE, or_unfitted
from pretrain.accelerator import check_device, make_accelerator
from pretrain.cpu import keep_freed_memory
from pretrain.data.video import VideoError
from pretrain.errors import UserError
from pretrain.folder_lock import only_writer_in


def watch(config: DetectConfig) -> int:
    """Watch the one input until it ends, is lost for good, or somebody stops it; returns the exit status.

    Writes the files of `live_output`. UserError: it never answered, a model that cannot take a stream, a wrong webhook.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("a stream is watched by one process: start it by itself, not by accelerate launch")
    keep_freed_memory()
    check_device(config.scoring.device)
    console = Console(config.json)
    device = make_accelerator(config.scoring.device, "fp32").device
    model = open_model(or_unfitted(config.detector), config.backbone, device)
    model = with_camera(with_zones(model, config.zones), config.camera)
    rule, text = config.rule.applied_to(model.rule), config.inputs[0]
    stopped: list[str] = []
    ring = open_ring(config.live.pictures)
    source = FrameSource(
        text,
        region_for(model),
        config.live.source,
        np.random.default_rng(),
        stopped=stopped,
        say=console.say,
        keep=None if ring is None else ring.take,
    )
    name = source.label if is_stream(text) else find_videos([text])[0][0]
    who = UNFITTED_NOTE if config.detector is None else model.describe()
    with ExitStack() as stack:
        stack.enter_context(stop_signals(stopped))
        outlets = open_outlets(config.live, console.say, stack)
        begin = [who, describe_rule(rule, model), *outlets.lines, f"opening {source.label}"]
        console.say("\n".join(begin))
        outlets.watch(name)
        opened = _open(stack, source)
        if opened is None:
            console.say(f"stopped by {stopped[0]} before {source.label} answered")
            return 0
        scorer = scorer_for(model, config.live, opened.info.fps)
        output = stack.enter_context(LiveOutput(config.out, name, model.facts(rule)))
        stack.enter_context(only_writer_in(output.folder))
        if output.folder != config.out:
            console.say(f"{config.out} holds another run's files: this one writes to {output.folder}")
        pictures = open_pictures(ring, name, config.out, config.live, outlets, console.say, stack)
        if ring is not None and pictures is not None:
            ring.seconds = seconds_kept(config.live, rule, scorer, opened.info.fps)
            console.say(pictures.describe())
        run = LiveRun(scorer, rule, config.live, source, opened, console, output, outlets.alarms, pictures)
        outlets.watch(name, run.figures)
        ending = run.until_the_end(stopped)
        stack.pop_all().close()  # what is on its way to an outlet counts in the summary
    lines = run.state.summary_lines(ending) + outlets.summary()
    if pictures is not None and run.state.events:
        lines.append(f"pictures     {pictures.summary()}")
    console.say("\n".join([*lines, f"written      {', '.join(output.files)} in {output.folder}"]), time.time())
    return config.status_on_event if run.state.events and config.status_on_event else int(ending.is_failure)


def _open(stack: ExitStack, source: FrameSource) -> Opened | None:
    """What the input looks like, as soon as it answers; None: stopped before. UserError where it does not answer."""
    try:
        stack.enter_context(source)
        if not source.is_waited_for:
            return None
        opened = source.get()
    except VideoError as error:
        raise UserError(str(error)) from error
    assert isinstance(opened, Opened)
    return opened
