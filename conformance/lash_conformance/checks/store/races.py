"""Races: several clients with backends of their own on one place, each history judged against the model."""

import asyncio
from typing import Any

from lash_conformance.bench import Bench
from lash_conformance.check import check
from lash_conformance.model_state import Data
from lash_conformance.race import Client, Race, fence_of, raced
from lash_conformance.rules_lane import OWNERS
from lash_conformance.vocabulary import (
    batch,
    by_id,
    chain,
    checkpoint,
    commit,
    during,
    said,
    spent,
    stamp,
    tool_state,
)
from lash_ref.nodes import Append

ALL_BATCHES = ("claim_ready_queued_work", "idle", 9)


def draft(**parts: Any) -> Data:
    """Queued work, as JSON."""
    return batch(**parts).to_data()


def committing(fence: Data | None, node: str, **parts: Any) -> Data:
    """A commit of one node and one token under ``fence``, as JSON."""
    made = commit(None, Append(nodes=chain(node), leaf_node_id=node), usage_deltas=(spent(input_tokens=1),), **parts)
    return made.to_data() | ({"session_execution_lease": fence} if fence else {})


async def take(client: Client, fence: Data, method: str, *rest: Any) -> Any:
    """The answer to a claim under ``fence``."""
    return await client.store(method, "s1", fence, fence["owner"], *rest)


async def lane(referee: Client, owner: Data = OWNERS[0]) -> Data:
    """The fence of the lane, which is free."""
    fence = await referee.lane(owner)
    assert fence is not None, "the lane is free, yet the claim was not granted"
    return fence


async def read_back(referee: Client) -> None:
    """Graph, work and input as they were left."""
    await referee.store("load_session", "FullGraph")
    await referee.store("list_pending_queued_work", "s1")
    await referee.store("list_pending_turn_inputs", "s1")


# -- lane


async def claims(race: Race, referee: Client, crowd: list[Client]) -> None:
    """Owners come and go."""
    async def come_and_go(client: Client, owner: Data) -> None:
        for _ in range(2):
            if fence := await client.lane(owner):
                await client.store("renew_session_execution_lease", fence, 600_000)
                await client.store("release_session_execution_lease", fence)

    await asyncio.gather(*(come_and_go(client, owner) for client, owner in zip(crowd, OWNERS, strict=False)))


@check("LEA.11", "LEA.6", "LEA.16", needs=("shared",), kind="race")
async def concurrent_claims_of_a_lane_have_one_winner(bench: Bench) -> None:
    """Four owners who come and go hold the lane one after the other, under rising numbers."""
    await raced(bench, claims, clients=4)


async def _reclaims(race: Race, referee: Client, crowd: list[Client]) -> None:
    dead = await lane(referee, OWNERS[3])

    async def reclaim(client: Client, number: int) -> None:
        owner = OWNERS[4] | {"incarnation_id": str(number)}
        answer = await client.store("reclaim_session_execution_lease", "s1", owner, dead, 600_000)
        if fence := fence_of(answer):
            await client.store("renew_session_execution_lease", fence, 600_000)

    await asyncio.gather(*(reclaim(client, number) for number, client in enumerate(crowd)))


@check("LEA.23", "LEA.19", needs=("shared", "process_liveness"), kind="race")
async def concurrent_reclaims_of_a_dead_holder_have_one_winner(bench: Bench) -> None:
    """Of three who saw the same dead holder one is granted the lane, and the others see the winner."""
    await raced(bench, _reclaims, clients=3)


# -- commits


async def heads(race: Race, referee: Client, crowd: list[Client]) -> None:
    """Writers build on the head they read."""
    fence = await lane(referee)

    async def write(client: Client, name: str) -> None:
        for turn in (1, 2):
            data = committing(fence, f"{name}{turn}", expected_head_revision=await _head(client))
            await client.store("commit_runtime_state", data)

    await asyncio.gather(*(write(client, name) for client, name in zip(crowd, "abcd", strict=False)))
    await read_back(referee)


