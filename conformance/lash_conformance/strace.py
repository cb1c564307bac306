"""What a process asked of the system, seen through ``strace``: the command line, and its log read back.

Only calls that can change what is stored are looked at. The log gives a file descriptor together with its
path (``-y``) and whole strings, so a trace can be played back without the process.
"""

import ast
import bisect
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

WRITES = ("write", "writev", "pwrite64", "pwritev", "pwritev2")
SYNCS = ("fsync", "fdatasync", "msync", "sync", "syncfs")
SIZES = ("ftruncate", "truncate", "fallocate")
NAMES = (
    "rename", "renameat", "renameat2", "unlink", "unlinkat", "link", "linkat", "symlink", "symlinkat",
    "mkdir", "mkdirat", "rmdir",
)  # fmt: skip
OPENS = ("open", "openat", "creat")
SENDS = ("sendto", "sendmsg")
TRACED = (*WRITES, *SYNCS, *SIZES, *NAMES, *OPENS, *SENDS, "lseek", "mmap", "copy_file_range", "sendfile")
LONGEST_STRING = 4 * 1024 * 1024
"""Bytes of one write that the log keeps; longer ones cannot be played back."""

ATTACHED_S = 10.0

Errno = Literal["ENOSPC", "EIO", "EINTR"]


@dataclass(frozen=True)
class Blow:
    """What befalls the process at the calls of one name that each of its threads makes.

    ``first`` and ``last`` count from the start of the thread, from 1.
    """

    call: str
    first: int
    last: int
    errno: Errno | None = None
    """What the call fails with; the process is killed instead when there is none."""

    @property
    def option(self) -> str:
        """The argument of ``strace -e``."""
        what = f"error={self.errno}" if self.errno else "signal=SIGKILL"
        when = str(self.first) if self.first == self.last else f"{self.first}..{self.last}"
        return f"inject={self.call}:{what}:when={when}"


@cache
def missing() -> str:
    """Why there is no tracer on this machine; empty when there is one that works."""
    found = shutil.which("strace")
    if found is None:
        return "no strace on this machine: nothing is killed at a step, only at moments"
    trial = (found, "-f", "-o", "/dev/null", "-e", "trace=none", "-e", "inject=getpid:error=EIO:when=1..2", "true")
    try:
        done = subprocess.run(trial, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.SubprocessError) as err:
        return f"strace does not run on this machine: {err}"
    if done.returncode:
        return f"strace does not work on this machine: {done.stderr.strip()[-200:]}"
    return ""


def traced(command: Sequence[str], log: Path, blow: Blow | None = None) -> list[str]:
    """``command`` under the tracer: followed into threads and children, logged to ``log``, struck by ``blow``."""
    faster = () if blow is not None else ("--seccomp-bpf",)
    return ["strace", "-D", *_options(log, blow), *faster, "--", *command]


def attaching(pid: int, log: Path, blow: Blow | None = None) -> list[str]:
    """The command that puts the tracer on a process that runs already; its calls are counted from there on."""
    return ["strace", *_options(log, blow), "-p", str(pid)]


def attached(pid: int, log: Path, blow: Blow | None = None) -> subprocess.Popen[bytes]:
    """Put the tracer on a process that runs already, and on all its threads.

    Raises:
        OSError: the tracer may not.
    """
    quiet = subprocess.DEVNULL
    tracer = subprocess.Popen(attaching(pid, log, blow), stdin=quiet, stdout=quiet, stderr=quiet)
    until = time.monotonic() + ATTACHED_S
    while not _traced(pid):
        if tracer.poll() is not None or time.monotonic() > until:
            tracer.kill()
            tracer.wait()
            raise OSError("a process that runs already may not be traced here")
        time.sleep(0.001)
    return tracer


def _traced(pid: int) -> bool:
    threads = Path(f"/proc/{pid}/task").glob("*/status")
    try:
        return all("TracerPid:\t0\n" not in status.read_text(encoding="ascii") for status in threads)
    except OSError:
        return False


@cache
def attachable() -> bool:
    """Whether the tracer may be put on a process that runs already."""
    if missing():
        return False
    asleep = subprocess.Popen((sys.executable, "-c", "import time; time.sleep(60)"))
    try:
        tracer = attached(asleep.pid, Path(os.devnull))
    except OSError:
        return False
    finally:
        asleep.kill()
        asleep.wait()
    tracer.wait()
    return True


def _options(log: Path, blow: Blow | None) -> list[str]:
    calls = ",".join(f"?{name}" for name in TRACED)
    struck = () if blow is None else ("-e", blow.option)
    return ["-f", "-qq", "-y", "-s", str(LONGEST_STRING), "-e", f"trace={calls}", "-e", "signal=none", *struck, "-o", str(log)]


