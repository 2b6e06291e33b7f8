"""The packet index: what a video stream consists of, so that any frame can be reached without trial.

Two kinds of evidence say which frame comes from which packet:

- *derived*: every packet has a time stamp of its own, the stream begins at an exact entry point, and the first frames
  really decoded are the ones that the time stamps promise. Frame `i` is then the packet with the i-th smallest time
  stamp (less those an edit list hides). Only packets are read: about 75 ms for a 10-minute file.
- *counted*: anything odd (time stamps missing or doubled, damaged packets, codecs whose packets and frames do not
  pair) and the whole stream is decoded once; frame `i` is the i-th that came out.

A derived index cannot see damage inside a packet; the reader notices it when it decodes there, and
`build_index(path, count=True)` (which `scripts/check_videos.py` uses) leaves nothing to notice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pretrain.data.video.info import VideoInfo, displayed_size

KEY, DISPOSABLE, DISCARD, CORRUPT, ENTRY = 1, 2, 4, 8, 16
"""Packet flags: keyframe; nothing refers to it (where the container says so); hidden by an edit list; damaged;
decoding may begin here with exact results."""
NO_PTS = np.iinfo(np.int64).min


@dataclass(frozen=True, kw_only=True)
class StreamFacts:
    """What the index knows of the stream beside its packets."""

    codec: str
    width: int
    """Of the stored picture, before rotation; pixels."""
    height: int
    quarter_turns: int
    """How often the stored picture is turned clockwise by 90 degrees for display: 0 to 3."""
    mirrored: bool
    """Flipped left to right, before turning."""
    pixel_aspect: float
    """Width of a stored pixel over its height; pictures are given in square ones."""
    fps: float
    is_constant_rate: bool
    duration_seconds: float
    seconds_per_tick: float
    """Unit of the packets' time stamps; 0 where they do not give the frames' times."""
    header_frames: int
    """Frames that the container's header announces; 0 where it does not."""
    header_seconds: float
    """How long the header of a Matroska or ASF file says the video is; 0 for others, which announce frames."""
    is_counted: bool
    """Whether the frames were counted by decoding them all."""
    can_seek: bool
    """False: frames are found by counting from the beginning alone."""
    num_errors: int
    """Packets that did not decode cleanly when the frames were counted; 0 if they were not counted."""
    other_sizes: tuple[tuple[int, int, int], ...] = ()
    """Where the stored picture has another size than before: (frame, width, height)."""

    def __post_init__(self) -> None:
        # JSON knows lists alone
        sizes = tuple((int(first), int(width), int(height)) for first, width, height in self.other_sizes)
        object.__setattr__(self, "other_sizes", sizes)


@dataclass(frozen=True)
class PacketIndex:
    """Every packet of the stream in decode order, and the packet that each frame comes from."""

    facts: StreamFacts
    pts: np.ndarray
    """int64 (packets,): presentation times in the stream's own unit, `NO_PTS` where there is none."""
    size: np.ndarray
    """int32 (packets,): bytes; with `pts` it tells packets apart after a seek."""
    flags: np.ndarray
    """uint8 (packets,)."""
    frame_packet: np.ndarray
    """int32 (frames,): the packet of frame i in presentation order; -1 where only counting tells."""

    @property
    def num_frames(self) -> int:
        return len(self.frame_packet)

    @property
    def info(self) -> VideoInfo:
        facts = self.facts
        height, width = displayed_size(facts.width, facts.height, facts.quarter_turns, facts.pixel_aspect)
        others = []
        for frame, stored_width, stored_height in facts.other_sizes:
            other_height, other_width = displayed_size(
                stored_width, stored_height, facts.quarter_turns, facts.pixel_aspect
            )
            others.append((frame, other_width, other_height))
        return VideoInfo(
            num_frames=self.num_frames,
            fps=facts.fps,
            width=width,
            height=height,
            duration_seconds=facts.duration_seconds,
            codec=facts.codec,
            rotation=90 * facts.quarter_turns,
            is_constant_rate=facts.is_constant_rate,
            other_sizes=tuple(others),
        )

    @cached_property
    def entries(self) -> tuple[np.ndarray, np.ndarray]:
        """`(packet numbers, frame numbers)` of the entry points; both strictly increasing.

        An entry point serves the frames from its own on: those shown before it may refer to what lies before.
        """
        frame_of = np.full(len(self.pts), -1, np.int64)
        frame_of[self.frame_packet] = np.arange(self.num_frames)
        packets = np.flatnonzero(self.flags & ENTRY)
        packets = packets[frame_of[packets] >= 0]
        frames = frame_of[packets]
        rising = np.ones(len(frames), bool)
        rising[1:] = frames[1:] > np.maximum.accumulate(frames)[:-1]
        return packets[rising], frames[rising]

    def entry_before(self, frames: np.ndarray) -> np.ndarray:
        """For each frame number the latest packet from which decoding gives that frame exactly; 0 = the beginning."""
        if not self.facts.can_seek:
            return np.zeros(len(frames), np.int64)
        packets, own_frames = self.entries
        if not len(packets):
            return np.zeros(len(frames), np.int64)
        place = np.searchsorted(own_frames, frames, side="right") - 1
        entry = np.where(place >= 0, packets[np.maximum(place, 0)], 0)
        return np.where(self.frame_packet[frames] >= entry, entry, 0)

    def frame_times(self) -> np.ndarray:
        """float64 (frames,): seconds from the first frame on; evenly spaced where no time stamps can be relied on."""
        if not self.facts.seconds_per_tick:
            return np.arange(self.num_frames) / self.facts.fps
        pts = self.pts[self.frame_packet]
        return (pts - pts[0]) * self.facts.seconds_per_tick


def rate_of(times_seconds: Sequence[float] | np.ndarray, stated_fps: float) -> tuple[float, bool, float]:
    """`(fps, is constant, duration in seconds)` of frames at these increasing times.

    The stated rate is taken where it agrees with the measured one within half a per cent: time stamps in whole
    milliseconds would turn 30 into 30.003.
    """
    times = np.asarray(times_seconds, np.float64)
    if len(times) < 2 or times[-1] <= times[0]:
        fps = stated_fps if stated_fps > 0 else 25.0
        return fps, True, len(times) / fps
    gaps = np.diff(times)
    fps = (len(times) - 1) / float(times[-1] - times[0])
    median = float(np.median(gaps))
    constant = bool(np.all(np.abs(gaps - median) <= 0.25 * median + 1e-9))
    if stated_fps > 0 and abs(fps / stated_fps - 1) < 0.005:
        fps = stated_fps
    last = 1 / fps if constant else median
    return fps, constant, float(times[-1] - times[0]) + last
