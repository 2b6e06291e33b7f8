"""Alarms, states and snapshots to an MQTT broker, and to Home Assistant, which finds the cameras by itself.

    PREFIX/status                 online, offline (its last will)
    PREFIX/CAMERA/state           {"level": "quiet", "score": 0.41, "events": 3, "connected": true}
    PREFIX/CAMERA/event           the event's line of the journal, as it begins and as it ends
    PREFIX/CAMERA/snapshot        JPEG

Events are sent at least once (QoS 1): while the broker is away 100 of them wait. States are sent as they change, and
anew whenever the broker is back. Two threads, that of paho-mqtt and one that looks at the cameras once a second.
"""

from __future__ import annotations

import secrets
import ssl
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from downstream.detection.live.alarm_shelf import safe_name
from downstream.detection.live.broker_address import BrokerAddress, parse_broker
from downstream.detection.live.figures import CameraBoard, CameraFigures
from downstream.detection.live.home_assistant import OFFLINE, ONLINE, CameraTopics, discovery_messages, status_topic
from downstream.detection.live.outlet import ToldAlarm
from downstream.detection.live.webhook import reason_of
from downstream.detection.writers.events_jsonl import event_line
from pretrain.errors import UserError
from pretrain.files import json_text

if TYPE_CHECKING:
    from paho.mqtt.client import Client

MAX_WAITING = 100
ACKNOWLEDGED_SECONDS = 10.0
"""That the broker may take to say that it has an event."""
LOOK_SECONDS = 1.0
KEEP_ALIVE_SECONDS = 30


