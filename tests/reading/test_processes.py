"""Processes, the triggers that start them, and the environments they are started with."""

import asyncio

import pytest
from runtime_kit import Place, texts

from lash_ref.hosting import (
    FileProcessEnvStore,
    InMemoryProcessEnvStore,
)
from lash_ref.plugins import PluginSpec, StaticPluginFactory
from lash_ref.processes import ProcessRegistry, SqliteProcesses
from lash_ref.registrar import TriggerEvent
from lash_ref.runtime_errors import (
    ProcessError,
    SessionDeleteProcess,
)
from lash_ref.scalars import Json
from lash_ref.scripted import ScriptedProvider
from lash_ref.triggers import (
    SqliteTriggers,
    TriggerDelivery,
    TriggerOccurrence,
    TriggerRouter,
    TriggerSubscription,
)


def test_processes_and_triggers(tmp_path):
    async def run():
        rows = SqliteProcesses(tmp_path / "p.db")
        registry = ProcessRegistry(rows)

        async def echo(context):
            return {"got": (await context.signal()).value}

        async def quick(context):
            return context.arguments.value

        registry.handle("echo", echo)
        registry.handle("quick", quick)
        event = TriggerEvent(resource_type="timer", alias="timer", event="tick")
        place = Place(tmp_path)
        core = await (
            place.builder(ScriptedProvider()).process_registry(registry).trigger_store(SqliteTriggers(tmp_path / "t.db"))
            .plugin(StaticPluginFactory("t", PluginSpec(triggers=[event]))).build()
        )  # fmt: skip
        session = await core.session("s").open()
        row = session.processes().start("echo")
        seen = session.observe()
        assert [p.process_id for p in await seen.list_process_handles()] == [row.process_id]
        assert row.scope == seen.process_scope()
        session.processes().signal(row.process_id, Json("ping"))
        assert (await session.processes().await_output(row.process_id)).output == Json({"got": "ping"})
        endless = session.processes().start("echo")
        assert (await session.processes().cancel(endless.process_id)).state == "cancelled"
        assert [e.source_type for e in session.triggers().declared()] == ["timer.tick"]
        session.triggers().register("timer.tick", "quick", subscription_id="sub")
        first = session.triggers().emit("timer.tick", Json({"n": 1}), "once")
        again = session.triggers().emit("timer.tick", Json({"n": 1}), "once")
        assert [p.process_id for p in first] == [p.process_id for p in again]
        assert len(await seen.list_all_process_handles()) == 3
        assert (await session.processes().await_output(first[0].process_id)).state == "completed"
        with pytest.raises(ProcessError):
            session.triggers().register("nobody.knows", "quick")
        with pytest.raises(ProcessError):
            session.processes().signal(row.process_id, Json("too late"))
        assert session.triggers().unregister("sub")
        assert not session.triggers().unregister("sub")
        running = session.processes().start("echo")
        report = await core.delete_session("s")
        assert report.running_processes == (running.process_id,)
        assert texts(await core.session("s").open()) == []
        await registry.close()
        rows.close()
        later = SqliteProcesses(tmp_path / "p.db")
        assert ProcessRegistry(later).get(row.process_id).output == Json({"got": "ping"})
        later.close()
        await place.close()

    asyncio.run(run())


def test_a_delivery_that_its_host_did_not_live_to_start_is_started_once(tmp_path):
    async def run():
        async def quick(context):
            return context.arguments.value["event"]

        wanted = TriggerSubscription(subscription_id="sub", session_id="s", source_type="a.b", process_kind="quick")
        delivery = TriggerDelivery(
            subscription=wanted, occurrence=TriggerOccurrence(occurrence_id="o", source_type="a.b", payload=Json(7))
        )
        before = SqliteTriggers(tmp_path / "t.db")
        before.record([delivery])
        before.close()
        registry = ProcessRegistry()
        registry.handle("quick", quick)
        router = TriggerRouter(SqliteTriggers(tmp_path / "t.db"), registry)
        (started,) = router.recover()
        assert (await registry.await_output(started.process_id)).output == Json(7)
        assert router.recover() == []

    asyncio.run(run())


def test_environments_are_kept_by_their_content(tmp_path):
    async def run():
        for store, again in (
            (kept := InMemoryProcessEnvStore(), kept),
            (FileProcessEnvStore(tmp_path), FileProcessEnvStore(tmp_path)),
        ):
            ref = await store.put(b"PATH=/bin")
            assert (await again.get(ref), await again.get("elsewhere")) == (b"PATH=/bin", None)

    asyncio.run(run())


def _delivery(kind):
    wanted = TriggerSubscription(subscription_id=kind, session_id="s", source_type="a.b", process_kind=kind)
    return TriggerDelivery(subscription=wanted, occurrence=TriggerOccurrence(occurrence_id="o", source_type="a.b"))


def test_a_core_starts_what_triggers_left_recorded(tmp_path):
    """A kind that nothing runs yet stays recorded and keeps no other from being started."""

    async def run():
        async def quick(context):
            return context.arguments.value["occurrence_id"]

        before = SqliteTriggers(tmp_path / "t.db")
        before.record([_delivery("unknown"), _delivery("quick")])
        before.close()
        processes, triggers = SqliteProcesses(tmp_path / "p.db"), SqliteTriggers(tmp_path / "t.db")
        registry = ProcessRegistry(processes)
        registry.handle("quick", quick)
        core = await Place(tmp_path).builder(ScriptedProvider()).process_registry(registry).trigger_store(triggers).build()

        (started,) = (await core.session("s").open()).processes().list_all()

        assert (await registry.await_output(started.process_id)).output == Json("o")
        assert [each.subscription.process_kind for each in triggers.undelivered()] == ["unknown"]
        processes.close()
        triggers.close()

    asyncio.run(run())


def test_a_subscription_that_cannot_be_served_holds_up_no_other():
    async def run():
        async def quick(context):
            return context.process_id

        registry = ProcessRegistry()
        registry.handle("quick", quick)
        router = TriggerRouter(SqliteTriggers(), registry)
        for kind in ("unknown", "quick"):
            router.store.subscribe(_delivery(kind).subscription)
        with pytest.raises(ProcessError, match="unknown"):
            router.emit(_delivery("quick").occurrence)
        assert [row.kind for row in registry.of_session("s")] == ["quick"]

    asyncio.run(run())


def test_a_session_whose_processes_cannot_be_let_go_is_not_deleted(tmp_path):
    class Full(SqliteProcesses):
        full = False

        def put(self, row):
            if self.full:
                raise OSError("no space left")
            super().put(row)

    async def run():
        async def quick(context):
            return context.process_id

        rows = Full(tmp_path / "p.db")
        registry = ProcessRegistry(rows)
        registry.handle("quick", quick)
        core = await Place(tmp_path).builder(ScriptedProvider(["hello"])).process_registry(registry).build()
        session = await core.session("s").open()
        await session.turn("hi").run()
        await session.processes().await_output(session.processes().start("quick").process_id)
        rows.full = True
        with pytest.raises(SessionDeleteProcess, match="no space left"):
            await core.delete_session("s")
        assert texts(await core.session("s").open()) == ["hi", "hello"]

        rows.full = False
        await core.delete_session("s")
        again = await core.session("s").open()
        assert (texts(again), list(again.processes().list_all())) == ([], [])
        assert [row.scope for row in rows.rows()] == [None]
        rows.close()

    asyncio.run(run())
