"""Known failures: the implementer's own list, pinned to reasons and dated, so that it cannot rot.

A TOML file of ``[[failure]]`` tables, each with ``check`` (an exact check id), ``reason`` (as the report
gives it), ``link`` (an issue) and ``expires`` (a date). An entry that no longer fails, fails otherwise, is
past its date, or names no check of the suite is red.

A reason that ends in ``…`` pins its beginning: what a race or a search found differs from run to run.
"""

import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import tomli_w

from lash_conformance.shown import visible

OPEN = "…"
FOUND = ", found "


class KnownFault(Exception):
    """The file is not a list of known failures."""


@dataclass(frozen=True)
class Known:
    """One entry."""

    check: str
    reason: str
    link: str
    expires: date


def read(path: Path) -> dict[str, Known]:
    """The entries by check id.

    Raises:
        KnownFault: the file is missing, is no TOML, or an entry lacks a field.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise KnownFault(f"{path}: {err.strerror}") from err
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as err:
        raise KnownFault(f"{path}: {err}") from err
    found: dict[str, Known] = {}
    for number, entry in enumerate(data.get("failure", []), start=1):
        made = _entry(path, number, entry)
        if made.check in found:
            raise KnownFault(f"{path}: {made.check} is listed twice")
        found[made.check] = made
    return found


def _entry(path: Path, number: int, entry: dict[str, Any]) -> Known:
    missing = [key for key in ("check", "reason", "link", "expires") if not entry.get(key)]
    if missing:
        raise KnownFault(f"{path}: failure {number} lacks {', '.join(missing)}")
    expires = entry["expires"]
    if not isinstance(expires, date):
        raise KnownFault(f"{path}: failure {number}: expires must be a date such as 2027-01-31")
    # a reason is pinned as reports show it, also one that was written down as it came
    return Known(str(entry["check"]), visible(str(entry["reason"])), str(entry["link"]), expires)


def write(path: Path, entries: dict[str, Known]) -> None:
    """Write the list, sorted by check id."""
    rows = [
        {"check": k.check, "reason": k.reason, "link": k.link, "expires": k.expires}
        for _, k in sorted(entries.items())
    ]
    path.write_text(tomli_w.dumps({"failure": rows}), encoding="utf-8")


def judged(
    entries: dict[str, Known], event: dict[str, Any], today: date
) -> tuple[str, str]:
    """The verdict and note of a check's event in the light of the list.

    Only a failure that is listed, in date, and fails for the pinned
    reason becomes ``known-failure``.
    """
    verdict = str(event["verdict"])
    entry = entries.get(str(event["id"]))
    if entry is None or verdict == "not-run":
        return verdict, ""
    if verdict in ("pass", "not-applicable"):
        return "fail", f"listed as a known failure, but the verdict is {verdict}: drop the entry"
    if entry.expires < today:
        return verdict, f"the known failure expired on {entry.expires}"
    if not pins(entry.reason, str(event["reason"])):
        return verdict, f"fails otherwise than listed: {entry.reason}"
    return "known-failure", entry.link


def pins(listed: str, reason: str) -> bool:
    """Whether the listed reason is this one, or its beginning."""
    return reason == listed or (listed.endswith(OPEN) and reason.startswith(listed.removesuffix(OPEN)))


def _listed(event: dict[str, Any]) -> str:
    """The reason to list: of races only what was expected, of searches nothing, as they may stop elsewhere."""
    reason = str(event["reason"])
    if event.get("kind") == "machine":
        return OPEN
    if event.get("kind") == "race" and FOUND in reason:
        return reason.partition(FOUND)[0] + FOUND + OPEN
    return reason


def strangers(entries: dict[str, Known], checks: frozenset[str]) -> list[str]:
    """Entries that name no check of the suite."""
    return sorted(set(entries) - checks)


def update(
    entries: dict[str, Known], events: list[dict[str, Any]], link: str, expires: date
) -> dict[str, Known]:
    """The list rewritten from a run: fixed entries dropped, changed reasons renewed, new ones added."""
    failing = {
        str(event["id"]): event
        for event in events
        if event["event"] == "check" and event["verdict"] in ("fail", "error", "known-failure")
    }
    ran = {str(event["id"]) for event in events if event["event"] == "check"}
    kept = {check: entry for check, entry in entries.items() if check not in ran}
    for check, event in failing.items():
        old = entries.get(check)
        same = old is not None and pins(old.reason, str(event["reason"])) and old.expires >= date.today()
        kept[check] = old if old is not None and same else Known(check, _listed(event), link, expires)
    return kept
