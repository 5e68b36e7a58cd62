"""Drives Debian's Chromium as a person would, over the DevTools protocol on a pair of pipes: no driver, no port."""

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SECONDS = 30
PHONE, DESKTOP = (390, 844), (1280, 800)
KEYS = {"Enter": 13, "Tab": 9, "Escape": 27, " ": 32, "ArrowDown": 40}
FLAGS = ["--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--no-first-run"]


class Page:
    """One tab."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._count, self._session, self._rest = 0, {}, b""
        self.events: list[dict] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._session = {"sessionId": session}
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict:
        """Call a method of the protocol; return its result."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters, **self._session}
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != self._count:
            self.events.append(answer)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def open(self, url: str, size: tuple[int, int] = DESKTOP) -> None:
        """Go to `url` in a window of `size`, and wait until it is there."""
        width, height = size
        phone = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE}
        self.send("Emulation.setDeviceMetricsOverride", **phone)
        self.send("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def value(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited."""
        result = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def until(self, expression: str, seconds: float = SECONDS) -> Any:
        """Wait until an expression is true; return it."""
        deadline = time.monotonic() + seconds
        while not (found := self.value(expression)):
            assert time.monotonic() < deadline, f"not within {seconds} s: {expression}\n{self.text()}"
            time.sleep(0.05)
        return found

    def text(self, selector: str = "body") -> str:
        """What is to be read in an element."""
        return self.value(f"document.querySelector({json.dumps(selector)}).innerText")

    def press(self, key: str) -> None:
        """Press a key, where the focus is."""
        about = {"key": key, "windowsVirtualKeyCode": KEYS[key], **({"text": "\r"} if key == "Enter" else {})}
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, **about)

    def type(self, text: str) -> None:
        """Put text where the focus is."""
        self.send("Input.insertText", text=text)

    def tapped(self, selector: str) -> None:
        """Press and let go in the middle of an element."""
        find = f"document.querySelector({json.dumps(selector)})"
        self.value(f"{find}.scrollIntoView({{block: 'center'}})")
        box = self.value(f"{find}.getBoundingClientRect().toJSON()")
        where = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2, "button": "left", "clickCount": 1}
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, **where)

    def spoken(self) -> list[tuple[str, str]]:
        """What a screen reader is given: role and name of every element that has both."""
        nodes = self.send("Accessibility.getFullAXTree")["nodes"]
        pairs = [(node.get("role", {}).get("value", ""), node.get("name", {}).get("value", "")) for node in nodes]
        return [(role, name) for role, name in pairs if role and name]

    def fits(self) -> bool:
        """Whether nothing has to be scrolled to the side."""
        return self.value("document.documentElement.scrollWidth <= window.innerWidth")

    def complaints(self) -> list[str]:
        """Errors in the console, broken policies, and addresses that are not the page's own."""
        own = self.value("location.origin")
        found = [
            str(e["params"]) for e in self.events if e.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded")
        ]
        asked = [e["params"]["request"]["url"] for e in self.events if e.get("method") == "Network.requestWillBeSent"]
        return found + [url for url in asked if not url.startswith((own, "data:", "about:"))]

    def picture(self, file: Path) -> None:
        """Save what is to be seen as PNG."""
        file.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", captureBeyondViewport=True)["data"]))

    def _receive(self) -> dict:
        while b"\0" not in self._rest:
            part = os.read(self._answers, 65536)
            assert part, "Chromium has ended"
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)


@contextmanager
def chromium(folder: Path) -> Iterator[Page]:
    """Start Chromium with a profile in `folder`; skip the test where Debian's package is not installed."""
    if (program := shutil.which("chromium")) is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    command_in, command_out = os.pipe()
    answer_in, answer_out = os.pipe()
    words = [program, *FLAGS, f"--user-data-dir={folder}", "about:blank"]
    # Chromium reads commands from descriptor 3 and answers on 4.
    shell = ["bash", "-c", f'exec "$@" 3<&{command_in} 4>&{answer_out}', "bash", *words]
    with subprocess.Popen(shell, pass_fds=(command_in, answer_out), stderr=subprocess.DEVNULL) as popen:
        os.close(command_in)
        os.close(answer_out)
        try:
            yield Page(command_out, answer_in)
        finally:
            popen.kill()
            os.close(command_out)
            os.close(answer_in)
