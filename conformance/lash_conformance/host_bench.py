"""The bench of a host check: a place whose stores are the judge's, cores on it, and the means to crash them."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

from lash_conformance.bench import Minting, RealClock, owner, request
from lash_conformance.host import CoreSpec, Data, HostCapability, HostCore, HostPlace, HostTarget, OpenSpec
from lash_conformance.host_parts import needed, own_tools, with_own, without_own
from lash_conformance.store_faults import COMMIT, Line, Power, Sent, WatchedFactory
from lash_conformance.target import Backend, Keeping, Place, Processes, StoreTarget, VirtualClock
from lash_conformance.targets.stdio_host import RemoteCore, StdioHost
from lash_conformance.traced import Step, Trace
from lash_conformance.vocabulary import Inapplicable, Unexpected
from lash_ref.contracts import Clock, RuntimePersistence, SessionStoreFactory
from lash_ref.lease import Acquired, SessionExecutionLease
from lash_ref.nodes import FullGraph, Unchanged
from lash_ref.records import (
    AttachmentManifestEntry,
    HydratedSessionCheckpoint,
    PersistedSessionRead,
    RuntimeCommit,
)

T = TypeVar("T")
LEASE_MS = 30_000
REAL_LEASE_MS = 3_000
"""Of a core whose time is real: what it leaves held is waited for."""
PROMPT_S = 20.0
STORES = ("main", "other")
"""The places of one check, each in a folder of its own."""
KIT_TOOLS = ("echo", "fail", "slow", "pending", "meet", "finish", "give_up", "switch_frame", "put")
"""The kit's tools, as ``docs/kit.md`` has them."""


class Loaded:
    """A stored session whose checkpoint and leaves can be asked for as if they were there."""

    def __init__(self, read: PersistedSessionRead) -> None:
        self.read = read

    def __getattr__(self, name: str) -> Any:
        return getattr(self.read, name)

    def __eq__(self, other: object) -> bool:
        return self.read == (other.read if isinstance(other, Loaded) else other)


class Glass:
    """A core or session seen through glass: every call is passed on, timed and written down.

    A call behind a capability that is not offered ends the check as one that does not apply.
    """

    def __init__(
        self, inner: object, name: str, trace: Trace, offered: set[HostCapability], own: frozenset[str] = frozenset()
    ) -> None:
        self._inner = inner
        self._own = own
        self._hidden: Data = {}
        self._name = name
        self._trace = trace
        self._offered = offered

    def __getattr__(self, method: str) -> Any:
        bound = getattr(self._inner, method)

        async def call(*arguments: Any, **named: Any) -> Any:
            require(self._offered, method, arguments)
            arguments = with_own(method, arguments, self._hidden)
            step = Step(self._name, method, [*arguments, *named.values()])
            self._trace.steps.append(step)
            started = time.perf_counter()
            try:
                answer = await bound(*arguments, **named)
            except BaseException as err:
                step.outcome = {"refused": getattr(err, "code", type(err).__name__), "text": str(err)}
                raise
            finally:
                self._trace.target_seconds += time.perf_counter() - started
            if method in ("open", "resume", "clone"):
                step.outcome = {"ok": "session"}
                named_so = f"session[{arguments[0] if method == 'open' else method}]"
                return Glass(answer, named_so, self._trace, self._offered, self._own)
            if method == "subscribe":
                step.outcome = {"ok": "subscription"}
                return Glass(answer, "subscription", self._trace, self._offered, self._own)
            answer = without_own(method, [*arguments, *named.values()], answer, self._own, self._hidden)
            step.outcome = {"ok": answer}
            return answer

        return call


def require(offered: set[HostCapability], method: str, arguments: Sequence[Any]) -> None:
    """Go on only if what the call needs is offered.

    Raises:
        Inapplicable: it is not.
    """
    wanted = needed(method, arguments)
    if wanted is not None and wanted not in offered:
        raise Inapplicable(f"not declared: {wanted}")


