"""Checks of RLM mode ([RLM.1] to [RLM.10])."""

import asyncio

from lash_conformance.check import host_check
from lash_conformance.host import HostCore, HostSession
from lash_conformance.host_bench import HostBench
from lash_conformance.host_words import answer, named, opened, say, script, transcript
from lash_conformance.vocabulary import Unexpected

RLM = ("rlm",)


def cell(*lines: str) -> str:
    """A model's reply with one cell."""
    code = "\n".join(lines)
    return f"Let me see.\n```python\n{code}\n```\n"


async def started(bench: HostBench) -> tuple[HostCore, HostSession]:
    """A core in RLM mode with the kit's echo and fail, and a session on it."""
    core = await bench.core(tools=("echo", "fail"), protocol="rlm")
    return core, await opened(core)


async def shown(core: HostCore) -> str:
    """What the last request ends with, every line of it."""
    text: str = (await core.requests())[-1]["messages"][-1]["text"]
    return text


@host_check("RLM.1", needs=RLM)
async def a_cell_runs_and_the_model_sees_what_it_printed(bench: HostBench) -> None:
    """Output and last value are in the next request."""
    core, session = await started(bench)
    await script(core, cell("x = 40", "print('got', x)", "x + 2"), "done")

    report = await say(session)

    assert answer(report) == "says done"
    assert await shown(core) == "got 40\n42"


@host_check("RLM.1", needs=RLM)
async def an_error_is_shown_to_the_model(bench: HostBench) -> None:
    """Its type and message are in the next request."""
    core, session = await started(bench)
    await script(core, cell("1 / 0"), "done")

    await say(session)

    assert "ZeroDivisionError: division by zero" in await shown(core)


@host_check("RLM.2", needs=RLM)
async def variables_and_functions_stay_between_cells(bench: HostBench) -> None:
    """The second cell and the next turn's use what the first defined."""
    core, session = await started(bench)
    await script(core, cell("x = 40", "def up(n): return n + 1"), cell("x = up(x)"), "noted", cell("submit(up(x))"))

    await say(session)
    report = await say(session)

    assert answer(report) == "says 42"


@host_check("RLM.3", needs=RLM)
async def cells_call_tools_which_are_counted(bench: HostBench) -> None:
    """The result reaches the code; the calls are the turn's; the model is offered no tool by schema."""
    core, session = await started(bench)
    await script(core, cell("a = await echo(text='one')", "b = await echo('two')", "submit(a + b)"))

    report = await say(session)

    assert answer(report) == "says onetwo"
    assert named(report["tool_calls"], "tool") == ["echo", "echo"]
    assert (await core.requests())[0]["tools"] == []


@host_check("RLM.3", needs=RLM)
async def a_tools_failure_can_be_caught(bench: HostBench) -> None:
    """It is an exception of the cell, with the words a model reads."""
    core, session = await started(bench)
    lines = ("try:", "    await fail(message='no such file')", "except Exception as err:", "    submit(str(err))")
    await script(core, cell(*lines))

    report = await say(session)

    assert "no such file" in answer(report)


@host_check("RLM.4", needs=("rlm", "durable"))
async def variables_survive_a_killed_process(bench: HostBench) -> None:
    """Another core on the same place goes on with them."""
    core, session = await started(bench)
    await script(core, cell("seen = [1, 2]"), "noted")
    await say(session)
    await bench.crash(core)
    await bench.after_expiry()

    other, again = await started(bench)
    await script(other, cell("seen.append(39)", "submit(sum(seen))"))

    assert answer(await say(again)) == "says 42"


@host_check("RLM.4", needs=("rlm", "durable"))
async def a_turn_that_was_not_committed_leaves_no_variables(bench: HostBench) -> None:
    """Killed between the cell and the commit, the session has the variables of the turn before."""
    core, session = await started(bench)
    await script(core, cell("x = 1"), "noted", cell("x = 2"), {"text": "never", "gate": "late"})
    await say(session)
    bench.start(say(session))
    await core.reached("late")
    await bench.crash(core)
    await bench.after_expiry()

    other, again = await started(bench)
    await script(other, cell("submit(x)"))

    assert answer(await say(again)) == "says 1"


@host_check("RLM.5", needs=RLM)
async def a_failing_cell_changes_no_variable(bench: HostBench) -> None:
    """Neither what it set nor what it changed in place."""
    core, session = await started(bench)
    look = cell("try:", "    b", "    known = True", "except NameError:", "    known = False", "submit([a, known])")
    await script(core, cell("a = [1]"), cell("a.append(2)", "b = 3", "1 / 0"), look)

    report = await say(session)

    assert answer(report) == "says [[1],false]"


