"""What detection says to people on the console: the rule, what was found, how fast."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_DOWN, Context

from downstream.detection.model import Model, ScoredFile
from downstream.detection.records import FailedVideo
from downstream.detection.scoring import problems_of
from downstream.detection.unfitted import UNFITTED_FOLDER
from downstream.detection.video_events import VideoDetection
from downstream.events.alarm_level import describe_scale
from downstream.events.rule import AlarmRule
from downstream.visualisation.score_axis import plain_score
from pretrain.names import shown
from pretrain.tracking import clock

SHOWN = 20
"""Lines of the table."""


def describe_rule(rule: AlarmRule, model: Model) -> str:
    """The rule and where it comes from; what alarm levels mean."""
    origin = model.rule_from if rule == model.rule else "given"
    if model.path == UNFITTED_FOLDER and rule == model.rule and model.levels is None:
        origin = "a default; --threshold sets another"
    parts = [f"a score of at least {rule.threshold:.6g}", f"down to {rule.release:.6g}"]
    parts += [f"at least {rule.min_seconds:g} s long"] * bool(rule.min_seconds)
    parts += [f"{rule.merge_seconds:g} s apart at least"] * bool(rule.merge_seconds)
    return f"an event: {', '.join(parts)} ({origin})\n{describe_scale(model.levels)}"


def table(videos: Sequence[VideoDetection]) -> str:
    """The highest videos, a line each: level, score, events, where the highest event is, or else the highest score."""
    ranked = sorted(videos, key=lambda video: -video.highest_score)
    width = max(len(shown(video.name)) for video in ranked[:SHOWN])
    levels = {video.name: video.highest_level for video in ranked[:SHOWN]}
    room = max(len("alarm level"), *(len(level.short) for level in levels.values()))
    lines = [f"{'video':{width}}  length   {'alarm level':{room}}     score  events  the highest event"]
    for video in ranked[:SHOWN]:
        best = max(video.events, key=lambda event: event.peak_score, default=None)
        when = f"none; highest at {clock(video.clock.begin(video.highest_frame))}"
        if best is not None:
            when = f"{clock(video.clock.begin(best.start))} to {clock(video.clock.end(best.end))}"
            often = levels[video.name].how_often
            when += f"; as high {often}" if often else ""
        length = clock(video.seconds)
        name = shown(video.name)
        level, score = levels[video.name].short, plain_score(video.highest_score)
        lines.append(f"{name:{width}}  {length:>7}  {level:{room}}  {score:>8}  {len(video.events):6}  {when}")
    if len(ranked) > SHOWN:
        lines.append(f"... and {len(ranked) - SHOWN} more")
    return "\n".join(lines)


def describe_short(videos: Sequence[VideoDetection], snippet_frames: int) -> str:
    """A line about videos that are no snippet long; nothing where there are none."""
    few = [video for video in videos if video.info.num_frames < snippet_frames]
    short = [f"{shown(video.name)} ({video.info.num_frames})" for video in few]
    if not short:
        return ""
    more = f" and {len(short) - SHOWN} more" if len(short) > SHOWN else ""
    return (
        f"note: {len(short)} video(s) have fewer frames than a snippet of {snippet_frames} and were scored as one, the "
        f"last frame held: {', '.join(short[:SHOWN])}{more}"
    )


def describe_sizes(videos: Sequence[VideoDetection]) -> str:
    """A line for each video whose picture changes its size; nothing where all keep theirs."""
    lines = [f"note: {video.name}: {video.info.size_note}" for video in videos if video.info.other_sizes]
    if len(lines) > SHOWN:
        lines[SHOWN:] = [f"... and {len(lines) - SHOWN} more"]
    return "\n".join([*lines, "boxes are in the pixels of their own frame"] if lines else [])


def describe_failed(failed: Sequence[FailedVideo]) -> str:
    """Which videos could not be scored, a line each; nothing where all could."""
    return f"{len(failed)} video(s) could not be scored:\n{problems_of(failed)}" if failed else ""


def describe_speed(scored: Sequence[ScoredFile], seconds: float) -> str:
    """`, scored at 24.0 times real time`, of the videos that were scored just now; empty where there are none."""
    now = [(video.info, video.clock) for video in scored if video.info and video.clock and not video.from_cache]
    length = sum(clock.seen(0, info.num_frames) for info, clock in now)
    return f", scored at {length / max(seconds, 1e-9):.1f} times real time" if now else ""


def describe_nothing(videos: Sequence[VideoDetection], threshold: float) -> str:
    """What to do where there is no event at all; nothing where there is one."""
    if any(video.events for video in videos):
        return ""
    highest = max(videos, key=lambda video: video.highest_score)
    if highest.highest_score >= threshold:
        return ""  # it was left out for its length: the rule, which was printed, says so
    reached = float(Context(prec=3, rounding=ROUND_DOWN).create_decimal(repr(highest.highest_score)))
    return (
        f"no score reaches {threshold:.6g}; the highest is {shown(highest.name)}'s at "
        f"{clock(highest.clock.begin(highest.highest_frame))}: --threshold {reached:g} marks it"
    )


def describe_totals(videos: Sequence[VideoDetection], took: str) -> str:
    """How much was found in how much; `took`: the time it took, in words."""
    events = sum(len(video.events) for video in videos)
    length = sum(video.seconds for video in videos)
    return f"{events} event(s) in {len(videos)} video(s); {clock(length)} of footage in {took}"