@check("STO.6", "STO.7", "STO.3", "GRA.31", needs=("shared",), kind="race")
async def concurrent_commits_build_on_one_another(bench: Bench) -> None:
    """Of writers who read the same head one is applied, the others leave no trace, and reads see whole states."""
    await raced(bench, heads, clients=4)


async def _head(client: Client) -> int:
    read = await client.store("load_session", "FullGraph")
    return read["head_revision"] if read else 0


async def _blind(race: Race, referee: Client, crowd: list[Client]) -> None:
    fence = await lane(referee)
    expects = ({}, {}, {"expected_head_revision": 99}) * 2
    sent = [committing(fence, f"n{n}", **parts) for n, parts in enumerate(expects)]
    await asyncio.gather(*(client.store("commit_runtime_state", data) for client, data in zip(crowd, sent, strict=True)))
    await read_back(referee)


@check("STO.5", "STO.3", "GRA.2", "STO.60", needs=("shared",), kind="race")
async def concurrent_commits_without_expectation_are_all_applied(bench: Bench) -> None:
    """Commits that expect nothing all land, one revision each, and none loses its node or usage over one that is refused."""
    await raced(bench, _blind, clients=6)


async def _repeats(race: Race, referee: Client, crowd: list[Client]) -> None:
    fence = await lane(referee)
    data = committing(fence, "n1", turn_commit=stamp("t1")) | {"enqueued_queue_batches": [draft()]}
    await asyncio.gather(*(client.store("commit_runtime_state", data) for client in crowd))
    await read_back(referee)


@check("STO.14", "STO.31", "STO.64", needs=("shared",), kind="race")
async def one_turn_committed_by_several_at_once_is_applied_once(bench: Bench) -> None:
    """The same stamped commit sent by three clients is applied once and answered alike."""
    await raced(bench, _repeats, clients=3)


async def _reads(race: Race, referee: Client, crowd: list[Client]) -> None:
    fence = await lane(referee)
    # A long read leaves time for a commit to land in its middle.
    told = Append(nodes=chain(*(f"long{n}" for n in range(120))), leaf_node_id="long119")
    await referee.store("commit_runtime_state", commit(None, told).to_data() | {"session_execution_lease": fence})

    async def write() -> None:
        for n in range(5):
            await crowd[0].store("commit_runtime_state", committing(fence, f"n{n}", checkpoint=checkpoint(n, tool_state=tool_state(n))))

    async def read(client: Client) -> None:
        for _ in range(5):
            await client.store("load_session", "FullGraph")

    await asyncio.gather(write(), *(read(client) for client in crowd[1:]))


@check("GRA.31", needs=("shared",), kind="race")
async def a_read_beside_commits_shows_one_of_their_states(bench: Bench) -> None:
    """Head, nodes, checkpoint and ledger that are read while others commit belong to one commit."""
    await raced(bench, _reads, clients=3)


async def _names(race: Race, referee: Client, crowd: list[Client]) -> None:
    fence = await lane(referee)
    for n in range(2):
        made = [
            committing(fence, f"{n}a", turn_commit=stamp(f"t{n}", "one")),
            committing(fence, f"{n}b", turn_commit=stamp(f"t{n}", "other")),
            committing(fence, f"{n}c"),
            committing(fence, f"{n}c"),
        ]
        await asyncio.gather(*(client.store("commit_runtime_state", data) for client, data in zip(crowd, made, strict=True)))
        named = [said(client.name, input_id=f"i{n}").to_data() for client in crowd]
        await asyncio.gather(*(client.store("enqueue_pending_turn_input", data) for client, data in zip(crowd, named, strict=True)))
        await read_back(referee)


@check("GRA.5", "STO.32", "INP.3", needs=("shared",), kind="race")
async def one_name_taken_by_several_at_once_is_given_to_one(bench: Bench) -> None:
    """Of commits that append one node, that say two things of one turn, and of inputs under one id the first wins, the others are refused."""
    await raced(bench, _names, clients=4)


