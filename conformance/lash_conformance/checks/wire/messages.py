"""Lines and messages (WIR.1 to WIR.11)."""

from typing import Any

from lash_conformance.check import check
from lash_conformance.exchange import OWNER, Line
from lash_conformance.wire import EVERYTHING, MOST_BYTES, written_line


@check("WIR.1", needs=("wire",))
async def every_line_of_output_is_an_answer(line: Line) -> None:
    """Through a short life, opening, working, a refusal and the end, nothing else is written."""
    wire = line.fresh()
    said = await wire.hello()
    place = await wire.place(line.directory)
    store = await wire.store(place)

    assert (await wire.ask("store.load_node", store=store, node_id="n1"))["result"] is None
    assert (await wire.ask("attachments.get", place=place, attachment_id="0" * 64))["error"]["code"] == 1
    assert (await wire.ask("close", place=place))["result"] is None
    assert (await wire.ask("shutdown"))["result"] is None
    assert said["protocol"] == 1
    await wire.ended()
    assert wire.heard.get() is None, "a line after the answer to shutdown"


@check("WIR.2", needs=("wire",))
async def each_request_is_answered_once_under_its_id(line: Line) -> None:
    """Ten in a row, with ids that skip; then the last answer is the last line."""
    wire = line.fresh()
    await wire.hello()
    for number in range(100, 200, 10):
        wire.say(written_line({"jsonrpc": "2.0", "id": number, "method": "smoke", "params": {"value": number}}))
        answer: Any = await wire.hear()

        assert answer == {"jsonrpc": "2.0", "id": number, "result": number}

    wire.post("shutdown")
    await wire.hear()
    await wire.ended()
    assert wire.heard.get() is None, "a second answer"


@check("WIR.3", needs=("wire",))
async def a_line_of_almost_16_mib_is_taken(line: Line) -> None:
    """The longest line that the protocol allows is answered; its value is a long text."""
    wire = await line.greeted()
    around = len(written_line({"jsonrpc": "2.0", "id": 7, "method": "smoke", "params": {"value": "", "pad": ""}}))
    filler = "x" * (MOST_BYTES - around)
    wire.say(written_line({"jsonrpc": "2.0", "id": 7, "method": "smoke", "params": {"value": "", "pad": filler}}))

    assert await wire.hear() == {"jsonrpc": "2.0", "id": 7, "result": ""}


@check("WIR.4", needs=("wire",))
async def a_line_that_is_no_json_is_answered_under_null(line: Line) -> None:
    """Half a message, bytes that are no UTF-8, and an empty object cut short; then all is as before."""
    wire = await line.greeted()
    for text in (b'{"jsonrpc":"2.0","id":5,"meth\n', b'"\xff\xfe"\n', b"{\n"):
        wire.say(text)
        answer = await wire.hear()

        assert (answer["id"], answer["error"]["code"]) == (None, -32700)

    assert await wire.result("smoke", value="still here") == "still here"


@check("WIR.5", needs=("wire",))
async def json_that_is_no_request_is_answered_as_such(line: Line) -> None:
    """A number, a list, and an object without a method, whose id is kept."""
    wire = await line.greeted()
    for text, number in ((b"7\n", None), (b"[]\n", None), (b'{"jsonrpc":"2.0","id":77,"params":{}}\n', 77)):
        wire.say(text)
        answer = await wire.hear()

        assert (answer["id"], answer["error"]["code"]) == (number, -32600)


@check("WIR.6", needs=("wire",))
async def an_unknown_method_is_answered_as_such(line: Line) -> None:
    """Of the wire, and of a family."""
    wire = await line.greeted()

    assert await wire.code("teleport") == -32601
    assert await wire.code("store.teleport", store="x") == -32601


@check("WIR.7", needs=("wire",))
async def a_missing_parameter_or_unknown_handle_is_answered_as_such(line: Line) -> None:
    """Of a wire method and of a store method, for a place and for a store."""
    wire = await line.greeted()
    store = await wire.store(await wire.place(line.directory))

    assert await wire.code("open", directory=str(line.directory)) == -32602
    assert await wire.code("store.load_node", store=store) == -32602
    assert await wire.code("store.load_node", store="nowhere", node_id="n1") == -32602
    assert await wire.code("factory.durability_tier", place="nowhere") == -32602


