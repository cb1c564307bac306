"""A fork server: a process with the target's modules loaded, which forks one that serves the target on request.

The crash drill needs a process for every fault, and loading modules would take most of its time. The forked
process runs what ``lash-conformance serve`` runs; a target that is a command of its own is started as it is.
"""

import atexit
import contextlib
import ctypes
import gc
import importlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path

from lash_conformance import strace
from lash_conformance.child import how_it_ended
from lash_conformance.projection import PROTOCOLS, methods, signature
from lash_conformance.wire import OWN, adapter

START_S = 120.0
"""How long loading may take."""
FORK_S = 30.0
"""How long a fork, or news of a process that ended, may take."""
READY = b"ready"
_MOST = 4096
_PR_SET_PTRACER, _ANYBODY = 0x59616D61, -1


class Forked:
    """A forked process; it waits at its gate until `begin`."""

    def __init__(self, stdin: int, stdout: int, stderr: int, gate: int, news: int) -> None:
        self.stdin, self.stdout, self.stderr = open(stdin, "wb", 0), open(stdout, "rb", 0), open(stderr, "rb", 0)  # noqa: SIM115 - the owner closes them
        self._gate, self._news = gate, open(news, "rb", 0)  # noqa: SIM115 - closed by `end`
        self._fate = ""
        self.pid = int(self._told())
        self._handle = os.pidfd_open(self.pid)

    def begin(self) -> None:
        """Open the gate."""
        if self._gate >= 0:
            os.close(self._gate)
            self._gate = -1

    def fate(self) -> str:
        """How the process ended, asked when it has; empty while there is no news."""
        self._fate = self._fate or how_it_ended(int(self._told()))
        return self._fate

    def end(self) -> None:
        """Kill it, and wait until it is gone."""
        self.begin()
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)
        with contextlib.suppress(OSError, ValueError):
            self.fate()
        os.close(self._handle)
        for stream in (self.stdin, self.stdout, self.stderr, self._news):
            stream.close()

    def _told(self) -> bytes:
        ready, _, _ = select.select([self._news], [], [], FORK_S)
        if not ready:
            raise OSError(f"no news of a forked process within {FORK_S:g} s")
        return self._news.readline()


class ForkServer:
    """The loaded process of one target."""

    def __init__(self, given: str) -> None:
        """Start loading, and wait for the end of it.

        Raises:
            OSError: the target cannot be forked: its modules cannot be loaded, or start threads.
        """
        self._given = given.encode()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = (sys.executable, "-m", "lash_conformance.fork_server", given, str(theirs.fileno()))
            self._process = subprocess.Popen(
                command, pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        self._socket.settimeout(START_S)
        try:
            said = self._socket.recv(_MOST)
        except TimeoutError:
            said = f"it was not loaded within {START_S:g} s".encode()
        if said != READY:
            self.close()
            raise OSError(said.decode() or "the process that loads it ended")

    def fork(self) -> Forked:
        """Fork a process that will serve the target on its own pipes.

        Raises:
            OSError: the loaded process is gone.
        """
        pipes = [os.pipe() for _ in range(5)]
        (stdin, our_in), (our_out, stdout), (our_err, stderr), (gate, our_gate), (our_news, news) = pipes
        theirs = [stdin, stdout, stderr, gate, news]
        try:
            socket.send_fds(self._socket, [self._given], theirs)
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        return Forked(our_in, our_out, our_err, our_gate, our_news)

    def close(self) -> None:
        """End the loaded process; what it forked goes on."""
        self._socket.close()
        self._process.kill()
        self._process.wait()


def attached(forked: Forked, log: Path, blow: strace.Blow | None) -> subprocess.Popen[bytes]:
    """Attach the tracer to a process that waits at its gate.

    Raises:
        OSError: the tracer may not; the process was ended.
    """
    try:
        return strace.attached(forked.pid, log, blow)
    except OSError:
        forked.end()
        raise


_ONE_AT_A_TIME = threading.Lock()


def of(given: str) -> ForkServer | None:
    """The fork server of the target of that name; none where it cannot be forked, or not be traced once it was."""
    with _ONE_AT_A_TIME:
        return _made(given)


@cache
def _made(given: str) -> ForkServer | None:
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        made = ForkServer(given)
    except OSError:
        return None
    atexit.register(made.close)
    if not strace.missing():
        try:
            forked = made.fork()
            tracer = attached(forked, Path(os.devnull), None)
        except OSError:
            return None
        forked.end()
        tracer.wait()
    return made


# -- in the loaded process


def _loaded(given: str) -> str:
    """Load the modules of the target, not the target, and what reads its calls; why it cannot be forked, or nothing."""
    scheme, _, rest = given.partition(":")
    sys.path.insert(0, "")
    try:
        importlib.import_module("lash_conformance.server")
        for family in PROTOCOLS:
            for method in methods(family):
                signature(family, method)
        for own in OWN.values():
            for kind in own.takes.values():
                adapter(kind)
        importlib.import_module(rest.partition(":")[0] if scheme == "python" else f"lash_conformance.targets.{scheme}")
    except Exception as err:
        return f"{type(err).__name__}: {err}"
    threads = len([*Path("/proc/self/task").iterdir()])
    return f"it runs {threads} threads" if threads > 1 else ""


def _wait_for_requests(asked: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
    while True:
        given, descriptors, _, _ = socket.recv_fds(asked, _MOST, 5)
        if not given:
            return
        if os.fork() == 0:
            asked.close()
            _fork_and_report(given.decode(), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _fork_and_report(given: str, descriptors: list[int]) -> None:
    """Fork the process, and tell how it ends; the parent of the forked one does nothing else."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, gate, news = descriptors
    pid = os.fork()
    if pid == 0:
        os.close(news)
        _serve(given, streams, gate)
    for descriptor in (*streams, gate):
        os.close(descriptor)
    os.write(news, b"%d\n" % pid)
    _, status = os.waitpid(pid, 0)
    os.write(news, b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _serve(given: str, streams: list[int], gate: int) -> None:
    from lash_conformance import server
    from lash_conformance.target import load

    os.setsid()
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANYBODY, 0, 0, 0)
    os.read(gate, 1)
    os.close(gate)
    server.serve(load(given))
    sys.exit()


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[2])) as asking:
        refusal = _loaded(sys.argv[1])
        asking.send(refusal.encode()[:_MOST] or READY)
        if not refusal:
            _wait_for_requests(asking)
