"""The durable steps of one call to a store: what its process asked of the system before it answered."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lash_conformance.strace import NAMES, OPENS, SENDS, SIZES, SYNCS, WRITES, Blow, Call, Errno

Kind = Literal["write", "sync", "size", "name", "send", "reply"]
LONG, STRIDE = 8, 5
"""Of a row of more steps than the first, of many alike the first, the last and every fifth are looked at."""
WAKE_UP_BYTES = 1
"""An event loop wakes itself by sending a byte to a socket of its own; nothing is stored by that."""


@dataclass(frozen=True)
class Step:
    """One call that can change what is stored, or the answer itself."""

    position: int
    """Of the call in the trace."""
    kind: Kind
    call: str
    what: str
    """The file, named from the place; or ``socket``, or ``answer``."""
    nth: int
    """The how-manieth call of that name its thread made since it began, or since the row did."""
    aimed: bool
    """Whether no earlier call of that name was the same number of another thread, so that it can be hit."""

    def __str__(self) -> str:
        return f"{self.call} {self.what}"

    def blow(self, errno: Errno | None = None, length: int = 1) -> Blow:
        """What strikes here: a kill just before the call, or ``length`` calls that fail with ``errno``."""
        return Blow(self.call, self.nth, self.nth + length - 1, errno)


@dataclass(frozen=True)
class Watched:
    """Whose trace it is."""

    place: Path
    answers: str
    """The path of the pipe that answers go to, as the trace names it."""


def pipe_of(descriptor: int) -> str:
    """How a trace names the pipe behind a descriptor of this process."""
    return f"pipe:[{os.fstat(descriptor).st_ino}]"


def answers(calls: Sequence[Call], watched: Watched) -> list[int]:
    """Positions of the calls that ended an answer: those that wrote a line's end to the pipe."""
    return [
        number
        for number, call in enumerate(calls)
        if call.name in (*WRITES, *SENDS) and call.path() == watched.answers and b"".join(call.strings).endswith(b"\n")
    ]


def row(calls: Sequence[Call], watched: Watched, *, late: bool = False) -> list[Step]:
    """The steps between the last answer but one and the last: those of the last call made.

    They are numbered from the start of the process, or, ``late``, from there.
    Sends to a socket are steps only of a target that touched no file: its data is kept by a server.
    """
    ends = answers(calls, watched)
    if not ends:
        return []
    begin, end = (ends[-2] + 1 if len(ends) > 1 else 0), ends[-1]
    since = begin if late else 0
    numbered = _numbered(calls[since:])
    found = [
        Step(number, kind, calls[number].name, what, *numbered[number - since])
        for number in range(begin, end + 1)
        for kind, what in [_seen(calls[number], watched)]
        if kind is not None
    ]
    if any(step.kind not in ("send", "reply") for step in found):
        found = [step for step in found if step.kind != "send"]
    return found


def deeds(calls: Sequence[Call], watched: Watched) -> list[frozenset[tuple[Kind, str]]]:
    """What was done to which file before each answer, in the order of the answers."""
    begin, found = 0, list[frozenset[tuple[Kind, str]]]()
    for end in answers(calls, watched):
        seen = [_seen(call, watched) for call in calls[begin:end]]
        found.append(frozenset((kind, what) for kind, what in seen if kind is not None))
        begin = end + 1
    return found


def _numbered(calls: Sequence[Call]) -> list[tuple[int, bool]]:
    counted: Counter[tuple[int, str]] = Counter()
    seen: set[tuple[str, int]] = set()
    made: list[tuple[int, bool]] = []
    for call in calls:
        counted[call.thread, call.name] += 1
        nth = counted[call.thread, call.name]
        made.append((nth, (call.name, nth) not in seen))
        seen.add((call.name, nth))
    return made


def _seen(call: Call, watched: Watched) -> tuple[Kind | None, str]:
    if call.name in (*WRITES, *SENDS) and call.path() == watched.answers:
        return "reply", "answer"
    if call.name in SENDS:
        sent = sum(map(len, call.strings[:1]))
        return ("send", "socket") if sent > WAKE_UP_BYTES and "socket:" in call.path() else (None, "")
    what = _inside(call, watched)
    if not what:
        return None, ""
    if call.name in OPENS:
        return ("name", what) if "O_CREAT" in call.arguments or "O_TRUNC" in call.arguments else (None, "")
    kinds: tuple[tuple[Kind, tuple[str, ...]], ...] = (
        ("write", (*WRITES, "copy_file_range", "sendfile")), ("sync", SYNCS), ("size", SIZES), ("name", NAMES),
    )  # fmt: skip
    for kind, names in kinds:
        if call.name in names:
            return kind, what
    return None, ""


def _inside(call: Call, watched: Watched) -> str:
    """The file of the place that the call touches, or nothing; minted parts of its name are left out."""
    if call.name in ("sync", "msync", "syncfs"):
        return "."
    place = str(watched.place)
    paths = [call.path(), call.opened]
    if call.name in (*NAMES, *OPENS, "truncate"):
        paths = [call.opened, *(call.absolute(number) for number in range(len(call.strings)))]
    for path in paths:
        if path == place:
            return "."
        if path.startswith(f"{place}/"):
            return _shortened(path[len(place) + 1 :])
    return ""


def _shortened(name: str) -> str:
    folder, _, last = name.rpartition("/")
    short = last if len(last) <= 24 else f"{last[:8]}…"
    return f"{folder}/{short}" if folder else short


def chosen(steps: Sequence[Step], most: int | None) -> list[Step]:
    """Which steps are struck: all, or of a long row the last, the first, those after a sync, and some between.

    After a sync something is settled, so a store that settles one call in two parts is caught there.
    """
    aimed = [number for number, step in enumerate(steps) if step.aimed]
    if most is None or len(aimed) <= most:
        return [steps[number] for number in aimed]
    settled = [n for n in aimed if n > 0 and steps[n - 1].kind in ("sync", "name")]
    spread = [aimed[n * (len(aimed) - 1) // most] for n in range(1, most)]
    wanted = dict.fromkeys((*aimed[-1:], *aimed[:1], *settled, *spread))
    return [steps[number] for number in sorted(list(wanted)[:most])]


def telling(steps: Sequence[Step]) -> list[int]:
    """Before which steps a disk is looked at, and after the last: all, or of a long row not each of many alike."""
    return [
        number
        for number in range(len(steps) + 1)
        if len(steps) <= LONG or number % STRIDE == 0 or not _amid(steps[max(0, number - 1) : number + 2])
    ]


def _amid(around: Sequence[Step]) -> bool:
    """Whether three steps in a row do the same to the same file."""
    return len(around) == 3 and len({(step.kind, step.what) for step in around}) == 1


def syncs_before_answering(calls: Sequence[Call], steps: Sequence[Step]) -> str:
    """Whether something that the row wrote was synced before its answer; empty if so, else what was not."""
    if not any(step.kind == "reply" for step in steps):
        return "there was no answer"
    reply = next(step.position for step in steps if step.kind == "reply")
    wrote = [s for s in steps if s.kind in ("write", "size", "name") and s.position < reply]
    if not wrote:
        return "" if any(step.kind == "send" for step in steps) else "nothing was written before the answer"
    synced = [s for s in steps if s.kind == "sync" and calls[s.position].ended < reply]
    if any(sync.position > write.position for write in wrote for sync in synced if sync.what in (write.what, ".")):
        return ""
    return f"{', '.join(dict.fromkeys(s.what for s in wrote))} written, not synced, and answered"
