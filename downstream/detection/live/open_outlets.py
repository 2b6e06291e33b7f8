"""Everything that alarms leave by and that watches over cameras, opened as the settings say: once for any number."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from downstream.detection.live.alarm_pictures import AlarmPictures
from downstream.detection.live.alarm_shelf import FOLDER, AlarmShelf
from downstream.detection.live.figures import CameraFigures, CameraMonitor
from downstream.detection.live.metrics_server import MetricsServer
from downstream.detection.live.mqtt_outlet import MqttOutlet
from downstream.detection.live.outlet import AlarmOutlet
from downstream.detection.live.picture_ring import PictureRing
from downstream.detection.live.scorer import LiveScorer
from downstream.detection.live.settings import LiveSettings, PictureSettings
from downstream.detection.live.webhook import Webhook
from downstream.events.rule import AlarmRule

FIRST_SECONDS = 60.0
"""Pictures kept before it is known how late scores are."""


@dataclass(frozen=True, kw_only=True)
class Outlets:
    """What there is of them."""

    alarms: tuple[AlarmOutlet, ...] = ()
    monitors: tuple[CameraMonitor, ...] = ()
    lines: tuple[str, ...] = ()
    """What is to be said of them at first."""

    def watch(self, camera: str, figures: Callable[[], CameraFigures] = CameraFigures) -> None:
        """Tell every monitor of a camera; without figures, of one that has not answered yet."""
        for monitor in self.monitors:
            monitor.watch(camera, figures)

    def summary(self) -> list[str]:
        """A line for each, for the end of a run."""
        return [f"{outlet.label}: {outlet.summary()}" for outlet in self.alarms]


def open_outlets(
    settings: LiveSettings, say: Callable[[str], None], stack: ExitStack, *, is_for_many: bool = False
) -> Outlets:
    """Whatever the settings name, closed by `stack`. UserError: a wrong address, a port that is taken.

    `is_for_many`: of several cameras, so that a webhook has to say of which.
    """
    alarms: list[AlarmOutlet] = []
    monitors: list[CameraMonitor] = []
    lines: list[str] = []
    if settings.webhook is not None:
        alarms.append(Webhook(settings.webhook, say, pictures=settings.webhook_pictures, names_camera=is_for_many))
        stack.callback(alarms[-1].close)
    if settings.mqtt is not None:
        broker = MqttOutlet(settings.mqtt, say, discovery=settings.mqtt_discovery, authority=settings.mqtt_ca)
        stack.callback(broker.close)
        alarms.append(broker)
        monitors.append(broker)
        lines.append(f"{broker.label} is told of alarms and states")
    if settings.metrics_port is not None:
        server = MetricsServer(settings.metrics_port, settings.metrics_host, settings.health_seconds)
        stack.callback(server.close)
        monitors.append(server)
        lines.append(f"{server.label} and /healthz are served")
    return Outlets(alarms=tuple(alarms), monitors=tuple(monitors), lines=tuple(lines))


def open_ring(settings: PictureSettings) -> PictureRing | None:
    """Where a camera's source keeps its pictures (`FrameSource(keep=ring.take)`); None: none are wanted."""
    if not settings.save:
        return None
    return PictureRing(settings.pre_seconds + FIRST_SECONDS, settings.memory_mb, settings.fps, settings.width)


def open_pictures(
    ring: PictureRing | None,
    camera: str,
    out: Path,
    settings: LiveSettings,
    outlets: Outlets,
    say: Callable[[str], None],
    stack: ExitStack,
) -> AlarmPictures | None:
    """Snapshots and clips of one camera in `out`/alarms, closed by `stack` before its outlets are.

    `out` is the folder that was asked for: runs that follow each other share the ring.
    """
    if ring is None:
        return None
    own = settings.pictures
    shelf = AlarmShelf(out / FOLDER, own.keep_days, own.keep_gb)
    pictures = AlarmPictures(camera, ring, shelf, own, outlets.alarms, say)
    stack.callback(pictures.close)
    return pictures


def seconds_kept(settings: LiveSettings, rule: AlarmRule, scorer: LiveScorer, fps: float) -> float:
    """How far back an alarm's pictures reach: the pre-roll, and all the time until an event is known."""
    late = (scorer.delay_frames + scorer.model.snippet_frames + settings.source.queue_frames) / fps
    return settings.pictures.pre_seconds + late + rule.min_seconds + rule.merge_seconds