class MqttOutlet(CameraBoard):
    """An `AlarmOutlet` and a `CameraMonitor`. What the broker does not take is counted and said, never raised."""

    def __init__(
        self,
        address: str,
        say: Callable[[str], None],
        *,
        discovery: str = "homeassistant",
        authority: Path | None = None,
        longest_pause: float = 60.0,
    ) -> None:
        """`discovery`: topic of Home Assistant's, empty: none. `authority`: PEM for mqtts; None: the system's.

        `longest_pause`: seconds between attempts to connect again, at most. UserError: an address that is none, no
        paho-mqtt.
        """
        super().__init__()
        broker = parse_broker(address)
        self.label, self.prefix = f"mqtt {broker.label}", broker.prefix
        self.sent = self.failed = 0
        self._say, self._discovery = say, discovery.strip("/")
        self._waiting: deque[ToldAlarm] = deque()
        self._is_connected = self._is_closing = self._is_over = self._is_busy = self._is_greeted = False
        self._last_said = ""
        self._states: dict[str, str] = {}
        self._changed = threading.Condition()
        self._client = self._new_client(broker, authority, longest_pause)
        self._client.connect_async(broker.host, broker.port, KEEP_ALIVE_SECONDS)
        self._client.loop_start()
        self._thread = threading.Thread(target=self._work, name=f"tells {broker.label}", daemon=True)
        self._thread.start()

    def _new_client(self, broker: BrokerAddress, authority: Path | None, longest_pause: float) -> Client:
        try:
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError:
            raise UserError("MQTT needs paho-mqtt 2; install it: pip install 'anomaly-pretext[mqtt]'") from None
        client = Client(CallbackAPIVersion.VERSION2, client_id=f"anomaly-pretext-{secrets.token_hex(6)}")
        if broker.user is not None:
            client.username_pw_set(broker.user, broker.password)
        if broker.is_tls:
            client.tls_set_context(_tls(authority))
        client.will_set(status_topic(self.prefix), OFFLINE, qos=1, retain=True)
        client.reconnect_delay_set(1, max(1, round(longest_pause)))
        client.max_queued_messages_set(4 * MAX_WAITING)
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_connect_fail = self._on_connect_fail
        return client

    def alarm(self, told: ToldAlarm) -> None:
        """See `AlarmOutlet`: sent in order, at least once."""
        with self._changed:
            is_taken = not self._is_closing and len(self._waiting) < MAX_WAITING
            if is_taken:
                self._waiting.append(told)
            else:
                self.failed += 1
            self._changed.notify_all()
        if not is_taken:
            self._say(f"{self.label}: {MAX_WAITING} events are waiting already; one is left out")

    def watch(self, camera: str, figures: Callable[[], CameraFigures]) -> None:
        """See `CameraMonitor`."""
        is_new = camera not in self.look()
        super().watch(camera, figures)
        if is_new:  # Home Assistant has to hear of it
            with self._changed:
                self._is_greeted = False
                self._changed.notify_all()

    def summary(self) -> str:
        """What came of the events so far."""
        return f"{self.sent} delivered, {self.failed} not"

    def close(self, timeout: float = 10.0) -> None:
        """Wait at most so many seconds for what is on its way; then say that nobody is here any more, and leave."""
        with self._changed:
            if self._is_closing:
                return
            self._is_closing = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._waiting and not self._is_busy, timeout)
            left = len(self._waiting) + self._is_busy
            self._waiting.clear()
            self.failed += left
            self._is_over = True
            self._changed.notify_all()
        if left:
            self._say(f"{self.label}: {left} events not delivered within {timeout:g} s; given up")
        if self._is_connected:
            self._publish(status_topic(self.prefix), OFFLINE, wait=2.0)
        self._client.disconnect()
        self._client.loop_stop()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_over or (self._is_connected and self._waiting), LOOK_SECONDS)
                if self._is_over:
                    return
                is_connected = self._is_connected
            if is_connected:
                self._greet()
                self._tell_states()
                self._tell_next()

    def _greet(self) -> None:
        """Once for each connection: that we are here, and what there is to see."""
        with self._changed:
            if self._is_greeted:
                return
            self._is_greeted = True
        self._states.clear()
        for camera in self.look() if self._discovery else ():
            for topic, content in discovery_messages(self._discovery, self.prefix, safe_name(camera), camera).items():
                self._publish(topic, json_text(content))
        self._publish(status_topic(self.prefix), ONLINE)

    def _tell_states(self) -> None:
        for camera, figures in self.look().items():
            topics = CameraTopics.of(self.prefix, safe_name(camera))
            state = {
                "level": figures.level,
                "score": figures.score,
                "events": figures.events,
                "connected": figures.state == "connected",
            }
            self._tell_change(topics.availability, ONLINE if figures.state == "connected" else OFFLINE)
            self._tell_change(topics.state, json_text(state))

    def _tell_change(self, topic: str, text: str) -> None:
        if self._states.get(topic) != text:
            self._states[topic] = text
            self._publish(topic, text)

    def _tell_next(self) -> None:
        """The event that waits longest; it goes on waiting where the broker goes away meanwhile."""
        with self._changed:
            if not self._waiting:
                return
            told, self._is_busy = self._waiting.popleft(), True
        topics = CameraTopics.of(self.prefix, safe_name(told.camera))
        picture = told.files.picture()
        if picture is not None:
            self._publish(topics.snapshot, picture)
        content = {"event_type": told.event.kind, "camera": told.camera} | event_line(told.event)
        is_sent = self._publish(topics.event, json_text(content), retain=False, wait=ACKNOWLEDGED_SECONDS)
        with self._changed:
            self._is_busy = False
            self._changed.notify_all()
            if self._is_over:  # `close` has counted it
                return
            if not is_sent and not self._is_connected:
                self._waiting.appendleft(told)
                return
            self.sent += is_sent
            self.failed += not is_sent
        if not is_sent:
            self._say(f"{self.label}: event {told.event.number} of {told.camera} was not acknowledged")

    def _publish(self, topic: str, content: str | bytes, retain: bool = True, wait: float = 0.0) -> bool:
        """Whether the broker has it; after `wait` seconds, without them whether it is on its way."""
        message = self._client.publish(topic, content, qos=1, retain=retain)
        try:
            if wait:
                message.wait_for_publish(wait)
                return message.is_published()
        except (RuntimeError, ValueError):  # no connection any more, or too much waits
            return False
        return message.rc == 0

    def _on_connect(self, client: Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._tell_once(f"{self.label}: refused ({reason}); tried again")
            return
        if self._last_said:
            self._tell_once(f"{self.label}: connected")
        self._last_said = ""
        with self._changed:
            self._is_connected, self._is_greeted = True, False
            self._changed.notify_all()

    def _on_disconnect(self, client: Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        with self._changed:
            was_connected, self._is_connected = self._is_connected, False
            self._changed.notify_all()
        if was_connected and not self._is_closing:
            self._tell_once(f"{self.label}: connection lost ({reason}); called again, events wait")

    def _on_connect_fail(self, client: Client, data: Any) -> None:
        error = sys.exc_info()[1]  # paho calls this from where it caught it
        reason = "no answer" if error is None else reason_of(error)
        self._tell_once(f"{self.label}: not reached ({reason}); called again, events wait")

    def _tell_once(self, text: str) -> None:
        if text != self._last_said:
            self._last_said = text
            self._say(text)


def _tls(authority: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authority)
    except (OSError, ssl.SSLError) as error:
        raise UserError(f"mqtt_ca {authority}: no certificates in PEM can be read there: {error}") from error
