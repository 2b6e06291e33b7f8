"""What a proxy looks like: size, format, quality."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from pretrain.errors import UserError

RENDERER_VERSION = 2
"""Raised whenever the same settings would give other pictures: older proxies are then stale."""
SUFFIXES = {"h264": ".mp4", "jpeg": ".jpegpack"}
DEFAULT_QUALITY = {"h264": 20, "jpeg": 90}


@dataclass(frozen=True, kw_only=True)
class ProxySettings:
    """How proxies are made. One cache folder holds proxies of one kind."""

    short_side: int = 128
    """Shorter side of the picture in pixels; smaller videos keep theirs. Choose the backbone's input and a margin."""
    format: Literal["h264", "jpeg"] = "h264"
    """h264: small files, read fastest by windows of many frames (measured, four tasks: 8.7 ms of CPU a window, 45 MB an
    hour). jpeg: one pack of JPEG images a video (9.3 ms, 530 MB); any frame costs the same, however scattered."""
    gop: int = 16
    """h264: frames from one keyframe to the next. A window wants most of its frames, so this hardly matters to time
    (measured: 8 to 32 within 5 %); shorter ones serve scattered frames, longer ones save disk (62 to 36 MB an hour)."""
    quality: int | None = None
    """h264: CRF, 0 (lossless) to 51, default 20. jpeg: 1 to 100 (best), default 90."""

    def __post_init__(self) -> None:
        if not 16 <= self.short_side <= 2160:
            raise UserError(f"short_side is {self.short_side} pixels; it must lie in 16 to 2160")
        if not 1 <= self.gop <= 1000:
            raise UserError(f"gop is {self.gop} frames; it must lie in 1 to 1000 (12 to 32 is sensible)")
        low, high = (0, 51) if self.format == "h264" else (1, 100)
        if not low <= self.chosen_quality <= high:
            raise UserError(f"quality is {self.chosen_quality}; for {self.format} it must lie in {low} to {high}")

    @property
    def chosen_quality(self) -> int:
        """`quality`, or the format's default."""
        return DEFAULT_QUALITY[self.format] if self.quality is None else self.quality

    @property
    def suffix(self) -> str:
        """Suffix of a proxy file; readers are chosen by it."""
        return SUFFIXES[self.format]

    def picture_size(self, height: int, width: int) -> tuple[int, int]:
        """`(height, width)` of the proxy of a video of this size: even numbers, never larger than the video's own."""
        scale = min(1.0, self.short_side / min(height, width))
        return _even(height * scale, height), _even(width * scale, width)

    def record(self) -> dict[str, Any]:
        """What decides a proxy's pixels, for the manifest: two equal records, two equal proxies."""
        values = dataclasses.asdict(self) | {"quality": self.chosen_quality, "renderer": RENDERER_VERSION}
        if self.format == "jpeg":
            del values["gop"]
        return values


def _even(length: float, limit: int) -> int:
    return max(2, min(2 * round(length / 2), limit // 2 * 2))
