"""The life of a process (WIR.20 to WIR.24)."""

from lash_conformance.check import check
from lash_conformance.exchange import Line
from lash_conformance.target import CAPABILITIES

JUDGE = {"name": "lash-conformance", "version": "0"}


@check("WIR.20", needs=("wire",))
async def initialize_says_who_is_judged(line: Line) -> None:
    """Also when the judge offers more than one protocol, and says more than is known."""
    wire = line.fresh()

    said = await wire.result("initialize", protocols=[1, 999], edition="2026.11", judge=JUDGE, later=None)

    assert said["protocol"] == 1
    assert isinstance(said["edition"], str)
    assert said["edition"]
    assert said["target"]["name"]
    assert isinstance(said["target"]["version"], str)
    assert set(said["capabilities"]) <= set(CAPABILITIES) - {"wire"}
    assert set(said["capabilities"]) == set(line.target.capabilities) - {"wire"}


@check("WIR.21", needs=("wire",))
async def an_unknown_protocol_is_refused(line: Line) -> None:
    """Of two protocols that do not exist none is chosen; a later initialize may still succeed."""
    wire = line.fresh()

    assert await wire.code("initialize", protocols=[998, 999], edition="2026.11", judge=JUDGE) == -32602
    assert (await wire.hello())["protocol"] == 1


@check("WIR.22", needs=("wire",))
async def shutdown_is_answered_and_ends_the_process(line: Line) -> None:
    """With a place still open, at once and with 0."""
    wire = line.fresh()
    await wire.hello()
    await wire.place(line.directory)

    answer = await wire.ask("shutdown")

    assert (answer.get("result", "nothing"), await wire.ended()) == (None, "it ended with exit code 0")


@check("WIR.23", needs=("wire",))
async def the_end_of_input_ends_the_process(line: Line) -> None:
    """With a place still open, and without a shutdown."""
    wire = line.fresh()
    await wire.hello()
    await wire.place(line.directory)

    wire.child.close_input()

    ended = await wire.ended()
    assert ended.startswith("it "), ended


@check("WIR.24", needs=("wire",))
async def nothing_is_left_running(line: Line) -> None:
    """After the shutdown of a process that worked, whatever it started is gone too."""
    wire = line.fresh()
    await wire.hello()
    place = await wire.place(line.directory)
    await wire.store(place)
    await wire.result("close", place=place)
    await wire.ask("shutdown")
    await wire.ended()

    assert wire.child.left_behind == 0
