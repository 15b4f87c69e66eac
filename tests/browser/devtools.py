"""A tiny Chromium driver: the DevTools protocol over a pipe, with the standard library only."""

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
from pathlib import Path
from types import TracebackType
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--disable-default-apps", "--no-default-browser-check", "--metrics-recording-only", "--mute-audio",
    "--hide-scrollbars", "--disable-dev-shm-usage", "--remote-debugging-pipe",
)  # fmt: skip


def find_chromium() -> str | None:
    """The browser to test with: CONSILIENCE_CHROMIUM, else the first one found on the path."""
    return os.environ.get("CONSILIENCE_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One headless browser with one page; everything that the page asked for or complained about is kept."""

    def __init__(self, program: str) -> None:
        self.folder = tempfile.mkdtemp(prefix="consilience-browser-")
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._answers: dict[int, dict[str, Any]] = {}
        self._events: list[dict[str, Any]] = []
        self._buffer = b""
        self._number = 0
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        high = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (to_read, to_write)]

        def place_ends() -> None:  # the browser reads commands from 3 and writes answers to 4
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self._process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={self.folder}", "about:blank"],
            close_fds=False, preexec_fn=place_ends,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for end in (to_read, to_write, *high):
            os.close(end)
        target = self.call("Target.createTarget", url="about:blank", session="")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True, session="")[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._write)
        os.close(self._read)
        shutil.rmtree(self.folder, ignore_errors=True)

    def call(self, method: str, *, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Send one command and wait for its answer."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        wanted = self._session if session is None else session
        if wanted:
            message["sessionId"] = wanted
        os.write(self._write, json.dumps(message).encode() + b"\0")
        number, end = self._number, time.monotonic() + 60
        while number not in self._answers:
            self._receive(end)
        answer = self._answers.pop(number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer.get("result", {})
        return result

    def open(
        self, page: Path, *, width: int = 1280, height: int = 900, dark: bool = False, scale: float = 1
    ) -> None:
        """Load a file in a window of this size and wait until it is loaded and drawn."""
        self.requests.clear()
        self.complaints.clear()
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale,
            mobile=width < 700,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.load(page)
        self.run("new Promise(done => setTimeout(() => requestAnimationFrame(done), 150))")

    def load(self, page: Path) -> None:
        """Go to a file and wait until the browser says that it is loaded."""
        self._events.clear()
        self.call("Page.navigate", url=page.resolve().as_uri())
        end = time.monotonic() + 60
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._receive(end)

    def run(self, expression: str) -> Any:
        """Evaluate JavaScript in the page (as a person would in its console) and return the value."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(str(found["exceptionDetails"]))
        return found["result"].get("value")

    def draw_everything(self) -> None:
        """Open folded parts and let every lazily drawn figure be drawn."""
        self.run("for (const part of document.querySelectorAll('main details')) part.open = true")
        self.run("window.dispatchEvent(new Event('beforeprint'))")
        self.run("new Promise(done => setTimeout(() => requestAnimationFrame(done), 200))")

    def screenshot(self, path: Path | None = None, *, whole: bool = False) -> bytes:
        """PNG of what is seen, or of the whole page."""
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        picture = base64.b64decode(found["data"])
        if path:
            path.write_bytes(picture)
        return picture

    def _receive(self, end: float) -> None:
        ready = select.select([self._read], [], [], max(0.0, end - time.monotonic()))[0]
        block = os.read(self._read, 1 << 20) if ready else b""
        if not block:
            raise TimeoutError("the browser does not answer")
        *messages, self._buffer = (self._buffer + block).split(b"\0")
        for text in messages:
            self._sort(json.loads(text))

    def _sort(self, message: dict[str, Any]) -> None:
        if "id" in message:
            self._answers[message["id"]] = message
            return
        self._events.append(message)
        method, found = message["method"], message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(found["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(found["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and found["type"] in {"error", "warning", "assert"}:
            self.complaints.append(str(found["args"]))
        elif method == "Log.entryAdded" and found["entry"]["level"] in {"error", "warning"}:
            self.complaints.append(found["entry"]["text"])
