"""The example chat runs as a newcomer runs it: without a key, and against any base URL."""

import os
import subprocess
import sys
from pathlib import Path

from lash_conformance.replay_server import ReplayServer

CHAT = Path(__file__).parents[2] / "examples" / "chat.py"


def chat(*args: str, said: str) -> list[str]:
    """What the chat prints."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", CHAT, *args], input=said, capture_output=True, text=True, timeout=300,
        env=os.environ | {"OPENAI_API_KEY": "sk-fixture"}, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def test_it_needs_no_key():
    """The replayer answers, turn by turn."""
    lines = chat(said="hi\nonce more\n\n")

    assert lines == [
        "no --base-url: two recorded answers of openai-chat.stream.text-usage-tail", "Hello.", "Again.", "270 tokens",
    ]  # fmt: skip


def test_it_talks_to_any_base_url():
    """Only the URL, the model and a key are given."""
    server = ReplayServer().start()
    try:
        url = f"{server.url}/r/other/openai-chat.stream.text-usage-tail/v1"
        lines = chat("--base-url", url, "--model", "m", said="hi\n")
    finally:
        server.stop()

    assert lines[0] == "Hello."
