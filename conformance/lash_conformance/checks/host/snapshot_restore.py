"""Plugin snapshots: what is restored when a session is opened (SNP.1 to SNP.17)."""

from lash_conformance.check import host_check
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import (
    opened,
    refused,
    transcript,
    wrote,
    wrote_once,
)
from lash_conformance.plugin_words import COUNTS, READ, READS, counted, first_run, run_again, turns


@host_check("SNP.1", needs=("durable",))
async def a_plugin_goes_on_where_it_stopped(bench: HostBench) -> None:
    """Three turns counted; the next process knows."""
    await first_run(bench, "a", count=3, a=COUNTS)
    core, session = await run_again(bench, "a", a=COUNTS | READS)

    assert (await session.call("operation", READ))["n"] == 3
    assert await wrote_once(core, "a restore") == ['a restore 1 {"n":3}']


@host_check("SNP.1")
async def a_parked_plugin_goes_on_where_it_stopped(bench: HostBench) -> None:
    """The same in one process, through park and resume."""
    core = await bench.core("a", options={"a": COUNTS | READS})
    session = await opened(core)
    await turns(core, session, 2)

    resumed = await core.resume(await session.park())

    assert (await resumed.call("operation", READ))["n"] == 2


@host_check("SNP.2", needs=("durable",))
async def restore_comes_after_register_and_before_the_session_stands(bench: HostBench) -> None:
    """The order of one plugin's points."""
    await first_run(bench, "a", a=COUNTS)
    core, _ = await run_again(bench, "a", a=COUNTS)

    points = [line for line in await wrote_once(core, "a ") if line.split()[1] in ("register", "restore", "event")]
    assert points == ["a register", 'a restore 1 {"n":1}', "a event session_restored"]


@host_check("SNP.3", needs=("durable",))
async def restore_runs_once(bench: HostBench) -> None:
    """For each of two plugins, one of them new."""
    await first_run(bench, "a", a=COUNTS)
    core, session = await run_again(bench, "a", "b", a=COUNTS)
    await turns(core, session)

    assert [line.split()[0] for line in await wrote(core, "a restore", "b restore")] == ["a", "b"]


@host_check("SNP.4")
async def a_new_session_restores_nothing(bench: HostBench) -> None:
    """Opened, and run; opened again before any commit."""
    core = await bench.core("a")
    session = await opened(core)
    await session.close()
    await turns(core, await opened(core))

    assert await wrote(core, "a restore") == []


@host_check("SNP.5", "SNP.6", needs=("durable",))
async def a_new_plugin_is_restored_with_nothing(bench: HostBench) -> None:
    """It hears of no state and no blob, and what it did before that is undone."""
    await first_run(bench, "a")
    core, session = await run_again(bench, "a", "b", b={"changes_at": ["ready"], "blobs": [["x", "text"]]})
    await turns(core, session)

    assert await wrote_once(core, "b restore", "b blob") == ["b restore none"]
    assert await counted(bench, "b") == 0


@host_check("SNP.7", needs=("durable",))
async def a_plugin_that_is_gone_is_no_error(bench: HostBench) -> None:
    """Its entry is stored; the session opens and runs without it."""
    await first_run(bench, "a", "b")
    core, session = await run_again(bench, "a")

    await turns(core, session)


@host_check("SNP.8", needs=("durable",))
async def a_plugin_that_comes_back_finds_its_state(bench: HostBench) -> None:
    """Away for two turns in which another plugin's state changed."""
    await first_run(bench, "a", "b", count=2, a=COUNTS, b=COUNTS)
    core, session = await run_again(bench, "a", a=COUNTS)
    await turns(core, session, 2)
    await core.close()

    core, _ = await run_again(bench, "a", "b", a=COUNTS, b=COUNTS)

    assert await wrote_once(core, "a restore", "b restore") == ['a restore 1 {"n":4}', 'b restore 1 {"n":2}']


@host_check("SNP.9", needs=("durable",))
async def entries_are_found_by_id(bench: HostBench) -> None:
    """Two plugins change places."""
    await first_run(bench, "a", "b", a=COUNTS, b={"changes_at": ["before_turn", "after_turn"]})
    core, _ = await run_again(bench, "b", "a")

    assert await wrote_once(core, "a restore", "b restore") == ['b restore 1 {"n":2}', 'a restore 1 {"n":1}']


@host_check("SNP.10", needs=("durable",))
async def a_failing_restore_fails_the_open(bench: HostBench) -> None:
    """The store is as it was, and the next open without the fault finds everything."""
    await first_run(bench, "a", a=COUNTS)
    core = await bench.core("a", options={"a": COUNTS | {"fails_at": ["restore"], "fail_times": 1}})

    before = await bench.revision()

    await refused(opened(core), "broken at restore")

    assert (await bench.revision(), await counted(bench)) == (before, 1)
    await opened(core)
    assert await wrote_once(core, "a restore") == ['a restore 1 {"n":1}']


@host_check("SNP.11", needs=("durable",))
async def the_stored_version_is_handed_back(bench: HostBench) -> None:
    """Stored by version 1, read by version 2."""
    await first_run(bench, "a", a=COUNTS | {"version": "1"})
    core, _ = await run_again(bench, "a", a=COUNTS | {"version": "2"})

    assert await wrote_once(core, "a restore") == ['a restore 1 {"n":1}']


@host_check("SNP.13", "SNP.14", needs=("durable",))
async def open_fresh_starts_and_replaces(bench: HostBench) -> None:
    """Nothing is restored; the first commit's snapshot is the one that is found afterwards."""
    await first_run(bench, "a", count=3, a=COUNTS)
    core = await bench.core("a", options={"a": COUNTS})
    session = await opened(core, how="fresh")
    assert await wrote(core, "a restore") == []
    await turns(core, session)
    await core.close()

    core, _ = await run_again(bench, "a", a=COUNTS)

    assert await wrote(core, "a restore") == ['a restore 1 {"n":1}']


@host_check("SNP.15", needs=("durable",))
async def a_plugin_without_snapshot_starts_over(bench: HostBench) -> None:
    """The conversation is whole, the plugin as new."""
    options = COUNTS | READS | {"stateless": True}
    await first_run(bench, "a", a=options)
    _, session = await run_again(bench, "a", a=options)

    assert (await session.call("operation", READ))["n"] == 0
    assert await transcript(session) == ["user: q0", "assistant: a0"]


@host_check("SNP.16")
async def a_resumed_session_has_the_cores_plugins_only(bench: HostBench) -> None:
    """One plugin of the core, one of the session."""
    core = await bench.core("a")
    session = await opened(core, plugins=("b",))
    await turns(core, session)
    await core.resume(await session.park())

    assert await wrote(core, "a build", "b build") == ["a build root", "b build root", "a build root"]


@host_check("SNP.17")
async def a_reset_restores_every_plugin_with_nothing(bench: HostBench) -> None:
    """Two turns are counted, then the session is reset; the next turn is the first."""
    core = await bench.core("a", options={"a": COUNTS})
    session = await opened(core)
    await turns(core, session, 2)
    await session.call("command", {"kind": "reset_session", "key": "k"})
    assert await session.queued_turn() is None
    await turns(core, session)

    assert await wrote(core, "a restore") == ["a restore none"]
    assert await counted(bench) == 1
