"""The words checks are written in: commits, nodes, work and input with sensible parts, and expectations.

Every payload is one that upstream's own types accept.
"""

from collections.abc import Awaitable
from typing import Any, Literal, TypeVar, cast

from lash_conformance.bench import Lane
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import LashError
from lash_ref.inputs import (
    ActiveTurn,
    InputIdTarget,
    NextTurn,
    PendingTurnInputDraft,
    SourceKeyTarget,
    TextItem,
    TurnInput,
)
from lash_ref.lease import SessionExecutionLeaseFence
from lash_ref.nodes import (
    ActivePath,
    Append,
    EventNode,
    FullGraph,
    GraphSnapshot,
    PluginNode,
    ReplaceFull,
    Unchanged,
)
from lash_ref.records import (
    AgentFrameAssignment,
    AgentFrameRecord,
    HydratedSessionCheckpoint,
    ModelLimits,
    ModelSpec,
    PersistedSessionConfig,
    PersistedSessionRead,
    PersistedTurnState,
    RuntimeCommit,
    RuntimeTurnCommitStamp,
)
from lash_ref.scalars import Json, Record
from lash_ref.usage import TokenLedgerEntry, TokenUsage
from lash_ref.work import (
    AgentFrameTask,
    QueuedWorkBatchDraft,
    QueuedWorkPayload,
    RefreshToolCatalog,
    SessionCommandPayload,
)

WHEN = "2026-11-21T00:00:00Z"
E = TypeVar("E", bound=LashError)
R = TypeVar("R", bound=Record)

CONFIG = PersistedSessionConfig(
    provider_id="prov", model=ModelSpec(id="m-1", limits=ModelLimits(context_window_tokens=8000))
)
POLICY = Json(
    {
        "model": {"id": "m-1", "variant": "provider_default", "limits": {"context_window_tokens": 8000}},
        "provider_id": "prov",
        "session_id": None,
        "autonomous": False,
        "max_turns": None,
    }
)


class Unexpected(AssertionError):
    """The target did something else than the clause says."""

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"expected {expected}, found {found}")
        self.expected = expected
        self.found = found


class Inapplicable(Exception):
    """The check cannot judge this target on this machine; the text says why."""


async def refused(kind: type[E], attempt: Awaitable[object], **fields: object) -> E:
    """The refusal of ``attempt``: an error of exactly ``kind`` whose named fields hold these values."""
    wanted = f"{kind.__name__}({', '.join(f'{k}={v!r}' for k, v in fields.items())})"
    try:
        answer = await attempt
    except LashError as err:
        if type(err) is not kind:
            raise Unexpected(wanted, f"{err.code}: {err}") from err
        wrong = {name: err.fields[name] for name in fields if err.fields[name] != fields[name]}
        if wrong:
            raise Unexpected(wanted, f"{err.code} with {wrong}") from err
        return err
    raise Unexpected(wanted, f"an answer: {answer!r:.200}")


def unchecked(record: R, **fields: object) -> R:
    """A copy with ``fields`` set past validation: what a careless caller might hand to a store."""
    return record.model_copy(update=fields)


# -- graph


def message(node_id: str, text: str | None = None, parent: str | None = None) -> EventNode:
    """A user message node; its text is its id unless given."""
    content = node_id if text is None else text
    event = {
        "Conversation": {
            "id": node_id,
            "role": "User",
            "parts": [
                {"id": f"{node_id}.p", "kind": "Text", "content": content, "prune_state": "Intact"}
            ],
        }
    }
    return EventNode(node_id=node_id, parent_node_id=parent, timestamp=WHEN, event=Json(event))


def plugin_node(node_id: str, body: object, parent: str | None = None) -> PluginNode:
    """A plugin's node with an opaque body."""
    return PluginNode(
        node_id=node_id, parent_node_id=parent, timestamp=WHEN, plugin_type="kit", body=Json(body)
    )


def chain(*ids: str, under: str | None = None) -> tuple[EventNode, ...]:
    """Messages, each the child of the one before."""
    parents = (under, *ids[:-1])
    return tuple(message(node_id, parent=parent) for node_id, parent in zip(ids, parents, strict=True))


def ids(graph: GraphSnapshot) -> list[str]:
    """Node ids in order."""
    return [node.node_id for node in graph.nodes]


def text_of(node: EventNode) -> str:
    """The text of a message made by `message`."""
    event = cast("dict[str, Any]", node.event.value)
    return cast("str", event["Conversation"]["parts"][0]["content"])


# -- commits


def commit(
    fence: Lane | SessionExecutionLeaseFence | None,
    graph: Unchanged | Append | ReplaceFull | None = None,
    **parts: Any,
) -> RuntimeCommit:
    """A commit of session "s1" under ``fence``; by default it changes no node and clears the leaf.

    Made with a lane it expects the head that the bench last saw, as a host's commits do.
    """
    held = fence.fence if isinstance(fence, Lane) else fence
    session_id = parts.pop("session_id", "s1")
    if isinstance(fence, Lane):
        parts.setdefault("expected_head_revision", fence.revision(session_id))
    return RuntimeCommit(
        session_id=session_id,
        session_execution_lease=held,
        config=parts.pop("config", CONFIG),
        graph=graph if graph is not None else Unchanged(),
        **parts,
    )


