"""A target's process: started in a group of its own, read by one thread, and never left behind.

The thread alone touches the pipes. It hands over whole lines, keeps the last of standard error, wakes the
owner when a moment has come, and reports the end once.
"""

import atexit
import contextlib
import os
import selectors
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
import weakref
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import IO, Protocol

from lash_conformance.wire import MOST_BYTES

KEPT_LOG_BYTES = 8192
"""How much of standard error is kept: its last part."""
MARK = "LASH_CONFORMANCE_CHILD"
"""Environment variable by which a process that left the group is still known as ours."""
_CHUNK = 1 << 16
_POLL_S = 0.05
_TOO_LONG = f"it sent a line of more than {MOST_BYTES} bytes"
_AFTER_END_S = 0.5
"""How long the pipes of an ended process are read on, when somebody else holds them open."""


_LIVE: "weakref.WeakSet[Child]" = weakref.WeakSet()


@atexit.register
def _leave_nobody() -> None:
    for child in list(_LIVE):
        child.end("the judge ended")
    for child in list(_LIVE):
        child.ended.wait(5)


class Running(Protocol):
    """A process that was started, its pipes, and its end."""

    pid: int

    @property
    def stdin(self) -> IO[bytes] | None: ...
    @property
    def stdout(self) -> IO[bytes] | None: ...
    @property
    def stderr(self) -> IO[bytes] | None: ...

    def fate(self) -> str:
        """How it ended; empty while it runs."""
        ...

    def end(self) -> None:
        """Kill it and its group, and wait until it is gone."""
        ...


class Started(subprocess.Popen[bytes]):
    """A command that was started, in a session of its own."""

    def fate(self) -> str:
        """How it ended, without reaping it; empty while it runs."""
        found = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if found is None:
            return ""
        return how_it_ended(found.si_status if found.si_code == os.CLD_EXITED else -found.si_status)

    def end(self) -> None:
        """Kill its group, before the leader is reaped, so that the number cannot be somebody else's."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(timeout=10)


def how_it_ended(code: int) -> str:
    """An exit code, or a signal's number made negative, in words."""
    return f"it ended with exit code {code}" if code >= 0 else f"it died of {signal.Signals(-code).name}"


