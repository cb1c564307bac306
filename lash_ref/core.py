"""The core: wired once by its builder, it opens, resumes and deletes sessions.

Nothing is left to a silent default: a core names its protocol, model, effect host, attachment store and
process environment store, and durable parts do not stand beside ephemeral ones.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from pydantic import ValidationError

from lash_ref.cancel import TurnCancelGate, TurnCancellationEvidence, TurnCancelReceipt
from lash_ref.contracts import AttachmentStore, Clock, SessionStoreFactory
from lash_ref.effects import EffectHost
from lash_ref.errors import LashError
from lash_ref.hosting import (
    AttachmentSourcePolicy,
    ProcessEnvStore,
    RuntimeCoreConfig,
    RuntimeEnvironment,
    TerminationPolicy,
    TraceSink,
)
from lash_ref.inputs import NextTurn, PendingTurnInput, PendingTurnInputDraft, TurnInput, TurnInputIngress
from lash_ref.ladder import RetryPolicy, Sleep
from lash_ref.lane import store_failure
from lash_ref.lease import LeaseTimings
from lash_ref.observe import LiveReplayStore, QueueChangedPayload
from lash_ref.outcome import TurnResult
from lash_ref.plugin_host import PluginHost
from lash_ref.plugins import PluginFactory, PluginSpec, PluginStack, StaticPluginFactory
from lash_ref.policy import ModeId, Residency, SessionPolicy, SessionSpec
from lash_ref.processes import ProcessRegistry
from lash_ref.prompt import PromptLayer
from lash_ref.protocol import StandardProtocolPluginFactory
from lash_ref.provider import Provider, ProviderResolver, SingleProviderResolver
from lash_ref.records import DurabilityTier, ModelSpec, SessionStoreCreateRequest
from lash_ref.rlm import RlmProtocolPluginFactory
from lash_ref.runtime import ParkedSession
from lash_ref.runtime_errors import (
    DurableProcessRegistryRequiresStoreFactory,
    DurableStorePeerRequired,
    MissingAttachmentStore,
    MissingEffectHost,
    MissingModelSpec,
    MissingProcessEnvStore,
    MissingProtocolPlugin,
    MissingSessionStoreFactory,
    ProcessExecutionConcurrency,
    ProcessRegistryRequiresStoreFactory,
    StoreFactoryError,
)
from lash_ref.scalars import Json, invalid
from lash_ref.segment import Mint
from lash_ref.session import LashSession
from lash_ref.session_builder import CoreParts, SessionBuilder, resume
from lash_ref.shared import QueuedWorkDriver
from lash_ref.tools import ToolProvider
from lash_ref.triggers import SqliteTriggers, TriggerRouter, TriggerStore
from lash_ref.turn_builders import PromptLayerSink, as_input
from lash_ref.waits import AwaitEventKey, Resolution, Resolved, ResolveOutcome, UnknownOrRevoked


@dataclass(frozen=True)
class SessionDeleteReport:
    """What a delete did, and which processes of the session still run."""

    session_id: str
    running_processes: tuple[str, ...] = ()


@dataclass
class Completions:
    """Durable waits of a core, by key."""

    effect_host: EffectHost

    def resolve(self, key: AwaitEventKey | str, resolution: Resolution) -> ResolveOutcome:
        """Answer a wait; the first word stands ([WAI.1][], [WAI.2][]).

        Raises:
            InvalidRecord: the text is no key at all.
        """
        read = AwaitEventKey.from_json(key) if isinstance(key, str) else key
        return self.effect_host.waits.resolve(read, resolution)

    async def wait(
        self, key: AwaitEventKey | str, deadline_s: float | None = None
    ) -> Resolution | UnknownOrRevoked:
        """Wait for a key as a turn does."""
        read = AwaitEventKey.from_json(key) if isinstance(key, str) else key
        return await self.effect_host.waits.wait(read, deadline_s=deadline_s)


@dataclass
class TurnWorkDriver:
    """Turn control by name, for hosts that hold no handle on the session."""

    effect_host: EffectHost
    clock: Clock

    def request_cancel(
        self,
        session_id: str,
        turn_id: str,
        request_id: str,
        origin: str | None = None,
        reason: str | None = None,
    ) -> TurnCancelReceipt:
        """Ask exactly one turn to stop, also before it starts ([CAN.14][], [CAN.18][])."""
        evidence = TurnCancellationEvidence(
            request_id=request_id,
            origin=origin,
            reason=reason,
            requested_at_ms=self.clock.now_ms(),
        )
        gate = TurnCancelGate(self.effect_host.waits, session_id, turn_id)
        return TurnCancelReceipt(
            durability_tier=self.effect_host.tier, outcome=gate.request(evidence)
        )

    async def await_terminal(
        self, session_id: str, turn_id: str, timeout_s: float | None = None
    ) -> TurnResult | None:
        """A turn's committed result; none when it has not ended in time. A timeout poisons nothing."""
        waits = self.effect_host.waits
        key = waits.key(session_id, "turn_terminal", turn_id)
        try:
            stands = await asyncio.wait_for(waits.wait(key), timeout_s)
        except TimeoutError:
            return None
        return TurnResult.from_data(stands.value.value) if isinstance(stands, Resolved) else None


