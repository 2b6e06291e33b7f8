"""From videos to events: scores, files, a report, films. What scripts/detect.py does where the input ends."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from accelerate import Accelerator
from accelerate.utils import gather_object
from tqdm import tqdm

from downstream.detection.inputs import is_stream
from downstream.detection.live.live_settings import LiveSettings
from downstream.detection.model import Model, ScoredFile
from downstream.detection.open_model import open_model
from downstream.detection.outputs import EVENTS, FRAME_SCORES, SCORES, Found, document, look_into, write_outputs
from downstream.detection.report import heat_of, write_detection_report
from downstream.detection.score_cache import FOLDER as KEPT
from downstream.detection.scoring import ScoringSettings, problems_of, score_all, videos_of
from downstream.events.rule import AlarmRule, RuleChanges
from downstream.visualisation.film import write_film
from pretrain.accelerator import check_device, make_accelerator
from pretrain.cpu import keep_freed_memory
from pretrain.data.video import IndexCache
from pretrain.errors import UserError
from pretrain.tracking import clock

FILMS, REPORT = "films", "report.html"
SHOWN = 20
"""Lines of the table on the console."""


@dataclass(frozen=True, kw_only=True)
class DetectConfig:
    """Score videos, folders of videos, folders of frames or a camera, and say what was found.

    Writes OUT/events.json, OUT/scores.csv, OUT/report.html and films of what scored highest. Exit status: 0 all was
    scored, 1 some videos could not be, 2 the command itself was wrong, nothing could be scored or a film not be drawn.

        python scripts/detect.py street.mp4 --detector runs/detector
        python scripts/detect.py recordings/ --detector package/ --out found/ --films 5
        accelerate launch scripts/detect.py recordings/ --detector package/        # over all GPUs
        python scripts/detect.py rtsp://camera/stream --detector package/          # live, until Ctrl-C

    Live, there are events.jsonl, events.json and scores.csv alone: no report, no films.

    Events: a score of at least the threshold begins one, see --threshold. Without a calibration the threshold is a
    guess from training videos; scripts/calibrate.py finds one for your cameras.
    """

    inputs: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="INPUT ...")]
    """Video files, folders, a folder of frames; or one stream: a URL (rtsp, http) or a device (/dev/video0)."""
    detector: Path
    """A run of scripts/finetune.py (all its seeds together), one seed's folder, or a package."""
    backbone: tuple[Path, ...] = ()
    """Where the backbone lies, if not where it was when features were extracted; one for each fused feature set."""
    out: Path = Path("runs/detect")
    """Folder for everything that is written."""
    rule: Annotated[RuleChanges, tyro.conf.arg(name="")] = field(default_factory=RuleChanges)
    films: int = 1
    """Films of so many videos with the highest events: heat and boxes, score bar, sound kept."""
    report: bool = True
    """Write report.html."""
    frames: bool = False
    """Write frame_scores.csv too, a line for every frame."""
    keep_scores: bool = True
    """Keep the scores of each video in OUT/scored: the same command goes on after a kill, and other thresholds need no
    new scores."""
    status_on_event: int = 0
    """Exit status when anything was found, for scripts: 0 makes no difference."""
    json: bool = False
    """Print the content of events.json instead of words; everything else goes to stderr."""
    scoring: Annotated[ScoringSettings, tyro.conf.arg(name="")] = field(default_factory=ScoringSettings)
    live: LiveSettings = field(default_factory=LiveSettings)

    def __post_init__(self) -> None:
        problems = []
        if self.films < 0:
            problems.append(f"films is {self.films}; it must be 0 or more")
        if not 0 <= self.status_on_event <= 255:
            problems.append(f"status_on_event is {self.status_on_event}; exit statuses are 0 to 255")
        if not self.inputs:
            problems.append("nothing to score: give a video, a folder or a stream")
        if self.live.play and len(self.inputs) > 1:
            problems.append(f"live.play is set, and there are {len(self.inputs)} inputs; it plays one")
        if problems:
            raise UserError("\n".join(problems))

    @property
    def is_live(self) -> bool:
        """Whether the input is watched, not read to its end."""
        return len(self.inputs) == 1 and (self.live.play or is_stream(self.inputs[0]))


def detect(config: DetectConfig) -> int:
    """Score files and folders; returns the exit status."""
    keep_freed_memory()
    check_device(config.scoring.device)
    videos = videos_of(config.inputs)
    accelerator = make_accelerator(config.scoring.device, "fp32")
    model = open_model(config.detector, config.backbone, accelerator.device)
    rule = config.rule.applied_to(model.rule)
    config.out.mkdir(parents=True, exist_ok=True)  # what is wrong with it is said before hours of work
    say(config, accelerator, f"{model.in_words()}\n{rule_in_words(rule, model)}")
    began = time.monotonic()
    scored = score_all(model, videos, config.scoring, accelerator, config.out / KEPT if config.keep_scores else None)
    speed = speed_of(scored, time.monotonic() - began)
    found = [look_into(each, rule) for each in scored if each.scores is not None]
    failed = [each for each in scored if each.scores is None]
    content = document(model, rule, found, failed)
    if accelerator.is_main_process:
        write_outputs(config.out, content, found, config.frames)
        (config.out / REPORT).unlink(missing_ok=True)  # of an earlier call: it would show other events
    indices = IndexCache(config.scoring.index)  # of what is drawn, for films and report alike
    films, undrawn = draw_films(config, found, rule, accelerator, indices)
    if accelerator.is_main_process:
        if config.report:
            write_detection_report(config.out / REPORT, model, rule, found, failed, films, indices)
        parts = [table(found), about_short(found, model.snippet_frames)]
        if failed:
            parts.append(f"{len(failed)} video(s) could not be scored:\n{problems_of(failed)}")
        parts.append(ending(config, found, f"{clock(time.monotonic() - began)}{speed}", len(films)))
        say(config, accelerator, "\n".join(filter(None, parts)))
        if config.json:
            print(json.dumps(content, ensure_ascii=False), flush=True)
    accelerator.end_training()
    if undrawn:
        raise UserError("\n".join(undrawn))
    events = sum(len(each.events) for each in found)
    return config.status_on_event if events and config.status_on_event else int(bool(failed))


