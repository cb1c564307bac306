"""One live session's runtime: every way to construct it, to park and resume it, and what it does between turns.

Construction goes: id, policy, heal, trim, model check, plugin session, protocol initialisation, tool state,
plugin restore, protocol restore, snapshots dropped, SessionRestored. It takes no lease ([SES.22][]).
"""

from dataclasses import dataclass, field
from typing import Self

from lash_ref import hooks
from lash_ref.children import ChildRequest, ChildSessions, SessionPlane
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import InvalidToolSurface, LashError, PluginError
from lash_ref.frames import ensure_frame
from lash_ref.hosting import (
    BackgroundRuntimeHost,
    EmbeddedRuntimeHost,
    PersistentRuntimeServices,
    RuntimeEnvironment,
    RuntimeHost,
    RuntimeServices,
)
from lash_ref.lease import LeaseOwnerIdentity
from lash_ref.observe import LiveReplayStore
from lash_ref.persisted import (
    apply_residency_on_load,
    load_for_residency,
    normalize_session_graph,
)
from lash_ref.plugins import PluginSessionContext
from lash_ref.policy import Residency, SessionPolicy
from lash_ref.runtime_errors import RuntimeErrorCode, RuntimeFailure, SessionError
from lash_ref.services import SessionServices
from lash_ref.session_changes import SessionChanges
from lash_ref.state import PersistedSessionState


@dataclass(frozen=True)
class ParkedSession:
    """A session at rest: enough to resume it, cheap to keep."""

    session_id: str
    store: RuntimePersistence
    policy: SessionPolicy