class LashCore:
    """A wired core."""

    def __init__(self, parts: CoreParts) -> None:
        self.parts = parts

    @staticmethod
    def builder() -> "LashCoreBuilder":
        """An empty builder."""
        return LashCoreBuilder()

    @staticmethod
    def standard_builder() -> "LashCoreBuilder":
        """A builder with the standard protocol."""
        return LashCoreBuilder().protocol_plugin(StandardProtocolPluginFactory())

    @staticmethod
    def rlm_builder(factory: PluginFactory | None = None) -> "LashCoreBuilder":
        """A builder with the RLM protocol (extra ``rlm``), or with ``factory`` in its place."""
        return LashCoreBuilder().protocol_plugin(factory or RlmProtocolPluginFactory(), ModeId.rlm())

    @property
    def modes(self) -> Sequence[str]:
        """Names of the installed modes."""
        return tuple(self.parts.modes)

    @property
    def default_mode(self) -> ModeId:
        """The mode of sessions that name none."""
        return self.parts.default_mode

    def session(self, session_id: str) -> SessionBuilder:
        """A session to open; no I/O yet."""
        return SessionBuilder(self.parts, session_id)

    async def resume(self, parked: ParkedSession) -> LashSession:
        """A parked session live again, with this core's plugins.

        Raises:
            SessionError: it cannot be loaded or built.
        """
        return await resume(self.parts, parked)

    async def enqueue_turn_input(
        self,
        session_id: str,
        input: TurnInput | str,
        ingress: TurnInputIngress | None = None,
        source_key: str | None = None,
    ) -> PendingTurnInput:
        """Queue input for a session without opening it ([SES.85][]).

        Raises:
            MissingSessionStoreFactory: there is no factory.
            StoreFactoryError: the store cannot be made.
            RuntimeFailure: the store refused.
        """
        factory = self._factory()
        request = SessionStoreCreateRequest(
            session_id=session_id, policy=self.parts.policy.for_store()
        )
        try:
            store = await factory.create_store(request)
        except Exception as err:
            raise StoreFactoryError(session_id, str(err)) from err
        draft = PendingTurnInputDraft(
            session_id=session_id,
            source_key=source_key,
            ingress=ingress or NextTurn(),
            input=as_input(input),
        )
        try:
            made = await store.enqueue_pending_turn_input(draft)
        except LashError as err:
            raise store_failure(err, session_id) from err
        ids = (made.input_id,) if made.ingress.scope == "next_turn" else ()
        replay = self.parts.env.live_replay
        replay.append(session_id, 0, QueueChangedPayload(change="enqueued", ids=ids))
        if ids and self.parts.queued_work_driver is not None:
            await self.parts.queued_work_driver.poke(session_id)
        return made

    async def delete_session(self, session_id: str) -> SessionDeleteReport:
        """Delete a session: subscriptions, promises, store, in this order; its processes run on ([SES.43][]).

        Raises:
            MissingSessionStoreFactory: there is no factory, also when every store was explicit ([SES.42][]).
            StoreFactoryError: the store could not be deleted.
        """
        factory = self._factory()
        registry: ProcessRegistry | None = self.parts.env.background_task_host
        running = registry.release_session(session_id) if registry is not None else ()
        if self.parts.triggers is not None:
            self.parts.triggers.forget_session(session_id)
        self.parts.effect_host.waits.revoke(session_id)
        try:
            await factory.delete_session(session_id)
        except Exception as err:
            raise StoreFactoryError(session_id, str(err)) from err
        self.parts.env.live_replay.forget(session_id)
        return SessionDeleteReport(session_id, running)

    def _factory(self) -> SessionStoreFactory:
        if self.parts.store_factory is None:
            raise MissingSessionStoreFactory
        return self.parts.store_factory

    # -- accessors

    def completions(self) -> Completions:
        """Durable waits by key."""
        return Completions(self.parts.effect_host)

    def turn_work_driver(self) -> TurnWorkDriver:
        """Turn control by name."""
        return TurnWorkDriver(self.parts.effect_host, self.parts.core.clock)

    def effect_host(self) -> EffectHost:
        """The effect host."""
        return self.parts.effect_host

    def process_registry(self) -> ProcessRegistry | None:
        """The process registry, if there is one."""
        return self.parts.env.background_task_host

    processes = process_registry

    def triggers(self) -> TriggerRouter | None:
        """The trigger plane, if there is one."""
        return self.parts.triggers

    def flush_trace_sink(self) -> None:
        """Ask the trace sink to write out what it holds, if it can."""
        flush = getattr(self.parts.core.trace_sink, "flush", None)
        if flush is not None:
            flush()