def draw_films(
    config: DetectConfig, found: Sequence[Found], rule: AlarmRule, accelerator: Accelerator, indices: IndexCache
) -> tuple[dict[str, Path], list[str]]:
    """Films of the videos with the highest events, shared out over the processes: name -> file; why some are missing.

    One that cannot be drawn stops neither the others nor the report, and is told by whichever process speaks.
    """
    with_events = [each for each in found if each.events]
    highest = sorted(with_events, key=lambda each: -max(event.peak_score for event in each.events))[: config.films]
    folder, heat = config.out / FILMS, heat_of(found, rule)
    numbered = [(each, folder / f"{n:02d}-{file_name(each.name)}.mp4") for n, each in enumerate(highest, start=1)]
    if accelerator.is_main_process:
        for old in folder.glob("[0-9][0-9]*-*.mp4"):  # of an earlier call
            old.unlink()
    accelerator.wait_for_everyone()
    mine = numbered[accelerator.process_index :: accelerator.num_processes]
    problems: dict[str, str] = {}
    for each, target in tqdm(mine, "drawing films", unit="film", disable=None):
        try:
            note = write_film(
                target,
                each.path,
                each.scores,
                each.boxes,
                threshold=rule.threshold,
                events=each.spans,
                heat=heat,
                cache=indices,
            )
        except UserError as error:
            problems[each.name] = str(error)
        else:
            if note:
                tqdm.write(note, file=sys.stderr)
    undrawn = dict(gather_object(list(problems.items())))
    return {each.name: target for each, target in numbered if each.name not in undrawn}, list(undrawn.values())


def file_name(name: str) -> str:
    """A video's name as one of a file: no folders, no more than file systems take."""
    return name.replace("/", "_").replace("\\", "_").encode()[-200:].decode(errors="ignore")


def rule_in_words(rule: AlarmRule, model: Model) -> str:
    """The rule and where it comes from."""
    origin = model.rule_from if rule == model.rule else "given"
    return (
        f"an event: a score of at least {rule.threshold:.6g}, down to {rule.release:.6g}, at least "
        f"{rule.min_seconds:g} s long, {rule.merge_seconds:g} s apart ({origin})"
    )


def table(found: Sequence[Found]) -> str:
    """The highest videos, a line each: score, events, where the highest event is."""
    ranked = sorted(found, key=lambda each: -float(each.scores.scores.max()))
    width = max(len(each.name) for each in ranked[:SHOWN])
    lines = [f"{'video':{width}}  length   highest score  events  the highest event"]
    for each in ranked[:SHOWN]:
        length = clock(each.info.num_frames / each.info.fps)
        best = max(each.events, key=lambda event: event.peak_score, default=None)
        when = "" if best is None else f"{clock(best.start / each.info.fps)} to {clock(best.end / each.info.fps)}"
        score = float(each.scores.scores.max())
        lines.append(f"{each.name:{width}}  {length:>7}  {score:13.6f}  {len(each.events):6}  {when}".rstrip())
    if len(ranked) > SHOWN:
        lines.append(f"... and {len(ranked) - SHOWN} more")
    return "\n".join(lines)


def about_short(found: Sequence[Found], snippet_frames: int) -> str:
    """A line about videos that are no snippet long; nothing where there are none."""
    short = [f"{each.name} ({each.info.num_frames})" for each in found if each.info.num_frames < snippet_frames]
    if not short:
        return ""
    more = f" and {len(short) - SHOWN} more" if len(short) > SHOWN else ""
    return (
        f"note: {len(short)} video(s) have fewer frames than a snippet of {snippet_frames} and were scored as one, the "
        f"last frame held: {', '.join(short[:SHOWN])}{more}"
    )


def speed_of(scored: Sequence[ScoredFile], seconds: float) -> str:
    """`, scored at 24.0 times real time`, of the videos that were scored just now; empty where there are none."""
    fresh = [each.info for each in scored if each.info is not None and not each.was_kept]
    length = sum(info.num_frames / info.fps for info in fresh)
    return f", scored at {length / max(seconds, 1e-9):.1f} times real time" if fresh else ""


def ending(config: DetectConfig, found: Sequence[Found], took: str, films: int) -> str:
    """How much was found in how much, how fast, and where it lies."""
    events = sum(len(each.events) for each in found)
    length = sum(each.info.num_frames / each.info.fps for each in found)
    written = [EVENTS, SCORES, *[FRAME_SCORES] * config.frames, *[f"{FILMS}/"] * bool(films)]
    report = f"\nreport       {config.out / REPORT}" if config.report else ""
    return (
        f"{events} event(s) in {len(found)} video(s); {clock(length)} of footage in {took}\n"
        f"written      {', '.join(written)} in {config.out}{report}"
    )


def say(config: DetectConfig, accelerator: Accelerator, text: str) -> None:
    """For people, by one process; on stderr where stdout is for programs."""
    if accelerator.is_main_process:
        print(text, file=sys.stderr if config.json else sys.stdout, flush=True)
