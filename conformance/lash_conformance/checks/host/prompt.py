"""The prompt: slots, layers, templates (area PRM)."""

import contextlib
import re
from typing import Any

from lash_conformance.check import host_check
from lash_conformance.host import Data, TurnSpec
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import answer, exchange, opened, say, script, text
from lash_ref.errors import LashError


def puts(*contents: str, slot: str = "guidance", **parts: Any) -> list[Data]:
    """Contributions to one slot."""
    return [{"slot": slot, "content": content, "priority": 0} | parts for content in contents]


def layer(*contents: str, reset: bool = False, slot: str = "guidance", **parts: Any) -> Data:
    """A prompt layer that adds to, or replaces, one slot."""
    return {"slots": {slot: {"reset": reset, "contributions": puts(*contents, slot=slot)}}} | parts


async def _system(
    bench: HostBench, plugins: Data | None = None, *, core: Data | None = None, session: Data | None = None,
    turn: Data | None = None, tools: tuple[str, ...] = (),
) -> str:  # fmt: skip
    """The system prompt of one turn; ``plugins`` are contributions by plugin, the rest prompt layers."""
    options = {name: {"prompts": made} for name, made in (plugins or {}).items()}
    made = await bench.core(*options, tools=tools, options=options, prompt=core)
    opened_session = await opened(made, f"s{len(bench.trace.steps)}", prompt=session)
    await script(made, "hello")
    await opened_session.turn(TurnSpec(items=text("hi"), prompt=turn))
    return str((await made.requests())[0]["system"])


def found(system: str, *words: str) -> list[str]:
    """Which of the words the prompt holds, in the order in which it holds them, each as often as it does."""
    return re.findall("|".join(re.escape(word) for word in words), system)


@host_check("PRM.1")
async def gated_advice_needs_its_tool(bench: HostBench) -> None:
    """Any one of the tools lets it in; none keeps it out."""
    advice = puts("Advice.", gate={"tools": ["echo", "nobody"]}) + puts("Always.")
    assert found(await _system(bench, {"a": advice}, tools=("echo",)), "Advice.", "Always.") == [
        "Advice.",
        "Always.",
    ]
    assert found(await _system(bench, {"a": advice}, tools=("fail",)), "Advice.", "Always.") == ["Always."]


@host_check("PRM.2")
async def layers_add_up(bench: HostBench) -> None:
    """Plugin, core, session and turn."""
    system = await _system(
        bench, {"a": puts("PLUGIN")}, core=layer("CORE"), session=layer("SESSION"), turn=layer("TURN")
    )

    assert sorted(found(system, "PLUGIN", "CORE", "SESSION", "TURN")) == ["CORE", "PLUGIN", "SESSION", "TURN"]


@host_check("PRM.3")
async def a_reset_removes_what_came_before(bench: HostBench) -> None:
    """The session replaces a slot, and clears it; another slot is left alone."""
    plugins = {"a": puts("PLUGIN") + puts("OTHER", slot="environment")}
    words = ("PLUGIN", "CORE", "SESSION", "TURN", "OTHER")
    replaced = await _system(
        bench, plugins, core=layer("CORE"), session=layer("SESSION", reset=True), turn=layer("TURN")
    )
    cleared = await _system(bench, plugins, core=layer("CORE"), session=layer(reset=True))

    assert found(replaced, *words) == ["SESSION", "TURN", "OTHER"]
    assert found(cleared, *words) == ["OTHER"]


@host_check("PRM.4")
async def the_last_template_is_used(bench: HostBench) -> None:
    """Core, session and turn have one each; the session's holds where the turn has none."""

    def form(word: str) -> Data:
        return {"slots": {}, "template": {"sections": [{"entries": [{"kind": "text", "content": word}]}]}}

    words = ("CORE", "SESSION", "TURN")
    system = await _system(bench, core=form("CORE"), session=form("SESSION"), turn=form("TURN"))
    assert found(system, *words) == ["TURN"]
    assert found(await _system(bench, core=form("CORE"), session=form("SESSION")), *words) == ["SESSION"]


@host_check("PRM.5")
async def what_is_said_twice_is_rendered_once(bench: HostBench) -> None:
    """Equal but for blanks at the ends, from two plugins; another slot or priority is another thing to say."""
    system = await _system(bench, {"a": puts("SAME", " SAME\n"), "b": puts("SAME")})
    assert found(system, "SAME") == ["SAME"]

    apart = {"a": puts("SAME"), "b": puts("SAME", priority=1), "c": puts("SAME", slot="environment")}
    assert found(await _system(bench, apart), "SAME") == ["SAME"] * 3


@host_check("PRM.6")
async def low_priorities_come_first(bench: HostBench) -> None:
    """Two of one priority as they came, a negative one before all."""
    first = puts("NINE", priority=9) + puts("TWO-A", priority=2) + puts("TWO-B", priority=2)
    system = await _system(bench, {"b": first, "a": puts("MINUS", priority=-1)})

    assert found(system, "NINE", "TWO-A", "TWO-B", "MINUS") == ["MINUS", "TWO-A", "TWO-B", "NINE"]


@host_check("PRM.7")
async def asking_is_advised_when_it_is_possible(bench: HostBench) -> None:
    """The same core with and without a tool of that name."""
    core = await bench.core("shelf", options={"shelf": {"offers": [{"tool": "echo", "name": "ask"}]}})
    session = await opened(core)
    await exchange(core, session, "hi", "hello")
    await core.call("shelf", {"offers": [{"tool": "echo"}]})
    await exchange(core, session, "hi", "hello")

    spoken = [re.search(r"\bask\b", request["system"], re.IGNORECASE) for request in await core.requests()]
    assert [one is not None for one in spoken] == [True, False]


@host_check("PRM.8")
async def a_turns_prompt_is_gone_with_the_turn(bench: HostBench) -> None:
    """The first turn has it, the second does not."""
    core = await bench.core()
    session = await opened(core)
    await script(core, "one", "two")
    await say(session, prompt=layer("TURN"))
    await say(session)

    assert ["TURN" in request["system"] for request in await core.requests()] == [True, False]


@host_check("PRM.9")
async def a_prompt_without_a_contributor_is_not_sent(bench: HostBench) -> None:
    """However the turn ends, no model is asked."""
    core = await bench.core("a", options={"a": {"prompts": puts("x"), "fails_at": ["prompt"]}})
    session = await opened(core)
    await script(core, "hello")

    with contextlib.suppress(LashError):
        assert answer(await say(session)) != "says hello"

    assert await core.requests() == []


@host_check("PRM.10")
async def contributors_are_asked_every_turn(bench: HostBench) -> None:
    """Two turns."""
    core = await bench.core("a", options={"a": {"prompts": puts("x")}})
    session = await opened(core)
    await exchange(core, session, "one", "1")
    seen = len([line for line in await core.journal() if line == "a prompt"])
    await exchange(core, session, "two", "2")

    assert 1 <= seen < len([line for line in await core.journal() if line == "a prompt"])
