"""Opening a session: what it runs with, where it is stored, and from which state it starts."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

from lash_ref.contracts import RuntimePersistence, SessionStoreFactory
from lash_ref.effects import EffectHost
from lash_ref.errors import LashError, PluginError
from lash_ref.frames import mirror_protocol_options
from lash_ref.hosting import RuntimeCoreConfig, RuntimeEnvironment
from lash_ref.lease import LeaseOwnerIdentity
from lash_ref.persisted import load_for_residency
from lash_ref.plugin_host import PluginHost
from lash_ref.plugins import PluginBinding, PluginFactory, PluginOptions, PluginSessionContext
from lash_ref.policy import ModeId, SessionPolicy, SessionSpec
from lash_ref.prompt import PromptLayer
from lash_ref.provider import Provider, SingleProviderResolver
from lash_ref.records import ChildSession, RootSession, SessionStoreCreateRequest
from lash_ref.runtime import LashRuntime, ParkedSession
from lash_ref.runtime_errors import (
    ModeNotInstalled,
    SessionError,
    StoreFactoryError,
    StoreSessionMismatch,
)
from lash_ref.scalars import Json
from lash_ref.session import LashSession
from lash_ref.shared import ActivePluginBinding, QueuedWorkDriver, Shared
from lash_ref.state import PersistedSessionState, SessionSnapshot
from lash_ref.triggers import TriggerRouter
from lash_ref.turn_builders import PromptLayerSink
from lash_ref.work import ProtocolTurnOptions


class ProtocolOpenOptions(Protocol):
    """A protocol plugin factory that sets the session's protocol options at every open."""

    def open_options(
        self, options: ProtocolTurnOptions, plugin_options: Json | None, *, is_root: bool
    ) -> ProtocolTurnOptions:
        """The options the session runs with."""
        ...


@dataclass(frozen=True)
class CoreParts:
    """What a built core gives to every session opened on it."""

    env: RuntimeEnvironment
    policy: SessionPolicy
    effect_host: EffectHost
    modes: Mapping[str, PluginFactory]
    default_mode: ModeId
    factories: tuple[PluginFactory, ...]
    store_factory: SessionStoreFactory | None = None
    owner_id: str = "lash-ref"
    queued_work_driver: QueuedWorkDriver | None = None
    triggers: TriggerRouter | None = None

    @property
    def core(self) -> RuntimeCoreConfig:
        """The host's configuration."""
        return self.env.core


