"""A whole video as a film that browsers play: heat and boxes over every frame, its scores below with a moving cursor.

Frames go one by one from the decoder to the encoder, so that a film of two hours takes no more memory than a short one.
"""

from __future__ import annotations

import errno
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec.codec import UnknownCodecError
from PIL import Image

from downstream.evaluation.scores import VideoScores
from downstream.features.snippets import stream_chosen
from downstream.localisation.boxes import ScoredBox
from downstream.localisation.grid import PixelBox
from downstream.localisation.heat import HeatRange, heat_range, to_heat
from downstream.localisation.pictures import check_fits, draw_frame, snippet_of
from downstream.localisation.score_bar import BAR_HEIGHT, ScoreBar
from downstream.localisation.strip import frames_of
from pretrain.data.catalogue import Box, merge_spans
from pretrain.data.video import IndexCache, VideoInfo, probe
from pretrain.errors import UserError
from pretrain.files import replacing

ENCODER = "libx264"
OPTIONS = {"preset": "veryfast", "crf": "23", "g": "50"}
"""A keyframe every 50 frames: browsers jump to a place without a long wait."""
MAX_ENLARGED, MAX_WIDTH = 2.0, 1280


def write_film(
    target: Path,
    video_path: str,
    scores: VideoScores,
    boxes: Sequence[Sequence[ScoredBox]],
    truth: Sequence[Box],
    threshold: float,
    max_height: int = 480,
    spans: Sequence[tuple[int, int]] = (),
    heat: HeatRange | None = None,
    cache: IndexCache | None = None,
) -> None:
    """Write an MP4 (H.264, yuv420p, its index at the front) with every frame of the video, at its mean rate.

    The picture is at most `max_height` pixels high, a bar with the scores is below it; small footage is enlarged, up to
    twice. `boxes`: those found in each snippet. `truth`: annotated boxes, any frames; `spans`: annotated half-open
    spans of frames, where empty the frames that have boxes. `heat`: by default this video's `heat_range`. Atomic.
    VideoError where the video cannot be read; UserError where scores or boxes are not this video's, without libx264,
    and where the film cannot be written (a full disk).
    """
    if max_height < 16:
        raise UserError(f"max_height is {max_height}; a film is at least 16 pixels high")
    cache = cache or IndexCache(None)
    info = probe(video_path, cache=cache)
    check_fits(video_path, info, scores, boxes, threshold)
    heat = heat or heat_range([scores], threshold)
    width, height = film_size(info, max_height)
    bar = ScoreBar(width, scores, merge_spans(spans or frames_of(truth)), threshold, heat, info)
    drawn = _drawn(video_path, info, scores, boxes, truth, heat, (width, height), cache)
    with _film(target, width, height + BAR_HEIGHT, info.fps) as (container, stream):
        for number, picture in drawn:
            page = Image.new("RGB", (width, height + BAR_HEIGHT))
            page.paste(picture, (0, 0))
            page.paste(bar.at(number), (0, height))
            frame = av.VideoFrame.from_image(page)
            frame.pts = number
            _write(target, container, stream, frame)
        _write(target, container, stream, None)


def film_size(info: VideoInfo, max_height: int) -> tuple[int, int]:
    """Width and height of the footage in the film, both even, as its colours are stored at half the size."""
    scale = min(max_height / info.height, MAX_WIDTH / info.width, MAX_ENLARGED)
    width, height = (max(1, int(side * scale / 2 + 1e-6)) for side in (info.width, info.height))
    return 2 * width, 2 * height


def _drawn(
    video_path: str,
    info: VideoInfo,
    scores: VideoScores,
    boxes: Sequence[Sequence[ScoredBox]],
    truth: Sequence[Box],
    heat: HeatRange,
    size: tuple[int, int],
    cache: IndexCache,
) -> Iterator[tuple[int, Image.Image]]:
    """Each frame's number and picture, in order."""
    assert scores.map is not None
    annotated: dict[int, list[PixelBox]] = defaultdict(list)
    for box in truth:
        annotated[box.frame].append(PixelBox(box.x1, box.y1, box.x2, box.y2))
    every = np.arange(info.num_frames)
    for number, frame in stream_chosen(video_path, every, (size[1], size[0]), cache):
        snippet = snippet_of(scores, number)
        glow = to_heat(scores.map.scores[snippet], *heat)
        marked = annotated.get(number, [])
        yield number, draw_frame(frame, glow, scores.map.seen, boxes[snippet], marked, scores.map.size)


@contextmanager
def _film(target: Path, width: int, height: int, fps: float) -> Iterator[tuple[Any, Any]]:
    """The container and its stream; the file gets its name when all is written."""
    try:
        av.codec.Codec(ENCODER, "w")
    except UnknownCodecError:
        raise UserError(
            f"cannot write the film {target}: this PyAV was built without the encoder {ENCODER}; install its wheel: "
            "pip install --force-reinstall --only-binary av av"
        ) from None
    rate = Fraction(fps).limit_denominator(1001)  # 30000/1001 is meant, not its 64 bits
    with replacing(target) as temporary:
        container = _saying(target, lambda: av.open(str(temporary), "w", options={"movflags": "+faststart"}))
        try:
            stream = container.add_stream(ENCODER, rate=rate, options=OPTIONS)
            stream.width, stream.height, stream.pix_fmt, stream.time_base = width, height, "yuv420p", 1 / rate
            yield container, stream
        except BaseException:
            with suppress(OSError):  # the first error is the one to tell
                container.close()
            raise
        _saying(target, container.close)


def _write(target: Path, container: Any, stream: Any, frame: Any) -> None:
    _saying(target, lambda: container.mux(stream.encode(frame)))


def _saying(target: Path, act: Callable[[], Any]) -> Any:
    """What `act` returns; errors of the disk say which film could not be written."""
    try:
        return act()
    except OSError as error:
        reason = os.strerror(error.errno or errno.EIO)
        mend = "free some space or choose another folder, then run it again"
        raise UserError(f"cannot write the film {target} ({reason}); {mend}") from error
