"""Chromium without a window, driven through the pipe of its DevTools protocol: no package, no port, no network."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
KEYS = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Tab": 9, "Enter": 13, "Escape": 27}


class Browser:
    """One page of a browser; what it logs, throws and requests is collected in `problems` and `requests`."""

    def __init__(self, width=1300, height=1000):
        self.folder = tempfile.TemporaryDirectory()
        (to_browser, self.writing), (self.reading, from_browser) = os.pipe(), os.pipe()
        options = "--headless=new --no-sandbox --disable-gpu --remote-debugging-pipe --no-first-run --hide-scrollbars"
        command = f'exec "$0" {options} --user-data-dir="$1" about:blank 3<&{to_browser} 4>&{from_browser}'
        self.process = subprocess.Popen(
            ["/bin/bash", "-c", command, CHROMIUM, self.folder.name],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self.last, self.rest, self.session = 0, b"", None
        self.problems: list[str] = []
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.call(f"{domain}.enable")
        self.resize(width, height)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.writing)  # at the end of the pipe the browser ends
        os.close(self.reading)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.folder.cleanup()

    def call(self, method, **params):
        """The result of a command; raises `RuntimeError` if it fails."""
        self.last += 1
        message = {"id": self.last, "method": method, "params": params}
        message |= {"sessionId": self.session} if self.session else {}
        os.write(self.writing, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self.last:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def _next(self):
        while b"\0" not in self.rest:
            chunk = os.read(self.reading, 1 << 20)
            if not chunk:
                raise RuntimeError("the browser has ended")
            self.rest += chunk
        message, _, self.rest = self.rest.partition(b"\0")
        found = json.loads(message)
        self._note(found.get("method"), found.get("params", {}))
        return found

    def _note(self, event, params):
        if event == "Runtime.exceptionThrown":
            self.problems.append(str(params["exceptionDetails"].get("exception", {}).get("description")))
        if event == "Log.entryAdded":
            self.problems.append(params["entry"]["text"])
        if event == "Runtime.consoleAPICalled":
            self.problems.append(str(params["args"]))
        if event == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    def open(self, path: Path):
        self.call("Page.navigate", url=Path(path).resolve().as_uri())

    def js(self, expression):
        """The value of an expression in the page, of a promise once it is settled."""
        found = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"].get("exception", {}).get("description", "error"))
        return found["result"].get("value")

    def wait(self, expression, seconds=20):
        """Wait until an expression in the page is true."""
        end = time.monotonic() + seconds
        while not self.js(expression):
            assert time.monotonic() < end, f"{expression}; {self.problems}"
            time.sleep(0.05)

    def resize(self, width, height, scale=1, phone=False):
        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": phone}
        self.call("Emulation.setDeviceMetricsOverride", **size)

    def dark(self, is_dark):
        value = "dark" if is_dark else "light"
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": value}])

    def mouse(self, kind, x, y, pressed=False):
        button = {"button": "left", "clickCount": 1} if kind != "mouseMoved" or pressed else {}
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, buttons=int(pressed), **button)

    def click(self, x, y):
        self.mouse("mouseMoved", x, y)
        self.mouse("mousePressed", x, y, True)
        self.mouse("mouseReleased", x, y)

    def drag(self, start, end):
        self.mouse("mouseMoved", *start)
        self.mouse("mousePressed", *start, True)
        self.mouse("mouseMoved", *end, True)
        self.mouse("mouseReleased", *end)

    def touch(self, *places):
        """A finger at one place after another, from its touch to its end."""
        for kind, place in [("touchStart", places[0]), *(("touchMove", one) for one in places[1:]), ("touchEnd", None)]:
            points = [{"x": place[0], "y": place[1]}] if place else []
            self.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)

    def key(self, name):
        text = {"text": "\r"} if name == "Enter" else {}
        common = {"key": name, "code": name, "windowsVirtualKeyCode": KEYS[name]}
        self.call("Input.dispatchKeyEvent", type="keyDown", **common, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def screenshot(self, path: Path, whole=False):
        data = self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        Path(path).write_bytes(base64.b64decode(data))

    def accessibility(self):
        """The nodes of the tree that a screen reader is given: (role, name)."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        shown = [node for node in nodes if not node.get("ignored")]
        return [(n.get("role", {}).get("value"), n.get("name", {}).get("value", "")) for n in shown]
