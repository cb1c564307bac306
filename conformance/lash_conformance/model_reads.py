"""The model of reads, meta, chores and the factory."""

from lash_conformance.model_commit import SLOTS
from lash_conformance.model_manifest import all_refs, forget_aged
from lash_conformance.model_state import ANY, MAYBE, Data, Session, State, lean
from lash_ref.errors import UnknownLeaf, Unsupported, UnsupportedReadScope


def load(state: State, bound: str, scope: str | Data) -> Data | None:
    """One committed state."""
    if scope != "FullGraph" and "active_path" not in state.capabilities:
        raise UnsupportedReadScope(ANY)
    session = state.session(bound)
    if session.head is None:
        return None
    read = {name: value for name, value in session.head.items() if name != "leaf"}
    read["graph"] = _graph(session, scope)
    read["token_ledger"] = list(session.ledger)
    return read


def _graph(session: Session, scope: str | Data) -> Data:
    assert session.head is not None
    live, leaf = session.live(), session.head.get("leaf")
    if isinstance(scope, str):
        return lean(nodes=list(live.values()), leaf_node_id=leaf)
    named = scope["ActivePath"].get("leaf_node_id")
    if named is not None and named not in live:
        raise UnknownLeaf(named)
    tip = leaf if named is None else named
    return lean(nodes=_ancestry(live, tip), leaf_node_id=tip)


def _ancestry(live: dict[str, Data], leaf: str | None) -> list[Data]:
    path: dict[str, Data] = {}
    here = leaf
    while here is not None and here in live and here not in path:
        path[here] = live[here]
        here = live[here].get("parent_node_id")
    return list(reversed(path.values()))


def load_node(state: State, bound: str, node_id: str) -> Data | None:
    """Any live node."""
    return state.session(bound).live().get(node_id)


def save_meta(state: State, bound: str, meta: Data) -> None:
    """The meta, replaced."""
    state.session(bound).meta = meta


def load_meta(state: State, bound: str) -> Data | None:
    """The meta."""
    return state.session(bound).meta


# -- chores


def tombstone(state: State, bound: str, ids: list[str]) -> None:
    """Nodes hidden."""
    session = state.session(bound)
    session.hidden |= set(ids) & {node["node_id"] for node in session.nodes}


def vacuum(state: State, bound: str) -> Data:
    """Hidden nodes and finished inputs, gone."""
    session = state.session(bound)
    ended = [row for row in session.inputs if row.data["state"] in ("cancelled", "completed")]
    report = {
        "removed_node_count": len(session.hidden),
        "removed_pending_turn_input_tombstone_count": len(ended),
    }
    session.nodes = list(session.live().values())
    session.hidden = set()
    session.inputs = [row for row in session.inputs if row not in ended]
    return report


def gc(state: State, bound: str) -> Data:
    """Unreachable blobs, gone; how many they are is the backend's affair, but for a second time."""
    if "gc" not in state.capabilities:
        raise Unsupported("gc")
    heads = [session.head for session in state.sessions.values() if session.head is not None]
    reached = {head["checkpoint"].get(name) for head in heads for name in SLOTS}
    state.collected = set(state.parts) - reached
    deleted = ANY if state.dirty else 0
    state.dirty = False
    return {"root_count": len(heads), "retained_blob_count": ANY, "deleted_blob_count": deleted}


# -- factory


def create(state: State, bound: str, request: Data) -> str:
    """The session's store, its meta seeded when it is new."""
    session = state.session(request["session_id"])
    session.created = True
    if session.meta is None:
        session.meta = {
            "session_id": request["session_id"],
            "session_name": request["session_id"],
            "created_at": state.mint(request["session_id"], "created"),
            "model": request["policy"]["model"]["id"],
            "relation": request["relation"],
            "cwd": MAYBE,
        }
    return "store"


def open_existing(state: State, bound: str, request: Data) -> str | None:
    """The store of a session that was created."""
    return "store" if state.session(request["session_id"]).created else None


def delete(state: State, bound: str, session_id: str) -> None:
    """Everything of the session, gone."""
    state.sessions.pop(session_id, None)
    state.lives[session_id] = state.lives.get(session_id, 0) + 1
    state.intents = {key: row for key, row in state.intents.items() if key[0] != session_id}
    state.dirty = True


def live_refs(state: State, bound: str, cutoff: int) -> list[str]:
    """Dead intents forgotten, and what is left."""
    forget_aged(state, bound, cutoff)
    return all_refs(state, bound)
