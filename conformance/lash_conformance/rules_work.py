"""Rules over queued work and pending input: enqueue, claim, settle, abandon, cancel."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from lash_conformance.machine import Machine
from lash_conformance.model_queue import candidates, holds
from lash_conformance.model_state import Data, lean
from lash_conformance.rules_lane import Lanes, fences, mostly_s1, pick
from lash_conformance.vocabulary import batch, command, commit, during, said, task

KEYS = (None, None, "k1", "k1", "k2")
FAR = 2**62
PLAIN: Data = {
    "class": "task", "slot_policy": "join", "delivery_policy": "earliest_safe_boundary",
    "merge_key": "never", "available": 0,
}  # fmt: skip

keys = st.sampled_from(KEYS)
counts = st.sampled_from((1, 50, 2, 50, 3, 1, 50, 2, 0))
boundaries = st.sampled_from(("idle", "active_turn_checkpoint"))
checkpoints = st.sampled_from(("after_work", "before_completion"))
settlements = st.sampled_from(("all", "all", "all", "some", "token", "stranger", "none"))
works = st.fixed_dictionaries({
    "class": st.sampled_from(("task",) * 9 + ("command",) * 3 + ("mixed", "empty")),
    "slot_policy": st.sampled_from(("join", "exclusive")),
    "delivery_policy": st.sampled_from(("earliest_safe_boundary", "earliest_safe_boundary", "after_current_turn_commit")),
    "merge_key": st.sampled_from(("never", "never", "payload_default", {"group": "g"})),
    "available": st.sampled_from((0, 0, 0, 0, 500, FAR)),
})  # fmt: skip


class Settling(Lanes):
    """What claims were granted, and commits that settle them."""

    def __init__(self) -> None:
        super().__init__()
        self.claims: dict[str, list[tuple[str, Data]]] = {}

    def granted(self, session_id: str, family: str, claim: Any) -> None:
        """Remember a claim."""
        if claim:
            kept = self.claims.setdefault(session_id, [])
            self.claims[session_id] = [*kept, (family, claim)][-5:]

    def claim_something(self, session_id: str, which: int) -> None:
        """A claim to settle or abandon, however it comes about."""

    def claim_by(self, session_id: str, kind: str, which: int, method: str, *rest: Any) -> None:
        """One claim, made under a fence of that kind and remembered."""
        fence = self.sure(session_id, kind, which)
        outcome = self.on(session_id, method, session_id, fence, fence["owner"], *rest)
        self.granted(session_id, "input" if "turn_inputs" in method else "queue", outcome.get("ok"))

    def holds_all(self, session_id: str, granted: tuple[str, Data]) -> bool:
        """Whether the claim still holds whatever it was granted."""
        family, claim = granted
        rows = self.rows(session_id).queue if family == "queue" else self.rows(session_id).inputs
        return sum(holds(row, claim) for row in rows) == len(claim["batches" if family == "queue" else "inputs"])

    def completion(self, session_id: str, how: str, which: int) -> Data:
        """The members of a commit that settle one claim in that way."""
        held = self.claims.get(session_id, [])
        if not held or how == "none":
            return {}
        good = [one for one in held if self.holds_all(session_id, one)]
        pool = good if good and which < 6 else held
        family, claim = pool[-1 - which % len(pool)]
        rows, name = ("batches", "batch_id") if family == "queue" else ("inputs", "input_id")
        ids = [row[name] for row in claim[rows]]
        ids = ids[: 1 + which % len(ids)] if how == "some" else [*ids, *ids[:1]]
        settled: Data = {"session_id": session_id, "claim_id": claim["claim_id"], "lease_token": claim["lease_token"]}
        if how == "token":
            settled["lease_token"] = "another"
        if how == "stranger":
            ids.append("no-such-id")
        if family == "queue":
            return {"completed_queue_claims": [settled | {"batch_ids": ids}]}
        applied = [
            {"input_id": one, "turn_id": "t1", "committed_message_id": self.fresh("message")} for one in ids
        ]
        return {"completed_turn_input_claims": [settled | {"input_ids": ids, "applications": applied}]}

    @rule(
        session_id=mostly_s1, kind=fences, one=settlements, other=settlements, which=pick,
        interrupted=st.sampled_from((None, None, "t1", "t2")), works=st.lists(works, max_size=2), key=keys,
    )  # fmt: skip
    def settle(self, session_id: str, which: int, **drawn: Any) -> None:
        """A commit that settles what was claimed, defers and enqueues."""
        self.store(session_id)
        if not self.claims.get(session_id) and which:
            self.claim_something(session_id, which)
        fence = self.fence(session_id, drawn["kind"], which)
        first = self.completion(session_id, drawn["one"], 0)
        second = self.completion(session_id, drawn["other"], 1 + which)
        named = {row.data.get("source_key") for row in self.rows(session_id).queue}
        key = None if drawn["key"] in named else drawn["key"]
        outbox = [work(session_id, drawn_work, self, key) for drawn_work in drawn["works"]]
        if outbox and which == 7:
            outbox[-1] = outbox[-1] | {"session_id": "elsewhere"}
        data = commit(None, session_id=session_id).to_data()
        data |= {"enqueued_queue_batches": outbox} | second | first
        data |= lean(session_execution_lease=fence, interrupted_turn_input_turn_id=drawn["interrupted"])
        self.on(session_id, "commit_runtime_state", data)

    @rule(session_id=mostly_s1, which=pick, all_of_them=st.booleans())
    def abandon(self, session_id: str, which: int, all_of_them: bool) -> None:
        """One claim given back, or all of its family."""
        if not self.claims.get(session_id):
            self.claim_something(session_id, which)
        if held := self.claims.get(session_id, []):
            family, claim = held[-1 - which % len(held)]
            alike = [other for kind, other in held if kind == family]
            name = "abandon_queued_work_claim" if family == "queue" else "abandon_turn_input_claim"
            self.on(session_id, name + "s" * all_of_them, alike if all_of_them else claim)


def work(session_id: str, drawn: Data, machine: Machine, key: str | None) -> Data:
    """A draft as drawn; its text never repeats."""
    text = machine.fresh("w")
    payloads: tuple[Any, ...] = {
        "task": (task(text), task(text + "'")),
        "command": (command(text),),
        "mixed": (task(text), command(text)),
        "empty": (),
    }[drawn["class"]]
    draft = batch(task(), session_id=session_id, source_key=key).to_data()
    draft |= {name: drawn[name] for name in ("slot_policy", "delivery_policy", "merge_key")}
    draft["payloads"] = [payload.to_data() for payload in payloads]
    far = machine.now + drawn["available"] if machine.virtual and drawn["available"] == 500 else drawn["available"]
    return draft | {"available_at_ms": FAR if far and not machine.virtual else far}


class QueueRules(Settling):
    """Queued work."""

    observed = ("list_queued_work", "list_pending_queued_work")

    def claim_something(self, session_id: str, which: int) -> None:
        """A group of batches."""
        self.supply(session_id, 1 + which % 3)
        self.claim_by(session_id, "live", which, "claim_ready_queued_work", "idle", 2)

    def supply(self, session_id: str, count: int) -> None:
        """Turn work, where a claim would find none."""
        self.store(session_id)
        fence = self.sure(session_id, "live")
        if not candidates(self.model.state, session_id, fence["fencing_token"]):
            for key in (*KEYS[3:], *KEYS)[:count]:
                self.on(session_id, "enqueue_queued_work", work(session_id, PLAIN, self, key))

    @rule(session_id=mostly_s1, drawn=works, key=keys)
    def enqueue(self, session_id: str, drawn: Data, key: str | None) -> None:
        """One batch."""
        self.on(session_id, "enqueue_queued_work", work(session_id, drawn, self, key))

    @rule(session_id=mostly_s1, drawn=works, count=st.sampled_from((3, 2, 12)))
    def enqueue_alike(self, session_id: str, drawn: Data, count: int) -> None:
        """Several that may join."""
        drawn = drawn | {"class": "task", "slot_policy": "join", "available": 0}
        for _ in range(count):
            self.on(session_id, "enqueue_queued_work", work(session_id, drawn, self, None))

    @rule(session_id=mostly_s1, kind=fences, which=pick, boundary=boundaries, at_most=counts)
    def claim_ready(self, session_id: str, kind: str, which: int, boundary: str, at_most: int) -> None:
        """The leading group."""
        self.supply(session_id, which % 4)
        self.claim_by(session_id, kind, which, "claim_ready_queued_work", boundary, at_most)

    @rule(session_id=mostly_s1, kind=fences, which=pick)
    def claim_command(self, session_id: str, kind: str, which: int) -> None:
        """The leading command."""
        if which % 2:
            self.supply(session_id, 0)
            drafted = work(session_id, PLAIN | {"class": "command"}, self, None)
            self.on(session_id, "enqueue_queued_work", drafted)
        self.claim_by(session_id, kind, which, "claim_leading_ready_session_command")

    @rule(
        session_id=mostly_s1, kind=fences, which=pick, boundary=boundaries,
        some=st.lists(st.integers(0, 15), max_size=4), ghost=st.sampled_from((False, False, False, True)),
    )  # fmt: skip
    def claim_exactly(self, session_id: str, kind: str, which: int, boundary: str, some: list[int], ghost: bool) -> None:
        """Named batches."""
        self.supply(session_id, which % 4)
        rows = self.rows(session_id).queue
        ids = [rows[n % len(rows)].data["batch_id"] for n in some] if rows else []
        ids += ["no-such-id"] * ghost
        self.claim_by(session_id, kind, which, "claim_ready_queued_work_by_batch_ids", boundary, ids)

    @rule(session_id=mostly_s1, which=pick, key=st.sampled_from(("k1", "k2")))
    def take_again(self, session_id: str, which: int, key: str) -> None:
        """Keyed work changes hands: claimed, given back, claimed, and enqueued once more."""
        self.on(session_id, "enqueue_queued_work", work(session_id, PLAIN, self, key))
        for _ in range(1 + which % 2):
            fence = self.sure(session_id, "live")
            claim: Any = self.on(
                session_id, "claim_ready_queued_work", session_id, fence, fence["owner"], "idle", 9
            ).get("ok")
            if claim:
                self.on(session_id, "abandon_queued_work_claim", claim)
        self.claim_by(session_id, "live", which, "claim_ready_queued_work", "idle", 9)
        self.on(session_id, "enqueue_queued_work", work(session_id, PLAIN, self, key))

    @rule(session_id=mostly_s1, which=st.integers(0, 15))
    def cancel_batch(self, session_id: str, which: int) -> None:
        """One batch cancelled."""
        rows = self.rows(session_id).queue
        batch_id = rows[which % len(rows)].data["batch_id"] if rows else "no-such-id"
        self.on(session_id, "cancel_queued_work_batch", session_id, batch_id)

class InputRules(Settling):
    """Pending input."""

    observed = ("list_pending_turn_inputs",)

    def claim_something(self, session_id: str, which: int) -> None:
        """Input for this turn or the next."""
        if which % 2:
            self.listen(session_id, None)
            self.claim_by(session_id, "live", which, "claim_next_turn_inputs", 2)
        else:
            self.listen(session_id, "t1")
            self.claim_by(session_id, "live", which, "claim_active_turn_inputs", "t1", "before_completion", 2)

    def listen(self, session_id: str, turn_id: str | None) -> None:
        """One more input of that kind."""
        parts: Data = {"ingress": during(turn_id)} if turn_id else {}
        draft = said(self.fresh("said"), session_id=session_id, **parts).to_data()
        self.on(session_id, "enqueue_pending_turn_input", draft)

    @rule(
        session_id=mostly_s1, key=keys, text=st.sampled_from(("hi", "ho")),
        ingress=st.sampled_from((None, None, ("t1", "after_work"), ("t1", "before_completion"), ("t2", "after_work"))),
        given_id=st.sampled_from((None, None, "i1", "i2")),
    )  # fmt: skip
    def say(self, session_id: str, key: str | None, text: str, ingress: Any, given_id: str | None) -> None:
        """Input enters."""
        parts: Data = lean(source_key=key, input_id=given_id and f"{session_id}-{given_id}")
        if ingress is not None:
            parts["ingress"] = during(*ingress)
        self.on(session_id, "enqueue_pending_turn_input", said(text, session_id=session_id, **parts).to_data())

    @rule(session_id=mostly_s1, kind=fences, which=pick, at_most=counts)
    def claim_next(self, session_id: str, kind: str, which: int, at_most: int) -> None:
        """For the next turn."""
        if which % 2:
            self.listen(session_id, None)
        self.claim_by(session_id, kind, which, "claim_next_turn_inputs", at_most)

    @rule(
        session_id=mostly_s1, kind=fences, which=pick, turn_id=st.sampled_from(("t1", "t1", "t2")),
        at=checkpoints, at_most=counts,
    )  # fmt: skip
    def claim_active(self, session_id: str, kind: str, which: int, turn_id: str, at: str, at_most: int) -> None:
        """For the running turn."""
        if which % 2:
            self.listen(session_id, turn_id)
        self.claim_by(session_id, kind, which, "claim_active_turn_inputs", turn_id, at, at_most)

    @rule(session_id=mostly_s1, chosen=st.lists(pick, max_size=3), how=st.sampled_from(("one", "many", "suffix", "key", "vacuum")))
    def cancel_inputs(self, session_id: str, chosen: list[int], how: str) -> None:
        """One, several, or everything from one on; or what is finished goes for good."""
        rows = self.rows(session_id).inputs
        ids = [rows[n % len(rows)].data["input_id"] if rows and n else "no-such-id" for n in chosen or [1]]
        named: list[Data] = [{"kind": "input_id", "value": value} for value in ids]
        if how == "one":
            self.on(session_id, "cancel_pending_turn_input", session_id, ids[0])
        elif how == "vacuum":
            self.on(session_id, "vacuum")
        elif how == "suffix":
            self.on(session_id, "cancel_pending_turn_input_suffix", session_id, named[0])
        else:
            named += [{"kind": "source_key", "value": "k1"}] * (how == "key")
            self.on(session_id, "cancel_pending_turn_inputs", session_id, named)


class WorkRules(QueueRules, InputRules):
    """Both families, and what claims both at once."""

    observed = ("list_pending_queued_work", "list_pending_turn_inputs", "load_session")

    def claim_something(self, session_id: str, which: int) -> None:
        """Of either family."""
        (QueueRules if which % 3 else InputRules).claim_something(self, session_id, which)

    @rule(session_id=mostly_s1, kind=fences, which=pick, at=checkpoints, inputs=counts, batches=counts)
    def claim_at_checkpoint(self, session_id: str, kind: str, which: int, at: str, inputs: int, batches: int) -> None:
        """Both families in one step; a fence of another session is of no interest, numbers may coincide."""
        fence = self.sure(session_id, "token" if kind == "session" else kind, which)
        outcome: Any = self.on(
            session_id, "claim_checkpoint_work", session_id, fence, fence["owner"], "t1", at, inputs, batches
        )
        answer: Data = outcome.get("ok") or {}
        self.granted(session_id, "input", answer.get("turn_input_claim"))
        self.granted(session_id, "queue", answer.get("queued_work_claim"))
