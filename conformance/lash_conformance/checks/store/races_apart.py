"""Races between processes: clients that have a process each on one place."""

import asyncio

from lash_conformance.bench import Bench, request
from lash_conformance.check import check
from lash_conformance.checks.store.races import claims, committing, draft, heads, keys, lane, read_back, take
from lash_conformance.model_state import lean
from lash_conformance.process_races import raced_across_processes
from lash_conformance.race import Client, Race
from lash_conformance.rules_lane import OWNERS
from lash_conformance.vocabulary import said, stamp


async def _by_turns(race: Race, referee: Client, crowd: list[Client]) -> None:
    kept = "manifest" in race.bench.target.capabilities

    async def look(client: Client) -> None:
        await read_back(client)
        await client.store("list_queued_work", "s1")
        for method, *given in (("load_node", "n4"), ("load_session_meta",), *((("list_all_refs",), ("list_uncommitted", 9)) * kept)):
            await client.store(method, *given)

    fence = await lane(referee)
    for n, client in enumerate((*crowd, *crowd)):
        await look(client)
        meta = {"session_id": "s1", "session_name": f"by {n}", "created_at": "then", "model": "m", "relation": {"kind": "root"}}
        await client.store("save_session_meta", meta)
        if kept:
            await client.store("record_intent", lean(attachment_id=f"a{n}", session_id="s1", canonical_uri="u", intent_at_epoch_ms=n))
        await client.store("enqueue_pending_turn_input", said(input_id=f"i{n // 2}").to_data())
        await client.store("enqueue_queued_work", draft())
        await client.store("commit_runtime_state", committing(fence, f"n{n}", turn_commit=stamp(f"t{n // 2}", "h")))
        claim = await take(client, fence, "claim_ready_queued_work", "idle", 1)
        await client.store("abandon_queued_work_claim", claim)
        await client.store("release_session_execution_lease", fence)
        fence = await lane(client, OWNERS[n % 2])
        await look(client)
    for client in crowd:
        await look(client)
    await referee.call("factory", "delete_session", "s1")
    for client in crowd:
        await client.call("factory", "open_existing_store", request().to_data())


async def _watched(race: Race, referee: Client, crowd: list[Client]) -> None:
    fence = await lane(referee)

    async def write() -> None:
        for n in range(3):
            await referee.store("commit_runtime_state", committing(fence, f"n{n}") | {"enqueued_queue_batches": [draft()]})

    async def watch(client: Client) -> None:
        for _ in range(3):
            await read_back(client)

    await asyncio.gather(write(), *(watch(client) for client in crowd))
    for client in crowd:
        await read_back(client)


@check("FAC.16", needs=("durable", "shared"), kind="crash")
async def processes_that_share_a_place_see_one_store(bench: Bench) -> None:
    """Clients that have a process each write by turns, watch commits, and fight over lanes, heads, keys and names."""
    await raced_across_processes(bench, _by_turns, (_watched, claims, heads, keys), clients=3)
