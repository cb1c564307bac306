"""Attachment bytes, the session's facade and the sweep (ATT.19 to ATT.33)."""

import hashlib
from collections.abc import Callable
from typing import Any, cast

from lash_conformance.bench import Bench
from lash_conformance.check import check
from lash_conformance.vocabulary import refused
from lash_ref.attachments import SessionAttachmentStore, reclaim_unreferenced_attachments
from lash_ref.contracts import AttachmentStore, RuntimePersistence
from lash_ref.errors import AttachmentNotFound, Backend, ManifestRecordFailed, UnreadableRecord
from lash_ref.records import (
    AttachmentCreateMeta,
    AttachmentIntent,
    AttachmentReclamationReport,
    StoredBlobRef,
)
from lash_ref.scalars import Json

META = AttachmentCreateMeta(media_type="text/plain")


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _facade(
    bench: Bench, manifest: Any, session_id: str = "s1", backend: Any = None
) -> SessionAttachmentStore:
    """The runtime's facade, or the one a broken target puts in its place."""
    kind = cast("type[SessionAttachmentStore]", getattr(bench.target, "facade", SessionAttachmentStore))
    return kind(session_id, manifest, backend or bench.attachments, bench.clock)


async def _sweep(bench: Bench, roots: Any = None, backend: Any = None, grace: int = 100) -> AttachmentReclamationReport:
    sweep = cast(
        "Callable[..., Any]", getattr(bench.target, "sweep", reclaim_unreferenced_attachments)
    )
    report = await sweep(roots or bench.factory, backend or bench.attachments, grace, bench.clock)
    assert isinstance(report, AttachmentReclamationReport)
    return report


class Standing:
    """Stands in for a part of the target, passing on whatever it does not define."""

    def __init__(self, inner: object) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


# -- bytes


@check("ATT.22", "ATT.23")
async def bytes_are_addressed_by_content(bench: Bench) -> None:
    """The id is the SHA-256, the reference says type, label and length."""
    meta = AttachmentCreateMeta(
        media_type="image/png", label="a picture", type_metadata=Json({"type": "image", "width": 3})
    )
    data = bytes(range(256)) * 3

    made = await bench.attachments.put(data, meta)

    assert (made.id, made.byte_len, made.media_type, made.label, made.type_metadata) == (
        _sha(data),
        768,
        "image/png",
        "a picture",
        meta.type_metadata,
    )
    assert await bench.attachments.get(made.id) == data


@check("ATT.22", "ATT.26")
async def equal_bytes_are_one_blob_under_two_labels(bench: Bench) -> None:
    """Two references, one entry."""
    first = await bench.attachments.put(b"same", AttachmentCreateMeta(media_type="text/plain", label="one"))
    second = await bench.attachments.put(b"same", AttachmentCreateMeta(media_type="text/html", label="two"))

    assert (first.id, first.label, first.media_type) == (second.id, "one", "text/plain")
    assert (second.label, second.media_type) == ("two", "text/html")
    assert [blob.id for blob in await bench.attachments.list()] == [_sha(b"same")]


@check("ATT.23")
async def empty_bytes_are_stored(bench: Bench) -> None:
    """Nothing is something."""
    made = await bench.attachments.put(b"", META)

    assert (made.byte_len, await bench.attachments.get(made.id)) == (0, b"")


@check("ATT.23")
async def megabytes_are_stored_whole(bench: Bench) -> None:
    """More than one read or write of the system may take, and more than one page of anything."""
    data = bytes(range(251)) * 13_000

    made = await bench.attachments.put(data, META)

    assert made.byte_len == 3_263_000
    assert await bench.attachments.get(made.id) == data


@check("ATT.24")
async def unknown_bytes_are_not_found(bench: Bench) -> None:
    """A well-formed id that nobody stored."""
    missing = _sha(b"never")

    await refused(AttachmentNotFound, bench.attachments.get(missing), attachment_id=missing)
    assert await bench.attachments.head(missing) is None


@check("ATT.24")
async def an_id_is_not_a_path(bench: Bench) -> None:
    """Traversal, absolute and odd ids name nothing and reach nothing."""
    secret = bench.place.directory / "secret"
    secret.parent.mkdir(parents=True, exist_ok=True)
    secret.write_bytes(b"private")

    await refused(AttachmentNotFound, bench.attachments.get("../secret"))
    await refused(AttachmentNotFound, bench.attachments.get(str(secret)))
    await bench.attachments.delete("../secret")

    assert secret.read_bytes() == b"private"


