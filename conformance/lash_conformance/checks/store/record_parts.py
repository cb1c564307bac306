"""The JSON form of records: names, unknown and missing keys, and parts of one form only (REC.10 to REC.18)."""

import contextlib
from typing import Any, cast

from lash_conformance.bench import Bench, Lane
from lash_conformance.check import check
from lash_conformance.vocabulary import (
    CONFIG,
    batch,
    commit,
    message,
)
from lash_ref.contracts import RuntimePersistence
from lash_ref.errors import InvalidRecord
from lash_ref.inputs import PendingTurnInputDraft
from lash_ref.lease import LeaseTimings
from lash_ref.nodes import Append
from lash_ref.records import (
    AttachmentCreateMeta,
    ModelLimits,
    ModelSpec,
    RuntimeCommit,
)
from lash_ref.scalars import Record
from lash_ref.work import ProtocolTurnOptions, QueuedWorkBatchDraft


class Codec:
    """How records are written and read; a target that has its own puts it in ``codec``."""

    def write(self, record: Record) -> dict[str, Any]:
        """A record as JSON data."""
        return record.to_data()

    def read(self, kind: type[Record], data: object) -> Record:
        """JSON data as a record."""
        return kind.from_data(data)


def codec_of(bench: Bench) -> Codec:
    return cast("Codec", getattr(bench.target, "codec", Codec)())


@check("REC.10")
async def records_are_written_with_the_contracts_names(bench: Bench) -> None:
    """A commit and a draft, as JSON, against the text of the contract."""
    made = codec_of(bench).write(commit(None, Append(nodes=(message("n", "hi"),), leaf_node_id="n")))
    draft = codec_of(bench).write(batch(source_key="k"))

    assert made["graph"]["Append"]["leaf_node_id"] == "n"
    assert made["graph"]["Append"]["nodes"][0]["kind"] == "event"
    assert "expected_head_revision" not in made
    assert made["config"] == {
        "provider_id": "prov",
        "model": {
            "id": "m-1",
            "variant": "provider_default",
            "limits": {"context_window_tokens": 8000},
        },
    }
    assert draft == {
        "session_id": "s1", "source_key": "k", "delivery_policy": "earliest_safe_boundary",
        "slot_policy": "exclusive", "merge_key": "never", "available_at_ms": 0,
        "payloads": [{"type": "agent_frame_task", "frame_id": "f1", "task": "work"}],
    }  # fmt: skip


@check("REC.11")
async def a_model_spec_with_an_unknown_key_is_refused(bench: Bench) -> None:
    """A misspelt limit is no limit."""
    spec = {"id": "m", "limits": {"context_window_tokens": 1}, "contxt": 2}
    limits = {"context_window_tokens": 1, "output_tokens": 2}
    found: list[str] = []
    for kind, data in ((ModelSpec, spec), (ModelLimits, limits)):
        try:
            codec_of(bench).read(kind, data)
        except InvalidRecord as err:
            found.append(str(err.fields["field"]))

    assert found == ["contxt", "output_tokens"]


@check("REC.12")
async def unknown_keys_of_other_records_are_ignored(bench: Bench) -> None:
    """A newer peer says more; the store takes what it knows."""
    data = batch(source_key="k").to_data() | {"priority": 9}

    assert codec_of(bench).read(QueuedWorkBatchDraft, data) == batch(source_key="k")


@check("REC.13")
async def a_missing_optional_reads_as_its_default(
    bench: Bench, store: RuntimePersistence, lane: Lane
) -> None:
    """An older peer says less."""
    data: dict[str, Any] = {
        "session_id": "s1", "session_execution_lease": lane.fence.to_data(), "config": CONFIG.to_data(),
        "graph": {"Unchanged": {}},
    }  # fmt: skip
    draft: dict[str, Any] = {"session_id": "s1", "ingress": {"scope": "active_turn", "turn_id": "t1"}, "input": {"items": []}}

    commit_read = cast("RuntimeCommit", codec_of(bench).read(RuntimeCommit, data))
    draft_read = cast("PendingTurnInputDraft", codec_of(bench).read(PendingTurnInputDraft, draft))
    result = await store.commit_runtime_state(commit_read)
    made = await store.enqueue_pending_turn_input(draft_read)

    assert (result.head_revision, result.enqueued_queue_batches) == (1, ())
    assert made.ingress.to_data() == {"scope": "active_turn", "turn_id": "t1", "min_boundary": "after_work"}


@check("REC.14")
async def lease_timings_leave_room_for_three_renewals(bench: Bench) -> None:
    """The defaults do; a ttl of less than three intervals, and zeros, are refused."""
    found: list[str] = []
    for ttl, renew in ((30_000, 10_000), (29_999, 10_000), (0, 0), (3, 1), (1, 0)):
        try:
            codec_of(bench).read(LeaseTimings, {"ttl_ms": ttl, "renew_interval_ms": renew})
            found.append("admitted")
        except InvalidRecord:
            found.append("refused")

    assert found == ["admitted", "refused", "refused", "admitted", "refused"]
    assert LeaseTimings() == LeaseTimings(ttl_ms=30_000, renew_interval_ms=10_000)


def _refused(bench: Bench, kind: type[Record], *given: dict[str, object]) -> list[str]:
    """The member at fault of each of ``given`` that is refused."""
    found: list[str] = []
    for data in given:
        with contextlib.suppress(InvalidRecord):
            codec_of(bench).read(kind, data)
            continue
        found.append(str(data))
    return found


@check("REC.15")
async def a_media_type_is_a_type_and_a_subtype(bench: Bench) -> None:
    """Not one word, three, a parameter, or nothing on one side."""
    wrong: list[dict[str, object]] = [
        {"media_type": text} for text in ("png", "image/", "/png", "image/png/x", "text/plain; charset=x", "a b/c", "")
    ]

    assert _refused(bench, AttachmentCreateMeta, *wrong) == [str(data) for data in wrong]
    assert _refused(bench, AttachmentCreateMeta, {"media_type": "application/vnd.a+json"}) == []


@check("REC.16")
async def a_media_type_is_kept_in_small_letters(bench: Bench) -> None:
    """Spaces around it are dropped."""
    made = codec_of(bench).read(AttachmentCreateMeta, {"media_type": " Image/PNG "})

    assert made.to_data() == {"media_type": "image/png"}


@check("REC.17")
async def turn_options_of_another_version_are_refused(bench: Bench) -> None:
    """None, two and none at all; the version left out is 1."""
    wrong: list[dict[str, object]] = [{"schema_version": version, "payload": {}} for version in (0, 2, 2**32)]

    assert _refused(bench, ProtocolTurnOptions, *wrong) == [str(data) for data in wrong]
    assert _refused(bench, ProtocolTurnOptions, {"payload": {"a": 1}}, {"schema_version": 1, "payload": {}}) == []


@check("REC.18")
async def a_model_variant_is_one_of_three(bench: Bench) -> None:
    """Another word, an effort beside something else, a number."""
    limits = {"context_window_tokens": 1}

    def spec(variant: object) -> dict[str, object]:
        return {"id": "m", "limits": limits, "variant": variant}

    wrong = [spec(variant) for variant in ("high", {"effort": "high", "x": 1}, {"effort": 3}, {}, 7)]
    right = [spec(variant) for variant in ("provider_default", "disabled", {"effort": "high"})]

    assert _refused(bench, ModelSpec, *wrong) == [str(data) for data in wrong]
    assert _refused(bench, ModelSpec, *right) == []