async def _handover(race: Race, referee: Client, crowd: list[Client]) -> None:
    fence = await lane(referee)
    taken: list[Data] = []

    async def follow(client: Client, owner: Data, before: int) -> None:
        for _ in range(6):
            if await _head(client) > before:
                break
        if (granted := await client.lane(owner)) is not None:
            taken.append(granted)

    for n, owner in enumerate(OWNERS[1:4] * 2):
        last = committing(fence, f"n{n}") | {"release_session_execution_lease": fence}
        followers = (follow(client, owner, n) for client in crowd[1:])
        await asyncio.gather(crowd[0].store("commit_runtime_state", last), *followers)
        fence = taken.pop() if taken else await lane(referee, owner)
        taken.clear()


@check("STO.17", needs=("shared",), kind="race")
async def who_sees_the_last_commit_of_a_holder_finds_the_lane_free(bench: Bench) -> None:
    """A commit that releases is never seen without its release by those who wait for the lane."""
    await raced(bench, _handover, clients=4)


async def _takeover(race: Race, referee: Client, crowd: list[Client]) -> None:
    fence = await lane(referee)
    await referee.store("enqueue_queued_work", draft())

    async def hold(client: Client) -> None:
        for n in range(3):
            data = committing(fence, f"old{n}", expected_head_revision=await _head(client))
            await client.store("commit_runtime_state", data)

    async def take_over(client: Client) -> None:
        await client.store("release_session_execution_lease", fence)
        if (new := await client.lane(OWNERS[1])) is not None:
            data = committing(new, "new", expected_head_revision=await _head(client))
            await client.store("commit_runtime_state", data)

    async def claim(client: Client) -> None:
        await take(client, fence, *ALL_BATCHES)
        await client.store("renew_session_execution_lease", fence, 600_000)

    await asyncio.gather(hold(crowd[0]), take_over(crowd[1]), claim(crowd[2]))
    await read_back(referee)


@check("STO.11", "QUE.10", "LEA.15", needs=("shared",), kind="race")
async def a_holder_that_was_replaced_writes_nothing_more(bench: Bench) -> None:
    """Once another holds the lane, nothing of the old holder's commits, claims or renewals takes effect."""
    await raced(bench, _takeover, clients=3)


# -- work and input


async def _queue(race: Race, referee: Client, crowd: list[Client]) -> None:
    fence = await lane(referee)
    for _ in range(3):
        await referee.store("enqueue_queued_work", draft(slot_policy="join"))

    async def work(client: Client) -> None:
        claim = await take(client, fence, "claim_ready_queued_work", "idle", 2)
        if claim is not None and client.random.random() < 0.5:
            await client.store("abandon_queued_work_claim", claim)
        elif claim is not None:
            ids = [row["batch_id"] for row in claim["batches"]]
            done = {name: claim[name] for name in ("session_id", "claim_id", "lease_token")} | {"batch_ids": ids}
            settled = {"session_execution_lease": fence, "completed_queue_claims": [done]}
            data = commit(None, expected_head_revision=await _head(client)).to_data() | settled
            await client.store("commit_runtime_state", data)

    await asyncio.gather(*(work(client) for client in crowd))
    await read_back(referee)


@check("QUE.24", "QUE.42", "QUE.46", needs=("shared",), kind="race")
async def concurrent_claims_of_work_share_nothing(bench: Bench) -> None:
    """Batches claimed, settled and abandoned by four clients at once are never in two hands."""
    await raced(bench, _queue, clients=4)


async def keys(race: Race, referee: Client, crowd: list[Client]) -> None:
    """Everybody enqueues under one key."""
    async def enqueue(client: Client) -> None:
        await client.store("enqueue_queued_work", draft(source_key="k"))
        await client.store("enqueue_pending_turn_input", said(source_key="k").to_data())

    await asyncio.gather(*(enqueue(client) for client in crowd))
    await read_back(referee)


@check("QUE.6", "INP.4", needs=("shared",), kind="race")
async def concurrent_equal_source_keys_make_one_row(bench: Bench) -> None:
    """Four clients that enqueue under one key are all answered the same batch and the same input."""
    await raced(bench, keys, clients=4)