@dataclass(frozen=True)
class Call:
    """One system call."""

    thread: int
    name: str
    arguments: str
    """As logged."""
    result: str
    """As logged, from after the equals sign; ``?`` when the process did not come back from it."""
    ended: int
    """Position in the log at which it was seen to return; its own position is that of its entry."""
    folder: str = ""
    """The working directory, as far as the log has shown it by then."""

    @property
    def ok(self) -> bool:
        """Whether it returned without an error."""
        return not self.result.startswith(("-", "?"))

    @property
    def struck(self) -> bool:
        """Whether the judge made it fail."""
        return "(INJECTED)" in self.result

    @property
    def value(self) -> int:
        """The number it returned; -1 when it did not return one."""
        found = re.match(r"-?\d+", self.result)
        return int(found[0]) if found else -1

    def path(self, number: int = 0) -> str:
        """The path of the ``number``-th descriptor among the arguments; empty when there is none."""
        if number == 0 and (first := _DESCRIPTOR.match(self.arguments)):
            return _unescaped(first[1])
        return _unescaped(self._paths[number]) if number < len(self._paths) else ""

    def absolute(self, number: int) -> str:
        """The path that the ``number``-th string names."""
        text = self.strings[number].decode("utf-8", "surrogateescape")
        return os.path.normpath(f"{self.path(number) or self.folder}/{text}") if not text.startswith("/") else text

    @property
    def opened(self) -> str:
        """The path of the descriptor it returned."""
        found = re.match(r"\d+<(.*?)>(\(deleted\))?$", self.result)
        return _unescaped(found[1]) if found else ""

    @cached_property
    def strings(self) -> list[bytes]:
        """The strings among the arguments, in order."""
        return [ast.literal_eval(f"b{text}") for text in _STRING.findall(self.arguments)]

    @cached_property
    def numbers(self) -> list[int]:
        """The plain decimal numbers among the arguments after the first, in order."""
        bare = _DESCRIPTOR.sub("", self._bare)
        return [int(text) for text in re.findall(r"(?<=, )(?:0|-?[1-9]\d*)(?=,|$)", bare)]

    @cached_property
    def _bare(self) -> str:
        """The arguments with their strings taken out, which are most of them."""
        return _STRING.sub('""', self.arguments)

    @cached_property
    def _paths(self) -> list[str]:
        return _DESCRIPTOR.findall(self._bare)


_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_DESCRIPTOR = re.compile(r"(?:\d+|AT_FDCWD)<((?:[^<>\\]|\\.|->)*)>")
_FOLDER = re.compile(r"^AT_FDCWD<((?:[^<>\\]|\\.)*)>")
_LINE = re.compile(r"^(\d+) +(.*)$", re.DOTALL)
_RESUMED = re.compile(r"^<\.\.\. (\w+) resumed>(.*)$", re.DOTALL)
_WHOLE = re.compile(r"^(\w+)\((.*)\) += (.*)$", re.DOTALL)
_UNFINISHED = " <unfinished ...>"


def _unescaped(path: str) -> str:
    return ast.literal_eval(f"b'{path}'").decode("utf-8", "surrogateescape") if "\\" in path else path


@dataclass
class _Reading:
    calls: list[Call] = field(default_factory=list[Call])
    open_: dict[int, tuple[int, str]] = field(default_factory=dict[int, tuple[int, str]])

    def take(self, number: int, thread: int, text: str) -> None:
        if (resumed := _RESUMED.match(text)) and thread in self.open_:
            place, begun = self.open_.pop(thread)
            made = _call(thread, begun + resumed[2], number)
            if made is not None:
                self.calls[place] = made
        elif text.endswith(_UNFINISHED):
            begun = text.removesuffix(_UNFINISHED)
            name, _, given = begun.partition("(")
            self.open_[thread] = (len(self.calls), begun)
            self.calls.append(Call(thread, name, given, "?", NEVER))
        elif (made := _call(thread, text, number)) is not None:
            self.calls.append(made)


NEVER = 1 << 60
"""The end of a call that did not return."""


def _call(thread: int, text: str, number: int) -> Call | None:
    whole = _WHOLE.match(text)
    if whole is None:
        return None
    return Call(thread, whole[1], whole[2], whole[3], NEVER if whole[3].startswith("?") else number)


def read(lines: Iterable[str]) -> list[Call]:
    """The calls of a log in the order in which they were entered; what is no call is passed over.

    ``ended`` is renumbered so that it compares with positions in this list: a call had returned before
    the one at position ``n`` was entered exactly when its ``ended`` is less than ``n``.
    """
    reading = _Reading()
    entered: list[int] = []
    folder = ""
    for number, line in enumerate(lines):
        if found := _LINE.match(line.rstrip("\n")):
            before = len(reading.calls)
            reading.take(number, int(found[1]), found[2])
            entered += [number] * (len(reading.calls) - before)
    made: list[Call] = []
    for call in reading.calls:
        if shown := _FOLDER.search(call.arguments):
            folder = _unescaped(shown[1])
        ended = call.ended if call.ended == NEVER else _position(entered, call.ended)
        made.append(replace(call, ended=ended, folder=folder))
    return made


def _position(entered: list[int], line: int) -> int:
    """The last call entered at or before a line."""
    return bisect.bisect_right(entered, line) - 1


def read_file(path: Path) -> list[Call]:
    """As `read`, from a log that may have been cut off."""
    return read(path.read_text(encoding="utf-8", errors="surrogateescape").split("\n"))
