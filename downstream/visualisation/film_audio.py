"""The sound of a video for its film: copied where browsers play it as it is, else turned into AAC.

Its time is the film's: 0 is the video's first frame. What lies before that or after the last frame is left out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
from av.audio.frame import AudioFrame
from av.filter import Graph

from pretrain.data.video import FFMPEG_ERRORS, IndexCache, is_media_file, local_file, open_stream, packets_of, reading

PLAYED_AAC = ("LC", "HE-AAC", "HE-AACv2", None)
"""Profiles of AAC that browsers play; None: it does not say. Beside AAC they play MP3 out of an MP4."""
LEAST_MP3_RATE = 16000
"""Samples per second. MP4 has no place for slower MP3."""
AAC_RATES = (16000, 22050, 24000, 32000, 44100, 48000)
"""Rates that are kept; others (8000 of many cameras) become the last one."""
MOST_DAMAGED = 0.05
"""Of the packets. With more of them broken a film is silent: what is left would be snatches of noise."""
DRIFT_SECONDS = 0.02
"""From here on silence is filled in, or sound cut, where time stamps and sound disagree: less than a frame."""


@dataclass(frozen=True, slots=True)
class Sound:
    """The first sound track of a video file."""

    path: str
    origin: float
    """Seconds by the file's clock at which its first frame is shown."""
    seconds: float
    """Length of the film."""
    damaged: frozenset[int]
    """Numbers of packets that do not decode."""


def find_sound(path: str, seconds: float, cache: IndexCache) -> tuple[Sound | None, str]:
    """The sound of the video at `path`, whose pictures last so long, and a line to tell, empty where all is well.

    Decodes all of it (a small part of what encoding the film takes): a film cannot lose its sound half way. No sound,
    and nothing to tell: a folder, a pack, a file without.
    """
    if not is_media_file(path):
        return None, ""
    with _opened(path) as (container, stream):
        if stream is None:
            return None, ""
        if stream.codec_context is None:
            return None, f"{path}: the film has no sound: there is no decoder for it"
        count, damaged = 0, set()
        for number, packet in enumerate(packets_of(container, stream)):
            count += 1
            if packet.pts is None or packet.is_corrupt or _decoded(stream, packet) is None:
                damaged.add(number)
    if not count or len(damaged) > max(1, MOST_DAMAGED * count):
        return None, f"{path}: the film has no sound: {len(damaged)} of its {count} sound packets are damaged"
    note = f"{path}: {len(damaged)} of {count} sound packets are damaged; the film is silent there" if damaged else ""
    return Sound(path, _first_frame_seconds(path, cache), seconds, frozenset(damaged)), note


@contextmanager
def added(sound: Sound, film: Any) -> Iterator[Iterator[tuple[float, Any]]]:
    """Add a track for it to the film, an output container; yield its packets with their times, in order."""
    with _opened(sound.path) as (container, source):
        if _is_played(source):
            yield _copied(sound, container, source, film.add_stream_from_template(source))
        else:
            rate = source.rate if source.rate in AAC_RATES else AAC_RATES[-1]
            layout = "mono" if source.channels == 1 else "stereo"
            yield _transcoded(sound, container, source, film.add_stream("aac", rate=rate, layout=layout))


def _copied(sound: Sound, container: Any, source: Any, target: Any) -> Iterator[tuple[float, Any]]:
    unit, last = float(source.time_base), None
    for number, packet in enumerate(packets_of(container, source)):
        if number in sound.damaged or (last is not None and packet.pts <= last):
            continue
        last = packet.pts
        start = last * unit - sound.origin
        if start >= sound.seconds:
            return
        if start + (packet.duration or 0) * unit > 0:
            packet.pts = packet.dts = last - round(sound.origin / unit)
            packet.stream = target
            yield start, packet


def _transcoded(sound: Sound, container: Any, source: Any, target: Any) -> Iterator[tuple[float, Any]]:
    graph = first = None
    for frame in _frames(sound, container, source):
        kind = (frame.sample_rate, frame.format.name, frame.layout.name)
        if graph is None or first is None:
            first, graph = kind, _graph(frame, target)
        if kind != first:
            continue  # silence is filled in
        graph.push(frame)
        yield from _encoded(graph, target)
    if graph is not None:
        graph.push(None)
        yield from _encoded(graph, target)
        for packet in target.encode(None):
            yield float(packet.pts * packet.time_base), packet


def _frames(sound: Sound, container: Any, source: Any) -> Iterator[AudioFrame]:
    """What decodes, with times of the film."""
    for number, packet in enumerate(packets_of(container, source)):
        for frame in () if number in sound.damaged else _decoded(source, packet) or ():
            start = None if frame.time is None else frame.time - sound.origin
            if start is not None and start >= sound.seconds:
                return
            if start is not None and start + frame.samples / frame.sample_rate > 0:
                frame.pts, frame.time_base = round(start * frame.sample_rate), Fraction(1, frame.sample_rate)
                yield frame


def _graph(frame: AudioFrame, target: Any) -> Graph:
    """Fills gaps with silence, from time 0 on, and brings samples into the encoder's form."""
    graph = Graph()
    begin = graph.add_abuffer(
        sample_rate=frame.sample_rate, format=frame.format, layout=frame.layout, time_base=frame.time_base
    )
    follow = graph.add("aresample", f"async=1:first_pts=0:min_hard_comp={DRIFT_SECONDS}")
    form = graph.add("aformat", f"sample_fmts=fltp:sample_rates={target.rate}:channel_layouts={target.layout.name}")
    graph.link_nodes(begin, follow, form, graph.add("abuffersink")).configure()
    return graph


def _encoded(graph: Graph, target: Any) -> Iterator[tuple[float, Any]]:
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):  # wants more; has given all
            return
        for packet in target.encode(frame):
            yield float(packet.pts * packet.time_base), packet


def _is_played(source: Any) -> bool:
    codec = source.codec_context.codec.canonical_name
    if codec == "mp3":
        return bool(source.rate >= LEAST_MP3_RATE)
    return codec == "aac" and source.profile in PLAYED_AAC


def _decoded(stream: Any, packet: Any) -> list[AudioFrame] | None:
    """None where the packet is damaged."""
    try:
        return list(stream.codec_context.decode(packet))
    except FFMPEG_ERRORS:
        return None


@contextmanager
def _opened(path: str) -> Iterator[tuple[Any, Any]]:
    """The container and its first sound track, None where it has none; the file is known to be a video."""
    # opening alone: what goes wrong later may be the film's writing
    with reading(path), local_file(path) as file:
        container = av.open(os.path.abspath(file), options={"protocol_whitelist": "file"}, metadata_errors="ignore")
    with container:
        yield container, next(iter(container.streams.audio), None)


def _first_frame_seconds(path: str, cache: IndexCache) -> float:
    """By the clock that sound goes by too."""
    index = cache.get(path)
    with open_stream(path) as (container, stream):
        # AVI says in which order frames are decoded, not when they are shown: FFmpeg guesses that, a frame late
        has_times = index.facts.seconds_per_tick > 0 and index.frame_packet[0] >= 0 and container.format.name != "avi"
        if has_times:
            return float(index.pts[index.frame_packet[0]] * index.facts.seconds_per_tick)
        return float((stream.start_time or 0) * (stream.time_base or 0))
