"""The output files of a detection that is over: each format told of all videos, one file after the other."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import closing
from pathlib import Path

from downstream.detection.records import DetectionFacts, FailedVideo
from downstream.detection.video_events import VideoDetection
from downstream.detection.writers import WRITERS, listed, writers_for
from downstream.detection.writers.sinks import WholeFile
from downstream.detection.writers.writer import Writer


def write_output_files(
    out: Path,
    facts: DetectionFacts,
    videos: Sequence[VideoDetection],
    failed: Sequence[FailedVideo],
    asked: Collection[str] = (),
) -> list[str]:
    """Write every format, each whole or not at all; returns the files' names.

    `asked`: names of formats to be written that are not always. Those of an earlier call that are not asked for now go.
    """
    for name, writer_type in WRITERS.items():
        if writer_type.written == "asked" and name not in asked:
            (out / name).unlink(missing_ok=True)
    formats = writers_for(is_live=False, asked=asked)
    for name, writer_type in formats.items():
        with closing(WholeFile(out / name)) as sink:
            tell(writer_type(sink), facts, videos, failed)
            sink.finish()
    return listed(formats)


def tell(
    writer: Writer, facts: DetectionFacts, videos: Sequence[VideoDetection], failed: Sequence[FailedVideo]
) -> None:
    """Tell one format everything."""
    writer.begin(facts)
    for video in videos:
        edges = video.scores.edges.tolist()
        for start, end, score in zip(edges[:-1], edges[1:], video.scores.scores.tolist(), strict=True):
            writer.score(video.name, start, end, score)
        for event in video.record.events:
            writer.event(event)
        writer.video(video.record)
    for unscored in failed:
        writer.failed(unscored)
    writer.finish()
