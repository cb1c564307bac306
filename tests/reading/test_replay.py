"""A turn driven again from its journal runs nothing again and leaves what it had left."""

import asyncio

import pytest
from runtime_kit import CounterFactory, Place, texts

from lash_ref.effects import ExecutionScope, FileJournal, JournalEffectHost
from lash_ref.outcome import outcome_data
from lash_ref.runtime_errors import (
    DurableEffectHostRequiresHandlerContext,
    EffectDiverged,
    RuntimeFailure,
)
from lash_ref.scripted import Reply, ScriptedProvider

SCOPE = ExecutionScope(session_id="s", turn_id="t1")


class Crash(Exception):
    """The process dies here."""


class DiesAt:
    def __init__(self, phase):
        self.phase = phase

    async def reached(self, phase, turn_id):
        if phase == self.phase:
            raise Crash


def script():
    return ScriptedProvider([Reply(calls=[("c1", "count", {}), ("c2", "count", {})]), "done"])


async def crashed(place, journal, counter, provider, phase):
    host = JournalEffectHost(journal, b"k")
    core = await place.builder(provider, host).plugin(counter).build()
    session = await core.session("s").open()
    await session.set_turn_phase_probe(DiesAt(phase))
    with pytest.raises(Crash):
        await session.turn("go").effects(host.controller(SCOPE)).run()


@pytest.mark.parametrize("phase", ["checkpoint", "commit"])
def test_a_turn_that_died_is_driven_again_without_running_anything_twice(tmp_path, phase):
    async def run():
        place, path = Place(tmp_path), tmp_path / "journal"
        first = CounterFactory()
        journal = FileJournal(path)
        await crashed(place, journal, first, script(), phase)
        journal.close()
        assert first.ran == 2

        second, provider = CounterFactory(), ScriptedProvider(["done"])
        again = FileJournal(path)
        host = JournalEffectHost(again, b"k")
        core = await place.builder(provider, host).plugin(second).build()
        session = await core.session("s").open()
        controller = host.controller(SCOPE)
        done = await session.turn("go").effects(controller).run()
        assert second.ran == 0
        assert outcome_data(done.result.outcome) == {"finished": {"assistant_message": {"text": "done"}}}
        assert texts(session) == ["go", "", "", "done"]
        assert len(provider.requests) == (1 if phase == "checkpoint" else 0)
        assert (controller.performed == []) is (phase == "commit")
        counted = await session.admin().state().runtime.services.store.load_session(_whole())
        assert counted.checkpoint.plugin_snapshot.value["plugins"]["counter"]["meta"]["state"] == {"count": 2}
        again.close()
        await place.close()

    asyncio.run(run())


def _whole():
    from lash_ref.nodes import FullGraph

    return FullGraph()


def test_a_turn_that_was_committed_is_answered_and_not_run(tmp_path):
    async def run():
        place, counter = Place(tmp_path), CounterFactory()
        host = JournalEffectHost(FileJournal(tmp_path / "j"), b"k")
        core = await place.builder(script(), host).plugin(counter).build()
        session = await core.session("s").open()
        first = await session.turn("go").effects(host.controller(SCOPE)).run()
        second = await session.turn("go").effects(host.controller(SCOPE)).run()
        assert second.result == first.result
        assert counter.ran == 2
        assert session.read_view().turn_index == 1
        host.journal.close()
        await place.close()

    asyncio.run(run())


def test_other_input_under_a_recorded_scope_diverges(tmp_path):
    async def run():
        place, journal = Place(tmp_path), FileJournal(tmp_path / "j")
        await crashed(place, journal, CounterFactory(), script(), "commit")
        host = JournalEffectHost(journal, b"k")
        core = await place.builder(script(), host).plugin(CounterFactory()).build()
        session = await core.session("s").open()
        with pytest.raises(EffectDiverged):
            await session.turn("something else").effects(host.controller(SCOPE)).run()
        journal.close()
        await place.close()

    asyncio.run(run())


def test_a_journal_that_was_cut_short_keeps_its_whole_lines(tmp_path):
    path = tmp_path / "j"
    path.write_bytes(b'{"scope_id":"a","effect_id":"1","kind":"sleep","request_hash":"h","outcome":1}\n{"scope')
    journal = FileJournal(path)
    assert list(journal.entries) == [("a", "1")]
    journal.close()


def test_a_durable_host_wants_its_controller_and_durable_peers(tmp_path):
    async def run():
        host = JournalEffectHost(FileJournal(tmp_path / "j"), b"k")
        core = await Place().builder(ScriptedProvider(["x"]), host).build()
        session = await core.session("s").open()
        with pytest.raises(DurableEffectHostRequiresHandlerContext):
            await session.turn("hi").run()
        with pytest.raises(RuntimeFailure) as missing:
            await session.turn("hi").effects(host.controller(SCOPE)).run()
        assert missing.value.runtime_code == "durable_store_required:session_store"
        host.journal.close()

    asyncio.run(run())
