"""How a live input is read and watched: everything of scripts/detect.py that only such an input has."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from pretrain.errors import UserError, problem_list


@dataclass(frozen=True, kw_only=True)
class SourceSettings:
    """How a live input is read."""

    timeout: float = 10.0
    """Seconds that it may take to answer, and that a frame may take to come."""
    on_end: Literal["auto", "stop", "reconnect"] = "auto"
    """When the stream ends. auto: a file, here or of known length on a server, is over then; a camera, a device and a
    stream of unknown length have broken off and are connected again. stop: also where a stream breaks off."""
    max_outage: float | None = None
    """Give up when it stays away for so many seconds; None: never, but for one that has not answered yet, which is
    called for three times `timeout`."""
    realtime: bool = False
    """Play files at their own pace, like a camera: frames are dropped where they cannot be kept up with."""
    queue_frames: int = 128
    """Frames that may wait; when they do, a camera's are dropped, a file waits."""
    rtsp_transport: Literal["tcp", "udp"] = "tcp"
    """udp: less delay, and pictures smeared where packets are lost."""
    first_delay: float = 1.0
    """Seconds before the first attempt to connect again; twice as long before each further one, up to 60."""

    def __post_init__(self) -> None:
        problems = [
            f"{name} is {getattr(self, name)}; it must be more than 0, in seconds"
            for name in ("timeout", "first_delay")
            if not getattr(self, name) > 0
        ]
        if self.max_outage is not None and not self.max_outage > 0:
            problems.append(f"max_outage is {self.max_outage}; it must be more than 0 seconds, or left out")
        if self.queue_frames < 2:
            problems.append(f"queue_frames is {self.queue_frames}; it must be at least 2")
        if problems:
            raise UserError(f"a live input cannot be read like this:\n{problem_list(problems)}")


@dataclass(frozen=True, kw_only=True)
class PictureSettings:
    """What an alarm leaves to look at, in OUT/alarms."""

    save: bool = True
    """A snapshot and a clip of each event."""
    pre_seconds: float = 5.0
    """A clip begins so long before its event."""
    post_seconds: float = 5.0
    """And ends so long after it became known."""
    width: int = 640
    """Pixels, at most those of the camera."""
    fps: float = 12.5
    """Frames kept of each second, at most."""
    memory_mb: float = 32.0
    """Memory for the last seconds of each camera, as JPEG; while a clip is written, at most as much again."""
    keep_days: float = 30.0
    """Older pictures are removed."""
    keep_gb: float = 2.0
    """Of more, the oldest are removed; all cameras and runs that write to OUT together."""

    def __post_init__(self) -> None:
        problems = [
            f"{name} is {getattr(self, name)}; it must be more than 0"
            for name in ("fps", "memory_mb", "keep_days", "keep_gb")
            if not getattr(self, name) > 0
        ]
        problems += [
            f"{name} is {getattr(self, name)}; it must be 0 to 120 seconds"
            for name in ("pre_seconds", "post_seconds")
            if not 0 <= getattr(self, name) <= 120
        ]
        if not 16 <= self.width <= 3840:
            problems.append(f"width is {self.width}; it must be 16 to 3840 pixels")
        if problems:
            raise UserError(f"pictures of alarms cannot be kept like this:\n{problem_list(problems)}")


@dataclass(frozen=True, kw_only=True)
class LiveSettings:
    """For a stream or a device, and for files that are played like one."""

    play: bool = False
    """Take a file as a stream: what live detection would have said of it."""
    source: Annotated[SourceSettings, tyro.conf.arg(name="")] = field(default_factory=SourceSettings)
    lookahead: int | None = None
    """Snippets that a score waits for. Default: as many as the detector looks ahead, so that scores are those of a
    file, but for what comes of the whole video (window_seconds); 0: none, the soonest alarm."""
    window_seconds: float = 600.0
    """What a detector that sees the whole video (composed scores of whole pictures, a transformer, features normalised
    by video or place) sees of a stream: so many seconds before now."""
    webhook: str | None = field(default=None, repr=False)
    """URL to POST a JSON object to when an event begins, and when it ends."""
    webhook_pictures: Literal["none", "base64", "multipart"] = "none"
    """Send the snapshot too. base64: in the object, `picture`; multipart: a form of `event` (JSON) and `picture`."""
    pictures: PictureSettings = field(default_factory=PictureSettings)
    mqtt: str | None = field(default=None, repr=False)
    """Broker to tell of alarms and states, mqtt[s]://user:password@host:port/prefix, with Home Assistant discovery."""
    mqtt_ca: Path | None = None
    """PEM of the authority that signed the broker's certificate (mqtts). Default: the system's."""
    mqtt_discovery: str = "homeassistant"
    """Topic under which Home Assistant looks for devices; empty: it is not told."""
    metrics_port: int | None = None
    """Serve /metrics (Prometheus) and /healthz on this port; 0: any that is free."""
    metrics_host: str = "127.0.0.1"
    """Address that they are served on: whoever reaches it may read them. Default: this machine alone."""
    health_seconds: float = 60.0
    """/healthz says 503 when nothing was scored for so long."""
    status_every: float = 10.0
    """Seconds between lines about delay, speed and dropped frames; 0: none."""
    stop_after: float | None = None
    """Leave after so many seconds of the stream. Default: run until Ctrl-C or SIGTERM."""

    def __post_init__(self) -> None:
        problems = []
        if self.lookahead is not None and self.lookahead < 0:
            problems.append(f"lookahead is {self.lookahead}; it must be 0 or more snippets")
        if not self.window_seconds > 0:
            problems.append(f"window_seconds is {self.window_seconds}; it must be more than 0")
        if self.stop_after is not None and not self.stop_after > 0:
            problems.append(f"stop_after is {self.stop_after}; it must be more than 0 seconds, or left out")
        if self.status_every < 0:
            problems.append(f"status_every is {self.status_every}; it must be 0 or more seconds")
        if not self.health_seconds > 0:
            problems.append(f"health_seconds is {self.health_seconds}; it must be more than 0")
        if self.metrics_port is not None and not 0 <= self.metrics_port <= 65535:
            problems.append(f"metrics_port is {self.metrics_port}; ports are 1 to 65535, 0: any that is free")
        if self.webhook_pictures != "none" and not self.pictures.save:
            problems.append(f"webhook_pictures is {self.webhook_pictures}, and pictures.save is off: there are none")
        if problems:
            raise UserError(f"a stream cannot be watched like this:\n{problem_list(problems)}")
