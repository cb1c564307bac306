"""The official JavaScript SDKs as clients, in one Node process that is spoken to a line at a time.

The driver and the exact versions lie in ``conformance/adapters/node-sdks``; ``npm ci`` there installs them.
"""

import json
import shutil
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from lash_conformance.sdk_clients import Client, Data, Said, Sdk

DRIVER: Final = Path(__file__).parents[1] / "adapters" / "node-sdks"
NAMES: Final = {
    "anthropic-messages": "node @anthropic-ai/sdk",
    "openai-chat": "node openai",
    "openai-responses": "node openai",
    "gemini": "node @google/genai",
}
ANSWER_S: Final = 120.0
"""How long one answer may take before the process is given up."""


class SdkRaised(Exception):
    """The SDK raised an error of its own, typed kind."""


class SdkBroke(Exception):
    """Something else went wrong in the driver, or it went away."""


def unfit(folder: Path = DRIVER) -> str:
    """Why the clients cannot be asked here; empty when they can."""
    if not folder.is_dir():
        return "NO CHECKOUT: the Node driver is not part of an installed copy"
    if shutil.which("node") is None:
        return "NO NODE: this machine has no Node, so the JavaScript SDKs are not asked"
    if not (folder / "node_modules").is_dir():
        return f"NO PACKAGES: run npm ci in {folder.relative_to(folder.parents[2])}"
    return ""


class NodeSdks:
    """The clients while their process lives; use it as a context."""

    def __init__(self, folder: Path = DRIVER) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.clients: Mapping[str, Sdk] = {}

    def __enter__(self) -> "NodeSdks":
        """Start the process, or find out why there is none."""
        reason = unfit(self.folder)
        greeting: Data = {"clients": {}, "missing": {}}
        if not reason:
            node = shutil.which("node") or "node"
            self._process = subprocess.Popen(
                [node, "client.mjs"], cwd=self.folder,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            greeting = self._heard()
        self.clients = {
            dialect: Sdk(
                greeting["clients"].get(dialect, name), self._client(dialect), lambda err: isinstance(err, SdkRaised),
                "" if dialect in greeting["clients"] else reason or f"NOT LOADED: {greeting['missing'].get(dialect)}",
            )
            for dialect, name in NAMES.items()
        }  # fmt: skip
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def _client(self, dialect: str) -> Client:
        def ask(url: str, body: Data, stream: bool) -> Said:
            return self._asked({"dialect": dialect, "url": url, "body": body, "stream": stream})

        return ask

    def _asked(self, question: Data) -> Said:
        assert self._process is not None, "an absent client is not asked"
        assert self._process.stdin is not None, "the process was started with a pipe"
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._heard()
        if "raised" in answer:
            raise SdkRaised(answer["raised"])
        if "broke" in answer:
            raise SdkBroke(answer["broke"])
        return Said(answer["text"], tuple((name, args) for name, args in answer["calls"]))

    def _heard(self) -> dict[str, Any]:
        assert self._process is not None, "an absent client is not heard"
        assert self._process.stdout is not None, "the process was started with a pipe"
        watch = threading.Timer(ANSWER_S, self._process.kill)
        watch.start()
        try:
            line = self._process.stdout.readline()
        finally:
            watch.cancel()
        if not line:
            raise SdkBroke(f"the Node process ended, or said nothing for {ANSWER_S:g} s")
        return json.loads(line)
