"""Plugin snapshots: what is captured, and when (SNP.20 to SNP.31)."""

import hashlib
import itertools
import struct
from typing import Any

from lash_conformance.check import host_check
from lash_conformance.host import HostCore, HostSession
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import (
    answer,
    exchange,
    opened,
    wrote,
    wrote_once,
)
from lash_conformance.plugin_words import (
    COUNTS,
    counted,
    entries,
    first_run,
    references,
    run_again,
    turns,
)


@host_check("SNP.20")
async def every_plugin_has_its_entry(bench: HostBench) -> None:
    """One with state, one without; under their ids, with version and revision."""
    core = await bench.core("a", "recorder", options={"a": COUNTS | {"version": "7"}})
    await turns(core, await opened(core), 2)

    found = await entries(bench)
    assert found["a"]["meta"] == {"plugin_id": "a", "plugin_version": "7", "revision": 2, "state": {"n": 2}}
    assert found["recorder"]["meta"] == {"plugin_id": "recorder", "plugin_version": "1", "revision": 0}


BLOBS = [["x", "first"], ["y", "Zoë\nline\u0000end"], ["x", "second"]]


@host_check("SNP.21", "SNP.22", needs=("durable",))
async def blobs_come_back_by_name(bench: HostBench) -> None:
    """One text with a NUL and an umlaut; of two equal names the first."""
    await first_run(bench, "a", a={"blobs": BLOBS})
    core, _ = await run_again(bench, "a", a={"blobs": BLOBS})

    assert await wrote_once(core, "a blob") == ["a blob x first", "a blob y Zoë\nline\u0000end"]


async def _broken_capture(bench: HostBench, **faults: Any) -> tuple[HostCore, HostSession]:
    """Two counters at 1 are stored; on this core b cannot be captured."""
    await first_run(bench, "a", "b", a=COUNTS, b=COUNTS)
    return await run_again(bench, "a", "b", a=COUNTS, b=COUNTS | {"fails_at": ["snapshot"]} | faults)


@host_check("SNP.23", "SNP.24", needs=("durable",))
async def a_capture_is_all_or_nothing(bench: HostBench) -> None:
    """One plugin fails; the turn is fine, and every entry is as it was."""
    core, session = await _broken_capture(bench)
    before = await bench.revision()

    assert answer(await exchange(core, session, "hi", "hello")) == "says hello"

    assert await bench.revision() > before
    assert (await counted(bench, "a"), await counted(bench, "b")) == (1, 1)


@host_check("SNP.25", needs=("durable",))
async def a_failed_capture_leaves_the_revision_alone(bench: HostBench) -> None:
    """Snapshot and number stay together."""
    await first_run(bench, "a", "b", a=COUNTS, b=COUNTS)
    before = (await references(bench))[:2]
    core, session = await run_again(bench, "a", "b", a=COUNTS, b=COUNTS | {"fails_at": ["snapshot"]})
    await turns(core, session)

    assert (await references(bench))[:2] == before


@host_check("SNP.25", needs=("durable",))
async def a_failed_capture_is_tried_again(bench: HostBench) -> None:
    """The plugin changed only in the turn whose capture failed."""
    await first_run(bench, "a", "b")
    core, session = await run_again(
        bench, "a", "b",
        a={"changes_at": ["event session_restored"]}, b={"fails_at": ["snapshot"], "fail_times": 1},
    )  # fmt: skip
    await turns(core, session, 2)

    assert await counted(bench, "a") == 1


@host_check("SNP.32", needs=("durable",))
async def a_failed_capture_is_reported(bench: HostBench) -> None:
    """By the turn that it happened in, and by no other."""
    core = await bench.core("a", options={"a": COUNTS | {"fails_at": ["snapshot"], "fail_times": 1}})
    session = await opened(core)

    first, second = [await exchange(core, session, "hi", "hello") for _ in range(2)]

    assert (len(first["errors"]), second["errors"]) == (1, [])
    assert "broken at snapshot" in first["errors"][0]["message"]


