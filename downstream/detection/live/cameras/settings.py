"""What a file of cameras may say: the keys of one camera, and of `defaults`, which stand for all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from downstream.detection.live.address import Address
from downstream.detection.live.settings import LiveSettings, SourceSettings
from downstream.events.calibration_file import Calibration
from downstream.events.rule import RuleChanges
from downstream.features.zones import Zones


@dataclass(frozen=True, kw_only=True)
class CameraKeys:
    """The keys of one camera, but for its name and address; all of them may stand in `defaults` too."""

    detector: str | None = None
    """A run, a detector of it, or a package. Default: the label-free detector that comes with the program."""
    backbone: tuple[str, ...] = ()
    """Where the backbone lies, if not where it was; one for each fused feature set."""
    zones: str | None = None
    """A file of zones; in place of the file's name, what stands in one."""
    calibration: str | None = None
    """A file of scripts/calibrate.py for this camera. Default: the detector's own."""
    threshold: float | None = None
    release: float | None = None
    min_seconds: float | None = None
    merge_seconds: float | None = None
    ordinary: str | None = None
    """A file ordinary.safetensors to begin with, where the camera's folder has none yet."""
    keeps_learning: bool = False
    """Of a detector of scripts/fit_normal.py: scores are standardised by what this camera has shown of late instead of
    the footage that it was fitted to; a threshold of a calibration no longer holds then. The label-free detector that
    comes with the program always does so."""
    lookahead: int | None = None
    window_seconds: float = 600.0
    timeout: float = 10.0
    on_end: Literal["auto", "stop", "reconnect"] = "auto"
    max_outage: float | None = None
    realtime: bool = True
    """Files are played at their own pace."""
    queue_frames: int = 64
    """Frames that may wait; fewer than of a single stream, so that on a slow machine alarms come in time."""
    rtsp_transport: Literal["tcp", "udp"] = "tcp"
    first_delay: float = 1.0
    stop_after: float | None = None

    @property
    def source(self) -> SourceSettings:
        """How its frames are read. UserError: values that cannot be."""
        return SourceSettings(
            timeout=self.timeout,
            on_end=self.on_end,
            max_outage=self.max_outage,
            realtime=self.realtime,
            queue_frames=self.queue_frames,
            rtsp_transport=self.rtsp_transport,
            first_delay=self.first_delay,
        )

    @property
    def live(self) -> LiveSettings:
        """How it is watched; its states are said for all cameras together. UserError: values that cannot be."""
        return LiveSettings(
            play=True,
            source=self.source,
            lookahead=self.lookahead,
            window_seconds=self.window_seconds,
            status_every=0.0,
            stop_after=self.stop_after,
        )

    @property
    def rule(self) -> RuleChanges:
        """What is to be another than in the calibration's or the detector's own rule. UserError."""
        return RuleChanges(
            threshold=self.threshold,
            release=self.release,
            min_seconds=self.min_seconds,
            merge_seconds=self.merge_seconds,
        )


@dataclass(frozen=True, kw_only=True)
class Camera:
    """One camera, its paths resolved."""

    name: str
    """Names its folder too."""
    text: str = field(repr=False)
    """Its address with the password: not for printing."""
    address: Address
    keys: CameraKeys
    live: LiveSettings
    changes: RuleChanges
    detector: Path | None
    backbones: tuple[Path, ...]
    zones: Zones | None
    calibration: tuple[Path, Calibration] | None
    """Its own, and the file that it is from."""
    ordinary: Path | None


@dataclass(frozen=True, kw_only=True)
class Cameras:
    """What a file of cameras says."""

    file: Path
    out: Path
    """A folder for each camera is made in it."""
    cameras: tuple[Camera, ...]
    outlets: LiveSettings
    """Where alarms of all cameras are sent, and how often their states are said."""
    device: str
