"""Server-sent events, framed from bytes.

A line ends with LF, CR LF or CR, as the HTML standard has it; nothing else ends a line, so a U+2028 inside a JSON
string stays where it is, and a code point may be split over chunks ([PRV.1][], [PRV.2][], [PRV.3][]).
"""

import re
from dataclasses import dataclass

_FIELD = re.compile(rb"[\w-]*(:|$)")
"""A comment, or a field of any name."""


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event: its data lines joined by LF, and its name where the stream gave one."""

    data: bytes
    name: str = ""


class Framer:
    """Turns chunks, however the network cut them, into events."""

    __slots__ = ("_after_cr", "_data", "_name", "_rest", "stray")

    def __init__(self) -> None:
        self.stray: list[bytes] = []
        """Lines that are no field at all; some servers break off a stream with a bare error ([PRV.44][])."""
        self._rest: list[bytes] = []
        self._data: list[bytes] = []
        self._name = ""
        self._after_cr = False
        """Whether the last byte was a CR, which ended its line: an LF behind it ends none."""

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """The events that ``chunk`` completes."""
        if not chunk:
            return []
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")
        self._after_cr = chunk.endswith(b"\r")
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b"\n" not in chunk:
            if chunk:
                self._rest.append(chunk)
            return []
        if self._rest:
            chunk = b"".join([*self._rest, chunk])
        lines = chunk.split(b"\n")
        last = lines.pop()
        self._rest = [last] if last else []
        return [event for line in lines if (event := self._line(line)) is not None]

    def flush(self) -> list[ServerSentEvent]:
        """The event that the end of the stream completes; servers forget the last blank line."""
        rest, self._rest = b"".join(self._rest), []
        return [event for line in (rest, b"") if (event := self._line(line)) is not None]

    def _line(self, line: bytes) -> ServerSentEvent | None:
        if line.startswith(b"data:"):
            self._data.append(line[6:] if line[5:6] == b" " else line[5:])
        elif line.startswith(b"event:"):
            self._name = line[6:].strip().decode("utf-8", "replace")
        elif line.startswith(b"error:"):  # no field of the standard's, but a server's word for an error
            self._name = "error"
            self._data.append(line[6:].strip())
        elif not line:
            data, name = self._data, self._name
            self._data, self._name = [], ""
            if data:
                return ServerSentEvent(b"\n".join(data), name)
        elif not _FIELD.match(line):
            self.stray.append(line)
        return None