async def _outbox(race: Race, referee: Client, crowd: list[Client]) -> None:
    fence = await lane(referee)
    for key in "kl":
        work = draft(source_key=key)
        sent = committing(fence, key) | {"enqueued_queue_batches": [work]}
        await asyncio.gather(
            crowd[0].store("commit_runtime_state", sent),
            *(client.store("enqueue_queued_work", work) for client in crowd[1:]),
        )
        await read_back(referee)


@check("STO.24", "QUE.6", needs=("shared",), kind="race")
async def an_outbox_and_a_delivery_under_one_key_are_one_batch(bench: Bench) -> None:
    """A commit sends what others enqueue at the same time: all are answered one batch, and the commit lands."""
    await raced(bench, _outbox, clients=3)


async def _batch_or_nothing(race: Race, referee: Client, crowd: list[Client]) -> None:
    fence = await lane(referee)
    made = await referee.store("enqueue_queued_work", draft())
    waiting = await referee.store("enqueue_pending_turn_input", said(ingress=during("t1")).to_data())
    target = by_id(waiting["input_id"]).to_data()
    await asyncio.gather(
        take(crowd[0], fence, *ALL_BATCHES),
        crowd[1].store("cancel_queued_work_batch", "s1", made["batch_id"]),
        take(crowd[2], fence, "claim_active_turn_inputs", "t1", "after_work", 9),
        crowd[3].store("cancel_pending_turn_inputs", "s1", [target]),
    )
    await read_back(referee)


@check("QUE.49", "INP.25", "INP.23", needs=("shared",), kind="race")
async def a_cancel_against_a_claim_leaves_one_of_them_empty_handed(bench: Bench) -> None:
    """What is claimed and cancelled at once is either claimed or cancelled."""
    await raced(bench, _batch_or_nothing, clients=4)


async def _inputs(race: Race, referee: Client, crowd: list[Client]) -> None:
    fence = await lane(referee)
    for text in ("one", "two"):
        await referee.store("enqueue_pending_turn_input", said(text).to_data())
    await referee.store("enqueue_pending_turn_input", said("now", ingress=during("t1")).to_data())
    await asyncio.gather(
        take(crowd[0], fence, "claim_next_turn_inputs", 1),
        take(crowd[1], fence, "claim_next_turn_inputs", 2),
        take(crowd[2], fence, "claim_active_turn_inputs", "t1", "after_work", 9),
        take(crowd[3], fence, "claim_checkpoint_work", "t1", "after_work", 9, 9),
    )
    await read_back(referee)


@check("INP.23", "INP.15", needs=("shared",), kind="race")
async def concurrent_claims_of_input_share_nothing(bench: Bench) -> None:
    """Inputs claimed by four clients at once are each in one hand."""
    await raced(bench, _inputs, clients=4)


async def _given_back(race: Race, referee: Client, crowd: list[Client]) -> None:
    for _ in range(2):
        await referee.store("enqueue_queued_work", draft(slot_policy="join"))
    await referee.store("enqueue_pending_turn_input", said().to_data())
    fence = await lane(referee)
    work = await take(referee, fence, *ALL_BATCHES)
    inputs = await take(referee, fence, "claim_next_turn_inputs", 9)
    for owner in OWNERS[1:4]:
        assert work is not None, "no live claim held the work, yet it was not granted"
        assert inputs is not None, "no live claim held the input, yet it was not granted"
        await referee.store("release_session_execution_lease", fence)
        fence = await lane(referee, owner)
        _, _, work, inputs = await asyncio.gather(
            crowd[0].store("abandon_queued_work_claim", work),
            crowd[1].store("abandon_turn_input_claim", inputs),
            take(crowd[2], fence, *ALL_BATCHES),
            take(crowd[3], fence, "claim_next_turn_inputs", 9),
        )
        await read_back(referee)


@check("QUE.47", "INP.18", needs=("shared",), kind="race")
async def a_late_giving_back_leaves_the_next_holder_what_it_claimed(bench: Bench) -> None:
    """What a dead claim gives back while the next generation claims it stays claimed."""
    await raced(bench, _given_back, clients=4)
