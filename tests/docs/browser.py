"""A real browser over its own debugging protocol: open a page, run a script in it, look at what came of it."""

import itertools
import json
import shutil
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class LeftPageError(OSError):
    """The page went away under a script: what it asks is asked of the next one."""


class Browser:
    """One headless Chromium with one tab; use it as a context."""

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM is not None
        self.profile = profile
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.numbers = itertools.count(1)

    def __enter__(self) -> "Browser":
        from websockets.sync.client import connect

        with ExitStack() as opened:
            opened.callback(self.process.wait, 60)
            opened.callback(self.process.terminate)
            port = self._wait(lambda: (self.profile / "DevToolsActivePort").read_text().splitlines())
            address = f"ws://127.0.0.1:{port[0]}{port[1]}"
            self.socket = opened.enter_context(connect(address, max_size=None, open_timeout=60))
            target = self._send("Target.createTarget", {"url": "about:blank"}, session=None)["targetId"]
            self.tab = self._send("Target.attachToTarget", {"targetId": target, "flatten": True}, session=None)["sessionId"]
            self.opened = opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.opened.close()

    @staticmethod
    def _wait(look: Any) -> Any:
        for _ in range(600):
            try:
                if found := look():
                    return found
            except (OSError, IndexError):
                pass
            time.sleep(0.1)
        raise AssertionError("the browser did not come to it within a minute")

    def _send(self, method: str, params: dict[str, Any], *, session: str | None) -> dict[str, Any]:
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        self.socket.send(json.dumps(message))
        while (answer := json.loads(self.socket.recv(timeout=60))).get("id") != number:
            pass
        # Chromium's number for a script whose page was left before it answered
        if answer.get("error", {}).get("code") == -32000:
            raise LeftPageError(answer["error"]["message"])
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, url: str, *, width: int = 1280, dark: bool = False) -> None:
        """Load a page and wait until it is complete."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self._send("Emulation.setDeviceMetricsOverride", size, session=self.tab)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._send("Emulation.setEmulatedMedia", {"features": scheme}, session=self.tab)
        self._send("Page.navigate", {"url": url}, session=self.tab)
        self.until(f"document.readyState === 'complete' && location.href.startsWith({json.dumps(url)})")

    def look(self, script: str) -> Any:
        """The value of an expression in the page."""
        given = {"expression": script, "returnByValue": True, "awaitPromise": True}
        answer = self._send("Runtime.evaluate", given, session=self.tab)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def follow(self, link: str) -> None:
        """Click what an expression names, once the script has answered: the click may leave the page."""
        self.look(f"void setTimeout(link => link.click(), 0, {link})")

    def until(self, script: str) -> Any:
        """Wait until an expression is true."""
        return self._wait(lambda: self.look(script))

    def press(self, key: str) -> None:
        """One key, as a reader without a mouse would."""
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        code = {"Enter": 13, "ArrowRight": 39, "ArrowLeft": 37, "/": 191}.get(key, 0)
        for kind in ("keyDown", "keyUp"):
            given = {"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code} | ({"text": text} if text and kind == "keyDown" else {})
            self._send("Input.dispatchKeyEvent", given, session=self.tab)

    def type(self, text: str) -> None:
        """Text into what has the focus."""
        self._send("Input.insertText", {"text": text}, session=self.tab)