@check("ATT.24")
async def ids_like_a_stored_one_name_nothing(bench: Bench) -> None:
    """Longer, shorter, in capitals, with a way out behind it: none is read, found or deleted, and the stored one stays."""
    made = await bench.attachments.put(b"kept", META)
    alike = [f"{made.id}x", made.id[:-1], made.id.upper(), f"{made.id}/../../secret", f"{made.id}\n", f" {made.id}", ""]

    for one in alike:
        await refused(AttachmentNotFound, bench.attachments.get(one), attachment_id=one)
        assert await bench.attachments.head(one) is None
        await bench.attachments.delete(one)

    assert await bench.attachments.get(made.id) == b"kept"


@check("ATT.25")
async def deleting_bytes_may_be_repeated(bench: Bench) -> None:
    """Gone, and gone again; unknown ones too."""
    made = await bench.attachments.put(b"x", META)

    await bench.attachments.delete(made.id)
    await bench.attachments.delete(made.id)
    await bench.attachments.delete(_sha(b"never"))

    await refused(AttachmentNotFound, bench.attachments.get(made.id))
    assert await bench.attachments.list() == ()


@check("ATT.26")
async def the_listing_has_one_entry_a_blob(bench: Bench) -> None:
    """Five blobs, one of them put twice."""
    blobs = [b"a", b"b", b"c", b"d", b"e", b"a"]
    for data in blobs:
        await bench.attachments.put(data, META)

    listed = [blob.id for blob in await bench.attachments.list()]

    assert sorted(listed) == sorted({_sha(data) for data in blobs})


@check("ATT.27", needs=("clock",))
async def putting_again_refreshes_the_time(bench: Bench) -> None:
    """In the listing and in the head."""
    made = await bench.attachments.put(b"x", META)
    await bench.pass_time(5001)

    await bench.attachments.put(b"x", META)

    now = bench.clock.now_ms()
    assert await bench.attachments.head(made.id) == StoredBlobRef(id=made.id, last_modified_epoch_ms=now)
    assert [blob.last_modified_epoch_ms for blob in await bench.attachments.list()] == [now]


@check("ATT.28", needs=("durable",))
async def durable_bytes_survive_reopening(bench: Bench) -> None:
    """If the store says durable, they are there; if it says inline, it promised nothing."""
    made = await bench.attachments.put(b"kept", META)
    declared = await bench.attachments.persistence()

    await bench.reopen()

    assert declared == "durable"
    assert await bench.attachments.get(made.id) == b"kept"


# -- the session's facade


@check("ATT.19", needs=("manifest",))
async def the_intent_comes_before_the_bytes(bench: Bench, store: RuntimePersistence) -> None:
    """When the bytes are stored, the manifest already holds the ref."""
    held: list[bool] = []

    class Watched(Standing):
        async def put(self, data: bytes, meta: AttachmentCreateMeta) -> Any:
            held.append(await store.holds_ref("s1", _sha(data)))
            return await cast("AttachmentStore", self.inner).put(data, meta)

    await _facade(bench, store, backend=Watched(bench.attachments)).put(b"x", META)

    assert held == [True]


@check("ATT.19", needs=("manifest",))
async def a_failed_intent_stores_no_bytes(bench: Bench, store: RuntimePersistence) -> None:
    """The manifest is out of order; the put says so."""

    class Failing(Standing):
        async def record_intent(self, intent: AttachmentIntent) -> None:
            raise Backend("the manifest is out of order")

    await refused(ManifestRecordFailed, _facade(bench, Failing(store)).put(b"x", META))

    assert await bench.attachments.list() == ()


@check("ATT.20", needs=("manifest",))
async def a_session_reads_only_what_it_refers_to(bench: Bench, store: RuntimePersistence) -> None:
    """The bytes are there, put by "s1"; "s2" knows their id."""
    made = await _facade(bench, store).put(b"x", META)

    await refused(AttachmentNotFound, _facade(bench, store, "s2").get(made.id), attachment_id=made.id)
    assert await _facade(bench, store).get(made.id) == b"x"


@check("ATT.21", needs=("manifest",))
async def deleting_drops_the_reference_only(bench: Bench, store: RuntimePersistence) -> None:
    """The other session still reads the bytes."""
    mine, theirs = _facade(bench, store), _facade(bench, store, "s2")
    made = await mine.put(b"x", META)
    await theirs.put(b"x", META)

    await mine.delete(made.id)

    await refused(AttachmentNotFound, mine.get(made.id))
    assert await theirs.get(made.id) == b"x"