class Child:
    """One running command; ``on_line`` and ``on_end`` are called by its thread."""

    def __init__(
        self, command: str | Callable[[], Running], on_line: Callable[[bytes], None], on_end: Callable[[str], None], on_tick: Callable[[], float | None]
    ) -> None:
        """Start it; a callable starts it in its own way.

        ``on_tick`` is called when the thread wakes and answers the moment (monotonic) of its next wish to be woken.

        Raises:
            OSError: the command cannot be started.
            ValueError: it cannot be split into words.
        """
        self._on_line, self._on_end, self._on_tick = on_line, on_end, on_tick
        self._token = uuid.uuid4().hex
        self.process = _started(command, self._token) if isinstance(command, str) else command()
        self._wake_out, self._wake_in = os.pipe()
        self._lock = threading.Lock()
        self._outgoing: deque[bytes] = deque()
        self._log = bytearray()
        self._line = bytearray()
        self._over = ""
        self._closing = False
        self.fate = ""
        """How the process ended by itself, if it did."""
        self.left_behind = 0
        """How many of its processes were still there when it had ended by itself."""
        self.ended = threading.Event()
        _LIVE.add(self)
        threading.Thread(target=self._run, daemon=True, name=f"child {self.process.pid}").start()

    @property
    def log(self) -> str:
        """The last of standard error."""
        return bytes(self._log).decode("utf-8", "replace")

    def send(self, line: bytes) -> None:
        """Queue a line; never blocks."""
        with self._lock:
            self._outgoing.append(line)
        self.wake()

    def wake(self) -> None:
        """Let the thread look around."""
        with self._lock:
            if not self.ended.is_set():
                os.write(self._wake_in, b"\0")

    def end(self, reason: str) -> None:
        """Kill the process and everything it started; the end is reported with ``reason``."""
        self._over = self._over or reason
        self.wake()

    def close_input(self) -> None:
        """Tell the process that nothing more will come."""
        self._closing = True
        self.wake()

    # -- the thread

    def _run(self) -> None:
        selector = selectors.DefaultSelector()
        out, err, into = self.process.stdout, self.process.stderr, self.process.stdin
        assert out is not None and err is not None and into is not None
        for stream in (out, err, into):
            os.set_blocking(stream.fileno(), False)
        selector.register(out, selectors.EVENT_READ, "out")
        selector.register(err, selectors.EVENT_READ, "err")
        selector.register(self._wake_out, selectors.EVENT_READ, "wake")
        watched = _exit_descriptor(self.process.pid)
        if watched is not None:
            selector.register(watched, selectors.EVENT_READ, "exit")
        try:
            self._loop(selector, watched is not None)
        except Exception as fault:
            self._over = self._over or f"the judge failed at reading it: {type(fault).__name__}: {fault}"
        finally:
            self._kill()
            selector.close()
            with self._lock:
                self.ended.set()
            for stream in (out, err, into):
                with contextlib.suppress(OSError):
                    stream.close()
            for descriptor in (self._wake_out, self._wake_in, watched):
                if descriptor is not None:
                    os.close(descriptor)
            self._on_end(self._over)

    def _loop(self, selector: selectors.BaseSelector, watched: bool) -> None:
        into = self.process.stdin
        assert into is not None
        until: float | None = None
        writing = False
        while not self._over:
            if bool(self._outgoing) != writing and not into.closed:
                writing = not writing
                if writing:
                    selector.register(into, selectors.EVENT_WRITE, "in")
                else:
                    selector.unregister(into)
            if self._closing and not writing:
                into.close()
            moments = [moment for moment in (self._on_tick(), until) if moment is not None]
            limit = max(0.0, min(moments) - time.monotonic()) if moments else None
            for key, _ in selector.select(limit if watched else min(_POLL_S, limit or _POLL_S)):
                match key.data:
                    case "out":
                        self._read(selector)
                    case "err":
                        self._note(selector)
                    case "in":
                        self._write()
                    case "exit":
                        selector.unregister(key.fileobj)
                        self.fate = self.process.fate()
                    case _:
                        os.read(self._wake_out, _CHUNK)
            if not watched and not self.fate:
                self.fate = self.process.fate()
            left = {key.data for key in selector.get_map().values()}
            if until is None and (self.fate or "out" not in left):
                until = time.monotonic() + _AFTER_END_S
            if until is not None and (time.monotonic() >= until or (self.fate and not left & {"out", "err"})):
                self._over = self._over or self.fate or "it closed its output"

    def _read(self, selector: selectors.BaseSelector) -> None:
        assert self.process.stdout is not None
        data = os.read(self.process.stdout.fileno(), _CHUNK)
        if not data:
            selector.unregister(self.process.stdout)
            if self._line:
                self._over = f"it closed its output within a line: {bytes(self._line[:80])!r}"
            return
        start = 0
        while (stop := data.find(b"\n", start)) >= 0 and not self._over:
            self._line += data[start:stop]
            line, self._line = bytes(self._line), bytearray()
            start = stop + 1
            if len(line) < MOST_BYTES:
                self._on_line(line)
            else:
                self._over = _TOO_LONG
        self._line += data[start:]
        if len(self._line) >= MOST_BYTES:
            self._over = _TOO_LONG

    def _note(self, selector: selectors.BaseSelector) -> None:
        assert self.process.stderr is not None
        data = os.read(self.process.stderr.fileno(), _CHUNK)
        if not data:
            selector.unregister(self.process.stderr)
            return
        self._log += data
        del self._log[:-KEPT_LOG_BYTES]

    def _write(self) -> None:
        assert self.process.stdin is not None
        with self._lock:
            line = self._outgoing.popleft()
        try:
            sent = os.write(self.process.stdin.fileno(), line[:_CHUNK])
        except BlockingIOError:
            sent = 0
        except OSError:
            # Nobody reads: the end of the process, or a deadline, will say so.
            return
        if sent < len(line):
            with self._lock:
                self._outgoing.appendleft(line[sent:])

    def _kill(self) -> None:
        stragglers = [pid for pid in _marked(self._token) if pid != self.process.pid]
        self.left_behind = len(stragglers) if self.fate else 0
        self.process.end()
        for straggler in stragglers:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(straggler, signal.SIGKILL)


def _started(command: str, token: str) -> Started:
    search = os.pathsep.join((os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)))
    words = shlex.split(command)
    if not words:
        raise ValueError("an empty command")
    words[0] = shutil.which(words[0], path=search) or words[0]
    return Started(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
        start_new_session=True, env=os.environ | {"PATH": search, MARK: token},
    )  # fmt: skip


def _exit_descriptor(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _marked(token: str) -> list[int]:
    """Processes that carry the token in their environment, wherever they moved to."""
    wanted = f"{MARK}={token}".encode()
    found: list[int] = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (place / "environ").read_bytes().split(b"\0"):
                found.append(int(place.name))
    return found
