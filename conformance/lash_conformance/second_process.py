"""Checks that a second process runs in parallel; it writes the same event log into a pipe.

The crash drill mostly waits for the processes that it kills, and the checks of a host's providers for servers;
in one process a CPU core would idle meanwhile.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from lash_conformance.child import how_it_ended

Hear = Callable[[dict[str, Any]], None]


class SecondProcess:
    """The second process, and a thread that reads its events."""

    def __init__(self, options: Mapping[str, object], *, hear: Hear) -> None:
        """Start a run with ``options``; ``hear`` is called in the thread, with each event as it comes."""
        ours, theirs = os.pipe()
        told = json.dumps({"options": dict(options), "events": theirs})
        command = (sys.executable, "-m", "lash_conformance.second_process", told)
        try:
            self._process = subprocess.Popen(command, pass_fds=(theirs,), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        except OSError:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        self._hear = hear
        self._thread = threading.Thread(target=self._listen, args=(ours,), name="second process", daemon=True)
        self._thread.start()

    def _listen(self, descriptor: int) -> None:
        with os.fdopen(descriptor, encoding="utf-8") as lines:
            for line in lines:
                if line.endswith("\n"):
                    self._hear(json.loads(line))

    def end(self, *, now: bool) -> str:
        """Wait until all events were read, or end it now; how the process ended, if it crashed."""
        if now:
            self._process.kill()
        self._thread.join()
        code = self._process.wait()
        return "" if code == 0 or now else how_it_ended(code)


def _main(told: str) -> None:
    from lash_conformance import host, run, target

    asked = json.loads(told)
    options: dict[str, Any] = asked["options"]
    load = host.load if options["profile"] == "host" else target.load
    with os.fdopen(asked["events"], "w", encoding="utf-8") as events:
        run.judge(run.Options(**options, target=load(options["target_name"]), jobs=1), events)


if __name__ == "__main__":
    _main(sys.argv[1])
