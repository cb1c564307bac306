"""A disk played back from a trace, and what a power cut leaves of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from lash_conformance import strace
from lash_conformance.disk import Disk, restore

OPEN = '1 openat(AT_FDCWD</>, "/p/{0}", O_RDWR|O_CREAT, 0644) = {1}</p/{0}>'


def disk(*lines: str) -> Disk:
    made = Disk(Path("/p"))
    made.play(strace.read(lines))
    return made


def test_what_was_not_synced_is_lost():
    """The first write was synced, the second not."""
    made = disk(
        OPEN.format("a", 3),
        '1 pwrite64(3</p/a>, "safe", 4, 0) = 4',
        "1 fdatasync(3</p/a>) = 0",
        '1 pwrite64(3</p/a>, "gone", 4, 0) = 4',
    )

    assert made.left("unsynced lost") == {"a": b"safe"}
    assert made.unsafe() == ["a"]


def test_a_file_that_was_never_synced_is_not_there_or_empty():
    """Its name may have been kept, its bytes not."""
    made = disk(OPEN.format("a", 3), '1 write(3</p/a>, "text", 4) = 4')

    assert made.left("unsynced lost") == {}
    assert made.left("names kept") == {"a": b""}


def test_half_of_what_was_written_is_left_in_whole_sectors():
    """Of 3,000 bytes behind 100 that are safe, the sectors up to the middle; of a change in place, its first half."""
    lines = [
        OPEN.format("a", 3),
        f'1 pwrite64(3</p/a>, "{"s" * 100}", 100, 0) = 100',
        "1 fdatasync(3</p/a>) = 0",
        f'1 pwrite64(3</p/a>, "{"n" * 3000}", 3000, 100) = 3000',
    ]
    over = [*lines, "1 fdatasync(3</p/a>) = 0", f'1 pwrite64(3</p/a>, "{"o" * 2048}", 2048, 0) = 2048']

    assert disk(*lines).left("half written") == {"a": b"s" * 100 + b"n" * 1436}
    assert disk(*over).left("half written") == {"a": b"o" * 1024 + b"n" * 2076}
    assert disk(*over[:5]).left("half written") == {"a": b"s" * 100 + b"n" * 3000}


def test_a_length_is_kept_without_the_bytes():
    """Zeros stand where a file that grew was not written; one that did not grow has none."""
    lines = [
        OPEN.format("a", 3),
        f'1 pwrite64(3</p/a>, "{"n" * 1500}", 1500, 0) = 1500',
    ]
    over = [*lines, "1 fdatasync(3</p/a>) = 0", f'1 pwrite64(3</p/a>, "{"o" * 1500}", 1500, 0) = 1500']

    assert disk(*lines).left("length kept") == {"a": b"n" * 512 + b"\0" * 988}
    assert disk(*over).left("length kept") == {"a": b"o" * 512 + b"n" * 988}


def test_less_than_a_sector_is_written_or_not():
    """A short line at the end is all there, or not at all."""
    lines = [OPEN.format("a", 3), '1 pwrite64(3</p/a>, "short", 5, 0) = 5']

    assert disk(*lines).left("half written") == {"a": b""}


def test_a_killed_process_loses_nothing_that_it_wrote():
    """Synced or not: it is the operating system's."""
    made = disk(OPEN.format("a", 3), '1 write(3</p/a>, "text", 4) = 4')

    assert made.left("nothing lost") == {"a": b"text"}


def test_a_rename_is_safe_once_its_directory_is_synced():
    """Until then the old name comes back, or the new one names an empty file when it was not synced."""
    lines = [
        OPEN.format("new", 3),
        '1 write(3</p/new>, "two", 3) = 3',
        "1 fsync(3</p/new>) = 0",
        '1 rename("/p/new", "/p/a") = 0',
    ]

    assert disk(*lines).left("unsynced lost") == {"new": b"two"}
    assert disk(*lines).left("names kept") == {"a": b"two"}
    assert disk(*lines, "1 fsync(4</p>) = 0").left("unsynced lost") == {"a": b"two"}
    assert disk(lines[0], lines[1], lines[3], "1 fsync(4</p>) = 0").left("unsynced lost") == {"a": b""}


