"""The model alone: what it predicts, and what it calls by name."""

from typing import Any

from lash_conformance.bench import owner, request
from lash_conformance.model import FACTORY, OPERATIONS, STORE, Model
from lash_conformance.model_lease import FENCE
from lash_conformance.model_state import State
from lash_conformance.projection import PROTOCOLS
from lash_conformance.vocabulary import batch, chain, commit, during, said, stamp
from lash_ref.nodes import Append, Unchanged

NOW = 1000
CAPABILITIES = frozenset(("gc", "active_path", "manifest", "process_evidence"))
UNMODELLED = {"durability_tier", "persistence"}


def place() -> Model:
    """A place with a session "s1"."""
    made = Model(State(CAPABILITIES, NOW))
    made.apply("factory", "create_store", [request().to_data()])
    return made


def ask(model: Model, method: str, *arguments: Any) -> Any:
    return model.apply("store[s1]", method, arguments)


def lane(model: Model, name: str = "a", ttl: int = 100) -> dict[str, Any]:
    answer = ask(model, "try_claim_session_execution_lease", "s1", owner(name).to_data(), ttl)
    return {part: answer["ok"]["Acquired"][part] for part in FENCE}


def test_every_operation_of_the_contract_is_modelled():
    """All but the two that say what a backend is made of."""
    for family, protocol in PROTOCOLS.items():
        methods = {name for name in dir(protocol) if not name.startswith("_")}
        assert methods - UNMODELLED == set(OPERATIONS[family]), family


def test_it_imports_no_implementation():
    """Only records, errors and Protocols of the reading."""
    import ast
    from pathlib import Path

    import lash_conformance

    allowed = {"lash_ref.errors", "lash_ref.nodes", "lash_ref.records", "lash_ref.usage", "lash_ref.contracts", "lash_ref.scalars"}
    for page in Path(lash_conformance.__file__).parent.glob("model*.py"):
        tree = ast.walk(ast.parse(page.read_text(encoding="utf-8")))
        used = {node.module for node in tree if isinstance(node, ast.ImportFrom) and node.module}
        assert {name for name in used if name.startswith("lash_ref")} <= allowed, page.name


def test_the_first_grant_has_number_1_and_later_ones_rise():
    """The number is named, and said to exceed the one before."""
    model = place()
    first = lane(model)
    ask(model, "release_session_execution_lease", first)
    second = lane(model, "b")

    assert first["fencing_token"] == 1
    assert [[1, second["fencing_token"]]] == model.rising


def test_a_lease_of_no_time_is_dead_at_once():
    """Expiry is strict."""
    model = place()
    fence = lane(model, ttl=0)

    assert ask(model, "renew_session_execution_lease", fence, 10) == {
        "refused": "SessionExecutionLeaseExpired",
        "session_id": "s1",
    }


def test_a_repeat_is_answered_before_the_fence_is_judged():
    """The recorded result, with no lease and a stale revision."""
    model = place()
    data = commit(None, Append(nodes=chain("n1"), leaf_node_id="n1"), turn_commit=stamp("t1")).to_data()
    first = ask(model, "commit_runtime_state", data | {"session_execution_lease": lane(model)})

    assert ask(model, "commit_runtime_state", data | {"expected_head_revision": 9}) == first
    assert first["ok"]["head_revision"] == 1


def test_a_refused_commit_leaves_the_state_as_it_was():
    """Whatever it is refused for."""
    model = place()
    fence = lane(model)
    before = repr(model.state)

    for wrong in ({"expected_head_revision": 4}, {"session_id": "s2"}, {"session_execution_lease": None}):
        data = commit(None).to_data() | {"session_execution_lease": fence} | wrong
        assert "refused" in ask(model, "commit_runtime_state", data)
    assert repr(model.state) == before


def test_paths_end_at_cycles_and_cuts():
    """Before the first node that is on the path already, and below what is hidden."""
    model = place()
    nodes = (chain("a", under="c")[0], chain("b", under="a")[0], chain("c", under="b")[0])
    data = commit(None, Append(nodes=nodes, leaf_node_id="c")).to_data()
    ask(model, "commit_runtime_state", data | {"session_execution_lease": lane(model)})

    def path() -> list[str]:
        read = ask(model, "load_session", {"ActivePath": {}})["ok"]
        return [node["node_id"] for node in read["graph"]["nodes"]]

    assert path() == ["a", "b", "c"]
    ask(model, "tombstone_nodes", ["b"])
    assert path() == ["c"]


def test_every_form_of_delta_sets_the_leaf():
    """None included."""
    model = place()
    fence = {"session_execution_lease": lane(model)}
    ask(model, "commit_runtime_state", commit(None, Append(nodes=chain("a"), leaf_node_id="a")).to_data() | fence)
    ask(model, "commit_runtime_state", commit(None, Unchanged()).to_data() | fence)

    assert ask(model, "load_session", "FullGraph")["ok"]["graph"]["nodes"][0]["node_id"] == "a"
    assert "leaf_node_id" not in ask(model, "load_session", "FullGraph")["ok"]["graph"]


def test_a_later_generation_takes_what_an_earlier_one_held():
    """And the old completion is refused."""
    model = place()
    ask(model, "enqueue_queued_work", batch().to_data())
    first = lane(model)
    held = ask(model, "claim_ready_queued_work", "s1", first, first["owner"], "idle", 1)["ok"]
    ask(model, "release_session_execution_lease", first)
    second = lane(model, "b")
    ask(model, "claim_ready_queued_work", "s1", second, second["owner"], "idle", 1)
    done = {name: held[name] for name in ("session_id", "claim_id", "lease_token")}
    done["batch_ids"] = [held["batches"][0]["batch_id"]]
    data = commit(None).to_data() | {"session_execution_lease": second, "completed_queue_claims": [done]}

    assert ask(model, "commit_runtime_state", data)["refused"] == "QueuedWorkClaimSuperseded"


def test_an_interrupted_turns_input_is_deferred_and_its_draft_still_known():
    """The submitted ingress is kept for the comparison."""
    model = place()
    draft = said(source_key="k", ingress=during("t1")).to_data()
    first = ask(model, "enqueue_pending_turn_input", draft)["ok"]
    data = commit(None, interrupted_turn_input_turn_id="t1").to_data()
    ask(model, "commit_runtime_state", data | {"session_execution_lease": lane(model)})

    again = ask(model, "enqueue_pending_turn_input", draft)["ok"]
    assert again == first | {"state": "deferred_next_turn", "ingress": {"scope": "next_turn"}}


def test_knowing_replaces_names_by_values():
    """A copy; the model itself keeps its names."""
    model = place()
    fence = lane(model)
    known = model.knowing({fence["lease_token"]: "abc"})

    answer = ask(known, "try_claim_session_execution_lease", "s1", owner("b").to_data(), 5)
    assert answer["ok"]["Busy"]["holder"]["lease_token"] == "abc"
    assert model.state.sessions["s1"].lane.holder["lease_token"] == fence["lease_token"]


def test_the_tables_do_not_overlap():
    """A method belongs to one family."""
    assert not set(STORE) & set(FACTORY)
