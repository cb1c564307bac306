"""What runtimes run on: the host's configuration, its bundles, and what one session is given of them."""

import asyncio
import os
import platform
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, Self

from lash_ref.attachments import FileAttachmentStore, InMemoryAttachmentStore, SessionAttachmentStore
from lash_ref.contracts import AttachmentStore, Clock, RuntimePersistence, SessionStoreFactory
from lash_ref.effects import EffectHost, InlineEffectHost
from lash_ref.errors import AttachmentNotFound
from lash_ref.inputs import AttachmentRef, AttachmentSource
from lash_ref.lease import LeaseOwnerIdentity, LeaseTimings, this_process
from lash_ref.observe import LiveReplayStore
from lash_ref.plugin_events import PluginMessage
from lash_ref.plugin_host import PluginHost
from lash_ref.plugin_session import PluginSession
from lash_ref.policy import Residency
from lash_ref.prompt import PromptLayer
from lash_ref.provider import ProviderResolver
from lash_ref.records import AttachmentCreateMeta, AttachmentOwnerKind, DurabilityTier
from lash_ref.retries import RetryPolicy, Sleep
from lash_ref.scalars import Json, Record
from lash_ref.segment import Mint
from lash_ref.store import LAST_RFC3339_SECOND, SystemClock, random_mint

TraceSink = Callable[[str, Json], None]
"""Takes trace events by name; one that raises is ignored."""
AttachmentSourcePolicy = Callable[[AttachmentSource], Awaitable[str | None]]
"""Answers why an attachment of a turn's input is denied, or none."""


class TerminationPolicy(Record):
    """How a turn is judged whose protocol asks for nothing more and names no outcome."""

    treat_missing_done_as_failure: bool = True
    """It stops as a runtime error, the issue's code being ``missing_done``; else its last prose is its answer."""


class TurnPhaseProbe(Protocol):
    """Watches a runtime pass through the phases of a turn; for tests and drills."""

    async def reached(self, phase: str, turn_id: str) -> None:
        """The turn stands at that phase; it goes on once this returns."""
        ...


class ProcessEnvStore(Protocol):
    """Where processes find the environment they were started with."""

    async def persistence(self) -> DurabilityTier:
        """``inline`` or ``durable``."""
        ...

    async def put(self, data: bytes) -> str:
        """Keep an environment; its ref."""
        ...

    async def get(self, ref: str) -> bytes | None:
        """An environment by ref."""
        ...


