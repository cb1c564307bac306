"""What an implementer gives the judge of hosts: a way to make a core from a description, and to drive it.

A host target makes cores; a core opens sessions; a session runs turns. Everything that crosses is JSON-like:
text, numbers, lists and dictionaries in lash's own shapes. The plugins, tools and provider replies that a
description names are those of the kit (``docs/kit.md``). A refusal is a `LashError` whose ``code`` is the
contract's; an adapter of another language raises `Refused`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, cast, get_args, runtime_checkable

from lash_conformance.target import TargetFault, imported, require_declared
from lash_ref.contracts import AttachmentStore, Clock, SessionStoreFactory
from lash_ref.errors import LashError

Data = dict[str, Any]
"""A JSON object."""

HostCapability = Literal[
    "durable", "clock", "plugins", "queue", "frames", "graph", "waits", "observation", "children", "recording", "helpers",
    "processes", "triggers", "providers", "replay", "rlm", "line", "process",
]  # fmt: skip
HOST_CAPABILITIES: dict[HostCapability, str] = {
    "durable": "the store outlives the core, so a session can be killed and reopened",
    "clock": "time is the judge's: leases, waits and replay windows read the place's clock and no other",
    "plugins": "a core has plugins: hooks, snapshots, operations, bindings; without it `CoreSpec` and `OpenSpec` name none",
    "queue": "input and commands are queued, listed, cancelled and drained",
    "frames": "a session opens agent frames, by a tool or a compaction",
    "graph": "nodes of the history are appended and found by id, and a frame is opened by hand",
    "waits": "durable waits are named, awaited, resolved and revoked; a tool may leave its result pending",
    "observation": "a session is observed: cursors, replay, subscriptions",
    "children": "a session creates child sessions and runs turns of them",
    "recording": "effects are recorded at the place, so that a turn driven again by another core replays them (``CoreSpec.journal``)",
    "helpers": "`HostTarget.pure` answers",
    "processes": "sessions start, await, signal and cancel processes",
    "triggers": "sessions declare trigger events and receive deliveries",
    "providers": "real wire dialects are spoken, as `SpeaksProviders` has it",
    "replay": "recorded exchanges are served and made over HTTP, as `Replays` has it",
    "rlm": "a core may run model-written Python cells (a core of protocol rlm)",
    "line": "the judge stands between a core and its stores: it counts, fails and stops what is said there",
    "process": "a core lives in a process that the judge really kills; declared by no host, known of every command",
}
IN_PROCESS = frozenset(HOST_CAPABILITIES) - {"process"}
"""What a host in the judge's own process can have; the line to the stores is then the judge's already."""
assert set(HOST_CAPABILITIES) == set(get_args(HostCapability)), "every capability is described"


class Refused(LashError):
    """A refusal told by a host that has no `LashError` of that name."""

    wording: ClassVar[str] = "{named}: {facts}"
    names: ClassVar[tuple[str, ...]] = ("named", "facts")

    @property
    def code(self) -> str:
        """The contract's name for the refusal."""
        return str(self.values[0])

    @property
    def fields(self) -> dict[str, object]:
        """The refusal's facts, and the two words it is told with."""
        facts = self.values[1]
        told: dict[str, object] = {"named": self.values[0], "facts": facts}
        return told | (facts if isinstance(facts, dict) else {})


def load(name: str) -> "HostTarget":
    """The target named ``reference``, ``reference:STORE``, ``stdio:COMMAND`` or ``python:package.module:callable``.

    Raises:
        TargetFault: no such target, or what the callable returned lacks a member.
    """
    scheme, _, rest = name.partition(":")
    if scheme == "reference":
        return cast("HostTarget", import_module("lash_conformance.targets.reference").target(rest or "memory"))
    if scheme == "stdio" and rest.strip():
        return cast("HostTarget", import_module("lash_conformance.targets.stdio_host").target(rest))
    made = imported(name, "reference, reference:STORE, stdio:COMMAND")
    if not isinstance(made, HostTarget):
        members = ("name", "version", "capabilities", "store", "core", "pure")
        missing = [part for part in members if not hasattr(made, part)]
        raise TargetFault(f"host target {name!r} lacks {', '.join(missing)}")
    require_declared(name, made, ("name", "version", "store"), HOST_CAPABILITIES)
    return made


