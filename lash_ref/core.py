"""The core: wired once by its builder, it opens, resumes and deletes sessions."""

from collections.abc import Sequence
from dataclasses import dataclass

from lash_ref.contracts import SessionStoreFactory
from lash_ref.core_wiring import CoreWiring
from lash_ref.effects import EffectHost
from lash_ref.errors import LashError
from lash_ref.inputs import NextTurn, PendingTurnInput, PendingTurnInputDraft, TurnInput, TurnInputIngress
from lash_ref.lane import store_failure
from lash_ref.observe import QueueChangedPayload
from lash_ref.plugins import PluginFactory
from lash_ref.policy import ModeId
from lash_ref.processes import ProcessRegistry
from lash_ref.protocol import StandardProtocolPluginFactory
from lash_ref.records import SessionStoreCreateRequest
from lash_ref.rlm import RlmProtocolPluginFactory
from lash_ref.runtime import ParkedSession
from lash_ref.runtime_errors import (
    MissingSessionStoreFactory,
    SessionDeleteProcess,
    StoreFactoryError,
)
from lash_ref.session import LashSession
from lash_ref.session_builder import CoreParts, SessionBuilder, resume
from lash_ref.triggers import TriggerRouter
from lash_ref.turn_builders import as_input
from lash_ref.turn_control import Completions, TurnWorkDriver


@dataclass(frozen=True)
class SessionDeleteReport:
    """What a delete did, and which processes of the session still run."""

    session_id: str
    running_processes: tuple[str, ...] = ()


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
        """Delete a session: processes and subscriptions let go, promises, store, in this order ([SES.43][]).

        Its processes run on. A delete that failed half way can be repeated.

        Raises:
            MissingSessionStoreFactory: there is no factory, also when every store was explicit ([SES.42][]).
            SessionDeleteProcess: its processes or subscriptions could not be let go; the session is still stored.
            StoreFactoryError: the store could not be deleted.
        """
        factory = self._factory()
        registry: ProcessRegistry | None = self.parts.env.background_task_host
        try:
            running = registry.release_session(session_id) if registry is not None else ()
            if self.parts.triggers is not None:
                self.parts.triggers.forget_session(session_id)
        except Exception as err:
            raise SessionDeleteProcess(session_id, str(err)) from err
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


class LashCoreBuilder(CoreWiring):
    """A core to wire."""

    async def build(self) -> LashCore:
        """Wire the core, and start what triggers left recorded ([TRG.3][]).

        Raises:
            WiringError: a facet is missing, or parts cannot work together.
        """
        core = LashCore(await self.wired())
        if (triggers := core.triggers()) is not None:
            triggers.recover()
        return core