def stamp(turn_id: str, turn_hash: str = "h", session_id: str = "s1") -> RuntimeTurnCommitStamp:
    """A turn's stamp."""
    return RuntimeTurnCommitStamp(session_id=session_id, turn_id=turn_id, turn_commit_hash=turn_hash)


def turn(
    turn_id: str,
    *,
    fence: Lane | SessionExecutionLeaseFence | None,
    says: str | None = None,
    expects: int | Literal["head"] | None = "head",
    under: str | None = None,
    **parts: Any,
) -> RuntimeCommit:
    """A stamped commit of one turn that appends one message, id and text ``says`` (default the turn id)."""
    said = turn_id if says is None else says
    if expects != "head":
        parts["expected_head_revision"] = expects
    return commit(
        fence,
        Append(nodes=(message(said, parent=under),), leaf_node_id=said),
        turn_commit=stamp(turn_id),
        **parts,
    )


async def forked(store: RuntimePersistence, lane: Lane) -> None:
    """Commit a - b - c, and d beside c under b; the leaf is c."""
    nodes = (*chain("a", "b", "c"), message("d", parent="b"))
    await store.commit_runtime_state(commit(lane, ReplaceFull(nodes=nodes, leaf_node_id="c")))


def tool_state(generation: int) -> Json:
    """An empty tool state of that generation."""
    return Json({"generation": generation, "tools": {}})


def plugin_snapshot(revision: int = 1, data: object = None) -> Json:
    """A plugin session snapshot of one plugin, "kit"."""
    meta = {"plugin_id": "kit", "plugin_version": "1", "revision": revision} | ({} if data is None else {"state": data})
    return Json({"plugins": {"kit": {"meta": meta, "artifacts": []}}})


def checkpoint(turn_index: int = 1, **parts: Any) -> HydratedSessionCheckpoint:
    """A checkpoint at that turn index with ``parts`` inline."""
    return HydratedSessionCheckpoint(turn_state=PersistedTurnState(turn_index=turn_index), **parts)


def frame(frame_id: str, session_id: str = "s1", **parts: Any) -> AgentFrameRecord:
    """An agent frame."""
    return AgentFrameRecord(
        frame_id=frame_id,
        session_id=session_id,
        created_at=WHEN,
        assignment=AgentFrameAssignment(policy=POLICY),
        **parts,
    )


def spent(source: str = "turn", model: str = "m-1", **tokens: int) -> TokenLedgerEntry:
    """A usage delta: ``spent("turn", "m-1", input_tokens=3)``."""
    return TokenLedgerEntry(source=source, model=model, usage=TokenUsage(**tokens))


# -- queued work


def task(text: str = "work") -> AgentFrameTask:
    """A turn-work payload."""
    return AgentFrameTask(frame_id="f1", task=text)


def command(reason: str = "why") -> SessionCommandPayload:
    """A command payload."""
    return SessionCommandPayload(command=RefreshToolCatalog(reason=reason))


def batch(*payloads: QueuedWorkPayload, **parts: Any) -> QueuedWorkBatchDraft:
    """A draft for "s1": exclusive turn work at the earliest boundary, unless ``parts`` say otherwise."""
    defaults: dict[str, Any] = {
        "session_id": "s1",
        "delivery_policy": "earliest_safe_boundary",
        "slot_policy": "exclusive",
        "payloads": payloads or (task(),),
    }
    return QueuedWorkBatchDraft(**(defaults | parts))


# -- pending input


def said(text: str = "hi", **parts: Any) -> PendingTurnInputDraft:
    """A draft for "s1" for the next turn, unless ``parts`` name another ingress."""
    defaults: dict[str, Any] = {
        "session_id": "s1",
        "ingress": NextTurn(),
        "input": TurnInput(items=(TextItem(text=text),)),
    }
    return PendingTurnInputDraft(**(defaults | parts))


def during(turn_id: str = "t1", boundary: Any = "after_work") -> ActiveTurn:
    """Ingress for the running turn."""
    return ActiveTurn(turn_id=turn_id, min_boundary=boundary)


def by_id(input_id: str) -> InputIdTarget:
    """A cancel target named by input id."""
    return InputIdTarget(value=input_id)


def by_key(source_key: str) -> SourceKeyTarget:
    """A cancel target named by source key."""
    return SourceKeyTarget(value=source_key)


# -- reading back


async def loaded(
    store: RuntimePersistence, scope: FullGraph | ActivePath | None = None
) -> PersistedSessionRead:
    """The session as a full read (or ``scope``) answers it; the check fails if there is none."""
    read = await store.load_session(scope or FullGraph())
    assert read is not None, "the session was committed, yet a load answers none"
    return read


async def everything(store: RuntimePersistence, session_id: str = "s1") -> tuple[object, ...]:
    """All a caller can see of a session: what must be equal before and after a refusal."""
    return (
        await store.load_session(FullGraph()),
        await store.load_session_meta(),
        await store.list_queued_work(session_id),
        await store.list_pending_queued_work(session_id),
        await store.list_pending_turn_inputs(session_id),
        sorted(await store.list_uncommitted(2**62), key=lambda row: (row.session_id, row.attachment_id)),
        sorted(await store.list_all_refs()),
    )