@dataclass(frozen=True, kw_only=True)
class HostPlace:
    """Where one check's sessions live; the stores are the judge's, so that it can read, count and break them."""

    stores: SessionStoreFactory
    """The factory every core of the place is built on, unless its description says ``store="none"``."""
    others: SessionStoreFactory
    """A second factory; ``OpenSpec(store="other")`` asks it for the session's explicit store."""
    attachments: AttachmentStore
    clock: Clock
    """To be read for every time, by targets that declare ``clock``."""
    mint: Callable[[str], str]
    memory: dict[str, object] = field(default_factory=dict[str, object])
    """What a target keeps between cores of one place, such as a kit plugin's shared pool."""
    directory: Path | None = None
    """Where a host keeps what outlives a core when its process does not; none in the judge's own process."""


@dataclass(frozen=True, kw_only=True)
class CoreSpec:
    """What a core is built of; plugins and tools are named as in the kit."""

    plugins: tuple[str, ...] = ()
    """Kit plugins in stack order."""
    edits: tuple[Data, ...] = ()
    """Edits of the stack once ``plugins`` were added, in order: ``{"push": id}`` ``{"remove": id}``
    ``{"replace": id}`` ``{"retain": [id, …]}`` ``{"plugins": [id, …]}``, the last replacing it whole."""
    tools: tuple[str, ...] = ()
    """Kit tools, given to the core as one provider without a plugin."""
    protocol: Literal["standard", "rlm"] = "standard"
    """How turns are driven; ``rlm`` with cells of at most half a second, 20 MB and 20 tool calls."""
    without: tuple[str, ...] = ()
    """Facets left out: ``protocol_plugin model effect_host attachment_store process_env_store plugin_host``."""
    store: Literal["factory", "none"] = "factory"
    model: str = "m-1"
    context_window: int = 8000
    max_turns: int | None = None
    prompt: Data | None = None
    """The core's prompt layer, in lash's JSON."""
    providers: tuple[str, ...] = ("prov",)
    """Ids of the scripted providers that can be resolved; the first is the core's own."""
    route: Data | None = None
    """A wire dialect in place of the scripted providers: ``{"dialect", "base_url", "options"?}``, as the kit has it."""
    durable: tuple[str, ...] = ()
    """Facets that are to outlive the process: ``session_store attachment_store process_env_store effect_host``."""
    registry: Literal["none", "inline", "durable"] = "none"
    """The process registry; ``inline`` for a core that runs processes."""
    journal: bool = False
    """Whether effects are recorded at the place, so that a turn driven again by another core replays them."""
    residency: Literal["keep_all", "active_path_only"] = "keep_all"
    owner: str = "a"
    """Lease owner id; every open of a session is an incarnation of its own, so that two opens exclude each other ([SES.21][])."""
    lease_ttl_ms: int | None = 30_000
    """None leaves both times to the core's default."""
    lease_renew_ms: int | None = 10_000
    process_concurrency: int | None = None
    replay_events: int = 2048
    """How many events the live replay keeps a session."""
    options: Data = field(default_factory=Data)
    """Anything a kit plugin reads at build, by plugin id."""


@dataclass(frozen=True, kw_only=True)
class OpenSpec:
    """How a session is opened; what is absent is inherited from the core."""

    how: Literal["open", "fresh", "state"] = "open"
    state: Data | None = None
    """For ``state``: what the member ``export_state`` of a session answered, perhaps edited."""
    store: Literal["factory", "other", "none"] = "factory"
    model: str | None = None
    max_turns: int | None = None
    prompt: Data | None = None
    provider: str | None = None
    parent: str | None = None
    plugins: tuple[str, ...] = ()
    """Kit plugins bound to this session alone."""
    plugin_options: Data = field(default_factory=Data)
    mode: str | None = None
    owner: str | None = None


