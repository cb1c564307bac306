"""The crash drill beside the other checks: another process judges it, and writes the same event log into a pipe.

The drill waits for the processes that it strikes most of the time; in one process a core would idle meanwhile.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

from lash_conformance.child import how_it_ended

Hear = Callable[[dict[str, Any]], None]


class Beside:
    """The other process, and a thread that hears what it finds."""

    def __init__(self, target: str, checks: list[str], seed: int, *, thorough: bool, hear: Hear) -> None:
        """Start judging ``checks``; ``hear`` is called in the thread, with each event as it comes."""
        ours, theirs = os.pipe()
        told = json.dumps({"target": target, "checks": checks, "seed": seed, "thorough": thorough, "events": theirs})
        command = (sys.executable, "-m", "lash_conformance.beside", told)
        try:
            self._process = subprocess.Popen(command, pass_fds=(theirs,), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        except OSError:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        self._hear = hear
        self._thread = threading.Thread(target=self._listen, args=(ours,), name="beside", daemon=True)
        self._thread.start()

    def _listen(self, descriptor: int) -> None:
        with os.fdopen(descriptor, encoding="utf-8") as lines:
            for line in lines:
                if line.endswith("\n"):
                    self._hear(json.loads(line))

    def end(self, *, now: bool) -> str:
        """Wait until everything was heard, or end it now; how the process ended when that was not by itself."""
        if now:
            self._process.kill()
        self._thread.join()
        code = self._process.wait()
        return "" if code == 0 or now else how_it_ended(code)


def _main(told: str) -> None:
    from lash_conformance.run import Options, judge
    from lash_conformance.target import load

    asked = json.loads(told)
    options = Options(
        target_name=asked["target"], target=load(asked["target"]), select=",".join(asked["checks"]),
        seed=asked["seed"], thorough=asked["thorough"], jobs=1,
    )  # fmt: skip
    with os.fdopen(asked["events"], "w", encoding="utf-8") as events:
        judge(options, events)


if __name__ == "__main__":
    _main(sys.argv[1])