def test_a_removal_is_undone_until_its_directory_is_synced():
    """The file was safe, so it comes back."""
    lines = [OPEN.format("a", 3), '1 write(3</p/a>, "x", 1) = 1', "1 fsync(3</p/a>) = 0", '1 unlink("/p/a") = 0']

    assert disk(*lines).left("unsynced lost") == {"a": b"x"}
    assert disk(*lines, "1 fsync(4</p>) = 0").left("unsynced lost") == {}


def test_a_call_that_failed_changed_nothing():
    """As when the judge made it fail."""
    made = disk(OPEN.format("a", 3), '1 pwrite64(3</p/a>, "x", 1, 0) = -1 ENOSPC (No space left) (INJECTED)', "1 fsync(3</p/a>) = 0")

    assert made.left("unsynced lost") == {"a": b""}


def test_folders_are_there_without_files():
    """A killed process leaves an empty one; a power cut only one whose parent was synced, and none that was removed."""
    made = disk(
        '1 mkdirat(AT_FDCWD</p>, "/p/kept", 0755) = 0',
        "1 fsync(3</p>) = 0",
        '1 mkdir("/p/kept/new", 0755) = 0',
        '1 mkdir("/p/gone", 0755) = 0',
        '1 rmdir("/p/gone") = 0',
        '1 rename("/p/kept/new", "/p/kept/moved") = 0',
        '1 mkdir("/elsewhere", 0755) = 0',
    )

    assert made.left("nothing lost") == {"kept": None, "kept/moved": None}
    assert made.left("unsynced lost") == {"kept": None}


def test_descriptors_write_where_they_stand():
    """One after the other, at the end when they append, where they were moved to, and over what was cut."""
    made = disk(
        OPEN.format("a", 3),
        '1 write(3</p/a>, "abc", 3) = 3',
        '1 write(3</p/a>, "def", 3) = 3',
        "1 lseek(3</p/a>, 1, SEEK_SET) = 1",
        '1 write(3</p/a>, "X", 1) = 1',
        "1 ftruncate(3</p/a>, 5) = 0",
        '1 openat(AT_FDCWD</>, "/p/a", O_WRONLY|O_APPEND) = 4</p/a>',
        '1 write(4</p/a>, "!", 1) = 1',
        "1 fsync(4</p/a>) = 0",
    )

    assert made.left("unsynced lost") == {"a": b"aXcde!"}


PROGRAM = """
import os, sys, tempfile
os.chdir(sys.argv[1])
os.mkdir("sub")
with open("sub/one", "wb") as file:
    file.write(b"x" * 10_000)
    file.flush()
    file.seek(5)
    file.write(b"middle")
os.rename("sub/one", "sub/two")
with open("log", "ab") as log:
    log.write(b"line\\n")
os.truncate("log", 3)
os.link("log", "copy")
os.unlink("log")
"""


@pytest.mark.skipif(bool(strace.missing()), reason=strace.missing())
def test_a_real_trace_is_played_back_to_what_is_on_the_disk(tmp_path: Path):
    """Every file, byte by byte."""
    place = tmp_path.resolve() / "place"
    place.mkdir()
    log = tmp_path / "log"

    subprocess.run(strace.traced([sys.executable, "-c", PROGRAM, str(place)], log), check=True, timeout=120)
    made = Disk(place)
    made.play(strace.read_file(log))

    assert sorted(path.name for path in place.iterdir()) == ["copy", "sub"]
    assert made.unlike(place) == []
    (place / "copy").write_bytes(b"other")
    assert made.unlike(place) == ["copy"]


def test_what_is_left_is_written_into_folders(tmp_path: Path):
    """Made as they are needed."""
    restore({"a": b"1", "sub/b": b"2", "empty": None}, tmp_path)

    assert (tmp_path / "sub" / "b").read_bytes() == b"2"
    assert list((tmp_path / "empty").iterdir()) == []
