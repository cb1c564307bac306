"""The event log: one append-only JSONL file from which everything shown is derived.

First a header, then one event a check in the order of the spec, then a footer; without a footer the log is
truncated. All that depends on wall time is under the key ``wall``, so two runs with one seed differ there
and nowhere else.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO


class TruncatedLog(Exception):
    """The log has no footer: the run did not end."""


class EventLog:
    """Writes events, each flushed as it comes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.events: list[dict[str, Any]] = []

    def write(self, event: str, **facts: Any) -> None:
        """Append one event."""
        line = {"event": event, **facts}
        self.events.append(line)
        self._stream.write(json.dumps(line, sort_keys=True, ensure_ascii=False) + "\n")
        self._stream.flush()


def read(path: Path) -> list[dict[str, Any]]:
    """The events of a finished log.

    Raises:
        TruncatedLog: the file is empty, broken off, or not a log.
    """
    events: list[dict[str, Any]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").removesuffix("\n").split("\n"), start=1):
        try:
            events.append(json.loads(line))
        except json.JSONDecodeError as err:
            raise TruncatedLog(f"{path}:{number} is no event: {err}") from err
    if not events or events[0].get("event") != "header":
        raise TruncatedLog(f"{path} does not begin with a header")
    if events[-1].get("event") != "footer":
        raise TruncatedLog(f"{path} has no footer: the run did not end")
    return events


def without_wall(events: Iterable[dict[str, Any]]) -> str:
    """The events as text, wall times left out: equal for two runs with one seed."""
    kept = [{key: value for key, value in event.items() if key != "wall"} for event in events]
    return "\n".join(json.dumps(event, sort_keys=True, ensure_ascii=False) for event in kept)