HOSTILE = {
    "an endless loop": ("while True: pass",),
    "a loop that catches all": ("while True:", "    try:", "        while True: pass", "    except BaseException: pass"),
    "a long sleep": ("import time", "time.sleep(3)"),
    "a sleep that is awaited": ("import asyncio", "await asyncio.sleep(3)"),
    "a memory bomb": ("x = 'a' * 10**10",),
    "a slow memory bomb": ("x = []", "while True: x.append('a' * 100000)"),
    "a large number": ("x = 7 ** (7 ** 9)",),
    "endless recursion": ("def f(): return f()", "f()"),
    "endless calls": ("while True: await echo(text='x')",),
    "a flood of words": ("while True: print('x' * 1000)",),
    "a file": ("open('/etc/hostname').read()",),
    "a file by its path": ("from pathlib import Path", "Path('/etc/hostname').read_text()"),
    "a file to write": ("open('written', 'w').write('x')",),
    "the environment": ("import os", "print(os.environ)"),
    "a socket": ("import socket", "socket.socket()"),
    "a process": ("import subprocess", "subprocess.run(['true'])"),
    "a shell": ("import os", "os.system('true')"),
    "the host's modules": ("__import__('os').listdir('/')",),
    "no Python": ("this is (not",),
}


@host_check("RLM.6", needs=RLM)
async def hostile_code_is_stopped_and_the_session_goes_on(bench: HostBench) -> None:
    """Loops, sleeps, bombs, floods, files, sockets, processes each end in an error; the session's next cell runs."""
    core = await bench.core(tools=("echo",), protocol="rlm")
    session = await opened(core)
    await script(core, cell("kept = 7"), "noted")
    await say(session)
    for what, lines in HOSTILE.items():
        await script(core, cell(*lines, "submit('it ran')"), cell("submit(kept)"))
        async with asyncio.timeout(20):
            report = await say(session)
        if answer(report) != "says 7":
            raise Unexpected(f"{what} stopped, and the variables kept", answer(report))
        if "Error" not in (told := await shown(core)):
            raise Unexpected(f"an error that names {what}", told)


@host_check("RLM.7", needs=RLM)
async def a_root_answers_in_prose_and_a_child_with_the_value(bench: HostBench) -> None:
    """The same submission, and each way by option."""
    core = await bench.core(protocol="rlm")
    said = []
    for name, parts in {
        "root": {},
        "child": {"parent": "p"},
        "raw root": {"plugin_options": {"rlm_protocol": {"final_answer_format": "raw_submit_value"}}},
        "prose child": {"parent": "p", "plugin_options": {"rlm_protocol": {"final_answer_format": "markdown"}}},
    }.items():
        session = await opened(core, name.replace(" ", "-"), **parts)
        await script(core, cell("submit({'n': 1})"))
        said.append(answer(await say(session)))

    assert said == ['says {"n":1}', 'value {"n": 1}', 'value {"n": 1}', 'says {"n":1}']


@host_check("RLM.8", needs=RLM)
async def four_failing_cells_in_a_row_stop_the_turn(bench: HostBench) -> None:
    """Three and a good one do not; the session stays usable."""
    core, session = await started(bench)
    bad = cell("1 / 0")
    await script(core, bad, bad, bad, cell("x = 1"), bad, "well", bad, bad, bad, bad, "sorry")

    first, second, third = await say(session), await say(session), await say(session)

    assert [answer(one) for one in (first, second, third)] == ["says well", "stopped runtime_error", "says sorry"]
    assert named(second["errors"], "code") == ["no_progress"]


@host_check("RLM.9", needs=RLM)
async def the_first_submission_is_the_last_word(bench: HostBench) -> None:
    """What stands behind it neither runs nor counts, also when the code catches everything; an error ends the turn too."""
    core, session = await started(bench)
    greedy = cell("try:", "    submit('first')", "except Exception:", "    pass", "submit('second')")
    await script(core, greedy, cell("submit_error({'why': 'no data'})", "await echo(text='x')"))

    first, second = await say(session), await say(session)

    assert answer(first) == "says first"
    assert second["outcome"] == {"stopped": {"submitted_error": {"value": {"why": "no data"}}}}
    assert second["tool_calls"] == []


@host_check("RLM.10", needs=RLM)
async def a_reply_without_code_is_the_answer(bench: HostBench) -> None:
    """Also one that quotes another language."""
    core, session = await started(bench)
    await script(core, "Use this:\n```json\n{}\n```")

    report = await say(session)

    assert answer(report) == "says Use this:\n```json\n{}\n```"
    assert len(await core.requests()) == 1
    assert len(await transcript(session)) == 2


async def kept_ref(bench: HostBench) -> str | None:
    """The stored reference of the session's execution state."""
    read = await bench.stored("s1")
    return read.checkpoint.execution_state_ref if read is not None and read.checkpoint is not None else None


@host_check("SNP.60", needs=RLM)
async def a_turn_without_code_carries_the_state_forward(bench: HostBench) -> None:
    """The reference stays through a turn in prose, and changes with the next cell."""
    core, session = await started(bench)
    await script(core, cell("x = 1"), "noted", "only prose", cell("x = 2"), "noted")
    refs: list[str | None] = []
    for _ in range(3):
        await say(session)
        refs.append(await kept_ref(bench))

    assert refs[0] is not None
    assert refs[1] == refs[0]
    assert refs[2] not in {None, refs[0]}


@host_check("SNP.63", needs=RLM)
async def a_parked_sessions_state_is_handed_back(bench: HostBench) -> None:
    """Parked and resumed, the cells go on with what was there."""
    core, session = await started(bench)
    await script(core, cell("x = 41"), "noted", cell("submit(x + 1)"))
    await say(session)

    again = await core.resume(await session.park())

    assert answer(await say(again)) == "says 42"