# -- the sweep


@check("ATT.29", needs=("manifest", "clock"))
async def the_sweep_keeps_the_referenced_and_collects_the_rest(
    bench: Bench, store: RuntimePersistence
) -> None:
    """One adopted, one with a living turn's intent, one that nobody refers to."""
    facade = _facade(bench, store)
    adopted = await facade.put(b"adopted", META)
    await store.commit_refs("s1", [adopted.id])
    facade.owner = ("turn", "t1")
    pending = await facade.put(b"pending", META)
    orphan = await bench.attachments.put(b"orphan", META)
    await bench.pass_time(1000)

    report = await _sweep(bench)

    assert (report.scanned_blob_count, report.reclaimed_count, report.failed_ids) == (3, 1, ())
    left = {blob.id for blob in await bench.attachments.list()}
    assert left == {adopted.id, pending.id}
    assert orphan.id not in left


@check("ATT.29", needs=("clock",))
async def the_sweep_spares_fresh_bytes(bench: Bench) -> None:
    """Within the grace nothing is collected, past it everything unreferenced is."""
    await bench.attachments.put(b"x", META)
    await bench.pass_time(99)
    assert (await _sweep(bench)).reclaimed_count == 0

    await bench.pass_time(1)

    assert (await _sweep(bench)).reclaimed_count == 1


@check("ATT.31", needs=("clock",))
async def the_sweep_looks_again_at_the_age_before_deleting(bench: Bench) -> None:
    """The bytes are put again after the listing was taken."""
    made = await bench.attachments.put(b"x", META)
    await bench.pass_time(1000)

    class Late(Standing):
        async def list(self) -> Any:
            listed = await cast("AttachmentStore", self.inner).list()
            await cast("AttachmentStore", self.inner).put(b"x", META)
            return listed

    report = await _sweep(bench, backend=Late(bench.attachments))

    assert report.reclaimed_count == 0
    assert await bench.attachments.get(made.id) == b"x"


@check("ATT.31", needs=("manifest", "clock"))
async def the_sweep_looks_again_at_the_roots_before_deleting(bench: Bench, store: RuntimePersistence) -> None:
    """An intent is recorded after the roots were read."""
    made = await bench.attachments.put(b"x", META)
    await bench.pass_time(1000)

    class Late(Standing):
        async def live_attachment_refs(self, cutoff: int) -> Any:
            roots = await bench.factory.live_attachment_refs(cutoff)
            await store.record_intent(
                AttachmentIntent(
                    attachment_id=made.id, session_id="s1", canonical_uri="u",
                    intent_at_epoch_ms=bench.clock.now_ms(),
                )
            )  # fmt: skip
            return roots

    report = await _sweep(bench, roots=Late(bench.factory))

    assert report.reclaimed_count == 0
    assert await bench.attachments.get(made.id) == b"x"


@check("ATT.32", needs=("clock",))
async def the_sweep_goes_on_after_a_failed_delete(bench: Bench) -> None:
    """Three orphans, one of which cannot be deleted."""
    made = [await bench.attachments.put(data, META) for data in (b"a", b"b", b"c")]
    stuck = sorted(one.id for one in made)[0]
    await bench.pass_time(1000)

    class Stuck(Standing):
        async def delete(self, attachment_id: str) -> None:
            if attachment_id == stuck:
                raise Backend("the file is in use")
            await cast("AttachmentStore", self.inner).delete(attachment_id)

    report = await _sweep(bench, backend=Stuck(bench.attachments))

    assert (report.reclaimed_count, report.failed_ids) == (2, (stuck,))
    assert [blob.id for blob in await bench.attachments.list()] == [stuck]


@check("ATT.33", needs=("clock",))
async def the_sweep_deletes_nothing_without_roots(bench: Bench) -> None:
    """A session's manifest is unreadable."""
    made = await bench.attachments.put(b"x", META)
    await bench.pass_time(1000)

    class Broken(Standing):
        async def live_attachment_refs(self, cutoff: int) -> Any:
            raise UnreadableRecord("attachment_intent", "a1", "damaged")

    await refused(UnreadableRecord, _sweep(bench, roots=Broken(bench.factory)))

    assert await bench.attachments.get(made.id) == b"x"
