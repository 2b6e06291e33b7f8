"""A whole video as a film that browsers play: heat, boxes and events on every frame, its scores below with a cursor.

Frames go one by one from the decoder to the encoder, so that a film of two hours takes no more memory than a short one.
Each is shown when the video shows it, not at a mean rate: so sound stays with its picture where frames come unevenly.
"""

from __future__ import annotations

import errno
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from av.codec.codec import UnknownCodecError
from numpy.typing import NDArray
from PIL import Image

from downstream.events.alarm_level import LevelScale, scale_of
from downstream.events.boxes import ScoredBox
from downstream.scores.cell_geometry import PixelBox
from downstream.scores.video_scores import VideoScores
from downstream.visualisation.film_audio import Sound, added, find_sound
from downstream.visualisation.heat import HeatRange, HeatStyle, heat_range, to_heat
from downstream.visualisation.pictures import as_read, check_fits, draw_frame, level_label, snippet_of
from downstream.visualisation.score_bar import BAR_HEIGHT, ScoreBar
from downstream.visualisation.strip import frames_of
from pretrain.data.catalogue import Box, merge_spans
from pretrain.data.video import FFMPEG_ERRORS, FrameClock, IndexCache, VideoInfo, frame_times, probe, stream_frames
from pretrain.data.x264 import REPEATABLE
from pretrain.errors import UserError
from pretrain.files import replacing

ENCODER = "libx264"
OPTIONS = {"preset": "veryfast", "crf": "23", "g": "50"} | REPEATABLE
"""A keyframe every 50 frames: browsers jump to a place without a long wait."""
FilmStyle = Literal["contours", "colours", "beside"]
"""Heat as contours, as colour that glows, or as contours with the frame as it is beside them."""
MAX_ENLARGED, MAX_WIDTH = 2.0, 1280
TICKS = 90_000
"""Per second, in which the film's times are written: all usual frame rates are whole numbers of them."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_film(
    target: Path,
    video_path: str,
    scores: VideoScores,
    boxes: Sequence[Sequence[ScoredBox]] = (),
    truth: Sequence[Box] = (),
    threshold: float | None = None,
    *,
    events: Sequence[tuple[int, int]] = (),
    spans: Sequence[tuple[int, int]] = (),
    heat: HeatRange | None = None,
    cache: IndexCache | None = None,
    max_height: int = 480,
    style: FilmStyle = "contours",
    levels: LevelScale | None = None,
) -> str:
    """Write an MP4 (H.264, yuv420p, its index at the front) with every frame of the video at its own time, and sound.

    The picture is at most `max_height` pixels high, a bar with the scores is below it; small footage is enlarged, up to
    twice. `boxes`: those found in each snippet. `truth`: annotated boxes, any frames. `threshold`: a line in the bar.
    `events` (found) and `spans` (annotated; where empty the frames that have boxes): half-open spans of frames. `heat`:
    by default this video's `heat_range`; without a score map there is none. `style`: how heat is drawn. `levels`: what
    scores mean to people, by default relative to this video's own below the threshold. Atomic.

    Returns a line about sound that is missing from the film though the video has some, else nothing. VideoError where
    the video cannot be read; UserError where what is to be drawn is not this video's, without libx264, and where the
    film cannot be written (a full disk).
    """
    if max_height < 16:
        raise UserError(f"max_height is {max_height}; a film is at least 16 pixels high")
    cache = cache or IndexCache(None)
    info = probe(video_path, cache=cache)
    cells = check_fits(video_path, info, scores, boxes, threshold, events)
    times = frame_times(video_path, cache=cache)
    sound, note = find_sound(video_path, info.duration_seconds, cache)
    if cells is None:
        heat = None
    elif heat is None:
        heat = heat_range([scores], float(scores.scores.max()) if threshold is None else threshold)
    scale = scale_of(levels, scores.scores, math.inf if threshold is None else threshold)
    is_double = style == "beside" and heat is not None
    width, height = film_size(info, max_height, 2 if is_double else 1)
    given = {"found": any(boxes), "annotated": truth or spans, "event": events}
    bar = ScoreBar(
        width, scores, times, threshold=threshold, spans=merge_spans(spans or frames_of(truth)),
        events=merge_spans(events), heat=heat, kinds=[kind for kind, some in given.items() if some],
        style=style, levels=scale,
    )  # fmt: skip
    drawn = _drawn(
        video_path, info, scores, boxes, truth, heat, events, (width, height), cache, style, level_label(scale)
    )
    with _Film.open(target, (width, height + BAR_HEIGHT), info, times, sound) as film:
        for number, picture in drawn:
            page = Image.new("RGB", (width, height + BAR_HEIGHT))
            page.paste(picture, (0, 0))
            page.paste(bar.at(number), (0, height))
            film.add(number, page)
        film.finish()
    return film.note or note


def film_size(info: VideoInfo, max_height: int, columns: int = 1) -> tuple[int, int]:
    """Width and height of the footage in the film, so many pictures beside each other; both even, as its colours are
    stored at half the size."""
    scale = min(max_height / info.height, MAX_WIDTH / info.width / columns, MAX_ENLARGED)
    width, height = (max(1, int(side * scale / 2 + 1e-6)) for side in (info.width, info.height))
    return 2 * width * columns, 2 * height


def film_ticks(times: NDArray[np.float64]) -> NDArray[np.int64]:
    """Seconds of frames -> the film's whole ticks, strictly increasing."""
    steps = np.arange(len(times))
    return np.maximum.accumulate(np.rint(times * TICKS).astype(np.int64) - steps) + steps


