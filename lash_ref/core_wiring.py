"""What a core is wired of: its facets, plugins, tools and policy, and the rules on what fits together.

Nothing is left to a silent default: a core names its protocol, model, effect host, attachment store and
process environment store, and durable parts do not stand beside ephemeral ones.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Self

from pydantic import ValidationError

from lash_ref.contracts import AttachmentStore, Clock, SessionStoreFactory
from lash_ref.effects import EffectHost
from lash_ref.hosting import (
    AttachmentSourcePolicy,
    ProcessEnvStore,
    RuntimeCoreConfig,
    RuntimeEnvironment,
    TerminationPolicy,
    TraceSink,
)
from lash_ref.lease import LeaseTimings
from lash_ref.observe import LiveReplayStore
from lash_ref.plugin_host import PluginHost
from lash_ref.plugins import PluginFactory, PluginSpec, PluginStack, StaticPluginFactory
from lash_ref.policy import ModeId, Residency, SessionPolicy, SessionSpec
from lash_ref.processes import ProcessRegistry
from lash_ref.prompt import PromptLayer
from lash_ref.provider import Provider, ProviderResolver, SingleProviderResolver
from lash_ref.records import ModelSpec
from lash_ref.retries import RetryPolicy, Sleep
from lash_ref.runtime_errors import (
    DurableProcessRegistryRequiresStoreFactory,
    DurableStorePeerRequired,
    MissingAttachmentStore,
    MissingEffectHost,
    MissingModelSpec,
    MissingProcessEnvStore,
    MissingProtocolPlugin,
    ProcessExecutionConcurrency,
    ProcessRegistryRequiresStoreFactory,
)
from lash_ref.scalars import Json, invalid
from lash_ref.segment import Mint
from lash_ref.session_builder import CoreParts
from lash_ref.shared import QueuedWorkDriver
from lash_ref.tools import ToolProvider
from lash_ref.triggers import SqliteTriggers, TriggerRouter, TriggerStore
from lash_ref.turn_builders import PromptLayerSink


@dataclass
class CoreWiring(PromptLayerSink):
    """Everything a core can be given; `wired` says what is missing or does not fit together."""

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
    _concurrency: int | None = None
    _owner_id: str = "lash-ref"

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
        """Replace what was said of provider id, model, turns and session prompt.

        A spec without a provider id leaves it to the core's provider.
        """
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
        """How many processes run at once; others wait ([PRC.10][]). What is not said is the registry's own."""
        self._concurrency = limit
        return self

    # -- build

    async def wired(self) -> CoreParts:
        """The parts of a core.

        Raises:
            WiringError: a facet is missing, or parts cannot work together.
        """
        if self._concurrency is not None and self._concurrency < 1:
            raise ProcessExecutionConcurrency(self._concurrency)
        if not self._protocols:
            raise MissingProtocolPlugin
        if self._policy.model is None or not self._policy.model.id:
            raise MissingModelSpec
        policy = self._policy
        if not policy.provider_id and self._provider is not None:
            policy = policy.but(provider_id=self._provider.kind)
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
        if self._registry is not None and self._concurrency is not None:
            self._registry.limit(self._concurrency)
        env = RuntimeEnvironment(
            core=core,
            residency=self._residency,
            session_store_factory=self._children or self._factory,
            background_task_host=self._registry,
            live_replay_store=self._replay,
        )
        return CoreParts(
            env=env,
            policy=policy,
            effect_host=effect_host,
            modes=self._protocols,
            default_mode=ModeId(name=next(iter(self._protocols))),
            factories=(*self._embedded_tools(), *self._stack.factories),
            store_factory=self._factory,
            owner_id=self._owner_id,
            queued_work_driver=self._driver,
            triggers=self._router(),
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