@dataclass
class SessionBuilder(PromptLayerSink):
    """A session to open; what is not said is the core's."""

    parts: CoreParts
    id: str
    spec: SessionSpec = field(default_factory=SessionSpec)
    _mode: ModeId | None = None
    _parent: str | None = None
    _store: RuntimePersistence | None = None
    _provider: Provider | None = None
    _bindings: list[ActivePluginBinding] = field(default_factory=list[ActivePluginBinding])
    _factories: list[PluginFactory] = field(default_factory=list[PluginFactory])
    _options: dict[str, Json] = field(default_factory=dict[str, Json])
    _owner: LeaseOwnerIdentity | None = None

    # -- what it runs with

    def standard(self) -> Self:
        """Tool calling."""
        return self.mode(ModeId.standard())

    def rlm(self) -> Self:
        """Model-written code, if the core has that protocol."""
        return self.mode(ModeId.rlm())

    def mode(self, mode: ModeId) -> Self:
        """An installed mode by name; else opening fails with `ModeNotInstalled` ([BLD.14][])."""
        self._mode = mode
        return self

    def provider(self, provider: Provider) -> Self:
        """Ask this provider in this session."""
        self.spec = self.spec.but(provider_id=provider.kind)
        self._provider = provider
        return self

    def session_spec(self, spec: SessionSpec) -> Self:
        """Replace the whole spec, also what `provider` and prompt edits said before: say those after it."""
        self.spec = spec
        self._prompt = None
        return self

    def parent(self, parent_session_id: str) -> Self:
        """Open it as a child of that session; it is then no root to protocol and plugins."""
        self._parent = parent_session_id
        return self

    def store(self, store: RuntimePersistence) -> Self:
        """Keep it in this store, which no child ever shares ([SES.3][])."""
        self._store = store
        return self

    def plugin(self, binding: type[PluginBinding[Any, Any]], config: Any = None) -> Self:
        """Bind a plugin to this session only."""
        self._bindings.append(ActivePluginBinding(binding.ID, binding.requires_turn_input(config)))
        self._factories.append(binding.factory(config))
        return self

    def plugin_option(self, plugin_id: str, options: Json) -> Self:
        """Options that a plugin reads when it is built."""
        self._options[plugin_id] = options
        return self

    def plugin_options(self, options: PluginOptions) -> Self:
        """Options of several plugins."""
        self._options |= dict(options.plugins)
        return self

    def session_execution_owner(self, owner: LeaseOwnerIdentity) -> Self:
        """Claim leases under this identity; who re-opens with the same one re-enters its lease."""
        self._owner = owner
        return self

    # -- open

    async def open(self) -> LashSession:
        """Open from the stored state, or from an empty one; takes no lease ([SES.1][], [SES.2][], [SES.22][]).

        Raises:
            ModeNotInstalled, StoreFactoryError, StoreSessionMismatch, SessionError: as named.
        """
        policy = self._session_policy()
        store = await self._create_store(policy)
        state = await self._load_or_default_state(policy, store)
        return await self._open_resolved(policy, state, store)

    async def open_fresh(self) -> LashSession:
        """Open empty, whatever is stored; the next commit replaces the stored graph ([SES.10][], [SES.11][])."""
        policy = self._session_policy()
        store = await self._create_store(policy)
        state = PersistedSessionState(session_id=self.id, policy=policy, graph_replace_required=True)
        return await self._open_resolved(policy, state, store)

    async def open_with_state(self, state: PersistedSessionState | SessionSnapshot) -> LashSession:
        """Open on a state that the host owns; the stored graph is replaced by its graph ([SES.12][]).

        Raises:
            StoreSessionMismatch: the state is another session's ([SES.4][]).
        """
        policy = self._session_policy()
        store = await self._create_store(policy)
        if isinstance(state, SessionSnapshot):
            state = PersistedSessionState.from_snapshot(state)
        if state.session_id != self.id:
            raise StoreSessionMismatch(state.session_id, self.id)
        state.policy = policy.but(provider_id=state.policy.recorded_provider_id() or policy.provider_id)
        if store is not None:
            await self._claim_parts(state, store)
        return await self._open_resolved(policy, state, store)

    async def _claim_parts(self, state: PersistedSessionState, store: RuntimePersistence) -> None:
        """Fit a host's state to the store: the head it follows, and the parts that its refs name there."""
        stored = await self._loaded(store)
        same_head = stored is not None and stored.head_revision == state.head_revision
        if stored is not None:
            state.head_revision = stored.head_revision
            if state.plugin_snapshot is None and state.plugin_snapshot_ref == stored.plugin_snapshot_ref:
                state.plugin_snapshot = stored.plugin_snapshot
            if state.tool_state_snapshot is None and state.tool_state_ref == stored.tool_state_ref:
                state.tool_state_snapshot = stored.tool_state_snapshot
        if not same_head:
            state.graph_replace_required = True

    def _session_policy(self) -> SessionPolicy:
        """The policy to run under.

        Raises:
            ModeNotInstalled: the core lacks the mode.
        """
        mode = self._mode or self.parts.default_mode
        if mode.name not in self.parts.modes:
            raise ModeNotInstalled(mode.name)
        spec = self.spec
        if self._prompt is not None:
            spec = spec.but(prompt=_above(spec.prompt, self._prompt))
        return spec.resolve_against(self.parts.policy).but(session_id=self.id)

    async def _create_store(self, policy: SessionPolicy) -> RuntimePersistence | None:
        if self._store is not None:
            return self._store
        factory = self.parts.store_factory
        if factory is None:
            return None
        relation = RootSession() if self._parent is None else ChildSession(parent_session_id=self._parent)
        request = SessionStoreCreateRequest(
            session_id=self.id, relation=relation, policy=policy.for_store()
        )
        try:
            return await factory.create_store(request)
        except LashError as err:
            raise StoreFactoryError(self.id, f"{err.code}: {err}") from err
        except Exception as err:
            raise StoreFactoryError(self.id, str(err)) from err

    async def _load_or_default_state(
        self, policy: SessionPolicy, store: RuntimePersistence | None
    ) -> PersistedSessionState:
        loaded = await self._loaded(store) if store is not None else None
        if loaded is None:
            return PersistedSessionState(session_id=self.id, policy=policy)
        if loaded.session_id != self.id:
            raise StoreSessionMismatch(loaded.session_id, self.id)
        recorded = loaded.policy.recorded_provider_id()
        loaded.policy = policy.but(provider_id=recorded or policy.provider_id)
        return loaded

    async def _loaded(self, store: RuntimePersistence) -> PersistedSessionState | None:
        try:
            return await load_for_residency(store, self.parts.env.residency)
        except LashError as err:
            raise SessionError(f"the session cannot be loaded: {err.code}: {err}") from err

    async def _open_resolved(
        self, policy: SessionPolicy, state: PersistedSessionState, store: RuntimePersistence | None
    ) -> LashSession:
        mode = self._mode or self.parts.default_mode
        protocol = self.parts.modes[mode.name]
        self._apply_open_options(protocol, state)
        env = self._environment(protocol)
        context = PluginSessionContext(
            self.id,
            parent_session_id=self._parent,
            plugin_options=PluginOptions(plugins=self._options),
            extensions=env.plugin_host.extensions if env.plugin_host is not None else PluginHost().extensions,
        )
        owner = self._owner or self.parts.core.lease_owner(self.parts.owner_id)
        runtime = await LashRuntime.from_environment(
            env, policy, state, store, owner=owner, context=context
        )
        return LashSession(
            Shared(
                runtime,
                self.parts.effect_host,
                mode,
                self._parent,
                tuple(self._bindings),
                self.parts.queued_work_driver,
                self.parts.triggers,
            )
        )

    def _apply_open_options(self, protocol: PluginFactory, state: PersistedSessionState) -> None:
        """Let the protocol set the session's options, in every frame."""
        opens = getattr(protocol, "open_options", None)
        if opens is not None:
            given = self._options.get(protocol.id)
            options = opens(state.protocol_turn_options, given, is_root=self._parent is None)
            mirror_protocol_options(state, options)

    def _environment(self, protocol: PluginFactory) -> RuntimeEnvironment:
        """The core's environment with this session's own plugin host and provider."""
        env = self.parts.env
        try:
            host = PluginHost((protocol, *self.parts.factories, *self._factories))
        except PluginError as err:
            raise SessionError(str(err)) from err
        core = env.core
        if self._provider is not None:
            core = core.but(provider_resolver=SingleProviderResolver(self._provider))
        return replace(env, core=core, plugin_host=host, live_replay_store=env.live_replay)


def _above(below: PromptLayer | None, layer: PromptLayer) -> PromptLayer:
    """One layer that says what the two say, the later one above."""
    if below is None:
        return layer
    merged = below if layer.template is None else below.with_template(layer.template)
    for slot, change in layer.slots.items():
        if change.reset:
            merged = merged.with_replaced_slot(slot, *change.contributions)
        else:
            for contribution in change.contributions:
                merged = merged.with_contribution(contribution)
    return merged


async def resume(parts: CoreParts, parked: ParkedSession) -> LashSession:
    """A parked session live again, with the core's plugins only ([SES.38][], [SES.40][])."""
    builder = SessionBuilder(parts, parked.session_id)
    mode = parts.default_mode
    env = builder._environment(parts.modes[mode.name])
    runtime = await LashRuntime.resume(parked, env)
    return LashSession(
        Shared(
            runtime,
            parts.effect_host,
            mode,
            queued_work_driver=parts.queued_work_driver,
            triggers=parts.triggers,
        )
    )