def _drawn(
    video_path: str,
    info: VideoInfo,
    scores: VideoScores,
    boxes: Sequence[Sequence[ScoredBox]],
    truth: Sequence[Box],
    heat: HeatRange | None,
    events: Sequence[tuple[int, int]],
    size: tuple[int, int],
    cache: IndexCache,
    style: FilmStyle,
    label: Callable[[float], str],
) -> Iterator[tuple[int, Image.Image]]:
    """Each frame's number and picture, in order; `beside`: the frame as it is to its left."""
    is_double = style == "beside" and heat is not None
    width = size[0] // 2 if is_double else size[0]
    drawn_style: HeatStyle = "colours" if style == "colours" else "contours"
    annotated: dict[int, list[PixelBox]] = defaultdict(list)
    for box in truth:
        annotated[box.frame].append(as_read(box, info))
    is_on = np.zeros(info.num_frames, bool)
    for start, end in events:
        is_on[start:end] = True
    for number, frame in stream_frames(video_path, range(info.num_frames), size=(size[1], width), cache=cache):
        snippet = snippet_of(scores, number)
        glow = None if heat is None or scores.map is None else to_heat(scores.map.scores[snippet], *heat)
        seen = None if scores.map is None else scores.map.seen
        found = boxes[snippet] if boxes else ()
        pixels = (info.width, info.height)
        truth_here, is_event = annotated.get(number, []), bool(is_on[number])
        drawn = draw_frame(frame, glow, seen, found, truth_here, pixels, is_event, drawn_style, label)
        if is_double:
            page = Image.new("RGB", size)
            page.paste(Image.fromarray(frame), (0, 0))
            page.paste(drawn, (width, 0))
            drawn = page
        yield number, drawn


class _Film:
    """A film that is being written, its sound between its pictures."""

    def __init__(self, container: Any, stream: Any, times: NDArray[np.float64], last_seconds: float) -> None:
        self._container, self._stream = container, stream
        self._times, self._ticks = times, film_ticks(times)
        self._lasts = np.append(np.diff(self._ticks), max(1, round(last_seconds * TICKS)))
        self._sound: Iterator[tuple[float, Any]] = iter(())
        self._waiting: tuple[float, Any] | None = None
        self.note = ""
        """What became of the sound, where it broke off."""

    @classmethod
    @contextmanager
    def open(
        cls, target: Path, size: tuple[int, int], info: VideoInfo, times: NDArray[np.float64], sound: Sound | None
    ) -> Iterator[_Film]:
        """The file gets its name when all is written. UserError where it cannot be written."""
        _check_encoder(target)
        try:
            with replacing(target) as temporary, _container(temporary) as container, ExitStack() as stack:
                # a rate of whole numbers: 30000/1001 is meant, not its 64 bits
                stream = container.add_stream(ENCODER, _rate_of(info, times), OPTIONS)
                stream.width, stream.height = size
                stream.pix_fmt, stream.codec_context.time_base = "yuv420p", Fraction(1, TICKS)
                film = cls(container, stream, times, info.duration_seconds - float(times[-1]))
                if sound is not None:
                    film._sound = stack.enter_context(added(sound, container))
                yield film
        except OSError as error:
            room = "free some space or " if error.errno in NO_ROOM else ""
            reason = error.strerror or error
            raise UserError(
                f"cannot write the film {target} ({reason}); {room}choose another folder, then run it again"
            ) from error

    def add(self, number: int, page: Image.Image) -> None:
        """The next frame; its number says when it is shown."""
        self._add_sound(float(self._times[number]))
        frame = av.VideoFrame.from_image(page)
        frame.pts, frame.time_base = int(self._ticks[number]), Fraction(1, TICKS)
        frame.duration = int(self._lasts[number])
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        """All that is still to come: what the encoder holds back, the rest of the sound."""
        self._container.mux(self._stream.encode(None))
        self._add_sound(float("inf"))

    def _add_sound(self, until: float) -> None:
        """Up to that many seconds: side by side in the file with the pictures it belongs to."""
        while (entry := self._waiting or next(self._sound, None)) is not None:
            self._waiting = entry
            if entry[0] > until:
                return
            self._waiting = None
            try:
                self._container.mux(entry[1])
            except (av.error.ArgumentError, av.error.InvalidDataError) as error:  # no fault of the disk
                at, reason = max(0.0, entry[0]), error.strerror
                self.note = f"the film's sound ends at {at:.1f} s: what follows is damaged ({reason})"
                self._sound = iter(())


def _rate_of(info: VideoInfo, times: NDArray[np.float64]) -> Fraction:
    """What the film is announced at: frames in a second of footage. Of a recording with long gaps `info` has hardly any
    in a second of the whole."""
    fps = info.fps
    if not info.is_constant_rate:
        fps = info.num_frames / FrameClock.of_times(times, info.fps).seen(0, info.num_frames)
    return Fraction(fps).limit_denominator(1001) or Fraction(1, 1001)


def _check_encoder(target: Path) -> None:
    try:
        av.codec.Codec(ENCODER, "w")
    except UnknownCodecError:
        raise UserError(
            f"cannot write the film {target}: this PyAV was built without the encoder {ENCODER}; install its wheel: "
            "pip install --force-reinstall --only-binary av av"
        ) from None


@contextmanager
def _container(path: Path) -> Iterator[Any]:
    container = av.open(str(path), "w", options={"movflags": "+faststart"})
    try:
        yield container
    except BaseException:
        with suppress(OSError, *FFMPEG_ERRORS):  # the first error is the one to tell
            container.close()
        raise
    container.close()