class HostBench:
    """One check's bench."""

    def __init__(self, target: HostTarget, directory: Path, stores: StoreTarget) -> None:
        self.target = target
        self.stores = stores
        self.trace = Trace()
        self.offered: set[HostCapability] = set(target.capabilities)
        """What calls may be behind; a check that looks at refusals adds to it."""
        self.clock: Clock = VirtualClock() if "clock" in target.capabilities else RealClock()
        self.lease_ms = LEASE_MS if isinstance(self.clock, VirtualClock) else REAL_LEASE_MS
        self.directory = directory
        self.mint = Minting()
        self.memory: dict[str, object] = {}
        self._backends: list[Backend] = []
        self._cores: list[tuple[HostCore, Line]] = []
        self._started: list[asyncio.Task[Any]] = []
        self.limits: list[asyncio.Timeout] = []
        """What is running out, from the outside in."""

    def _place(self, name: str) -> Place:
        (self.directory / name).mkdir(exist_ok=True)
        return Place(
            directory=self.directory / name, clock=self.clock, processes=Processes(), mint=self.mint,
            memory=cast("dict[str, object]", self.memory.setdefault(name, {})),
        )  # fmt: skip

    async def core(self, *plugins: str, tools: tuple[str, ...] = (), **parts: Any) -> HostCore:
        """A core on the place, of the named kit plugins and tools."""
        return await self.build(CoreSpec(plugins=plugins, tools=tools, **parts))

    async def build(self, spec: CoreSpec) -> HostCore:
        """A core of any description."""
        require(self.offered, "core", (spec,))
        if spec.lease_ttl_ms == LEASE_MS != self.lease_ms and spec.lease_renew_ms == LEASE_MS // 3:
            spec = replace(spec, lease_ttl_ms=self.lease_ms, lease_renew_ms=self.lease_ms // 3)
        if not self._backends:
            self._backends = [await self.stores.open(self._place(name)) for name in STORES]
        main, other = self._backends
        power = Power(tier="durable" if "session_store" in spec.durable else "inline")
        place = HostPlace(
            stores=cast("SessionStoreFactory", WatchedFactory(main.sessions, power)),
            others=cast("SessionStoreFactory", WatchedFactory(other.sessions, power)),
            attachments=main.attachments, clock=self.clock, mint=self.mint,
            memory=cast("dict[str, object]", self.memory.setdefault("host", {})),
            directory=self.directory if "process" in self.target.capabilities else None,
        )  # fmt: skip
        await self._ready()
        made = await self.target.core(place, spec)
        self._cores.append((made, made if isinstance(made, RemoteCore) else power))
        return cast("HostCore", Glass(made, f"core[{len(self._cores)}]", self.trace, self.offered, own_tools(self.target)))

    async def pure(self, method: str, arguments: Data) -> Any:
        """The target's own answer of a pure helper."""
        require(self.offered, "pure", (method, arguments))
        return await self.target.pure(method, arguments)

    async def _ready(self) -> None:
        """Let a process start whose start is nobody's fault: no limit counts it."""
        if not isinstance(self.target, StdioHost):
            return
        loop = asyncio.get_running_loop()
        running = [(limit, limit.when()) for limit in self.limits]
        for limit, _ in running:
            limit.reschedule(None)
        started = loop.time()
        try:
            await self.target.ready()
        finally:
            for limit, when in running:
                limit.reschedule(None if when is None else when + loop.time() - started)

    def line(self, core: HostCore) -> Line:
        """The line between ``core`` and its stores."""
        inner = getattr(core, "_inner", core)
        return next(line for made, line in self._cores if made is inner)

    async def crash(self, core: HostCore) -> None:
        """Kill the core as its process would be: from now on nothing of it reaches a store."""
        self.line(core).dead = True
        await core.kill()

    async def pass_time(self, ms: int) -> None:
        """Let ``ms`` milliseconds go by: at once on a virtual clock, really otherwise."""
        self.trace.note("clock", "advance", ms=ms)
        if isinstance(self.clock, VirtualClock):
            self.clock.advance(ms)
            for core in self._outside():
                await core.catch_up()
            await asyncio.sleep(0)
        else:
            await asyncio.sleep(ms / 1000)

    async def after_expiry(self) -> None:
        """Let every lease that a dead core left run out."""
        await self.pass_time(self.lease_ms + 1)

    def start(self, attempt: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Run something beside the check; what still runs when the bench closes is cancelled."""
        task = asyncio.get_running_loop().create_task(attempt)
        self._started.append(task)
        return task

    async def ended(self, task: "asyncio.Task[Any]", core: HostCore) -> None:
        """Return once the task ended or the core stands still at a commit, whichever comes first."""
        halted = self.start(self.line(core).halted())
        await asyncio.wait((task, halted), return_when=asyncio.FIRST_COMPLETED)

    async def breathe(self) -> None:
        """Let whatever was started get as far as it can without time passing."""
        for _ in range(200):
            await asyncio.sleep(0)
        for core in self._outside():
            await core.breathe()

    def _outside(self) -> list[RemoteCore]:
        return [core for core, _ in self._cores if isinstance(core, RemoteCore)]

    @contextlib.asynccontextmanager
    async def promptly(self) -> AsyncGenerator[None]:
        """What is inside must end without waiting for anybody; the bound is generous."""
        limit = asyncio.timeout(PROMPT_S)
        try:
            async with limit:
                self.limits.append(limit)
                yield
        except TimeoutError as err:
            raise Unexpected("an answer at once", f"none within {PROMPT_S:g} s") from err
        finally:
            self.limits.remove(limit)

    async def pending_key(self, core: HostCore, name: str) -> Any:
        """The completion key of the kit's ``pending`` tool, once it is pending."""
        async with self.promptly():
            key = await core.call("pending_key", {"name": name})
            while key is None:
                await self.breathe()
                key = await core.call("pending_key", {"name": name})
        return key

    async def sent(self, core: HostCore, method: str) -> list[Sent]:
        """The calls of one method among all that the core made to its stores since this was asked last."""
        return [call for call in await self.line(core).sent() if call.method == method]

    async def commits(self, core: HostCore) -> list[RuntimeCommit]:
        """What the core committed since this, or `sent`, was asked last."""
        return [call.arguments[0] for call in await self.sent(core, COMMIT)]

    async def at_commit(self, core: HostCore, attempt: Coroutine[Any, Any, T], question: Awaitable[Any]) -> Any:
        """What the question answers while the attempt stands at its first commit; then the attempt is over."""
        await self.line(core).halt("before", 1)
        running = self.start(attempt)
        await self.ended(running, core)
        found = await question
        await self.line(core).go_on()
        await running
        return found

    async def intents(self, session_id: str = "s1") -> tuple[AttachmentManifestEntry, ...]:
        """The session's attachment rows that no commit adopted."""
        return await (await self.store(session_id)).list_uncommitted(2**62)

    async def dangle(self, session_id: str = "s1") -> None:
        """Point the stored leaf at a node that does not exist."""
        store = await self.store(session_id)
        read = await self.stored(session_id)
        assert read is not None, "the session was committed, yet the store holds nothing"
        lease = await self.take_lane(session_id)
        commit = RuntimeCommit(
            session_id=session_id, expected_head_revision=read.head_revision, session_execution_lease=lease.fence(), config=read.config,
            release_session_execution_lease=lease.completion(), agent_frames=read.agent_frames,
            current_agent_frame_id=read.current_agent_frame_id, graph=Unchanged(leaf_node_id="nowhere"),
            checkpoint=read.checkpoint or HydratedSessionCheckpoint(),
        )  # fmt: skip
        await store.commit_runtime_state(commit)

    # -- evidence, read past the host

    async def store(self, session_id: str = "s1", *, other: bool = False) -> RuntimePersistence:
        """The judge's own handle on a session's store."""
        return await self._backends[1 if other else 0].sessions.create_store(request(session_id))

    async def stored(self, session_id: str = "s1", *, other: bool = False) -> PersistedSessionRead | None:
        """What the store holds of a session."""
        return await (await self.store(session_id, other=other)).load_session(FullGraph())

    async def loaded(self, session_id: str = "s1", *, other: bool = False) -> Loaded:
        """As `stored`, of a session that must have been committed; the check fails if it was not."""
        read = await self.stored(session_id, other=other)
        assert read is not None, f"session {session_id!r} was to be committed, yet its store holds nothing"
        return Loaded(read)

    async def revision(self, session_id: str = "s1") -> int:
        """The stored head revision; 0 when nothing was committed."""
        read = await self.stored(session_id)
        return 0 if read is None else read.head_revision

    async def take_lane(self, session_id: str = "s1", ttl: int = LEASE_MS) -> SessionExecutionLease:
        """Hold the session's lease as another worker; the check fails if the lane is busy."""
        store = await self.store(session_id)
        outcome = await store.try_claim_session_execution_lease(session_id, owner("judge"), ttl)
        assert isinstance(outcome, Acquired), f"the lane is free, yet the claim answered {outcome!r}"
        return outcome

    async def free_lane(self, lease: SessionExecutionLease) -> None:
        """Give back what `take_lane` took."""
        await (await self.store(lease.session_id)).release_session_execution_lease(lease.completion())

    # -- life

    async def provide(self, wants: tuple[str, ...]) -> dict[str, Any]:
        """The parts a check asked for: ``bench``, ``core`` (with every kit tool), ``session`` ("s1" on it)."""
        parts: dict[str, Any] = {"bench": self}
        if "core" in wants or "session" in wants:
            parts["core"] = await self.core(tools=KIT_TOOLS)
        if "session" in wants:
            parts["session"] = await parts["core"].open("s1", OpenSpec())
        return {name: parts[name] for name in wants}

    async def _stop(self) -> None:
        """End what the check started; a task of a dead core may need to be told twice."""
        for _ in range(3):
            running = [task for task in self._started if not task.done()]
            for task in running:
                task.cancel()
            if running:
                await asyncio.wait(running, timeout=0.2)
        for task in self._started:
            if task.done() and not task.cancelled():
                task.exception()

    async def forget(self, core: HostCore) -> None:
        """Bury a core that is dead or closed, with everything that was started."""
        await self.line(core).bury()
        await self._stop()
        self._started.clear()
        inner = getattr(core, "_inner", core)
        self._cores = [(made, line) for made, line in self._cores if made is not inner]

    async def close(self) -> None:
        """Close whatever is open, and remove what is kept elsewhere than in the check's folder."""
        await self._stop()
        while self._cores:
            core, line = self._cores.pop()
            await (core.kill() if line.dead else core.close())
        opened = len(self._backends)
        while self._backends:
            await self._backends.pop().close()
        if opened and isinstance(self.stores, Keeping):
            for name in STORES:
                await self.stores.remove(self._place(name))
