"""Processes that are forked with their modules loaded serve as those that are started."""

import asyncio
import os
from pathlib import Path

import pytest

from lash_conformance import fork_server, strace
from lash_conformance.fork_server import ForkServer
from lash_conformance.scenes import REQUEST
from lash_conformance.target import Bounds
from lash_conformance.targets.stdio import StdioTarget
from lash_conformance.victim import Victim, served

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="processes are forked so on Linux only")


def test_what_is_forked_introduces_itself_as_what_is_started():
    """One fork server forks several, and each ends by itself when its input ends."""
    loaded = ForkServer("sqlite")
    forked = [StdioTarget("forked", Bounds(), lambda: begun(loaded)) for _ in range(2)]
    started = StdioTarget("lash-conformance serve --target sqlite")
    pids = {target.connection().child.process.pid for target in forked}

    assert {(t.name, t.version, t.capabilities) for t in forked} == {(started.name, started.version, started.capabilities)}
    assert len(pids) == 2
    for target in (*forked, started):
        child = target.connection().child
        target.stop()
        assert child.ended.wait(30)
        assert child.fate == "it ended with exit code 0"
    loaded.close()


def begun(loaded: ForkServer) -> fork_server.Forked:
    forked = loaded.fork()
    forked.begin()
    return forked


def test_a_kill_is_told_as_a_kill():
    """The news comes from the parent of the forked process."""
    loaded = ForkServer("sqlite")
    forked = begun(loaded)

    forked.end()

    assert forked.fate() == "it died of SIGKILL"
    loaded.close()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("raise RuntimeError('not today')", "RuntimeError: not today"),
        ("import os; os._exit(0)", "the process that loads it ended"),
        ("import time; time.sleep(60)", "it was not loaded within 5 s"),
        ("import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()", "it runs 2 threads"),
    ],
    ids=("does not load", "ends", "hangs", "runs a thread"),
)
def test_modules_that_cannot_be_forked_are_refused(
    body: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Then each process is started anew."""
    if body.endswith("time.sleep(60)"):
        monkeypatch.setattr(fork_server, "START_S", 5.0)
    (tmp_path / "stranger.py").write_text(body + "\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    with pytest.raises(OSError, match=why):
        ForkServer("python:stranger:target")

    assert fork_server.of("python:stranger:target") is None


@pytest.mark.skipif(bool(strace.missing()), reason=strace.missing())
def test_the_trace_begins_before_the_place_is_opened(tmp_path: Path):
    """So that it explains every file in it."""
    from lash_conformance.target import load

    how = served(load("sqlite"), "sqlite")
    assert how is not None
    place = tmp_path / "place"
    place.mkdir()

    async def killed() -> Victim:
        victim = await Victim.start(how, place, tmp_path / "trace")
        await victim.call("factory", "create_store", REQUEST)
        await victim.kill()
        return victim

    victim = asyncio.run(killed())

    opened = {Path(call.opened).name for call in victim.calls() if call.opened.startswith(str(place))}
    assert {path.name for path in place.iterdir()} <= opened
    assert opened
    assert all(tracer.poll() is not None for tracer in victim.tracers)