@host_check("SNP.26")
async def the_newest_state_is_stored(bench: HostBench) -> None:
    """After each of three turns."""
    core = await bench.core("a", options={"a": COUNTS})
    session = await opened(core)
    seen: list[Any] = []
    for _ in range(3):
        await turns(core, session)
        seen.append(await counted(bench))

    assert seen == [1, 2, 3]


def fingerprint(plugins: tuple[tuple[str, str, int], ...]) -> int:
    """The number of SNP.27, of (id, version, revision) in stack order."""
    told = b"".join(
        plugin_id.encode() + b"\x00" + version.encode() + b"\x00" + struct.pack("<Q", revision) + b"\xff"
        for plugin_id, version, revision in plugins
    )
    return int.from_bytes(hashlib.sha256(told).digest()[:8], "little")


@host_check("SNP.27")
async def the_revision_is_the_fingerprint(bench: HostBench) -> None:
    """B before a; a host's own plugins may stand anywhere around them."""
    core = await bench.core("b", "a", options={"a": COUNTS, "b": {"version": "9"}})
    await turns(core, await opened(core), 2)

    metas = [entry["meta"] for entry in (await entries(bench)).values()]
    told = [(meta["plugin_id"], meta["plugin_version"], meta["revision"]) for meta in metas]
    assert [one for one in told if one[0] in ("a", "b")] == [("a", "1", 2), ("b", "9", 0)]
    orders = [
        order
        for order in itertools.permutations(told)
        if order.index(("b", "9", 0)) < order.index(("a", "1", 2))
    ]
    assert (await references(bench))[1] in [fingerprint(order) for order in orders]


@host_check("SNP.28")
async def an_unchanged_snapshot_is_not_taken_again(bench: HostBench) -> None:
    """Three turns, one capture, one reference."""
    core = await bench.core("a")
    session = await opened(core)
    await turns(core, session)
    before = await references(bench)
    await turns(core, session, 2)

    assert await references(bench) == before
    assert await wrote(core, "a snapshot") == ["a snapshot"]


@host_check("SNP.28")
async def a_change_without_a_revision_is_not_seen(bench: HostBench) -> None:
    """The plugin changed and did not say so; it is told by its revision only."""
    core = await bench.core("a", options={"a": COUNTS | {"still": True}})
    session = await opened(core)
    await turns(core, session, 3)

    assert await wrote(core, "a snapshot") == ["a snapshot"]
    assert await counted(bench) == 1


@host_check("SNP.29")
async def the_first_commit_captures(bench: HostBench) -> None:
    """A plugin of revision 0."""
    core = await bench.core("a")
    await turns(core, await opened(core))

    assert await counted(bench) == 0
    assert (await references(bench))[0] is not None


@host_check("SNP.30")
async def the_tool_state_is_stored_when_it_changed(bench: HostBench) -> None:
    """With the first commit, not with the second, and again after an opt-out."""
    core = await bench.core(tools=("echo", "fail"))
    session = await opened(core)
    refs: list[Any] = []
    await turns(core, session)
    refs.append((await references(bench))[2])
    await turns(core, session)
    refs.append((await references(bench))[2])
    await session.call("tools.set_membership", {"tool_id": "kit:fail", "member": False})
    await turns(core, session)
    refs.append((await references(bench))[2])

    assert refs[0] is not None
    assert (refs[1] == refs[0], refs[2] == refs[0]) == (True, False)


@host_check("SNP.31")
async def equal_state_gives_equal_snapshots(bench: HostBench) -> None:
    """Two sessions that did the same."""
    core = await bench.core("a", "b", options={"a": COUNTS | {"blobs": BLOBS}, "b": COUNTS})
    for session_id in ("s1", "s2"):
        await turns(core, await opened(core, session_id))

    assert await entries(bench, "s1") == await entries(bench, "s2")
