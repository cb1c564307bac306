"""The examples of sessions run as a newcomer runs them, and print what they say."""

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def output(name, *args):
    """What an example prints."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name, *args], capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def test_a_chat_survives_kill(tmp_path):
    said = ["hello", "You said: hello", "still there?", "You said: still there?"]
    assert output("chat_survives_kill.py", tmp_path) == ["child: committed", *said]
    assert output("chat_survives_kill.py", tmp_path) == ["child: committed", *said, *said]


def test_a_second_process_queues(tmp_path):
    said = ["waiting: buy milk, call mum", "answer: Done, and done.", "left: 0"]
    assert output("queue_from_elsewhere.py", tmp_path) == said


def test_a_stop_button_stops():
    assert output("stop_button.py") == [
        "stopped: 1",
        "cancelled by: stop button",
        "['Tell me a story', 'Just the end, please', 'The end.']",
    ]


def test_an_observer_reconnects():
    lines = output("reconnect.py")
    assert lines[0].startswith("missed nothing: committed")
    assert lines[1] == "gap: trimmed"
    assert lines[2].startswith("goes on from: lashsc1:3:")