@check("WIR.8", needs=("wire",))
async def an_argument_of_another_type_is_refused(line: Line) -> None:
    """Text for a number, a number for text, a record without a member, a union without its tag."""
    wire = await line.greeted()
    store = await wire.store(await wire.place(line.directory))
    lane = {"store": store, "session_id": "s1", "owner": OWNER, "lease_ttl_ms": 1000}
    draft = {"session_id": "s1", "delivery_policy": "earliest_safe_boundary", "slot_policy": "exclusive"}

    for method, params in (
        ("store.try_claim_session_execution_lease", lane | {"lease_ttl_ms": "1000"}),
        ("store.try_claim_session_execution_lease", lane | {"owner": {"owner_id": "a"}}),
        ("store.load_node", {"store": store, "node_id": 7}),
        ("store.enqueue_queued_work", {"store": store, "batch": draft}),
        ("store.enqueue_queued_work", {"store": store, "batch": draft | {"payloads": [{"text": "untagged"}]}}),
        ("store.load_session", {"store": store, "scope": "Everything"}),
    ):
        answer = await wire.ask(method, **params)

        assert "error" in answer, f"expected a refusal of {params}\nfound {answer!r:.200}"
        assert (answer["error"]["code"], answer["error"].get("data", {}).get("error")) == (1, "InvalidRecord")

    assert await wire.result("store.list_queued_work", store=store, session_id="s1") == []
    assert "Acquired" in await wire.result("store.try_claim_session_execution_lease", **lane)


@check("WIR.9", needs=("wire",))
async def what_is_not_known_in_a_request_is_ignored(line: Line) -> None:
    """Members beside the method, parameters of both kinds of methods."""
    wire = await line.greeted()
    store = await wire.store(await wire.place(line.directory))
    message: dict[str, Any] = {"jsonrpc": "2.0", "id": 900, "method": "smoke", "params": {"value": 1, "later": {}}, "trace": "x"}
    wire.say(written_line(message))

    assert (await wire.hear()).get("result") == 1
    assert await wire.result("store.load_node", store=store, node_id="n1", later=[1]) is None


@check("WIR.9", needs=("wire",))
async def a_member_of_another_case_is_not_known(line: Line) -> None:
    """Beside the member that it looks like, or in the place of one that may be absent."""
    wire = await line.greeted()
    store = await wire.store(await wire.place(line.directory))
    meta = {"session_id": "s1", "session_name": "mine", "created_at": "t", "model": "m", "relation": {"kind": "root"}}

    await wire.result("store.save_session_meta", store=store, meta=meta | {"Session_Name": "theirs", "CWD": "/x"})

    found = await wire.result("store.load_session_meta", store=store)
    assert {name: member for name, member in found.items() if member is not None} == meta, "a null is as good as nothing"


@check("WIR.10", needs=("wire",))
async def json_is_carried_exactly(line: Line) -> None:
    """The largest and smallest integers, fractions, nulls, nesting, NUL and astral text."""
    wire = await line.greeted()

    assert await wire.result("smoke", value=EVERYTHING) == EVERYTHING
    values: list[Any] = [2**53 + 1, -(2**63), 0, None, False, "", [], {}, "\u0000", {"": {"a b": None}}]
    for value in values:
        found = await wire.result("smoke", value=value)

        assert (found, type(found)) == (value, type(value))


@check("WIR.11", needs=("wire",))
async def requests_in_flight_are_all_answered(line: Line) -> None:
    """As many at once as the limit says, up to sixteen, five rounds of them, each answered with its own value."""
    wire = await line.greeted()
    limit = min(16, wire.said.get("limits", {}).get("in_flight", 1))
    for _ in range(5):
        sent = {number: f"value {number}" for number in range(1000, 1000 + limit)}
        lines = [{"jsonrpc": "2.0", "id": n, "method": "smoke", "params": {"value": text}} for n, text in sent.items()]
        wire.say(b"".join(map(written_line, lines)))
        answers = [await wire.hear() for _ in range(limit)]

        assert {answer["id"]: answer.get("result") for answer in answers} == sent