class InMemoryProcessEnvStore:
    """Environments that live in this object."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    async def persistence(self) -> DurabilityTier:
        """Ephemeral."""
        return "inline"

    async def put(self, data: bytes) -> str:
        """Keep an environment."""
        ref = f"env-{len(self._kept)}"
        self._kept[ref] = data
        return ref

    async def get(self, ref: str) -> bytes | None:
        """An environment by ref."""
        return self._kept.get(ref)


class FileProcessEnvStore:
    """Environments as files named by their SHA-256; what `put` acknowledged survives a crash."""

    def __init__(self, directory: Path, clock: Clock | None = None) -> None:
        self._files = FileAttachmentStore(directory, clock or SystemClock())

    async def persistence(self) -> DurabilityTier:
        """Durable."""
        return "durable"

    async def put(self, data: bytes) -> str:
        """Keep an environment; the same one twice has one ref."""
        return (await self._files.put(data, AttachmentCreateMeta(media_type="application/octet-stream"))).id

    async def get(self, ref: str) -> bytes | None:
        """An environment by ref."""
        try:
            return await self._files.get(ref)
        except AttachmentNotFound:
            return None


@dataclass
class RuntimeCoreConfig:
    """The host's configuration, shared by every session of a core."""

    attachment_store: AttachmentStore | None = None
    prompt: PromptLayer = field(default_factory=PromptLayer)
    trace_sink: TraceSink | None = None
    trace_level: str = "info"
    trace_context: Json = field(default_factory=lambda: Json({}))
    termination: TerminationPolicy = field(default_factory=TerminationPolicy)
    clock: Clock = field(default_factory=SystemClock)
    mint: Mint = random_mint
    sleep: Sleep = asyncio.sleep
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    lease_timings: LeaseTimings = field(default_factory=LeaseTimings)
    provider_resolver: ProviderResolver | None = None
    effect_host: EffectHost | None = None
    process_env_store: ProcessEnvStore | None = None
    attachment_policy: AttachmentSourcePolicy | None = None

    def __post_init__(self) -> None:
        self.attachment_store = self.attachment_store or InMemoryAttachmentStore(self.clock)
        self.effect_host = self.effect_host or InlineEffectHost(clock=self.clock, sleep=self.sleep)

    @property
    def attachments(self) -> AttachmentStore:
        """The attachment store, whether given or made."""
        if self.attachment_store is None:
            raise AssertionError("made at construction")
        return self.attachment_store

    def but(self, **changes: Any) -> Self:
        """A copy with changes made."""
        return replace(self, **changes)

    def timestamp(self, now_ms: int | None = None) -> str:
        """A time as nodes carry it, RFC 3339 in UTC."""
        ms = self.clock.now_ms() if now_ms is None else now_ms
        moment = datetime.fromtimestamp(min(ms / 1000, LAST_RFC3339_SECOND), UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def trace(self, name: str, payload: Json) -> None:
        """Hand an event to the trace sink; a sink that fails never fails a turn."""
        if self.trace_sink is not None:
            with suppress(Exception):
                self.trace_sink(name, payload)

    def lease_owner(self, owner_id: str = "lash-ref") -> LeaseOwnerIdentity:
        """A new incarnation of an owner in this process."""
        return this_process(owner_id, self.mint("incarnation"), platform.node(), os.getpid())


# -- bundles


@dataclass
class RuntimeHost:
    """Everything a runtime is hosted by."""

    core: RuntimeCoreConfig
    session_store_factory: SessionStoreFactory | None = None
    processes: Any = None
    """The `ProcessRegistry`, when there is a process plane."""


@dataclass
class EmbeddedRuntimeHost:
    """A host without a process plane."""

    core: RuntimeCoreConfig
    session_store_factory: SessionStoreFactory | None = None

    def with_session_store_factory(self, factory: SessionStoreFactory) -> Self:
        """The same host with stores for child sessions."""
        return replace(self, session_store_factory=factory)

    def into_host(self) -> RuntimeHost:
        """As a plain host."""
        return RuntimeHost(self.core, self.session_store_factory)


@dataclass
class BackgroundRuntimeHost:
    """A host with a process plane; ``executor`` is its process registry (older name: background task host)."""

    embedded: EmbeddedRuntimeHost
    executor: Any

    def into_host(self) -> RuntimeHost:
        """As a plain host."""
        return replace(self.embedded.into_host(), processes=self.executor)


class TurnInjectionBridge:
    """Puts messages into a running turn's next checkpoint, from memory (older surface; queue input instead)."""

    def __init__(self) -> None:
        self._waiting: list[PluginMessage] = []

    def inject(self, message: PluginMessage) -> None:
        """Have the next checkpoint take a message in."""
        self._waiting.append(message)

    def take(self) -> tuple[PluginMessage, ...]:
        """What waits, once."""
        taken, self._waiting = tuple(self._waiting), []
        return taken


class TurnInputInjectionBridge(TurnInjectionBridge):
    """As `TurnInjectionBridge`, for what a user says."""

    def say(self, text: str) -> None:
        """Have the next checkpoint take in what the user says."""
        self.inject(PluginMessage(role="User", content=text))


class SessionAttachments(Protocol):
    """Attachments as one session sees them."""

    owner: tuple[AttachmentOwnerKind, str] | None

    async def put(self, data: bytes, meta: AttachmentCreateMeta) -> AttachmentRef: ...

    async def get(self, attachment_id: str) -> bytes: ...

    async def delete(self, attachment_id: str) -> None: ...


class UnrecordedAttachments:
    """Attachments of a session without a store: nothing records who refers to them."""

    def __init__(self, backend: AttachmentStore) -> None:
        self.backend = backend
        self.owner: tuple[AttachmentOwnerKind, str] | None = None

    async def put(self, data: bytes, meta: AttachmentCreateMeta) -> AttachmentRef:
        """Store bytes."""
        return await self.backend.put(data, meta)

    async def get(self, attachment_id: str) -> bytes:
        """The bytes."""
        return await self.backend.get(attachment_id)

    async def delete(self, attachment_id: str) -> None:
        """The bytes are the sweep's to delete."""


@dataclass
class RuntimeServices:
    """What one session's runtime is given: its plugins, and its store if it has one."""

    plugin_session: PluginSession
    store: RuntimePersistence | None = None
    attachments: SessionAttachments | None = None
    injection: TurnInjectionBridge = field(default_factory=TurnInjectionBridge)
    input_injection: TurnInputInjectionBridge = field(default_factory=TurnInputInjectionBridge)

    def with_attachment_store(self, backend: AttachmentStore, clock: Clock) -> Self:
        """The same services with the session's own view of ``backend``."""
        session_id = self.plugin_session.session_id
        if self.store is None:
            return replace(self, attachments=UnrecordedAttachments(backend))
        bound = SessionAttachmentStore(session_id, self.store, backend, clock)
        return replace(self, attachments=bound)


@dataclass
class PersistentRuntimeServices:
    """Services of a session that has a store."""

    plugin_session: PluginSession
    store: RuntimePersistence
    injection: TurnInjectionBridge = field(default_factory=TurnInjectionBridge)
    input_injection: TurnInputInjectionBridge = field(default_factory=TurnInputInjectionBridge)

    @classmethod
    def new_with_bridges(
        cls,
        plugin_session: PluginSession,
        injection: TurnInjectionBridge,
        input_injection: TurnInputInjectionBridge,
        store: RuntimePersistence,
    ) -> Self:
        """Services with given bridges."""
        return cls(plugin_session, store, injection, input_injection)

    def into_runtime_services(self) -> RuntimeServices:
        """As plain services."""
        return RuntimeServices(
            self.plugin_session, self.store, injection=self.injection, input_injection=self.input_injection
        )


@dataclass
class RuntimeEnvironment:
    """Infrastructure that runtimes of many sessions share."""

    core: RuntimeCoreConfig = field(default_factory=RuntimeCoreConfig)
    plugin_host: PluginHost | None = None
    residency: Residency = Residency.KEEP_ALL
    session_store_factory: SessionStoreFactory | None = None
    child_store_factory: SessionStoreFactory | None = None
    background_task_host: Any = None
    """The process registry, when there is a process plane."""
    live_replay_store: LiveReplayStore | None = None

    def __post_init__(self) -> None:
        self.live_replay = self.live_replay_store or LiveReplayStore(self.core.clock)
