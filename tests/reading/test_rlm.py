"""RLM sessions, whole: cells with tools and variables, endings, kill and reopen, and code that means harm."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lash_ref.attachments import FileAttachmentStore
from lash_ref.core import LashCore
from lash_ref.effects import InlineEffectHost
from lash_ref.hosting import InMemoryProcessEnvStore
from lash_ref.outcome import outcome_data
from lash_ref.records import ModelSpec
from lash_ref.rlm import RLM_PROTOCOL_ID, RlmProtocolPluginFactory, cell_of
from lash_ref.rlm_cells import CellLimits
from lash_ref.scalars import Json
from lash_ref.scripted import ScriptedProvider
from lash_ref.sqlite_store import SqliteStoreFactory
from lash_ref.store import SystemClock
from lash_ref.tool_results import Done, runtime_failure
from lash_ref.tools import StaticToolProvider, ToolDefinition

MODEL = ModelSpec.from_token_limits("m-1", None, 8000)
QUICK = CellLimits(seconds=0.5, memory_bytes=20_000_000, recursion=50, tool_calls=20)


class DurableEnv(InMemoryProcessEnvStore):
    """As the SQLite store wants its peers."""

    async def persistence(self):
        return "durable"


def tools():
    """Three tools: one that doubles, one that never answers, one that fails."""

    async def double(call):
        return Done.ok(call.args["n"] * 2)

    async def stall(call):
        print("stalled", flush=True)
        await asyncio.Event().wait()

    async def broken(call):
        return runtime_failure("external", "down", "the service is down")

    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    provider = StaticToolProvider().add(ToolDefinition.raw("t:double", "double", "Double", schema), double)
    provider = provider.add(ToolDefinition.raw("t:stall", "stall", "Wait", {"type": "object"}), stall)
    return provider.add(ToolDefinition.raw("t:broken", "broken", "Break", {"type": "object"}), broken)


def cell(code):
    """A model's reply with one cell."""
    return f"Let me see.\n```python\n{code}\n```\n"


async def core(place: Path, provider, limits=QUICK):
    """A core on a place, as a process would build it."""
    made = LashCore.rlm_builder(RlmProtocolPluginFactory(limits)).provider(provider).model(MODEL)
    made = made.effect_host(InlineEffectHost()).process_env_store(DurableEnv()).tools(tools())
    made = made.attachment_store(FileAttachmentStore(place / "files", SystemClock()))
    return await made.store_factory(SqliteStoreFactory(place / "db")).build()


def said(session):
    """The conversation."""
    return [(m.role, m.text) for m in session.read_view().messages]


def test_cells_compute_call_tools_and_submit(tmp_path: Path):
    """Output and last value are shown to the model, tool calls are counted, a submitted value is the root's answer."""

    async def run():
        provider = ScriptedProvider(
            [cell("x = await double(n=20)\nprint('got', x)\nx + 1"), cell("submit(f'It is {x + 2}')")]
        )
        session = await (await core(tmp_path, provider)).session("s").open()
        done = await session.turn("compute").run()

        assert outcome_data(done.result.outcome) == {"finished": {"assistant_message": {"text": "It is 42"}}}
        assert said(session)[2] == ("System", "got 40\n41")
        assert said(session)[-1] == ("Assistant", "It is 42")
        assert [call.tool for call in done.result.tool_calls] == ["double"]
        assert provider.requests[0].tools == ()

    asyncio.run(run())


def test_variables_survive_a_killed_process(tmp_path: Path):
    """The execution state is part of the turn's commit: another core on the same place goes on with it."""

    async def first():
        session = await (await core(tmp_path, ScriptedProvider([cell("seen = [1, 2]\ndef total(): return sum(seen)"), "Noted."]))).session("s").open()
        await session.turn("remember").run()

    async def second():
        provider = ScriptedProvider([cell("seen.append(39)\nsubmit(total())")])
        session = await (await core(tmp_path, provider)).session("s").open()
        done = await session.turn("and now?").run()
        return outcome_data(done.result.outcome)

    asyncio.run(first())

    assert asyncio.run(second()) == {"finished": {"assistant_message": {"text": "42"}}}


CHILD = """
import asyncio, importlib.util, sys
from pathlib import Path

spec = importlib.util.spec_from_file_location("rlm", sys.argv[1])
rlm = importlib.util.module_from_spec(spec)
spec.loader.exec_module(rlm)


async def main():
    cells = [rlm.cell("seen = [1, 2]\\ndef total(): return sum(seen)"), "Noted.", rlm.cell("seen.append(5)\\nawait stall()")]
    core = await rlm.core(Path(sys.argv[2]), rlm.ScriptedProvider(cells))
    session = await core.session("s").open()
    await session.turn("remember").run()
    await session.turn("and wait").run()


asyncio.run(main())
"""


