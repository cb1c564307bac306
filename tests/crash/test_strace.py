"""The tracer's log is read back as it was written, cut off and interleaved as it comes."""

import subprocess
import sys
from pathlib import Path

import pytest

from lash_conformance import strace
from lash_conformance.strace import NEVER, Blow

needs_strace = pytest.mark.skipif(bool(strace.missing()), reason=strace.missing())

LOG = r"""
41 openat(AT_FDCWD</w>, "/p/a", O_RDWR|O_CREAT|O_CLOEXEC, 0644) = 3</p/a>
41 pwrite64(3</p/a>, "ab\0\"c\n\377", 7, 12) = 7
42 fdatasync(3</p/a> <unfinished ...>
41 write(1<pipe:[77]>, "{}\n", 3) = 3
42 <... fdatasync resumed>)         = 0
41 writev(5</p/b>, [{iov_base="one", iov_len=3}, {iov_base="two", iov_len=3}], 2) = 6
41 renameat(AT_FDCWD</w>, "x", 7</p>, "y") = 0
41 ftruncate(3</p/a>, 8192)         = -1 ENOSPC (No space left on device) (INJECTED)
41 fsync(3</p/a>)                   = ?
41 +++ killed by SIGKILL +++
42 +++ exited with 0 +++
"""


def calls():
    return strace.read(LOG.strip().splitlines())


def test_every_call_is_there_in_the_order_of_its_entry():
    """What is no call is passed over."""
    assert [(call.thread, call.name) for call in calls()] == [
        (41, "openat"), (41, "pwrite64"), (42, "fdatasync"), (41, "write"), (41, "writev"), (41, "renameat"),
        (41, "ftruncate"), (41, "fsync"),
    ]  # fmt: skip


def test_strings_are_the_bytes_that_were_written():
    """Escapes of C, the bytes of vectors one by one."""
    assert calls()[1].strings == [b'ab\0"c\n\xff']
    assert calls()[1].numbers == [7, 12]
    assert b"".join(calls()[4].strings) == b"onetwo"


def test_paths_are_those_of_the_descriptors():
    """Of the arguments by number, and of what was opened."""
    assert calls()[0].opened == "/p/a"
    assert calls()[1].path() == "/p/a"
    assert [calls()[5].path(0), calls()[5].path(1)] == ["/w", "/p"]
    assert calls()[3].path() == "pipe:[77]"


def test_a_call_that_came_back_late_had_not_returned_before():
    """The sync was entered before the answer and returned after it."""
    sync, answer = calls()[2], 3

    assert sync.ok
    assert not sync.ended < answer
    assert sync.ended < 4


def test_failures_strikes_and_deaths_are_told_apart():
    """A refused call failed because of the judge; the last one never returned."""
    refused, last = calls()[6], calls()[7]

    assert (refused.ok, refused.struck) == (False, True)
    assert (last.ok, last.struck, last.ended) == (False, False, NEVER)


def test_a_log_that_was_cut_off_is_read_as_far_as_it_goes():
    """Half a line is no call."""
    assert [call.name for call in strace.read(["41 fsync(3</p/a>) = 0", '41 pwrite64(3</p/a>, "ab'])] == ["fsync"]


def test_a_blow_is_written_as_the_tracer_takes_it():
    """A kill at one call, or an error at several."""
    assert Blow("fsync", 3, 3).option == "inject=fsync:signal=SIGKILL:when=3"
    assert Blow("write", 2, 6, "ENOSPC").option == "inject=write:error=ENOSPC:when=2..6"


PROGRAM = """
import os, sys
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
for text in (b"one", b"two", b"three"):
    os.pwrite(file, text, 0)
    os.fsync(file)
"""


@needs_strace
@pytest.mark.parametrize(("nth", "left"), [(1, b"one"), (2, b"two"), (3, b"three")])
def test_a_real_process_dies_just_before_the_call(tmp_path: Path, nth: int, left: bytes):
    """What was written before the sync is there, and nothing after it."""
    file, log = tmp_path / "file", tmp_path / "log"
    command = strace.traced([sys.executable, "-c", PROGRAM, str(file)], log, Blow("fsync", nth, nth))

    done = subprocess.run(command, check=False, timeout=120)

    assert done.returncode == -9
    assert file.read_bytes() == left
    assert [call.result for call in strace.read_file(log) if call.path() == str(file) and call.name == "fsync"] == [
        *["0"] * (nth - 1), "?",
    ]  # fmt: skip


@needs_strace
def test_a_real_call_fails_as_it_is_told_to(tmp_path: Path):
    """The process sees the error, and the log says who made it."""
    log = tmp_path / "log"
    command = strace.traced(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "file")], log, Blow("pwrite64", 2, 2, "ENOSPC")
    )

    done = subprocess.run(command, check=False, timeout=120, capture_output=True, text=True)

    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert [call.struck for call in strace.read_file(log) if call.name == "pwrite64"] == [False, True]


def test_a_machine_without_the_tracer_says_so(monkeypatch: pytest.MonkeyPatch):
    """In words that a report can show."""
    strace.missing.cache_clear()
    monkeypatch.setattr("lash_conformance.strace.shutil.which", lambda name: None)
    try:
        assert strace.missing().startswith("no strace on this machine")
    finally:
        strace.missing.cache_clear()
