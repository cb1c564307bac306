"""The examples of plugins run as a newcomer runs them, and print what they say."""

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


def test_plugin_state_counts_on_in_a_new_process(tmp_path):
    assert output("plugin_state.py", tmp_path) == ["first turn: 1 lines", "after park and resume: 2 lines"]
    assert output("plugin_state.py", tmp_path) == ["first turn: 3 lines", "after park and resume: 4 lines"]


def test_an_mcp_tool_comes_and_goes_with_its_server():
    assert output("mcp_tool.py") == [
        'attached: {"result":"Rain in Oslo"}',
        "detached: no tool 'mcp__weather__forecast' is available",
        'attached: {"result":"Rain in Oslo"}',
    ]
