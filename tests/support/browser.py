"""A headless Chromium, driven through the pipe of its DevTools protocol."""

import base64
import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE = 60  # seconds for an answer on a busy machine
KEYS = {"Tab": 9, "Enter": 13}


class Browser:
    """One page; a context manager.  `failures`: what the page's console reported as errors."""

    def __init__(self, profile: Path):
        self.profile, self.numbers, self.rest = profile, itertools.count(1), b""
        self.failures: list[str] = []

    def __enter__(self) -> "Browser":
        assert PROGRAM
        (read, to_child), (from_child, write) = map(high, (os.pipe(), os.pipe()))
        words = [PROGRAM, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
        words += ["--no-first-run", "--disable-dev-shm-usage", f"--user-data-dir={self.profile}"]

        def connect() -> None:  # Chromium reads commands from 3 and writes answers to 4
            os.dup2(read, 3)
            os.dup2(write, 4)

        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(words, pass_fds=(3, 4), preexec_fn=connect, **quiet)
        os.close(read)
        os.close(write)
        self.to_child, self.from_child, self.session = to_child, from_child, None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)
        os.close(self.to_child)
        os.close(self.from_child)

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its result; events that come before it are looked at."""
        number = next(self.numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to_child, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]
            self.note(answer)

    def receive(self) -> dict[str, Any]:
        """The next message."""
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.from_child], [], [], PATIENCE)
            assert ready, "Chromium does not answer"
            self.rest += os.read(self.from_child, 1 << 20)
        line, self.rest = self.rest.split(b"\0", 1)
        return json.loads(line)

    def note(self, event: dict[str, Any]) -> None:
        """Keep errors that the page reports."""
        found = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            self.failures.append(found["exceptionDetails"]["exception"].get("description", "an exception"))
        elif event.get("method") == "Log.entryAdded" and found["entry"]["level"] == "error":
            self.failures.append(found["entry"]["text"] + " " + found["entry"].get("url", ""))

    def open(self, address: str, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Open an address in a window of this size, in light or dark."""
        self.ask("Page.navigate", url="about:blank")  # another # of the same page would load nothing
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.ask("Page.navigate", url=address)

    def value(self, script: str) -> Any:
        """The value of an expression of JavaScript in the page."""
        found = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait(self, script: str) -> Any:
        """The value of an expression as soon as it is true of the page."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = self.value(f"(() => {{ try {{ return {script} }} catch {{ return null }} }})()")
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(f"the page never had {script}: {self.failures}")

    def press(self, key: str) -> None:
        """Press and release a key."""
        code = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
        more = {"text": "\r"} if key == "Enter" else {}
        self.ask("Input.dispatchKeyEvent", type="keyDown", **code, **more)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **code)

    def screenshot(self, file: Path) -> None:
        """The whole page as a PNG file."""
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        found = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        file.write_bytes(base64.b64decode(found["data"]))


def high(pipe: tuple[int, int]) -> tuple[int, int]:
    """A pipe whose numbers are none of those that Chromium uses."""
    ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in pipe]
    for end in pipe:
        os.close(end)
    return ends[0], ends[1]
