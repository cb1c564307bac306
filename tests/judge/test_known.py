"""Known failures are pinned to their reasons; what differs from run to run may be left open."""

from datetime import date
from pathlib import Path

import pytest

from lash_conformance.bench import scratch
from lash_conformance.check import all_checks
from lash_conformance.execute import Result
from lash_conformance.known import Known, judged, pins, read, update

RACE = {
    "event": "check", "id": "STO.6:race", "kind": "race", "verdict": "fail",
    "reason": "expected some order, found 1-2 client 1: claim",
}  # fmt: skip


@pytest.mark.parametrize(
    ("listed", "reason", "pinned"),
    [
        ("expected 1, found 2", "expected 1, found 2", True),
        ("expected 1, found 2", "expected 1, found 3", False),
        ("expected 1, found …", "expected 1, found 3", True),
        ("expected 1, found …", "expected 2, found 3", False),
    ],
)
def test_an_open_end_pins_the_beginning(listed: str, reason: str, pinned: bool):
    """And only the beginning."""
    assert pins(listed, reason) is pinned


def test_what_a_race_found_is_left_open():
    """The next run's interleaving is another one, and still the known failure."""
    (entry,) = update({}, [RACE], "link", date(2999, 1, 1)).values()

    assert entry == Known("STO.6:race", "expected some order, found …", "link", date(2999, 1, 1))
    again = RACE | {"reason": "expected some order, found 3-4 client 2: claim"}
    assert judged({entry.check: entry}, again, date(2026, 1, 1)) == ("known-failure", "link")
    assert update({entry.check: entry}, [again], "other", date(2999, 2, 2)) == {entry.check: entry}


def test_where_a_search_stops_is_left_open():
    """It has so much time, and shrinks what it meets first."""
    search = RACE | {"kind": "machine", "reason": "expected 1, found at store.load: 2"}
    (entry,) = update({}, [search], "link", date(2999, 1, 1)).values()

    again = search | {"reason": "it answered with another type"}
    assert judged({entry.check: entry}, again, date(2026, 1, 1)) == ("known-failure", "link")


def test_what_an_example_found_is_pinned_whole():
    """It fails the same way every time."""
    event = RACE | {"kind": "example", "reason": "expected 1, found 2"}
    (entry,) = update({}, [event], "link", date(2999, 1, 1)).values()

    verdict, note = judged({entry.check: entry}, event | {"reason": "expected 1, found 3"}, date(2026, 1, 1))

    assert entry.reason == "expected 1, found 2"
    assert (verdict, note) == ("fail", "fails otherwise than listed: expected 1, found 2")


def test_a_reason_that_was_written_down_as_it_came_is_pinned_as_it_is_shown(tmp_path: Path):
    """A list may be older than the escapes of the report."""
    listed = tmp_path / "known.toml"
    listed.write_text(
        '[[failure]]\ncheck = "REC.2:nul"\nreason = "expected nothing, found a\\u0000b"\nlink = "x"\nexpires = 2999-01-01\n'
    )

    assert read(listed)["REC.2:nul"].reason == "expected nothing, found a\\x00b"


def test_a_reason_names_no_folder_of_the_run():
    """It is another in each run, so a listed reason would never be found again."""
    folder = scratch()
    folder.rmdir()
    result = Result(all_checks()[0], "fail", reason=f"no room in {folder}/lash.db", found=f"{folder} is gone")

    result.make_visible()

    assert (result.reason, result.found) == ("no room in <place>/lash.db", "<place> is gone")
