"""The README's picture: a found event of the demo as a strip, chosen by a rule, and what has to be said beside it.

    python -m demo.picture runs/demo docs/found.jpg

Of the annotated anomalies that the demo's detector of cells found, the one whose overlap with its event is the median:
neither the best nor the worst of what was found. What was not found, and the false alarms, are in the words.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from downstream.evaluation.choose_videos import open_listed
from downstream.events.boxes import find_boxes
from downstream.events.finder import DetectedEvent, find_events
from downstream.events.rule import AlarmRule
from downstream.report.run_contents import read_run, run_levels, run_rule
from downstream.runs.run_folder import RunFolder
from downstream.scores.video_scores import VideoScores
from downstream.visualisation.heat import heat_range
from downstream.visualisation.strip import write_strip
from pretrain.data.catalogue import Catalogue, CatalogueConfig, Video
from pretrain.data.video import video_clock
from pretrain.errors import UserError
from pretrain.files import replacing

QUALITY = 80


@dataclass(frozen=True, kw_only=True)
class FoundAnomaly:
    """An annotated anomaly that an event touches, and how well it does."""

    video: Video
    scores: VideoScores
    overlap: float
    """Frames in both over frames in either."""


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What a run did on its test videos, by its own rule."""

    found: tuple[FoundAnomaly, ...]
    anomalies: int
    events: int
    false_alarms: int

    @property
    def typical(self) -> FoundAnomaly:
        """The median of what was found by its overlap; of an even number the better of the two. UserError: nothing."""
        if not self.found:
            raise UserError(
                "no annotated anomaly was found: there is no event to show; train longer, or on more videos"
            )
        return sorted(self.found, key=lambda one: one.overlap)[len(self.found) // 2]

    @property
    def words(self) -> str:
        """What stands below the picture."""
        one = self.typical
        return (
            f"{one.video.name} ({one.video.class_name}), a rendered test video, by the detector of cells that was "
            f"trained on labels of whole videos alone. Of {self.anomalies} annotated anomalies its rule found "
            f"{len(self.found)}; {self.false_alarms} of its {self.events} events were false alarms. Shown is the found "
            f"anomaly whose overlap with its event is the median ({one.overlap:.2f}): typical of what is found."
        )


def overlap(event: tuple[int, int], span: tuple[int, int]) -> float:
    """Of two half-open spans of frames: frames in both over frames in either."""
    both = max(0, min(event[1], span[1]) - max(event[0], span[0]))
    return both / ((event[1] - event[0]) + (span[1] - span[0]) - both)


def tally(scored: Sequence[VideoScores], videos: Catalogue, rule: AlarmRule) -> Tally:
    """Events of all these videos against their annotated spans."""
    found, anomalies, events, false_alarms = [], 0, 0, 0
    for scores in scored:
        video = videos.by_name(scores.name)
        own = [span_of(event) for event in find_events(scores, rule, video_clock(video.path))]
        events += len(own)
        anomalies += len(video.spans)
        false_alarms += sum(not any(overlap(event, span) for span in video.spans) for event in own)
        for span in video.spans:
            best = max((overlap(event, span) for event in own), default=0.0)
            if best > 0:
                found.append(FoundAnomaly(video=video, scores=scores, overlap=best))
    return Tally(found=tuple(found), anomalies=anomalies, events=events, false_alarms=false_alarms)


def span_of(event: DetectedEvent) -> tuple[int, int]:
    """Its frames, half-open."""
    return event.start, event.end


def write_picture(demo: Path, target: Path) -> str:
    """Draw it as JPEG; returns the words. UserError: no finished demo, or nothing found in it."""
    run = RunFolder(demo / "cells")
    videos = open_listed(run.catalogue_unless(CatalogueConfig()))
    scored = read_run(demo / "cells").file.videos
    rule, _ = run_rule(demo / "cells")
    counted = tally(scored, videos, rule)
    video, scores = counted.typical.video, counted.typical.scores
    boxes = () if scores.map is None else find_boxes(scores.map, rule.threshold)
    heat = None if scores.map is None else heat_range(scored, rule.threshold)
    title = f"{video.name} ({video.class_name})"
    with tempfile.TemporaryDirectory() as folder:
        strip = Path(folder) / "strip.png"
        levels = run_levels(demo / "cells")
        drawn = (video.path, scores, boxes, video.boxes)
        write_strip(strip, *drawn, title, rule.threshold, spans=video.spans, heat=heat, levels=levels)
        picture = Image.open(strip).convert("RGB")
    with replacing(target) as temporary:
        picture.save(temporary, "JPEG", quality=QUALITY, optimize=True)
    return counted.words


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, draw, print."""
    parser = argparse.ArgumentParser(prog="python -m demo.picture", description=__doc__)
    parser.add_argument("demo", type=Path, help="a finished run of python -m demo")
    parser.add_argument("target", type=Path, help="the JPEG to write")
    given = parser.parse_args(arguments)
    print(write_picture(given.demo, given.target))


if __name__ == "__main__":
    main()