@dataclass(frozen=True, kw_only=True)
class TurnSpec:
    """One turn to run."""

    items: tuple[Data, ...] = ()
    """Input items in lash's JSON: ``{"type": "text", "text": "hi"}``."""
    turn_id: str | None = None
    trace_turn_id: str | None = None
    cancel: str | None = None
    """A token; `HostSession.fire` fires it, before or while the turn runs."""
    cancel_origin: str | None = None
    provider: str | None = None
    prompt: Data | None = None
    plugin_inputs: Data = field(default_factory=Data)
    options: Data | None = None
    """Protocol turn options."""


class HostSession(Protocol):
    """One handle on a session.

    A turn is answered as a dictionary of ``outcome`` ``usage`` ``children_usage`` ``tool_calls`` ``errors``
    ``cancellation`` ``assistant_output`` ``execution`` (as lash's TurnResult has them), ``turn_index``, and
    ``activities``: the turn's activities in order, each ``{"type": …}`` with its fields.
    """

    async def turn(self, spec: TurnSpec) -> Data:
        """Run one turn to its end."""
        ...

    async def queued_turn(self, batch_ids: Sequence[str] = (), drain_id: str | None = None) -> Data | None:
        """Drain one turn of queued work; none when nothing is runnable."""
        ...

    async def fire(self, token: str) -> None:
        """Fire a turn's cancellation token."""
        ...

    async def cancel_running_turns(self, origin: str | None = None) -> int:
        """Cancel what runs through this handle and its clones; how many turns were signalled."""
        ...

    async def request_turn_cancel(
        self, turn_id: str, request_id: str, origin: str | None = None, reason: str | None = None
    ) -> Data:
        """Ask one turn to stop; answers ``outcome`` and ``durability_tier``."""
        ...

    async def clone(self) -> "HostSession":
        """Another handle on the same live session."""
        ...

    async def drop(self) -> None:
        """Let go of this handle without closing anything."""
        ...

    async def park(self) -> object:
        """Flush, and answer what `HostCore.resume` takes."""
        ...

    async def close(self) -> None:
        """Flush and let go."""
        ...

    async def configure(self, patch: Data) -> None:
        """Change ``provider`` ``model`` or ``prompt``; what is absent stays."""
        ...

    async def read(self, what: str) -> Any:
        """A non-blocking read: ``session_id parent_session_id policy transcript usage_report turn_index
        frames current_frame tool_state active_tools head_revision``.

        ``transcript`` is a list of ``{"role": …, "text": …}`` of the current frame; ``usage_report`` is in
        lash's shape; ``policy`` has ``provider_id model max_turns prompt``.
        """
        ...

    async def call(self, method: str, arguments: Data) -> Any:
        """A member named as in lash, its arguments by name, its answer in lash's JSON.

        Queue: ``enqueue{text,id?,ingress?}`` ``queued_work`` ``pending_turn_inputs``
        ``cancel_pending_turn_input{input_id}`` ``cancel_pending_turn_inputs{targets}``
        ``cancel_pending_turn_input_suffix{anchor}`` ``cancel_queued_work_batch{batch_id}``
        ``await_queued_work_batch{batch_id}`` ``abandon_queued_work_claim{claim}``
        ``abandon_turn_input_claim{claim}``. Waits: ``revoke_durable_waits``. Graph: ``get_historic_node{node_id}``
        ``orphaned_node_ids`` ``append_nodes{nodes,requires_ancestor?}`` ``refresh_background_graph`` ``export_state``
        ``compact_context{instructions?}`` ``open_agent_frame{frame_id,task}`` ``branch_to_node{node_id}``.
        Plugins: ``operation{kind,name,arguments,session?}`` (``session`` names a session, absent
        it is left out; answers the output of a query, ``{output,events}`` of a command or task) ``operations`` (the definitions)
        ``triggers.catalog`` ``tools.state`` ``tools.apply_state{state}``
        ``tools.set_membership{tool_id,member}`` ``tools.refresh`` ``tools.add{tools}`` (kit tools as a live source;
        answers its handle) ``tools.remove{handle}`` ``set_turn_phase_probe``. Commands: ``command{kind,key,reason?}``,
        the kind being ``refresh_tool_catalog`` or ``reset_session``.
        Processes and triggers: ``processes.start{name,arguments}`` ``processes.list`` ``processes.await{id}``
        ``processes.cancel{id}`` ``processes.signal{id,signal}`` ``triggers.register{event,process}``
        ``triggers.list`` ``triggers.emit{event,key,payload?}``. Children: ``children.create{session_id?,fork?,hidden?}``
        ``children.turn{session_id,text}``.
        """
        ...

    async def observe(self) -> Data:
        """The current observation: ``cursor`` and ``revision``; a cursor is the host's own text."""
        ...

    async def resume_from(self, cursor: str) -> Data:
        """``{"events": […]}`` after the cursor, or ``{"gap": {…}}``; each event has ``cursor`` and ``type``."""
        ...

    async def subscribe(self, cursor: str, *, recover: bool = False) -> "HostSubscription":
        """Follow from the cursor; with ``recover`` a gap is an item and the stream goes on."""
        ...