def test_variables_survive_a_real_kill(tmp_path: Path):
    """A process is killed by the system inside a cell; another has the variables of the last commit, and goes on."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, __file__, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child:
        assert child.stdout.readline() == "stalled\n"
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL

    async def second():
        provider = ScriptedProvider([cell("seen.append(39)\nsubmit(total())")])
        session = await (await core(tmp_path, provider)).session("s").open()
        done = await session.turn("and now?").run()
        return outcome_data(done.result.outcome)

    assert asyncio.run(second()) == {"finished": {"assistant_message": {"text": "42"}}}


def test_a_child_answers_with_the_raw_value(tmp_path: Path):
    """Markdown for roots, the value for children, and either by option."""

    async def run(**how):
        provider = ScriptedProvider([cell("submit({'n': 1})")])
        builder = (await core(tmp_path / str(len(how)) / str(how), provider)).session("s")
        if "parent" in how:
            builder = builder.parent("root")
        if "format" in how:
            builder = builder.plugin_option(RLM_PROTOCOL_ID, Json({"final_answer_format": how["format"]}))
        done = await (await builder.open()).turn("go").run()
        return outcome_data(done.result.outcome)["finished"]

    assert asyncio.run(run()) == {"assistant_message": {"text": '{"n":1}'}}
    assert asyncio.run(run(parent=True)) == {"final_value": {"value": {"n": 1}}}
    assert asyncio.run(run(format="raw_submit_value")) == {"final_value": {"value": {"n": 1}}}
    assert asyncio.run(run(parent=True, format="markdown")) == {"assistant_message": {"text": '{"n":1}'}}


def test_a_failing_cell_changes_nothing_and_is_told(tmp_path: Path):
    """Type, message and line go back to the model; variables are as before; a tool's failure can be caught."""

    async def run():
        provider = ScriptedProvider(
            [
                cell("a = 1"),
                cell("a = 2\nprint('so far')\n1 / 0"),
                cell("try:\n    await broken()\nexcept Exception as err:\n    why = str(err)"),
                cell("submit(f'{a} {why}')"),
            ]
        )
        session = await (await core(tmp_path, provider)).session("s").open()
        done = await session.turn("go").run()
        told = said(session)[4][1]

        assert told.startswith("The cell failed and changed nothing.")
        assert "ZeroDivisionError: division by zero" in told
        assert "so far" in told
        assert outcome_data(done.result.outcome) == {"finished": {"assistant_message": {"text": "1 the service is down"}}}

    asyncio.run(run())


HOSTILE = {
    "endless loop": ("while True: pass", "TimeoutError"),
    "memory bomb": ("x = 'a' * 10**10", "MemoryError"),
    "slow memory bomb": ("x = []\nwhile True: x.append('a' * 100000)", "MemoryError"),
    "file": ("open('/etc/passwd').read()", "PermissionError"),
    "write": ("open('/tmp/x', 'w').write('x')", "PermissionError"),
    "network": ("import socket", "ModuleNotFoundError"),
    "process": ("import subprocess", "ModuleNotFoundError"),
    "shell": ("import os\nos.system('id')", "AttributeError"),
    "recursion": ("def f(): return f()\nf()", "RecursionError"),
    "host names": ("__import__('os').listdir('/')", "Error"),
    "too many calls": ("while True: await double(n=1)", "Error"),
    "flood": ("while True: print('x' * 1000)", "Error"),
    "no python": ("this is (not", "SyntaxError"),
    "sleep": ("import time\ntime.sleep(3)", "TimeoutError"),
    "awaited sleep": ("import asyncio\nawait asyncio.sleep(3)", "TimeoutError"),
    "environment": ("import os\nprint(os.environ)", "Error"),
}


@pytest.mark.parametrize("what", list(HOSTILE))
def test_hostile_code_is_stopped_and_the_session_stays_usable(what: str, tmp_path: Path):
    """A typed error for the model, the variables as before, and the next cell runs."""
    code, error = HOSTILE[what]

    async def run():
        provider = ScriptedProvider([cell("kept = 7"), cell(code), cell("submit(kept)")])
        session = await (await core(tmp_path, provider)).session("s").open()
        done = await session.turn("go").run()

        assert error in said(session)[4][1]
        assert outcome_data(done.result.outcome) == {"finished": {"assistant_message": {"text": "7"}}}

    asyncio.run(run())


def test_cells_that_only_fail_stop_the_turn(tmp_path: Path):
    """After four in a row there is no progress; the session stays usable."""

    async def run():
        provider = ScriptedProvider([*[cell("1 / 0")] * 4, "Sorry."])
        session = await (await core(tmp_path, provider)).session("s").open()
        done = await session.turn("go").run()
        again = await session.turn("well?").run()

        assert "runtime_error" in str(outcome_data(done.result.outcome))
        assert [issue.code for issue in done.result.errors] == ["no_progress"]
        assert outcome_data(again.result.outcome) == {"finished": {"assistant_message": {"text": "Sorry."}}}

    asyncio.run(run())


def test_a_cell_may_fail_the_turn_on_purpose(tmp_path: Path):
    """`submit_error` ends the turn with its value."""

    async def run():
        session = await (await core(tmp_path, ScriptedProvider([cell("submit_error({'why': 'no data'})")]))).session("s").open()
        done = await session.turn("go").run()
        return outcome_data(done.result.outcome)

    assert "no data" in str(asyncio.run(run()))
    assert "submitted_error" in str(asyncio.run(run()))


def test_code_is_what_stands_in_python_fences():
    """Other languages and plain prose are no cells; several blocks are one."""
    assert cell_of("```python\na = 1\n```\nand\n```py\nb = 2\n```\n") == "a = 1\n\nb = 2\n"
    assert cell_of("```json\n{}\n```\nprose") is None
