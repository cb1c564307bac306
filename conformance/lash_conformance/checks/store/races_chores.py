"""Races of chores: collections, vacuums, deletions, first openings and intents beside those who write."""

import asyncio
import base64
import hashlib

from lash_conformance.bench import Bench, request
from lash_conformance.check import check
from lash_conformance.checks.store.races import committing, lane, read_back
from lash_conformance.model_state import Data, lean
from lash_conformance.race import Client, Race, raced
from lash_conformance.vocabulary import checkpoint, tool_state
from lash_ref.records import ModelLimits, ModelSpec, SessionPolicy

OLD, CUTOFF, YOUNG = 1000, 2000, 3000
"""Times of intents, before and after what a reconciliation looks at."""


async def _collection(race: Race, referee: Client, crowd: list[Client]) -> None:
    fence = await lane(referee)

    async def write(client: Client, n: int, generation: int) -> None:
        part = checkpoint(n, tool_state=tool_state(generation))
        data = committing(fence, f"n{n}", checkpoint=part, expected_head_revision=n)
        await client.store("commit_runtime_state", data)
        await client.store("load_session", "FullGraph")

    for n in range(0, 9, 3):
        await write(referee, n, 0)
        await write(referee, n + 1, 1)
        await asyncio.gather(write(crowd[0], n + 2, 0), *(client.store("gc_unreachable") for client in crowd[1:]))
    await read_back(referee)


@check("MNT.7", "GRA.31", needs=("shared", "gc"), kind="race")
async def a_collection_beside_commits_takes_nothing_that_lives(bench: Bench) -> None:
    """Commits that land while blobs are collected stay readable, those that bring back what was garbage too."""
    await raced(bench, _collection, clients=3)


async def _vacuum(race: Race, referee: Client, crowd: list[Client]) -> None:
    fence = await lane(referee)
    await referee.store("commit_runtime_state", committing(fence, "n"))

    async def write(client: Client) -> None:
        for n in range(4):
            await client.store("tombstone_nodes", ["n"])
            await client.store("commit_runtime_state", committing(fence, "n", expected_head_revision=n + 1))
            await client.store("load_node", "n")

    async def sweep(client: Client) -> None:
        for _ in range(4):
            await client.store("vacuum")
            await client.store("load_node", "n")

    await asyncio.gather(write(crowd[0]), sweep(crowd[1]))
    await read_back(referee)


@check("MNT.9", "GRA.7", needs=("shared",), kind="race")
async def a_vacuum_beside_commits_takes_no_node_that_lives(bench: Bench) -> None:
    """A node that is hidden and committed again while a vacuum runs is there."""
    await raced(bench, _vacuum, clients=2)


async def _deletion(race: Race, referee: Client, crowd: list[Client]) -> None:
    fence = await lane(referee)
    asked = request().to_data()
    for client in crowd:
        await client.call("factory", "open_existing_store", asked)

    async def write(client: Client) -> None:
        for n in range(2):
            await client.store("commit_runtime_state", committing(fence, f"n{n}", expected_head_revision=n))
            await client.store("load_session", "FullGraph")

    await asyncio.gather(write(crowd[0]), crowd[1].call("factory", "delete_session", "s1"))
    for client in (referee, *crowd):
        await client.call("factory", "open_existing_store", asked)


@check("FAC.5", "FAC.7", needs=("shared",), kind="race")
async def a_deletion_under_a_live_lease_ends_its_authority(bench: Bench) -> None:
    """A session deleted under a writer is gone for all who had it open, and the writer's fence with it."""
    await raced(bench, _deletion, clients=2)


async def _arrivals(race: Race, referee: Client, crowd: list[Client]) -> None:
    async def arrive(client: Client, session_id: str) -> None:
        model = ModelSpec(id=client.name, limits=ModelLimits(context_window_tokens=9))
        asked = request(session_id, policy=SessionPolicy(model=model)).to_data()
        await client.call("factory", "create_store", asked)
        await client.call(f"store[{session_id}]", "load_session_meta")

    for session_id in ("a", "b", "c", "d"):
        await asyncio.gather(*(arrive(client, session_id) for client in crowd))
        await crowd[0].call(f"store[{session_id}]", "load_session_meta")


@check("FAC.4", needs=("shared",), kind="race")
async def one_session_created_by_several_at_once_is_made_once(bench: Bench) -> None:
    """All succeed, and the meta that the first of them seeded stays."""
    await raced(bench, _arrivals, clients=4)


def _intent(file: str, at: int) -> Data:
    return lean(attachment_id=file, session_id="s1", canonical_uri="u", intent_at_epoch_ms=at)


async def _intents(race: Race, referee: Client, crowd: list[Client]) -> None:
    fence = await lane(referee)
    for n in range(6):
        file = f"f{n}"
        await referee.store("record_intent", _intent(file, OLD if n % 2 else YOUNG))
        data = committing(fence, f"n{n}") | {"committed_attachment_ids": [file]}
        await asyncio.gather(
            crowd[0].store("record_intent", _intent(file, YOUNG)),
            crowd[1].store("commit_runtime_state", data) if n % 3 else crowd[1].store("commit_refs", "s1", [file]),
            crowd[2].store("forget_aged_uncommitted_intents", CUTOFF),
            crowd[3].store("record_intent", _intent(file, YOUNG)),
        )
        await referee.store("list_uncommitted", YOUNG)
        await referee.store("list_all_refs")


@check("ATT.2", "ATT.14", "ATT.15", needs=("shared", "manifest"), kind="race")
async def intents_beside_commits_and_reconciliations_are_kept(bench: Bench) -> None:
    """An intent refreshed while a commit adopts it stays adopted, and what is young or adopted by then is not forgotten."""
    await raced(bench, _intents, clients=4)


async def _bytes(race: Race, referee: Client, crowd: list[Client]) -> None:
    content = b"what is put again and again " * 10_000
    name, meta = hashlib.sha256(content).hexdigest(), {"media_type": "text/plain"}
    put = (base64.b64encode(content).decode(), meta)
    await referee.call("attachments", "put", *put)

    async def write(client: Client) -> None:
        for _ in range(3):
            await client.call("attachments", "put", *put)

    async def read(client: Client) -> None:
        for _ in range(5):
            await client.call("attachments", "get", name)

    await asyncio.gather(write(crowd[0]), *(read(client) for client in crowd[1:]))


@check("ATT.23", "ATT.22", needs=("shared",), kind="race")
async def bytes_that_are_put_again_are_whole_to_all_who_read(bench: Bench) -> None:
    """What is stored anew while others read it is never missing, and never there in part."""
    await raced(bench, _bytes, clients=3)