@dataclass(eq=False)
class LashRuntime(SessionChanges):
    """A live session."""

    environment: RuntimeEnvironment | None = None
    children: ChildSessions = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.children = ChildSessions(self, self.open_child)
        self._plane = SessionPlane(self, self.children, self.append_within)

    @property
    def plugin_services(self) -> SessionServices:
        """What plugins and tools may ask of this runtime."""
        return self._plane

    # -- construction

    @classmethod
    async def from_host_state(
        cls,
        policy: SessionPolicy,
        host: RuntimeHost,
        services: RuntimeServices,
        state: PersistedSessionState,
        *,
        residency: Residency = Residency.KEEP_ALL,
        owner: LeaseOwnerIdentity | None = None,
        live_replay: LiveReplayStore | None = None,
        environment: RuntimeEnvironment | None = None,
    ) -> Self:
        """A runtime over a state; the other constructors lead here.

        Raises:
            SessionError: the policy names no model, or tools, plugins or protocol cannot take up the state.
        """
        core = host.core
        if not state.session_id:
            state.session_id = core.mint("session")
        if state.policy.is_unconfigured:
            state.policy = policy
        normalize_session_graph(state)
        apply_residency_on_load(state, residency)
        state.policy.required_model()
        policy.required_model()
        ensure_frame(state, timestamp=core.timestamp())
        services = services.with_attachment_store(core.attachments, core.clock)
        await _restore(services, state)
        state.discard_runtime_snapshots()
        made = cls(
            session=services.plugin_session,
            policy=state.policy,
            host=host,
            services=services,
            state=state,
            owner=owner or core.lease_owner(),
            live_replay=live_replay or LiveReplayStore(core.clock),
            residency=residency,
            runtime_scope_id=core.mint("scope"),
            environment=environment,
        )
        await made.notify(hooks.SessionRestored(made.published.read_view))
        return made

    @classmethod
    async def from_embedded_state(
        cls,
        policy: SessionPolicy,
        host: EmbeddedRuntimeHost,
        services: RuntimeServices,
        state: PersistedSessionState,
    ) -> Self:
        """A runtime without processes and without a store."""
        return await cls.from_host_state(policy, host.into_host(), services, state)

    @classmethod
    async def from_background_state(
        cls,
        policy: SessionPolicy,
        host: BackgroundRuntimeHost,
        services: RuntimeServices,
        state: PersistedSessionState,
    ) -> Self:
        """A runtime with processes and without a store."""
        return await cls.from_host_state(policy, host.into_host(), services, state)

    @classmethod
    async def from_persistent_embedded_state(
        cls,
        policy: SessionPolicy,
        host: EmbeddedRuntimeHost,
        services: PersistentRuntimeServices,
        state: PersistedSessionState,
    ) -> Self:
        """A runtime with a store and without processes."""
        return await cls.from_host_state(policy, host.into_host(), services.into_runtime_services(), state)

    @classmethod
    async def from_persistent_background_state(
        cls,
        policy: SessionPolicy,
        host: BackgroundRuntimeHost,
        services: PersistentRuntimeServices,
        state: PersistedSessionState,
    ) -> Self:
        """A runtime with a store and processes."""
        return await cls.from_host_state(policy, host.into_host(), services.into_runtime_services(), state)

    @classmethod
    async def from_environment(
        cls,
        env: RuntimeEnvironment,
        policy: SessionPolicy,
        state: PersistedSessionState,
        store: RuntimePersistence | None = None,
        *,
        owner: LeaseOwnerIdentity | None = None,
        context: PluginSessionContext | None = None,
    ) -> Self:
        """A runtime on shared infrastructure, with or without store and processes as given.

        Raises:
            SessionError: the environment has no plugin host, keeps the active path only without a store,
                or a plugin refuses ([SES.16][], [SES.17][], [SES.19][]).
        """
        if env.residency is Residency.ACTIVE_PATH_ONLY and store is None:
            raise SessionError(
                "a session that keeps the active path only needs a store; what it trims would be gone for good"
            )
        if env.plugin_host is None:
            raise SessionError("a runtime environment needs a plugin host")
        if not state.session_id:
            state.session_id = env.core.mint("session")
        built = context or PluginSessionContext(state.session_id)
        try:
            plugins = env.plugin_host.build_session(built)
        except PluginError as err:
            raise SessionError(str(err)) from err
        embedded = EmbeddedRuntimeHost(env.core, env.session_store_factory)
        host = embedded.into_host()
        if env.background_task_host is not None:
            host = BackgroundRuntimeHost(embedded, env.background_task_host).into_host()
        try:
            return await cls.from_host_state(
                policy,
                host,
                RuntimeServices(plugins, store),
                state,
                residency=env.residency,
                owner=owner,
                live_replay=env.live_replay,
                environment=env,
            )
        except BaseException:
            env.plugin_host.unregister_session(state.session_id)
            raise

    # -- park and resume

    async def park(self) -> ParkedSession:
        """Persist what is dirty and let the live session go.

        Raises:
            SessionError: there is no store.
            RuntimeFailure: the flush failed; the session stays live.
        """
        store = self.services.store
        if store is None:
            raise SessionError("park needs a session with a store; close an ephemeral session instead")
        await self.persist()
        self.unregister()
        return ParkedSession(self.session_id, store, self.state.policy)

    @classmethod
    async def resume(cls, parked: ParkedSession, env: RuntimeEnvironment) -> Self:
        """A parked session live again, as the store has it; from the parked policy if it was never committed.

        Raises:
            SessionError: the store or the state cannot be read.
        """
        try:
            loaded = await load_for_residency(parked.store, env.residency)
        except LashError as err:
            raise SessionError(f"the runtime state cannot be loaded: {err}") from err
        state = loaded or PersistedSessionState(session_id=parked.session_id)
        provider = state.policy.provider_id if loaded is not None else parked.policy.provider_id
        state.policy = parked.policy.but(provider_id=provider)
        return await cls.from_environment(env, state.policy, state, parked.store)

    def unregister(self) -> None:
        """Let the plugin session go, so that the id can be opened again on its host."""
        self.session.leave()

    # -- children

    async def open_child(self, request: ChildRequest) -> "LashRuntime":
        """A child session of its own on a store of its own.

        Raises:
            RuntimeFailure: this runtime was not made from an environment.
        """
        env = self.environment
        if env is None:
            code = RuntimeErrorCode.PLUGIN_SESSION_MANAGER
            raise RuntimeFailure(code, "children need a runtime made from an environment")
        state = PersistedSessionState(session_id=request.session_id, policy=request.policy)
        if request.store is not None and (found := await load_for_residency(request.store, env.residency)):
            found.policy = request.policy.but(provider_id=found.policy.provider_id)
            state = found
        elif request.fork:
            state.plugin_snapshot = self.session.snapshot()
            state.tool_state_snapshot = self.session.tool_registry.export_state()
        context = PluginSessionContext(
            request.session_id,
            parent_session_id=self.session_id,
            tool_access=request.tool_access,
            subagent=request.subagent,
        )
        return await LashRuntime.from_environment(
            env, request.policy, state, request.store, context=context
        )


async def _restore(services: RuntimeServices, state: PersistedSessionState) -> None:
    """Tools, then plugins, then the protocol take up what the state holds."""
    plugins, session_id = services.plugin_session, state.session_id
    protocol = plugins.protocol_session
    try:
        await protocol.initialize_session(session_id)
        if state.tool_state_snapshot is not None:
            plugins.tool_registry.restore_state(state.tool_state_snapshot)
        if state.plugin_snapshot is not None:
            plugins.restore(state.plugin_snapshot)
        await protocol.restore_session(session_id, state)
    except (PluginError, InvalidToolSurface) as err:
        raise SessionError(str(err)) from err
    except LashError:
        raise
    except Exception as err:
        raise SessionError(f"the protocol cannot take up the session: {err}") from err