@dataclass
class LashCoreBuilder(PromptLayerSink):
    """A core to wire."""

    _config: RuntimeCoreConfig = field(default_factory=RuntimeCoreConfig)
    _protocols: dict[str, PluginFactory] = field(default_factory=dict[str, PluginFactory])
    _policy: SessionPolicy = field(default_factory=SessionPolicy)
    _provider: Provider | None = None
    _stack: PluginStack = field(default_factory=PluginStack)
    _tools: list[ToolProvider] = field(default_factory=list[ToolProvider])
    _effect_host: EffectHost | None = None
    _attachments: AttachmentStore | None = None
    _env_store: ProcessEnvStore | None = None
    _factory: SessionStoreFactory | None = None
    _children: SessionStoreFactory | None = None
    _registry: ProcessRegistry | None = None
    _triggers: TriggerStore | None = None
    _driver: QueuedWorkDriver | None = None
    _residency: Residency = Residency.KEEP_ALL
    _replay: LiveReplayStore | None = None
    _concurrency: int = 8
    _owner_id: str = "lash-ref"
    _tier: DurabilityTier | None = None

    def _with(self, **changes: Any) -> Self:
        self._config = replace(self._config, **changes)
        return self

    # -- facets

    def protocol_plugin(self, factory: PluginFactory, mode: ModeId | None = None) -> Self:
        """How turns are driven; the first one is the default mode."""
        self._protocols[(mode or ModeId.standard()).name] = factory
        return self

    def provider(self, provider: Provider) -> Self:
        """The core's provider; sessions record its kind."""
        self._provider = provider
        self._policy = self._policy.but(provider_id=provider.kind)
        return self

    def provider_resolver(self, resolver: ProviderResolver) -> Self:
        """Find providers by recorded id."""
        return self._with(provider_resolver=resolver)

    def model(self, model: ModelSpec) -> Self:
        """The core's model."""
        self._policy = self._policy.but(model=model)
        return self

    def max_turns(self, max_turns: int | None) -> Self:
        """Model calls a turn may make; none for no limit."""
        self._policy = self._policy.but(max_turns=max_turns)
        return self

    def session_spec(self, spec: SessionSpec) -> Self:
        """Replace what was said of provider id, model, turns and session prompt."""
        self._policy = spec.resolve_against(SessionPolicy())
        return self

    def effect_host(self, host: EffectHost) -> Self:
        """Where effects run and waits are kept."""
        self._effect_host = host
        return self

    def attachment_store(self, store: AttachmentStore) -> Self:
        """Where attachments are kept."""
        self._attachments = store
        return self

    def process_env_store(self, store: ProcessEnvStore) -> Self:
        """Where process environments are kept."""
        self._env_store = store
        return self

    def store_factory(self, factory: SessionStoreFactory) -> Self:
        """Where sessions are kept."""
        self._factory = factory
        return self

    def child_store_factory(self, factory: SessionStoreFactory) -> Self:
        """Where child sessions are kept, if not where sessions are."""
        self._children = factory
        return self

    def process_registry(self, registry: ProcessRegistry) -> Self:
        """The process plane."""
        self._registry = registry
        return self

    def trigger_store(self, store: TriggerStore) -> Self:
        """Where trigger subscriptions are kept."""
        self._triggers = store
        return self

    def queued_work_driver(self, driver: QueuedWorkDriver) -> Self:
        """Who drains queues when input for a next turn arrives."""
        self._driver = driver
        return self

    def disable_queued_work_driver(self) -> Self:
        """Nobody but the host drains queues, which is the default."""
        self._driver = None
        return self

    # -- plugins and tools

    def tools(self, provider: ToolProvider) -> Self:
        """Offer tools that need no plugin."""
        self._tools.append(provider)
        return self

    def plugin(self, factory: PluginFactory) -> Self:
        """Append a plugin."""
        self._stack.push(factory)
        return self

    def plugins(self, stack: PluginStack) -> Self:
        """Replace the whole stack."""
        self._stack = stack
        return self

    def configure_plugins(self, change: Callable[[PluginStack], object]) -> Self:
        """Edit the stack."""
        self._stack.configure(change)
        return self

    # -- policy knobs

    def residency(self, residency: Residency) -> Self:
        """Which nodes live sessions keep in memory."""
        self._residency = residency
        return self

    def lease_timings(self, ttl_ms: int, renew_interval_ms: int) -> Self:
        """How long a lease lasts and how often it is renewed, in milliseconds.

        Raises:
            InvalidRecord: it lasts shorter than three renewals ([BLD.10][]).
        """
        try:
            timings = LeaseTimings(ttl_ms=ttl_ms, renew_interval_ms=renew_interval_ms)
        except ValidationError as err:
            raise invalid("LeaseTimings", err) from err
        return self._with(lease_timings=timings)

    def session_execution_owner_id(self, owner_id: str) -> Self:
        """Whom leases name; every opened session is an incarnation of its own."""
        self._owner_id = owner_id
        return self

    def clock(self, clock: Clock) -> Self:
        """The one authority on time."""
        return self._with(clock=clock)

    def sleep(self, sleep: Sleep) -> Self:
        """How the runtime waits, in seconds."""
        return self._with(sleep=sleep)

    def mint(self, mint: Mint) -> Self:
        """Where new ids come from."""
        return self._with(mint=mint)

    def retry(self, policy: RetryPolicy) -> Self:
        """How model calls are repeated."""
        return self._with(retry=policy)

    def live_replay_store(self, store: LiveReplayStore) -> Self:
        """Where observers' events are kept."""
        self._replay = store
        return self

    def termination(self, policy: TerminationPolicy) -> Self:
        """How a turn without an end is judged."""
        return self._with(termination=policy)

    def attachment_policy(self, policy: AttachmentSourcePolicy) -> Self:
        """Which attachments a turn's input may bring."""
        return self._with(attachment_policy=policy)

    def trace_sink(self, sink: TraceSink, level: str = "info", context: Json | None = None) -> Self:
        """Where trace events go."""
        return self._with(trace_sink=sink, trace_level=level, trace_context=context or Json({}))

    def process_execution_concurrency(self, limit: int) -> Self:
        """How many processes run at once."""
        self._concurrency = limit
        return self

    # -- build

    async def build(self) -> LashCore:
        """Wire the core.

        Raises:
            WiringError: a facet is missing, or parts cannot work together.
        """
        if self._concurrency < 1:
            raise ProcessExecutionConcurrency(self._concurrency)
        if not self._protocols:
            raise MissingProtocolPlugin
        if self._policy.model is None or not self._policy.model.id:
            raise MissingModelSpec
        effect_host, attachments, env_store = self._facets()
        await self._require_peers(attachments, env_store)
        resolver = self._config.provider_resolver
        if resolver is None and self._provider is not None:
            resolver = SingleProviderResolver(self._provider)
        core = replace(
            self._config,
            attachment_store=attachments,
            effect_host=effect_host,
            process_env_store=env_store,
            provider_resolver=resolver,
            prompt=self._prompt or PromptLayer(),
        )
        env = RuntimeEnvironment(
            core=core,
            residency=self._residency,
            session_store_factory=self._children or self._factory,
            background_task_host=self._registry,
            live_replay_store=self._replay,
        )
        return LashCore(
            CoreParts(
                env=env,
                policy=self._policy,
                effect_host=effect_host,
                modes=self._protocols,
                default_mode=ModeId(name=next(iter(self._protocols))),
                factories=(*self._embedded_tools(), *self._stack.factories),
                store_factory=self._factory,
                owner_id=self._owner_id,
                queued_work_driver=self._driver,
                triggers=self._router(),
            )
        )

    def _facets(self) -> tuple[EffectHost, AttachmentStore, ProcessEnvStore]:
        if self._effect_host is None:
            raise MissingEffectHost
        if self._attachments is None:
            raise MissingAttachmentStore
        if self._env_store is None:
            raise MissingProcessEnvStore
        return self._effect_host, self._attachments, self._env_store

    async def _require_peers(self, attachments: AttachmentStore, env_store: ProcessEnvStore) -> None:
        """Refuse durable parts beside ephemeral ones ([BLD.4][], [BLD.5][], [BLD.6][])."""
        stores = await self._factory.durability_tier() if self._factory is not None else "inline"
        if self._registry is not None:
            if self._factory is None:
                raise ProcessRegistryRequiresStoreFactory
            if self._registry.tier == "durable" and stores != "durable":
                raise DurableProcessRegistryRequiresStoreFactory
        if stores != "durable":
            return
        tiers = {
            "attachment_store": await attachments.persistence(),
            "process_env_store": await env_store.persistence(),
        }
        engines = PluginHost((*self._protocols.values(), *self._stack.factories)).process_engines()
        tiers |= {kind: getattr(engine, "tier", "inline") for kind, engine in engines.items()}
        for facet, tier in tiers.items():
            if tier != "durable":
                raise DurableStorePeerRequired(facet)

    def _embedded_tools(self) -> tuple[PluginFactory, ...]:
        if not self._tools:
            return ()
        return (StaticPluginFactory("embed_tools", PluginSpec(tool_providers=tuple(self._tools))),)

    def _router(self) -> TriggerRouter | None:
        if self._registry is None:
            return None
        return TriggerRouter(self._triggers or SqliteTriggers(), self._registry)


