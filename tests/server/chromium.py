"""Chromium without a window, driven over its DevTools protocol by a pair of pipes: JSON, each message ended by a zero.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--window-size=1200,900",
    "--remote-debugging-pipe",
)
_AS_3_AND_4 = """
import fcntl, os, sys
to_read, to_write = (fcntl.fcntl(int(each), fcntl.F_DUPFD, 10) for each in sys.argv[1:3])
os.dup2(to_read, 3)
os.dup2(to_write, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
PATIENCE = 120.0


def executable() -> str | None:
    """Where Chromium is: the environment variable CHROMIUM, or on the path."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)


@contextmanager
def page_of(url: str, profile: Path) -> Iterator[Page]:
    """A page of a browser of its own."""
    to_read, ours_to_write = os.pipe()
    ours_to_read, to_write = os.pipe()
    beginning = [sys.executable, "-c", _AS_3_AND_4, str(to_read), str(to_write)]
    process = subprocess.Popen(
        [*beginning, str(executable()), *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
        pass_fds=(to_read, to_write),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_read)
    os.close(to_write)
    try:
        page = Page(ours_to_write, ours_to_read)
        page.open(url)
        yield page
    finally:
        process.kill()
        process.wait()
        os.close(ours_to_write)
        os.close(ours_to_read)


class Page:
    """One page, as a person has it: to look at, to click on, to type into."""

    def __init__(self, to_browser: int, from_browser: int):
        self._to, self._from = to_browser, from_browser
        self._numbers, self._left = count(1), b""
        self._session: str | None = None
        self._selector = selectors.DefaultSelector()
        self._selector.register(from_browser, selectors.EVENT_READ)
        self.complaints: list[Any] = []
        self.asked_for: list[str] = []

    def open(self, url: str) -> None:
        """Go there, and wait until everything is loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Page.navigate", url=url)
        self.wait(f"location.href.startsWith({json.dumps(url)}) && document.readyState === 'complete'")

    def call(self, method: str, **params: Any) -> Any:
        """What the browser answers to a command."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]
            self._hear(answer)

    def value(self, expression: str) -> Any:
        """What an expression is worth on the page."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait(self, expression: str) -> Any:
        """Until it is true."""
        end = time.monotonic() + PATIENCE
        while not (found := self.value(expression)):
            assert time.monotonic() < end, f"never: {expression}\n{self.value('document.body?.innerText')}"
            time.sleep(0.02)
        return found

    def text(self, selector: str) -> str:
        """What an element says."""
        return self.value(f"document.querySelector({json.dumps(selector)}).innerText")

    def click(self, selector: str) -> None:
        """With the mouse, in the middle of it."""
        x, y = self.value(
            f"(e => {{ e.scrollIntoView({{block: 'center'}}); const r = e.getBoundingClientRect();"
            f" return [r.x + r.width / 2, r.y + r.height / 2]; }})(document.querySelector({json.dumps(selector)}))"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, selector: str, text: str) -> None:
        """Instead of what stands there."""
        self.click(selector)
        self.value(f"document.querySelector({json.dumps(selector)}).select()")
        self.call("Input.insertText", text=text)

    def choose(self, selector: str, option: str) -> None:
        """An option of a list, as if it was chosen by hand."""
        self.value(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.value = {json.dumps(option)};"
            " e.dispatchEvent(new Event('change', {bubbles: true})); })()"
        )

    def _message(self) -> Any:
        while b"\0" not in self._left:
            assert self._selector.select(PATIENCE), "the browser says nothing"
            more = os.read(self._from, 1 << 16)
            assert more, "the browser has ended"
            self._left += more
        message, _, self._left = self._left.partition(b"\0")
        return json.loads(message)

    def _hear(self, event: Any) -> None:
        kind = event.get("method")
        if kind == "Runtime.exceptionThrown" or (
            kind == "Log.entryAdded" and event["params"]["entry"]["level"] == "error"
        ):
            self.complaints.append(event["params"])
        if kind == "Network.requestWillBeSent":
            self.asked_for.append(event["params"]["request"]["url"])
