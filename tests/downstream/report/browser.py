"""A real headless Chromium, spoken to over its own debugging pipe: no driver and no package is needed."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--hide-scrollbars"),
    "--remote-debugging-pipe",
)
LIMIT_SECONDS = 60.0
"""For one answer: only a browser that hangs reaches it."""
KEYS = {"End": 35, "Home": 36, "ArrowLeft": 37, "ArrowRight": 39, "PageDown": 34, "Tab": 9, "Enter": 13, " ": 32}


def program() -> str:
    """Skips the test where no browser is installed; fails it where REQUIRE_BROWSER=1 says there must be one."""
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        reason = f"no browser: none of {', '.join(PROGRAMS)} is on the PATH"
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail(f"{reason}, and REQUIRE_BROWSER=1")
        pytest.skip(reason)
    return found


class Page:
    """One tab. `problems`: errors of console and scripts; `requests`: URLs that were asked for; `opened`: by us."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser, self._session = browser, session
        self.problems: list[str] = []
        self.requests: list[str] = []
        self.opened: list[str] = []

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the DevTools protocol."""
        return self._browser.send(method, self._session, **parameters)

    def run(self, script: str) -> Any:
        """The value of an expression, awaited; AssertionError where it throws."""
        answer = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, f"{script}: {answer['exceptionDetails']}"
        return answer["result"].get("value")

    def open(self, path: Path) -> None:
        """Load a file; returns when it is parsed and two frames have been drawn."""
        self.opened.append(path.as_uri())
        self.send("Page.navigate", url=path.as_uri())
        address = json.dumps(path.as_uri())
        self.wait_for(f"location.href === {address} && document.readyState === 'complete' && !!globalThis.report")
        self.settle()

    def wait_for(self, condition: str) -> None:
        """Until an expression is true, looked at again whenever the browser answers."""
        end = time.monotonic() + LIMIT_SECONDS
        while not self.run(condition):
            assert time.monotonic() < end, f"never true: {condition}"

    def settle(self) -> None:
        """Until what is waiting to be drawn is drawn."""
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))")

    def press(self, key: str, times: int = 1) -> None:
        """A key of the keyboard, down and up."""
        text = {"Enter": "\r", " ": " "}.get(key, "")
        for _ in range(times):
            for kind in ("keyDown", "keyUp"):
                code = KEYS[key]
                extra = {"text": text} if text and kind == "keyDown" else {}
                self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **extra)
        self.settle()

    def look(self, width: int, height: int, scheme: str = "light", mobile: bool = False) -> None:
        """The size of the window in CSS pixels, and whether its user likes it dark."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.settle()

    def screenshot(self, path: Path) -> None:
        """What the window shows, as PNG."""
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot")["data"]))


class Browser:
    """A running browser; `page()` opens a tab."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read, self._rest, self._number = write, read, b"", 0
        self._pages: dict[str, Page] = {}

    def page(self) -> Page:
        """A fresh tab that keeps a record of its errors and requests."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self._pages[session] = Page(self, session)
        for domain in ("Page", "Runtime", "Network", "Log"):
            page.send(f"{domain}.enable")
        page.look(1280, 900)
        return page

    def send(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; events that come before it are kept."""
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data) :]
        while True:
            answer = self._message()
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return dict(answer["result"])
            self._keep(answer)

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], LIMIT_SECONDS)
            assert ready, f"the browser said nothing for {LIMIT_SECONDS:g} s"
            block = os.read(self._read, 1 << 20)
            assert block, "the browser has gone"
            self._rest += block
        message, self._rest = self._rest.split(b"\0", 1)
        return dict(json.loads(message))

    def _keep(self, event: dict[str, Any]) -> None:
        page, values = self._pages.get(event.get("sessionId", "")), event.get("params", {})
        if page is None:
            return
        if event["method"] == "Network.requestWillBeSent":
            page.requests.append(values["request"]["url"])
        elif event["method"] == "Runtime.exceptionThrown":
            page.problems.append(json.dumps(values["exceptionDetails"])[:500])
        elif (event["method"] == "Log.entryAdded" and values["entry"]["level"] in ("error", "warning")) or (
            event["method"] == "Runtime.consoleAPICalled" and values["type"] in ("error", "warning", "assert")
        ):
            page.problems.append(json.dumps(values)[:500])


def _moved_up(end: int) -> int:
    moved = fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(end)
    return moved


@contextmanager
def running() -> Iterator[Browser]:
    """A browser with a profile of its own, ended with the block."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        # numbers above those that it reads and writes, so that wiring one does not close another
        its_input, our_output, our_input, its_output = map(_moved_up, (*os.pipe(), *os.pipe()))

        def wire() -> None:  # Chromium reads descriptor 3 and writes 4
            os.dup2(its_input, 3)
            os.dup2(its_output, 4)

        process = subprocess.Popen(
            [program(), *FLAGS, f"--user-data-dir={profile}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=wire,
            pass_fds=(3, 4),
        )
        os.close(its_input)
        os.close(its_output)
        try:
            yield Browser(our_output, our_input)
        finally:
            os.close(our_output)  # it leaves when nobody speaks to it any more
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.close(our_input)
