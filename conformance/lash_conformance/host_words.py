"""The words host checks are written in: sessions, turns, scripts, and a host's answers as readable lines.

Lines leave out what differs from run to run: ids that a host mints, times and durations.
"""

import asyncio
import json
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

from lash_conformance.host import Data, HostCore, HostSession, HostSubscription, OpenSpec, TurnSpec
from lash_conformance.vocabulary import Unexpected
from lash_ref.errors import LashError
from lash_ref.messages import message_of

T = TypeVar("T")

# -- doing


async def opened(core: HostCore, session_id: str = "s1", **parts: Any) -> HostSession:
    """A session opened on ``core``."""
    return await core.open(session_id, OpenSpec(**parts))


def text(*texts: str) -> tuple[Data, ...]:
    """Text items of a turn's input."""
    return tuple({"type": "text", "text": one} for one in texts)


async def say(session: HostSession, words: str = "hi", **parts: Any) -> Data:
    """Run one turn of one text."""
    return await session.turn(TurnSpec(items=text(words), **parts))


async def script(core: HostCore, *replies: str | Data) -> None:
    """Append replies to the core's script; text stands for a plain answer."""
    await core.script([{"text": reply} if isinstance(reply, str) else reply for reply in replies])


def calls(*tools: tuple[str, Data], says: str = "") -> Data:
    """A reply that calls tools, with call ids c1, c2, …"""
    made = [{"id": f"c{n}", "name": name, "args": args} for n, (name, args) in enumerate(tools, start=1)]
    return {"text": says, "tools": made} if says else {"tools": made}


async def exchange(core: HostCore, session: HostSession, words: str, answer: str | Data) -> Data:
    """Script one reply and run one turn."""
    await script(core, answer)
    return await say(session, words)


async def refusal(code: str, attempt: Awaitable[object], **fields: object) -> LashError:
    """The refusal of ``attempt``: an error of that code whose named fields hold these values."""
    wanted = f"{code}({', '.join(f'{k}={v!r}' for k, v in fields.items())})"
    try:
        answer = await attempt
    except LashError as err:
        wrong = {name: err.fields.get(name) for name in fields if err.fields.get(name) != fields[name]}
        if err.code != code or wrong:
            raise Unexpected(wanted, f"{err.code}: {err} {wrong or ''}".strip()) from err
        return err
    raise Unexpected(wanted, f"an answer: {answer!r:.200}")


async def refused(attempt: Awaitable[object], *words: str) -> LashError:
    """The refusal of ``attempt``, whatever its code; its text holds each of the words."""
    try:
        answer = await attempt
    except LashError as err:
        if missing := [word for word in words if word not in str(err)]:
            raise Unexpected(f"a refusal that says {', '.join(missing)}", f"{err.code}: {err}") from err
        return err
    raise Unexpected("a refusal", f"an answer: {answer!r:.200}")


PATIENCE_S = 20.0


async def within(awaited: Awaitable[T]) -> T:
    """What is awaited, unless it takes so long that it will never come."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await awaited
    except TimeoutError as err:
        raise Unexpected(f"an end within {PATIENCE_S:g} s", "nothing happened") from err


# -- reading


async def transcript(session: HostSession) -> list[str]:
    """What the session shows, one line a message: ``user: hi``."""
    return [f"{one['role']}: {one['text']}" for one in await session.read("transcript")]


def stored_lines(read: Any) -> list[str]:
    """The messages on the stored active path, one line each; tool parts by name."""
    if read is None:
        return []
    by_id = {node.node_id: node for node in read.graph.nodes}
    path: list[Any] = []
    leaf = read.graph.leaf_node_id
    while leaf in by_id:
        path.append(by_id[leaf])
        leaf = by_id[leaf].parent_node_id
    messages = [message_of(node) for node in reversed(path)]
    return [
        f"{one.role.lower()}: {' '.join(part.content for part in one.parts)}"
        for one in messages
        if one is not None
    ]


def answer(report: Data | None) -> str:
    """How a turn ended, as one line: ``says hello``, ``stopped cancelled``, ``tool finish = 3``; or ``none``."""
    if report is None:
        return "none"
    match report["outcome"]:
        case {"finished": {"assistant_message": {"text": said}}}:
            return f"says {said}"
        case {"finished": {"final_value": {"value": value}}}:
            return f"value {json.dumps(value)}"
        case {"finished": {"tool_value": {"tool_name": name, "value": value}}}:
            return f"tool {name} = {json.dumps(value)}"
        case {"stopped": str(why)}:
            return f"stopped {why}"
        case {"stopped": {"tool_error": {"tool_name": name, "value": value}}}:
            return f"stopped tool_error {name} = {json.dumps(value)}"
        case other:
            return json.dumps(other, sort_keys=True)


def activities(report: Data) -> list[str]:
    """A turn's activities as lines."""
    return [line(one) for one in report["activities"]]


async def seen(following: HostSubscription) -> Data:
    """The next event or gap of a subscription; the check fails if the stream has ended."""
    event = await following.next()
    assert event is not None, "the stream goes on, yet it has ended"
    return event


async def seen_up_to(following: HostSubscription, wanted: str) -> None:
    """Read a subscription until its event reads ``wanted`` as a line."""
    while line(await seen(following)) != wanted:
        pass


def line(activity: Data) -> str:
    """One activity or observed event as one line."""
    match activity:
        case {"type": "assistant_prose_delta", "text": said}:
            return f"prose {said}"
        case {"type": "reasoning_delta", "text": said}:
            return f"reasoning {said}"
        case {"type": "tool_call_started", "name": name}:
            return f"started {name}"
        case {"type": "tool_call_completed", "name": name}:
            return f"completed {name}"
        case {"type": "tool_value", "tool_name": name, "value": value}:
            return f"tool value {name} = {json.dumps(value)}"
        case {"type": "plugin_runtime", "plugin_id": plugin, "event": event}:
            return f"plugin {plugin}: {json.dumps(event, sort_keys=True)}"
        case _:
            return str(activity["type"])


def spent(report: Data) -> tuple[int, int]:
    """Input and output tokens of a turn or a usage report's totals."""
    usage = report["usage"]
    return usage["input_tokens"], usage["output_tokens"]


def asked(request: Data) -> list[str]:
    """The messages of one model request as lines; what a host says above a system message is left out."""
    return [f"{one['role']}: {_said(one)}" for one in request["messages"]]


def _said(message: Data) -> str:
    return message["text"].rpartition("\n")[2] if message["role"] == "system" else message["text"]


def named(rows: Sequence[Data], key: str) -> list[Any]:
    """One field of every row."""
    return [row[key] for row in rows]


def failures(report: Data) -> list[str]:
    """Codes of a turn's failed calls, in the order of the calls."""
    outcomes = [call["output"]["outcome"] for call in report["tool_calls"]]
    return [one["payload"]["code"] for one in outcomes if one["status"] == "failure"]


async def wrote(core: HostCore, *starts: str) -> list[str]:
    """The lines of the journal that begin with one of these texts."""
    return [told for told in await core.journal() if told.startswith(starts)]


async def wrote_once(core: HostCore, *starts: str) -> list[str]:
    """As `wrote`, a line that was written again left out: that something is done once is asked by a clause of its own."""
    return list(dict.fromkeys(await wrote(core, *starts)))
