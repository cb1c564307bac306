"""Rules over commits, the graph, the checkpoint, usage and what hides or collects them."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from lash_conformance.machine import SESSIONS
from lash_conformance.model_commit import SLOTS
from lash_conformance.model_state import Data, lean
from lash_conformance.rules_lane import LANE, Lanes, fences, mostly_s1, pick
from lash_conformance.vocabulary import (
    checkpoint,
    commit,
    frame,
    message,
    plugin_snapshot,
    spent,
    stamp,
    tool_state,
)
from lash_ref.nodes import Append, ReplaceFull, Unchanged

NODES = ("n1", "n2", "n3", "n4", "n5")
CHORES = ("hide", "hide last", "vacuum", "gc_unreachable", "gc_unreachable", "misdirect", "delete")
LEAVES = ("last", "last", "last", "old", "none", "ghost")
SLOT_FILLS = ("new", "empty", "kept", "kept", "new", "both", "empty", "new", "blank", "kept", "ghost")

forms = st.sampled_from(("append", "append", "append", "unchanged", "replace"))
expectations = st.sampled_from(("none", "right", "right", "right", "stale", "ahead"))
releases = st.sampled_from(("no", "no", "no", "no", "live", "wrong"))
turns = st.sampled_from((None, "t1", "t2", "t3", "t4"))
spending = st.lists(
    st.tuples(st.sampled_from(("turn", "tool")), st.sampled_from(("m-1", "m-2", "m-3")), st.integers(0, 3)),
    max_size=3,
)
slots = st.tuples(*(st.sampled_from(SLOT_FILLS) for _ in SLOTS))


class CommitRules(Lanes):
    """Commit, repeat, hide, vacuum, collect, read."""

    unseen = LANE

    def __init__(self) -> None:
        super().__init__()
        self.stamped: list[Data] = []
        self.refs: dict[str, list[Data]] = {}
        self.seen: list[str] = []

    # -- parts of a commit

    def graph(self, session_id: str, form: str, size: int, known: bool, leaf: str, which: int) -> Data:
        """A delta of that form."""
        stored = [node["node_id"] for node in self.rows(session_id).nodes]
        pool = list(dict.fromkeys(self.seen[-4:])) or NODES
        ids = [pool[(which + n) % len(pool)] if known and n < len(pool) else self.fresh("m") for n in range(size)]
        self.seen += ids
        parent = (self.rows(session_id).head or {}).get("leaf")
        parent = stored[which % len(stored)] if stored and which > 4 else parent
        nodes: list[Any] = []
        for node_id in ids:
            nodes.append(message(node_id, self.fresh("text"), parent=parent))
            parent = node_id
        tips = {"last": ids[-1] if ids else parent, "ghost": "ghost", "none": None}
        tip = tips.get(leaf, stored[which % len(stored)] if stored else None)
        match form:
            case "append":
                return {"Append": Append(nodes=tuple(nodes), leaf_node_id=tip).to_data()}
            case "replace":
                return {"ReplaceFull": ReplaceFull(nodes=tuple(nodes), leaf_node_id=tip).to_data()}
            case _:
                tip = parent if leaf == "last" else tip
                return {"Unchanged": Unchanged(leaf_node_id=tip).to_data()}

    def checkpoint(self, session_id: str, fills: tuple[str, ...], which: int) -> Data:
        """A checkpoint whose slots are filled so."""
        made = {
            "tool_state": tool_state(self.counter + 1).value,
            "plugin_snapshot": plugin_snapshot(self.counter + 1).value,
            "execution_state": "" if "blank" in fills else "AAEC" * (which + 1),
        }
        data = checkpoint(turn_index=self.counter).to_data()
        for (ref_name, part), fill in zip(SLOTS.items(), fills, strict=True):
            refs = self.usable(session_id, ref_name)
            if fill in ("new", "both", "blank"):
                data[part] = made[part]
            if fill == "ghost":
                data[ref_name] = "no-such-ref"
            elif fill in ("kept", "both") and refs:
                data[ref_name] = refs[which % len(refs)]
        if "plugin_snapshot" in data:
            data["plugin_snapshot_revision"] = which
        return data

    def usable(self, session_id: str, ref_name: str) -> list[str]:
        """Refs answered before whose fate the contract settles.

        A collected ref may still resolve where equal content is kept under one name, so such are left out.
        """
        state = self.model.state
        kept = [part for ref, part in state.parts.items() if ref not in state.collected]
        refs = [refs[ref_name] for refs in self.refs.get(session_id, []) if ref_name in refs]
        return [ref for ref in refs if ref not in state.collected or state.parts[ref] not in kept]

    def completions(self, session_id: str, which: int) -> Data:
        """What claims the commit settles; machines with work say."""
        return {}

    def releasing(self, session_id: str, kind: str) -> Data | None:
        """A release request of that kind."""
        return None if kind == "no" else self.sure(session_id, "live" if kind == "live" else "token")

    def expected(self, session_id: str, kind: str) -> int | None:
        """An expected revision of that kind."""
        head = self.rows(session_id).head
        actual = head["head_revision"] if head else 0
        return {"none": None, "right": actual, "stale": max(0, actual - 1), "ahead": actual + 1}[kind]

    def commit(self, session_id: str, data: Data) -> Data:
        """The commit made, its refs and stamp remembered."""
        outcome = self.on(session_id, "commit_runtime_state", data)
        answer: Any = outcome.get("ok")
        if answer:
            self.refs.setdefault(session_id, []).append(answer["manifest"])
            if "turn_commit" in data:
                self.stamped = [*self.stamped, data][-12:]
        return outcome

    def plain(self, session_id: str, fence: Data | None, **parts: Any) -> Data:
        """A commit's data that sets nothing but ``parts``."""
        base = commit(None, session_id=session_id, agent_frames=(frame("f1", session_id),)).to_data()
        return base | lean(session_execution_lease=fence, **parts)

    # -- rules

    @rule(
        session_id=mostly_s1, kind=fences, form=forms, size=st.sampled_from((1, 2, 1, 9)),
        known=st.booleans(), leaf=st.sampled_from(LEAVES), which=pick, expects=expectations,
        release=releases, turn_id=turns, usage=spending, fills=slots,
    )  # fmt: skip
    def commit_anything(self, **drawn: Any) -> None:
        session_id, which = drawn["session_id"], drawn["which"]
        self.store(session_id)
        fence = self.fence(session_id, drawn["kind"], which)
        turn_id = drawn["turn_id"]
        usage = [spent(source, model, input_tokens=n, reasoning_output_tokens=1) for source, model, n in drawn["usage"]]
        data = self.plain(
            session_id,
            fence,
            graph=self.graph(session_id, drawn["form"], drawn["size"], drawn["known"], drawn["leaf"], which),
            checkpoint=self.checkpoint(session_id, drawn["fills"], which),
            expected_head_revision=self.expected(session_id, drawn["expects"]),
            release_session_execution_lease=self.releasing(session_id, drawn["release"]),
            usage_deltas=[delta.to_data() for delta in usage],
            turn_commit=stamp(turn_id, self.fresh("h"), session_id).to_data() if turn_id else None,
        )
        self.commit(session_id, data | self.completions(session_id, which))

    @rule(session_id=mostly_s1, size=st.sampled_from((1, 8, 1)), which=pick, turns=st.sampled_from((1, 1, 4)))
    def commit_turns(self, session_id: str, size: int, which: int, turns: int) -> None:
        """Some turns as a host makes them, one after the other."""
        self.store(session_id)
        for number in range(turns):
            data = self.plain(
                session_id, self.fence(session_id),
                graph=self.graph(session_id, "append", size if number == 0 else 1, False, "last", 0),
                checkpoint=self.checkpoint(session_id, ("new", "new", "new"), which),
                usage_deltas=[spent("turn", f"m-{1 + (which + number) % 3}", input_tokens=1 + which).to_data()],
                turn_commit=stamp(self.fresh("turn"), self.fresh("h"), session_id).to_data(),
            )  # fmt: skip
            self.commit(session_id, data | self.completions(session_id, which))

    @precondition(lambda self: self.stamped)
    @rule(which=pick, kind=fences, change=st.sampled_from(("none", "none", "none", "hash", "foreign")), release=releases)
    def commit_again(self, which: int, kind: str, change: str, release: str) -> None:
        data = self.stamped[0 if which % 2 else -1 - which % len(self.stamped)]
        session_id = data["session_id"]
        self.store(session_id)
        data = {name: value for name, value in data.items() if not name.endswith("execution_lease")}
        data |= lean(
            session_execution_lease=self.fence(session_id, kind, which),
            release_session_execution_lease=self.releasing(session_id, release),
        )
        if change == "hash":
            data["turn_commit"] = data["turn_commit"] | {"turn_commit_hash": "other"}
        if change == "foreign":
            data["turn_commit"] = data["turn_commit"] | {"session_id": "elsewhere"}
        self.on(session_id, "commit_runtime_state", data)

    @rule(session_id=mostly_s1, what=st.sampled_from(CHORES), which=pick, count=st.integers(1, 3))
    def chore(self, session_id: str, what: str, which: int, count: int) -> None:
        """Hide, vacuum, collect, delete."""
        stored = [node["node_id"] for node in self.rows(session_id).nodes]
        match what:
            case "hide":
                self.on(session_id, "tombstone_nodes", stored[which : which + count] or ["ghost"])
            case "hide last":
                self.on(session_id, "tombstone_nodes", stored[-1:] or ["ghost"])
            case "misdirect":
                self.store(session_id)
                data = self.plain("elsewhere", self.fence(session_id))
                self.on(session_id, "commit_runtime_state", data)
            case "delete":
                self.step("factory" + self.suffix, "delete_session", session_id)
                self.forgotten(session_id)
                for name in SESSIONS:
                    self.store(name)
            case _:
                self.on(session_id, what)

    @rule(session_id=mostly_s1, which=pick, swept=st.booleans(), form=st.sampled_from(("Append", "ReplaceFull")))
    def bring_back(self, session_id: str, which: int, swept: bool, form: str) -> None:
        """A node is hidden, perhaps swept, and committed once more with other content."""
        stored = [node["node_id"] for node in self.rows(session_id).nodes] or ["ghost"]
        node_id = stored[which % len(stored)]
        self.on(session_id, "tombstone_nodes", [node_id])
        if swept:
            self.on(session_id, "vacuum")
        again = message(node_id, self.fresh("text")).to_data()
        others = [node for node in self.rows(session_id).nodes if node["node_id"] != node_id]
        nodes = [again] if form == "Append" else [again, *others]
        delta = {form: {"nodes": nodes, "leaf_node_id": node_id}}
        self.commit(session_id, self.plain(session_id, self.fence(session_id), graph=delta))

    @rule(session_id=mostly_s1, which=pick, ghost=st.sampled_from((False, False, False, True)))
    def read_a_branch(self, session_id: str, which: int, ghost: bool) -> None:
        """A path by its leaf, and a node."""
        stored = [node["node_id"] for node in self.rows(session_id).nodes]
        leaf = "ghost" if ghost or not stored else stored[which % len(stored)]
        self.on(session_id, "load_session", {"ActivePath": {"leaf_node_id": leaf}})
        self.on(session_id, "load_node", leaf)

    def forgotten(self, session_id: str) -> None:
        """Nothing that a deleted session answered is used again."""
        self.leases.pop(session_id, None)
        self.refs.pop(session_id, None)
        self.stamped = [data for data in self.stamped if data["session_id"] != session_id]
