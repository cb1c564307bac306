"""One live session: its state and plugins, and its way to the store and to those who watch."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from lash_ref import hooks
from lash_ref.activity import TurnActivity, TurnEvent
from lash_ref.errors import LashError
from lash_ref.frames import ensure_frame
from lash_ref.graph import SessionGraph
from lash_ref.hosting import RuntimeHost, RuntimeServices, TurnPhaseProbe
from lash_ref.lane import Lane, claim_lane, lane_busy, store_failure
from lash_ref.lease import LeaseOwnerIdentity
from lash_ref.nodes import Unchanged
from lash_ref.observe import (
    CommittedPayload,
    LiveReplayStore,
    ObservationPayload,
    TurnActivityPayload,
)
from lash_ref.persisted import (
    apply_residency_on_load,
    load_for_residency,
    normalize_session_graph,
    persisted_state_commit,
)
from lash_ref.plugin_session import PluginSession
from lash_ref.policy import Residency, SessionPolicy
from lash_ref.projection import Projection
from lash_ref.published import RuntimeObservation
from lash_ref.records import RuntimeCommit, RuntimeCommitResult
from lash_ref.runtime_errors import SessionError
from lash_ref.scalars import Json
from lash_ref.services import SessionServices
from lash_ref.state import PersistedSessionState
from lash_ref.usage import TokenLedgerEntry, merged_ledger

NEVER = -1
"""A generation that no tool surface has."""

ActivitySink = Callable[[TurnActivity], Awaitable[None]]


@dataclass(eq=False)
class Resident:
    """The fields of a live session; `runtime.LashRuntime` is one."""

    session: PluginSession
    policy: SessionPolicy
    host: RuntimeHost
    services: RuntimeServices
    state: PersistedSessionState
    owner: LeaseOwnerIdentity
    live_replay: LiveReplayStore
    residency: Residency = Residency.KEEP_ALL
    runtime_scope_id: str = ""
    managed_sessions: dict[str, "Resident"] = field(default_factory=dict[str, "Resident"])
    managed_turns: set[str] = field(default_factory=set[str])
    """Children that run a turn now."""
    shared_token_ledger: list[TokenLedgerEntry] = field(default_factory=list[TokenLedgerEntry])
    """What children spent since the last commit."""
    background_sync_needed: bool = False
    """A process says that it committed to this session."""
    turn_phase_probe: TurnPhaseProbe | None = None
    writer: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One turn or change at a time."""
    touched: bool = False
    """Policy, frames or leaf were changed since the last commit."""
    projection: Projection = field(default_factory=Projection)
    sink: ActivitySink | None = None
    """Where the running turn's activities go."""
    running_turn_id: str | None = None

    def __post_init__(self) -> None:
        self.known_fence: int | None = None
        self.shown = 0
        self.prompted: tuple[object, str] = (None, "")
        """What the last prompt was made of, and the prompt."""
        self._clean = (0, 0)
        self.uncaptured = False
        """The last capture of plugin state failed, so the store lacks it ([SNP.25][], [SNP.44][])."""
        self.mark_clean()
        self.published = self._observation()

    # -- parts

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self.state.session_id

    @property
    def plugins(self) -> PluginSession:
        """The session's plugins."""
        return self.session

    @property
    def mode_turn_options(self) -> Any:
        """Older name of the session's protocol turn options."""
        return self.state.protocol_turn_options

    @property
    def plugin_services(self) -> SessionServices:
        """What plugins and tools may ask of the runtime; set by the runtime."""
        raise NotImplementedError

    async def reach(self, phase: str, turn_id: str = "") -> None:
        """Tell the probe, if there is one."""
        if self.turn_phase_probe is not None:
            await self.turn_phase_probe.reached(phase, turn_id)

    def timestamp(self) -> str:
        """Now, as nodes carry it."""
        return self.host.core.timestamp()

    # -- what was last committed

    def mark_clean(self) -> None:
        """The store has the live tools and plugins, or they are as they were opened."""
        self._clean = self._marks()
        self.touched = False

    def _marks(self) -> tuple[int, int]:
        """What changes with every change of the live tools, and of the plugins' state."""
        return self.session.tool_registry.generation, self.session.snapshot_revision_fingerprint()

    @property
    def is_dirty(self) -> bool:
        """Whether a park or close has something to persist."""
        graph = self.state.session_graph
        pending = not isinstance(graph.delta(), Unchanged) and bool(graph.nodes)
        return (
            self._marks() != self._clean
            or self.touched
            or self.uncaptured
            or self.state.graph_replace_required
            or pending
            or bool(self.shared_token_ledger)
        )

    # -- lane and commit

    async def claim(self) -> Lane | None:
        """The session's lane, none while another has it or when there is no store.

        Raises:
            RuntimeFailure: the store failed.
        """
        if self.services.store is None:
            return None
        core = self.host.core
        try:
            return await claim_lane(self.services.store, self.session_id, self.owner, core.lease_timings)
        except LashError as err:
            raise store_failure(err, self.session_id) from err

    async def claim_or_busy(self) -> Lane | None:
        """As `claim`, but a held lane is an error.

        Raises:
            RuntimeFailure: another holds the lane.
        """
        lane = await self.claim()
        if lane is None and self.services.store is not None:
            raise lane_busy(self.session_id)
        return lane

    async def refresh(self, lane: Lane | None) -> bool:
        """Take up the store's head if another writer moved it; whether it did ([SES.63][])."""
        if lane is None:
            return False
        try:
            loaded = await self._moved(lane)
        except LashError as err:
            raise store_failure(err, self.session_id) from err
        if loaded is None:
            return False
        self._level_with(lane)
        self.adopt(loaded)
        return True

    async def _moved(self, lane: Lane) -> PersistedSessionState | None:
        """What the store holds, if another writer moved the head.

        A lease whose number directly follows the one this session last held proves that nobody wrote in
        between, so the store need not be asked.
        """
        store, number = self.services.store, lane.lease.fencing_token
        if store is None or self.state.graph_replace_required:
            return None
        if not self.background_sync_needed and self.known_fence in {number, number - 1}:
            return None
        loaded = await load_for_residency(store, self.residency)
        if loaded is not None and loaded.head_revision != self.state.head_revision:
            return loaded
        self._level_with(lane)
        return None

    def _level_with(self, lane: Lane) -> None:
        """The live state is that of the store, as of this lease."""
        self.known_fence = lane.lease.fencing_token
        self.background_sync_needed = False

    def adopt(self, loaded: PersistedSessionState) -> None:
        """Make a loaded state the live one: graph, ledger, tools and plugins.

        What the host configured or changed of the tools here and nobody stored yet stays in force ([SES.54][]).
        """
        mine = self.state
        normalize_session_graph(loaded)
        apply_residency_on_load(loaded, self.residency)
        provider = mine.policy.provider_id if self.touched else loaded.policy.provider_id
        loaded.policy = mine.policy.but(provider_id=provider)
        self.policy = loaded.policy
        moved = (loaded.plugin_snapshot_ref, loaded.plugin_snapshot_revision)
        registry, surface, touched = self.session.tool_registry, loaded.tool_state_snapshot, self.touched
        changed_here = registry.generation != self._clean[0]
        if surface is not None and loaded.tool_state_ref != mine.tool_state_ref:
            if changed_here:
                registry.generation = max(registry.generation, surface.generation + 1)
            else:
                registry.restore_state(surface)
        if loaded.plugin_snapshot is not None and moved != (
            mine.plugin_snapshot_ref,
            mine.plugin_snapshot_revision,
        ):
            self.session.restore(loaded.plugin_snapshot)
        loaded.discard_runtime_snapshots()
        self.state = loaded
        ensure_frame(loaded, timestamp=self.timestamp())
        self.mark_clean()
        self.touched = touched
        if changed_here:
            self._clean = (NEVER, self._clean[1])

    async def commit(self, commit: RuntimeCommit, deltas: tuple[TokenLedgerEntry, ...]) -> RuntimeCommitResult:
        """Write a commit and take up its result.

        Raises:
            RuntimeFailure: the store refused; nothing was taken up.
        """
        store = self.services.store
        if store is None:
            raise SessionError("this session has no store")
        try:
            result = await store.commit_runtime_state(commit)
        except LashError as err:
            self.known_fence = None
            raise store_failure(err, self.session_id) from err
        self.state.apply_persisted_commit_result(result)
        self.state.token_ledger = merged_ledger((*self.state.token_ledger, *deltas))
        if commit.session_execution_lease is not None:
            self.known_fence = commit.session_execution_lease.fencing_token
        apply_residency_on_load(self.state, self.residency)
        self.mark_clean()
        return result

    def capture(self) -> str | None:
        """Bring the state up to the live tools, plugins and executor; why a capture failed, if it did."""
        failed = self.state.refresh_plugin_snapshots(self.session)
        self.uncaptured = failed is not None
        executor = self.session.code_executor
        if executor is not None and executor.execution_state_dirty:
            try:
                self.state.set_execution_state_snapshot(executor.snapshot())
            except Exception as err:
                return str(err)
        if failed is not None:
            self.host.core.trace("plugin.snapshot_failed", Json({"error": str(failed)}))
        return str(failed) if failed is not None else None

    def pending_commit(
        self, own_usage: tuple[TokenLedgerEntry, ...] = (), **more: Any
    ) -> tuple[RuntimeCommit, tuple[TokenLedgerEntry, ...]]:
        """The commit of the live state under ``more``, and what it bills: also what children spent."""
        deltas = merged_ledger((*self.shared_token_ledger, *own_usage))
        if self.state.graph_replace_required and self.state.head_revision is None:
            more["expected_head_revision"] = None
        return persisted_state_commit(self.state, deltas, **more), deltas

    async def persist(self) -> bool:
        """Write what is dirty under a lease of its own; whether anything was ([SES.33][], [SES.34][], [SES.36][]).

        Raises:
            RuntimeFailure: another holds the lane, or the store failed.
        """
        if self.services.store is None or not self.is_dirty:
            return False
        lane = await self.claim_or_busy()
        if lane is None:
            return False
        return await self.persist_under(lane)

    async def persist_under(self, lane: Lane) -> bool:
        """As `persist`, under a lane that the commit gives back."""
        point = self.state.savepoint()
        try:
            await self._rebase(lane)
            self.capture()
            commit, deltas = self.pending_commit(
                session_execution_lease=lane.fence,
                release_session_execution_lease=lane.lease.completion(),
            )
            await self.commit(commit, deltas)
        except BaseException:
            self.state.rollback(point)
            await lane.release()
            raise
        self.shared_token_ledger.clear()
        lane.settled()
        return True

    async def _rebase(self, lane: Lane) -> None:
        """Lay what is dirty here over a head that moved on.

        Raises:
            SessionError: both sides appended to the graph or changed plugin state.
        """
        loaded = await self._moved(lane)
        if loaded is None:
            return
        if self._marks() != self._clean or not isinstance(self.state.session_graph.delta(), Unchanged):
            raise SessionError(
                f"session {self.session_id!r} was changed here and by another writer; reopen it to go on"
            )
        self.adopt(loaded)

    # -- publication

    def _observation(self) -> RuntimeObservation:
        return RuntimeObservation(
            persisted_state=replace(self.state, session_graph=self.state.session_graph.view()),
            tool_state=self.session.tool_registry.export_state(),
            queue_store=self.services.store,
        )

    def publish(self, *, committed: bool = False) -> None:
        """Let readers see the state as it is now; with ``committed``, tell subscribers too ([OBS.9][])."""
        self.published = seen = self._observation()
        if committed:
            self.record(CommittedPayload(read_view=seen.later_view()))

    async def tell(self, correlation_id: str, event: TurnEvent) -> None:
        """Show an event in the running turn, and to subscribers."""
        self.shown += 1
        shown = TurnActivity(
            id=f"{self.runtime_scope_id}:{self.shown}", correlation_id=correlation_id, event=event
        )
        self.record(TurnActivityPayload(activity=shown))
        if self.sink is not None:
            await self.sink(shown)

    def record(self, payload: ObservationPayload) -> None:
        """Tell subscribers; a replay store that fails never fails the session ([OBS.12][])."""
        try:
            self.live_replay.append(self.session_id, self.published.revision, payload)
        except Exception as err:
            self.host.core.trace("live_replay.failed", Json({"error": str(err)}))

    # -- lifecycle

    async def notify(self, event: hooks.PluginLifecycleEvent) -> None:
        """Tell the plugins; a hook that fails is traced and changes nothing."""
        for failed in await self.session.emit_lifecycle_event(event):
            told = Json({"plugin": failed.plugin_id, "error": str(failed.value)})
            self.host.core.trace("plugin.hook_failed", told)

    def replace_graph(self) -> None:
        """Start over with an empty graph; the next commit replaces the stored one."""
        self.state.session_graph = SessionGraph(self.session_id)
        self.state.graph_replace_required = True
