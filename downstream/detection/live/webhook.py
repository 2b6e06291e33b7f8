"""Events sent to a web address as they happen, from a thread of their own: the run never waits for it."""

from __future__ import annotations

import base64
import secrets
import ssl
import threading
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from downstream.detection.live.outlet import ToldAlarm
from downstream.detection.writers.events_jsonl import event_line
from pretrain.addresses import address_label
from pretrain.errors import UserError
from pretrain.files import json_text

TRIES = 3
MAX_WAITING = 100


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected POST becomes a GET without its body, which looks delivered and is not."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


class Webhook:
    """POSTs one JSON object per event. What cannot be delivered is counted and said, never raised.

    Success is any answer of the 200s. `say` is called from the thread, with one line for each event given up.
    """

    def __init__(
        self,
        url: str,
        say: Callable[[str], None],
        *,
        pictures: Literal["none", "base64", "multipart"] = "none",
        names_camera: bool = False,
        timeout: float = 5.0,
        first_delay: float = 1.0,
    ) -> None:
        """`pictures`: how snapshots are sent, see `_with_picture`. `names_camera`: objects begin with `camera`.

        `timeout`: seconds for each try, of three; `first_delay`: before the second, twice as long before the third.

        UserError unless it is an address of http or https.
        """
        self.label = f"webhook {address_label(url)}"
        self._url, self._headers = _split_login(url)
        self._say, self._timeout, self._first_delay = say, timeout, first_delay
        self._pictures, self._names_camera = pictures, names_camera
        self.sent = self.failed = 0
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._is_busy = False
        self._changed, self._stopped = threading.Condition(), threading.Event()
        self._is_closing = False
        self._thread = threading.Thread(target=self._work, name=f"posts to {address_label(url)}", daemon=True)
        self._thread.start()

    def alarm(self, told: ToldAlarm) -> None:
        """Post the event's line of the journal, with its picture where pictures are sent."""
        picture = None if self._pictures == "none" else told.files.picture()
        event = ({"camera": told.camera} if self._names_camera else {}) | event_line(told.event)
        if picture is None:
            self.post(event)
        else:
            self._put(*_with_picture(event, picture, is_form=self._pictures == "multipart"))

    def summary(self) -> str:
        """What came of the events so far."""
        return f"{self.sent} delivered, {self.failed} not"

    def post(self, event: Mapping[str, Any]) -> bool:
        """Send it when its turn comes; False, counted as failed, where 100 are waiting already."""
        return self._put("application/json", json_text(event).encode())

    def _put(self, content_type: str, body: bytes) -> bool:
        with self._changed:
            if self._is_closing or len(self._waiting) >= MAX_WAITING:
                self.failed += 1
                is_taken = False
            else:
                self._waiting.append((content_type, body))
                self._changed.notify_all()
                is_taken = True
        if not is_taken:
            self._say(f"{self.label}: {MAX_WAITING} events are waiting already; one is left out")
        return is_taken

    def close(self, timeout: float = 10.0) -> None:
        """Wait at most so many seconds for what is on its way; the rest counts as failed."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._waiting and not self._is_busy, timeout)
            left = len(self._waiting) + self._is_busy
            self._waiting.clear()
            self._stopped.set()
        if left:
            self.failed += left
            self._say(f"{self.label}: {left} events not delivered within {timeout:g} s; given up")

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_closing)
                if not self._waiting:
                    return
                (content_type, body), self._is_busy = self._waiting.popleft(), True
            problem = self._deliver(content_type, body)
            with self._changed:
                self._is_busy = False
                self._changed.notify_all()
                if self._stopped.is_set():  # `close` has counted it already
                    return
                self.sent += not problem
                self.failed += bool(problem)
            if problem:
                self._say(f"{self.label}: not delivered after {TRIES} tries: {problem}")

    def _deliver(self, content_type: str, body: bytes) -> str:
        """What was wrong the last time; empty where it was delivered."""
        problem = ""
        for attempt in range(TRIES):
            if attempt and self._stopped.wait(self._first_delay * 2 ** (attempt - 1)):
                break
            request = urllib.request.Request(
                self._url, body, self._headers | {"Content-Type": content_type}, method="POST"
            )
            try:
                with _OPENER.open(request, timeout=self._timeout):
                    return ""
            # anything at all: a server's nonsense must not end the run
            except Exception as error:
                problem = reason_of(error)
        return problem


def _with_picture(event: Mapping[str, Any], picture: bytes, is_form: bool) -> tuple[str, bytes]:
    """Content type and body: the object with `picture` in base64, or a form of `event` and `picture` (RFC 7578)."""
    if not is_form:
        encoded = {"type": "image/jpeg", "base64": base64.b64encode(picture).decode()}
        return "application/json", json_text(dict(event) | {"picture": encoded}).encode()
    boundary = secrets.token_hex(16)
    parts = (
        ('name="event"', "application/json", json_text(event).encode()),
        ('name="picture"; filename="snapshot.jpg"', "image/jpeg", picture),
    )
    body = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {name}\r\nContent-Type: {kind}\r\n\r\n".encode()
        + content
        + b"\r\n"
        for name, kind, content in parts
    )
    return f"multipart/form-data; boundary={boundary}", body + f"--{boundary}--\r\n".encode()


def reason_of(error: BaseException) -> str:
    """What went wrong, never by a text that the server or the address has a part in."""
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        phrases = {status.value: status.phrase for status in HTTPStatus}
        return f"HTTP Error {error.code}: {phrases.get(error.code, 'no known status')}"
    inner = getattr(error, "reason", None)
    if isinstance(inner, BaseException):
        return reason_of(inner)
    if isinstance(error, TimeoutError):
        return "timed out"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate cannot be trusted (code {error.verify_code})"
    return str(getattr(error, "strerror", None) or type(error).__name__)


def _split_login(url: str) -> tuple[str, dict[str, str]]:
    """The address without `user:password@`, and the headers: they say who we are."""
    headers = {"User-Agent": "anomaly-pretext"}
    refusal = f"webhook {address_label(url)}: not an address of the web; give one like https://example.org/alarm"
    try:
        parts = urlsplit(url.strip())
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a bracket alone
        raise UserError(refusal) from None
    if not is_usable or any(sign.isspace() for sign in parts.netloc):
        raise UserError(refusal)
    login, at, host = parts.netloc.rpartition("@")
    if at:
        token = base64.b64encode(":".join(map(unquote, login.split(":", 1))).encode()).decode()
        headers["Authorization"] = f"Basic {token}"
    path, query = (quote(part, safe="%/?:@!$&'()*+,;=~-._[]") for part in (parts.path, parts.query))
    return urlunsplit((parts.scheme, host, path, query, "")), headers
