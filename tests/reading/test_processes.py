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