class HostSubscription(Protocol):
    """A live stream of observation events."""

    async def next(self) -> Data | None:
        """The next event or gap; none when the stream has ended."""
        ...

    async def close(self) -> None:
        """Stop following."""
        ...


class HostCore(Protocol):
    """One core: what a process holds."""

    async def open(self, session_id: str, spec: OpenSpec) -> HostSession:
        """Open a session; nothing is leased by it."""
        ...

    async def resume(self, parked: Any) -> HostSession:
        """Open what `HostSession.park` answered."""
        ...

    async def delete(self, session_id: str) -> Data:
        """Delete the session's durable state; answers the report."""
        ...

    async def call(self, method: str, arguments: Data) -> Any:
        """A member of the core named as in lash, its arguments by name.

        ``enqueue_turn_input{session_id,text,ingress?,source_key?}``
        ``resolve{key,resolution}`` (answers ``resolved already_resolved unknown_or_revoked``)
        ``await{key,deadline_ms?}`` ``request_cancel{session_id,turn_id,request_id,origin?,reason?}``
        ``pending_key{name}`` ``shelf{offers}`` ``wait_key{session_id,wait_id}``;
        keys are JSON objects, and a resolution is ``{"ok": value}``, ``{"err": value}``, ``"timeout"`` or ``"cancelled"``.
        """
        ...

    async def script(self, replies: Sequence[Data]) -> None:
        """Append replies of the kit's scripted provider; the n-th model call gets the n-th reply."""
        ...

    async def requests(self) -> list[Data]:
        """What the scripted provider was asked: ``provider`` ``model`` ``system`` ``messages`` ``tools``."""
        ...

    async def journal(self) -> list[str]:
        """What the kit's plugins and tools wrote down, in order."""
        ...

    async def reached(self, gate: str) -> None:
        """Return once somebody waits at the kit's gate."""
        ...

    async def release(self, gate: str) -> None:
        """Open the gate for all who wait at it and all who will."""
        ...

    async def kill(self) -> None:
        """Die as a process does: nothing is flushed, nothing is released, nothing runs any more."""
        ...

    async def close(self) -> None:
        """Stop whatever the core runs, in order; sessions left open are dropped. Closing twice is harmless."""
        ...


@runtime_checkable
class HostTarget(Protocol):
    """A host implementation as the judge sees it."""

    name: str
    version: str
    capabilities: frozenset[HostCapability]
    store: str
    """The store target that cores are built on unless the run names another."""

    async def core(self, place: HostPlace, spec: CoreSpec) -> HostCore:
        """Build a core, or refuse as the wiring clauses say."""
        ...

    async def pure(self, method: str, arguments: Data) -> Any:
        """A pure helper of the state chapter (area STA), named there; its arguments by name."""
        ...
