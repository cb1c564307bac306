"""How replay checks ask a target for a replayer and a recorder, and the suite's own two as such a target.

Both are judged over HTTP alone: a replayer by what it answers to requests and to its control interface, a
recorder by what it passes on and by the files it leaves ([RPL.1][] to [RPL.19][]).
"""

from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

from lash_conformance.fixture import FixtureFault, gathered
from lash_conformance.host import Refused
from lash_conformance.recorder import RecordingProxy
from lash_conformance.replay_server import ReplayServer

HANG_S = 60.0


@runtime_checkable
class Replays(Protocol):
    """A target whose replayer and recorder can be judged."""

    def replayer(self, folder: Path) -> AbstractContextManager[str]:
        """Serve the fixtures under ``folder`` until left; gives the root URL.

        Raises:
            LashError: ``FixtureFault``, before anything is served, when a file is not as the format has it.
        """
        ...

    def recorder(self, upstream: str, out: Path, markers: Sequence[str]) -> AbstractContextManager[str]:
        """Pass requests on to ``upstream`` until left, one ``*.capture.json`` an exchange in ``out``; gives the root URL.

        ``markers`` are texts of the owner that must not be kept. Leaving waits for exchanges in progress.
        """
        ...


@contextmanager
def replayer(folder: Path) -> Generator[str]:
    """The suite's replayer, as `Replays.replayer`."""
    try:
        offered = gathered(folder)
    except FixtureFault as err:
        raise Refused("FixtureFault", {"fault": str(err)}) from err
    server = ReplayServer(hang_s=HANG_S, offered=offered).start()
    try:
        yield server.url
    finally:
        server.stop()


@contextmanager
def recorder(upstream: str, out: Path, markers: Sequence[str]) -> Generator[str]:
    """The suite's recorder, as `Replays.recorder`."""
    proxy = RecordingProxy(upstream, out, markers=markers).start()
    try:
        yield proxy.url
    finally:
        proxy.stop()
