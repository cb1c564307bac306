"""One core of the reference behind the host Protocol: wired from a description, over the place's stores."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast
from weakref import WeakSet

from lash_conformance.host import CoreSpec, Data, HostPlace, OpenSpec
from lash_conformance.provider_calls import route
from lash_conformance.targets.kit_plugins import CounterFactory, OptionsFactory, PoolFactory
from lash_conformance.targets.kit_shelf import ShelfFactory
from lash_conformance.targets.kit_stage import KitProvider, told
from lash_conformance.targets.kit_tools import KitStage
from lash_conformance.targets.kit_written import WrittenFactory
from lash_conformance.targets.reference_data import data
from lash_conformance.targets.reference_facets import (
    SECRET,
    Clash,
    DurableFacet,
    DurableProcesses,
    Inline,
    PlaceMemory,
    Probe,
    Resolver,
    binding,
    kept,
    model_of,
    resolution_data,
    resolution_of,
)
from lash_conformance.targets.reference_session import ReferenceSession
from lash_ref.cancel import TurnCancelReceipt
from lash_ref.contracts import AttachmentStore
from lash_ref.core import LashCore, LashCoreBuilder
from lash_ref.effects import ExecutionScope, InlineEffectHost, JournalEffectHost
from lash_ref.hosting import InMemoryProcessEnvStore, ProcessEnvStore
from lash_ref.inputs import ActiveTurn, NextTurn
from lash_ref.observe import LiveReplayStore
from lash_ref.plugins import PluginFactory
from lash_ref.policy import ModeId, Residency, SessionSpec
from lash_ref.processes import MemoryProcesses, ProcessContext, ProcessRegistry
from lash_ref.prompt import PromptLayer
from lash_ref.provider import Provider
from lash_ref.retries import RetryPolicy
from lash_ref.rlm import RlmProtocolPluginFactory
from lash_ref.rlm_cells import CellLimits
from lash_ref.scalars import Json
from lash_ref.state import PersistedSessionState, SessionSnapshot
from lash_ref.wait_store import AwaitEventKey

CELLS = CellLimits(seconds=0.5, memory_bytes=20_000_000, recursion=50, tool_calls=20)


class ReferenceCore:
    """One core."""

    def __init__(self, place: HostPlace, spec: CoreSpec) -> None:
        self.place = place
        self.spec = spec
        self.stage = KitStage()
        self.shelf: ShelfFactory | None = None
        self.factories: dict[str, PluginFactory] = {}
        self.providers: dict[str, Provider] = {kind: KitProvider(kind, self.stage) for kind in spec.providers}
        if spec.route is not None:
            routed = route(spec.route, place.clock)
            self.providers = {routed.kind: routed}
        self.shared: PlaceMemory | None = None
        self.effects: Any = None
        self.core: LashCore | None = None
        self.sessions: WeakSet[ReferenceSession] = WeakSet()
        self.tasks: set[asyncio.Task[Any]] = set()

    # -- wiring

    async def build(self) -> None:
        """Wire the core."""
        spec, lacking, durable = self.spec, self.spec.without, self.spec.durable
        made = LashCoreBuilder() if "protocol_plugin" in lacking else LashCore.standard_builder()
        if spec.protocol == "rlm":
            made = LashCore.rlm_builder(RlmProtocolPluginFactory(CELLS))
        made = made.clock(self.place.clock).mint(self.place.mint).retry(RetryPolicy(base_delay_s=0.001))
        made = made.session_execution_owner_id(spec.owner).residency(Residency(spec.residency))
        if spec.lease_ttl_ms is not None and spec.lease_renew_ms is not None:
            made = made.lease_timings(spec.lease_ttl_ms, spec.lease_renew_ms)
        if "model" not in lacking:
            made = made.model(model_of(spec.model, spec.context_window))
        if "effect_host" not in lacking:
            made = made.effect_host(self._effect_host())
        if "attachment_store" not in lacking:
            store = self.place.attachments
            tier = DurableFacet(store) if "attachment_store" in durable else Inline(store)
            made = made.attachment_store(cast("AttachmentStore", tier))
        if "process_env_store" not in lacking:
            env = InMemoryProcessEnvStore()
            kept = DurableFacet(env) if "process_env_store" in durable else env
            made = made.process_env_store(cast("ProcessEnvStore", kept))
        if spec.store == "factory":
            made = made.store_factory(self.place.stores).child_store_factory(self.place.others)
        if self.providers:
            made = made.provider(next(iter(self.providers.values()))).provider_resolver(Resolver(self.providers))
        if spec.max_turns is not None:
            made = made.max_turns(spec.max_turns)
        if spec.prompt is not None:
            layer = PromptLayer.from_data(spec.prompt)
            made = made.prompt_layer_mut(lambda _: layer)
        made = made.live_replay_store(LiveReplayStore(self.place.clock, capacity=spec.replay_events))
        if spec.process_concurrency is not None:
            made = made.process_execution_concurrency(spec.process_concurrency)
        if spec.registry != "none":
            made = made.process_registry(self._registry())
        if spec.tools:
            made = made.tools(self.stage.provider(spec.tools))
        for plugin_id in spec.plugins:
            made = made.plugin(self.factory(plugin_id))
        for edit in spec.edits:
            made = self._edited(made, edit)
        self.core = await made.build()

    def _effect_host(self) -> Any:
        if self.spec.journal:
            self.shared = kept(self.place)
            self.effects = JournalEffectHost(self.shared.journal, SECRET, self.shared.waits, self.place.clock)
            return self.effects
        self.effects = InlineEffectHost(SECRET, self.place.clock)
        if "effect_host" in self.spec.durable:
            self.effects.tier = "durable"
        return self.effects

    def _registry(self) -> ProcessRegistry:
        rows = DurableProcesses() if self.spec.registry == "durable" else MemoryProcesses()
        registry = ProcessRegistry(rows, self.place.clock, self.place.mint)

        async def wait_for(context: ProcessContext) -> object:
            given = cast("Data", context.arguments.value)
            await self.stage.wait(given["gate"])
            return given

        async def listen(context: ProcessContext) -> object:
            return (await context.signal()).value

        async def echo(context: ProcessContext) -> object:
            self.stage.note(f"process {context.process_id}")
            return context.arguments.value

        for kind, handler in (("wait", wait_for), ("listen", listen), ("echo", echo)):
            registry.handle(kind, handler)
        return registry

    def factory(self, plugin_id: str) -> PluginFactory:
        """The core's factory of a kit plugin, made once."""
        if plugin_id not in self.factories:
            self.factories[plugin_id] = self._factory(plugin_id)
        return self.factories[plugin_id]

    def _factory(self, plugin_id: str) -> PluginFactory:
        options: Data = self.spec.options.get(plugin_id, {})
        match plugin_id:
            case "counter":
                return CounterFactory(self.stage)
            case "pool":
                return PoolFactory(self.stage)
            case "clash":
                return Clash(self.stage)
            case "recorder":
                return WrittenFactory("recorder", {"stateless": True}, self.stage)
            case "shelf":
                self.shelf = ShelfFactory(options, self.stage)
                return self.shelf
            case "options":
                return OptionsFactory()
            case "bound" | "bound_optional":
                return binding(plugin_id).factory(None)
            case _:
                return WrittenFactory(plugin_id, options, self.stage)

    def _edited(self, made: LashCoreBuilder, edit: Data) -> LashCoreBuilder:
        match edit:
            case {"push": plugin_id}:
                return made.plugin(self.factory(plugin_id))
            case {"remove": plugin_id}:
                return made.configure_plugins(lambda stack: stack.remove(plugin_id))
            case {"replace": plugin_id}:
                factory = self._factory(plugin_id)
                return made.configure_plugins(lambda stack: stack.replace(factory))
            case {"retain": ids}:
                return made.configure_plugins(lambda stack: stack.retain(lambda one: one.id in ids))
            case {"plugins": ids}:
                from lash_ref.plugins import PluginStack

                return made.plugins(PluginStack().extend([self.factory(one) for one in ids]))
            case _:
                raise ValueError(f"no edit of the kit: {edit!r}")

    @property
    def live(self) -> LashCore:
        """The wired core."""
        assert self.core is not None, "the core was built"
        return self.core

    # -- sessions

    async def open(self, session_id: str, spec: OpenSpec) -> ReferenceSession:
        """Open a session."""
        made = self.live.session(session_id)
        model = None if spec.model is None else model_of(spec.model, self.spec.context_window)
        given: Data = {} if spec.max_turns is None else {"max_turns": spec.max_turns}
        prompt = None if spec.prompt is None else PromptLayer.from_data(spec.prompt)
        made = made.session_spec(SessionSpec(model=model, prompt=prompt, **given))
        if spec.provider is not None:
            made = made.provider(self.providers[spec.provider])
        if spec.parent is not None:
            made = made.parent(spec.parent)
        if spec.mode is not None:
            made = made.mode(ModeId(name=spec.mode))
        if spec.store == "other":
            from lash_conformance.bench import request

            made = made.store(await self.place.others.create_store(request(session_id)))
        for plugin_id in spec.plugins:
            config = None if plugin_id.startswith("bound") else self.factory(plugin_id)
            made = made.plugin(binding(plugin_id), config)
        for plugin_id, options in spec.plugin_options.items():
            made = made.plugin_option(plugin_id, Json(options))
        match spec.how:
            case "fresh":
                opened = await made.open_fresh()
            case "state":
                state = SessionSnapshot.from_data(spec.state)
                opened = await made.open_with_state(PersistedSessionState.from_snapshot(state))
            case _:
                opened = await made.open()
        return self._held(opened)

    def _held(self, opened: Any) -> ReferenceSession:
        made = ReferenceSession(opened, self.providers, self._controlled, Probe(self.stage), self.stage.provider)
        self.sessions.add(made)
        return made

    def _controlled(self, session_id: str, turn_id: str) -> Any:
        if not self.spec.journal:
            return None
        named = turn_id or self.place.mint("turn")
        return self.effects.controller(ExecutionScope(session_id=session_id, turn_id=named))

    async def resume(self, parked: Any) -> ReferenceSession:
        """Open what was parked."""
        return self._held(await self.live.resume(parked))

    async def delete(self, session_id: str) -> Data:
        """Delete the session's durable state."""
        report = await self.live.delete_session(session_id)
        return {"session_id": report.session_id, "running_processes": list(report.running_processes)}

    async def call(self, method: str, arguments: Data) -> Any:
        """A member by its name."""
        match method:
            case "enqueue_turn_input":
                given = dict(arguments)
                told = given.pop("ingress", None)
                ingress = None if told is None else (
                    ActiveTurn.from_data(told) if told["scope"] == "active_turn" else NextTurn()
                )
                made = await self.live.enqueue_turn_input(
                    given["session_id"], given["text"], ingress, given.get("source_key")
                )
                return data(made)
            case "resolve":
                key = AwaitEventKey.from_data(arguments["key"])
                told = self.live.completions().resolve(key, resolution_of(arguments["resolution"]))
                return "resolved" if told.outcome == "accepted" else told.outcome
            case "await":
                deadline = arguments.get("deadline_ms")
                key = AwaitEventKey.from_data(arguments["key"])
                seconds = None if deadline is None else deadline / 1000
                return resolution_data(await self.live.completions().wait(key, seconds))
            case "wait_key":
                waits = self.effects.waits
                return data(waits.key(arguments["session_id"], "external", arguments["wait_id"]))
            case "pending_key":
                found = self.stage.pending.get(arguments["name"])
                return None if found is None else data(AwaitEventKey.from_json(found))
            case "shelf":
                assert self.shelf is not None, "the core has a shelf"
                self.shelf.offers[:] = arguments["offers"]
                return None
            case "request_cancel":
                receipt: TurnCancelReceipt = self.live.turn_work_driver().request_cancel(**arguments)
                return {"durability_tier": receipt.durability_tier, **data(receipt.outcome)}
            case _:
                raise ValueError(f"no member {method!r} of a core")

    # -- the kit

    async def script(self, replies: Sequence[Data]) -> None:
        """Append replies."""
        self.stage.replies.extend(replies)

    async def requests(self) -> list[Data]:
        """What the provider was asked."""
        return [told(provider, request) for provider, request in self.stage.requests]

    async def journal(self) -> list[str]:
        """What the kit wrote down."""
        return list(self.stage.journal)

    async def reached(self, gate: str) -> None:
        """Return once somebody waits at the gate."""
        await self.stage.gate(gate).reached.wait()

    async def release(self, gate: str) -> None:
        """Open the gate."""
        self.stage.gate(gate).opened.set()

    # -- the end

    async def kill(self) -> None:
        """Die: whatever runs for this core's sessions is stopped without a word."""
        await self.close()

    async def close(self) -> None:
        """Drop what is open."""
        for provider in self.providers.values():
            await provider.close()
        for session in self.sessions:
            session.inner.drop()
        self.sessions.clear()
        if self.core is not None and (processes := self.core.process_registry()) is not None:
            await processes.close()
        if self.shared is not None:
            await self.shared.close()
