"""Rules over attachments and the factory, and the machine that mixes everything."""

import base64
import hashlib

from hypothesis import strategies as st
from hypothesis.stateful import rule

from lash_conformance.bench import request
from lash_conformance.machine import SESSIONS
from lash_conformance.model_state import Data, lean
from lash_conformance.rules_commit import CommitRules
from lash_conformance.rules_lane import LANE, Lanes, mostly_s1, pick, sessions
from lash_conformance.rules_work import WorkRules
from lash_conformance.vocabulary import commit, stamp

FAR = 2**62
FILES = ("att-1", "att-2", "att-3")
CONTENTS = (b"", b"one", b"two")

files = st.sampled_from(FILES)
ages = st.sampled_from((-10, -1, 0, 1, 10))
"""Milliseconds from now; where time is not the judge's, early or far."""
holders = st.sampled_from(((None, None), ("turn", "t1"), ("turn", "t2"), ("process", "p1"), ("process", "p2")))


class AttachmentRules(Lanes):
    """Intents, commits that adopt them, reconciliation, and the bytes themselves."""

    unseen = LANE

    observed = ("list_uncommitted", "list_all_refs")

    def at(self, age: int) -> int:
        """The moment that lies ``age`` ms from now."""
        return self.now + age if self.virtual else (FAR if age > 0 else 1000)

    @rule(session_id=sessions, file=files, age=ages, holder=holders, broken=st.sampled_from((False,) * 9 + (True,)))
    def intend(self, session_id: str, file: str, age: int, holder: tuple[str, str], broken: bool) -> None:
        """An intent, or the same again."""
        kind, holder_id = holder
        intent = lean(
            attachment_id=file, session_id=session_id, canonical_uri=self.fresh("uri:"),
            intent_at_epoch_ms=self.at(age), owner_kind=kind, owner_id=None if broken else holder_id,
        )  # fmt: skip
        self.on(session_id, "record_intent", intent)

    @rule(session_id=sessions, turn_id=st.sampled_from((None, "t1", "t2", "t3")), listed=st.lists(files, max_size=2))
    def commit_with_files(self, session_id: str, turn_id: str | None, listed: list[str]) -> None:
        """A commit that adopts what it lists and what its turn recorded."""
        self.store(session_id)
        name = turn_id and (turn_id if turn_id not in self.rows(session_id).stamps else self.fresh("turn"))
        data = commit(None, session_id=session_id, committed_attachment_ids=tuple(listed)).to_data()
        marked = stamp(name, "h", session_id).to_data() if name else None
        self.on(session_id, "commit_runtime_state", data | lean(session_execution_lease=self.fence(session_id), turn_commit=marked))

    @rule(session_id=sessions, file=files, age=ages, what=st.sampled_from(("refs", "aged", "aged", "forget", "roots", "gone", "wait", "wait", "delete")))
    def keep_house(self, session_id: str, file: str, age: int, what: str) -> None:
        """Stamp, reconcile, forget, learn that a process is gone, let time pass, delete."""
        match what:
            case "refs":
                self.on(session_id, "commit_refs", session_id, [file, "ghost"])
            case "aged":
                self.on(session_id, "forget_aged_uncommitted_intents", self.at(age))
            case "forget":
                self.on(session_id, "forget", session_id, file)
            case "roots":
                self.step("factory" + self.suffix, "live_attachment_refs", self.at(age))
            case "gone":
                self.step("place", "process_gone", {"process_id": "p1"})
            case "delete":
                self._delete(session_id)
            case _ if self.virtual:
                self.step("place", "advance", {"ms": 1})
            case _:
                return

    @rule(session_id=sessions, file=files, age=ages)
    def ask_about_refs(self, session_id: str, file: str, age: int) -> None:
        """What holds, and what would."""
        self.on(session_id, "holds_ref", session_id, file)
        self.on(session_id, "has_live_ref_for_id", file, self.at(age))
        self.on(session_id, "list_uncommitted", self.at(age))
        self.step("factory" + self.suffix, "has_live_attachment_ref", file, self.at(age))

    @rule(content=st.sampled_from(CONTENTS), label=st.sampled_from((None, "name")), what=st.sampled_from(("put", "put", "get", "head", "delete")))
    def handle_bytes(self, content: bytes, label: str | None, what: str) -> None:
        """Bytes in, out, gone."""
        attachment_id = hashlib.sha256(content).hexdigest()
        if what == "put":
            self.step("attachments", "put", base64.b64encode(content).decode(), lean(media_type="text/plain", label=label))
        else:
            self.step("attachments", what, attachment_id)
        self.step("attachments", "list")

    def _delete(self, session_id: str) -> None:
        self.step("factory" + self.suffix, "delete_session", session_id)
        self.step("factory" + self.suffix, "open_existing_store", request(session_id).to_data())
        self.leases.pop(session_id, None)
        for name in SESSIONS:
            self.store(name)


class PlaceRules(CommitRules, WorkRules):
    """Commits, work and input at once, with meta."""

    unseen = frozenset()

    observed = (
        "load_session", "load_session_meta", "list_pending_queued_work", "list_pending_turn_inputs",
        "list_turn_input_applications",
    )  # fmt: skip

    def completions(self, session_id: str, which: int) -> Data:
        """Turns settle what they claimed."""
        return self.completion(session_id, "all", which)

    def forgotten(self, session_id: str) -> None:
        """Claims of a deleted session too."""
        super().forgotten(session_id)
        self.claims.pop(session_id, None)

    @rule(session_id=mostly_s1, which=pick)
    def save_meta(self, session_id: str, which: int) -> None:
        """The meta, replaced; or the session created once more."""
        meta = {
            "session_id": session_id, "session_name": self.fresh("name"), "created_at": "2026-11-21T00:00:00Z",
            "model": "m-2", "relation": {"kind": "child", "parent_session_id": "p"}, "cwd": "here",
        }  # fmt: skip
        if which % 2:
            self.on(session_id, "save_session_meta", meta)
        else:
            self.step("factory" + self.suffix, "create_store", request(session_id).to_data())
