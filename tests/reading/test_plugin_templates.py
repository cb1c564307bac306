"""The three template plugins' own rules, and the prompt they and the layers make."""

import asyncio

import pytest

from lash_ref.directives import EmitRuntimeEvents, EnqueueMessages
from lash_ref.errors import SnapshotError
from lash_ref.hooks import PreparedContext, ToolResultHookContext
from lash_ref.plugin_events import Custom, PluginMessage
from lash_ref.plugins import PluginSessionContext
from lash_ref.prompt import (
    ASK_GUIDANCE,
    PromptContribution,
    PromptLayer,
    PromptTemplate,
    PromptTemplateSection,
    SlotEntry,
    TextEntry,
    resolve_prompt_layers,
)
from lash_ref.prompt_context import PromptContextConfig, PromptContextPluginFactory
from lash_ref.registrar import Contributions, PluginRegistrar
from lash_ref.scalars import Json
from lash_ref.services import TurnContext
from lash_ref.snapshots import SnapshotReader, SnapshotWriter
from lash_ref.tool_results import Done
from lash_ref.tools import ToolCall, ToolContext
from lash_ref.update_plan import UpdatePlanPluginFactory


def registered(factory, **context):
    """A session's plugin and what it registered."""
    plugin = factory.build(PluginSessionContext("s1", **context))
    contributions = Contributions()
    plugin.register(PluginRegistrar(plugin.id, contributions))
    return plugin, contributions


def update(contributions, args):
    provider = contributions.tool_providers[0].value
    call = ToolCall("update_plan", Json(args), ToolContext(session_id="s1"))
    return asyncio.run(provider.execute(call))


def after(contributions, tool, result, args=None):
    hook = contributions.after_tool_call[0].value
    context = ToolResultHookContext("s1", "c1", tool, Json(args or {}), result, 1, None, TurnContext())
    return list(asyncio.run(hook(context)))


PLAN = {"explanation": "  ", "plan": [{"step": " a ", "status": "completed"}, {"step": "b", "status": "in_progress"}]}


# -- update_plan


def test_a_plan_is_replaced_counted_and_announced():
    plugin, held = registered(UpdatePlanPluginFactory())
    done = update(held, PLAN)
    assert (done, plugin.snapshot_revision()) == (Done.ok("Plan updated"), 1)
    payload = {
        "plan": [{"step": "a", "status": "completed"}, {"step": "b", "status": "in_progress"}],
        "generation": 1,
    }
    assert after(held, "update_plan", done) == [
        EmitRuntimeEvents((Custom(name="update_plan.snapshot", payload=Json(payload)),))
    ]
    assert after(held, "other", done) == []
    assert after(held, "update_plan", Done.err("no")) == []


@pytest.mark.parametrize(
    "plan",
    [
        {},
        {"plan": []},
        {"plan": ["a"]},
        {"plan": [{"step": " ", "status": "pending"}]},
        {"plan": [{"step": "a", "status": "later"}]},
        {"plan": [{"step": "a", "status": "in_progress"}, {"step": "b", "status": "in_progress"}]},
        {"plan": [{"step": "a", "status": "pending", "more": 1}]},
    ],
)
def test_a_plan_that_is_none_fails_and_leaves_the_state(plan):
    plugin, held = registered(UpdatePlanPluginFactory())
    update(held, PLAN)
    before = plugin.state
    assert not update(held, plan).output.is_success
    assert plugin.state == before


def test_a_plan_survives_its_snapshot_and_no_state_means_none():
    plugin, held = registered(UpdatePlanPluginFactory())
    update(held, PLAN | {"explanation": " why "})
    meta = plugin.snapshot(SnapshotWriter())
    assert (meta.revision, meta.state.value["format"], meta.state.value["explanation"]) == (1, 1, "why")
    again, _ = registered(UpdatePlanPluginFactory())
    again.restore(type(meta).from_json(meta.to_json()), SnapshotReader())
    assert again.state == plugin.state
    again.restore(meta.but(state=None), SnapshotReader())
    assert (again.state.plan, again.snapshot_revision()) == ((), 0)


@pytest.mark.parametrize("state", [{"format": 2}, 7, {"format": 1}, {"format": 1, "generation": -1}])
def test_a_plan_of_another_format_is_refused(state):
    plugin, _ = registered(UpdatePlanPluginFactory())
    meta = plugin.snapshot(SnapshotWriter()).but(state=Json(state))
    with pytest.raises(SnapshotError):
        plugin.restore(meta, SnapshotReader())


def test_a_child_gets_neither_tool_nor_guidance():
    _, root = registered(UpdatePlanPluginFactory())
    _, child = registered(UpdatePlanPluginFactory(), parent_session_id="s0")
    assert (len(root.tool_providers), len(root.prompt)) == (1, 1)
    assert (child.tool_providers, child.prompt, child.after_tool_call) == ([], [], [])
    (said,) = asyncio.run(root.prompt[0].value(None))
    assert (said.slot, said.title) == ("guidance", "Planning")


# -- prompt_context


class Source:
    """Instructions that a test can change."""

    text, asked = "Be kind.", ()

    def system_instructions(self):
        return self.text

    def context_instructions_for_reads(self, paths):
        self.asked = (*self.asked, *paths)
        return "Mind the tabs." if paths == ["src/a.py"] else " "


class View:
    turn_index = 3


def test_project_instructions_come_from_the_source_of_the_factory_at_every_build():
    source = Source()
    _, held = registered(PromptContextPluginFactory(source, lambda: "now"))
    assert asyncio.run(held.prompt[0].value(None)) == [PromptContribution.project_instructions("Be kind.")]
    source.text = " \n"
    assert asyncio.run(held.prompt[0].value(None)) == []


def test_reading_a_file_brings_the_instructions_for_its_place():
    source = Source()
    _, held = registered(PromptContextPluginFactory(source, lambda: "now"))
    ok = Done.ok("text")
    note = EnqueueMessages((PluginMessage(role="System", content="Mind the tabs."),))
    assert after(held, "read_file", ok, {"path": "src/a.py"}) == [note]
    assert after(held, "read_file", ok, {"path": "b.py"}) == []
    for tool, result, args in (("grep", ok, {"path": "c"}), ("read_file", Done.err("x"), {"path": "d"})):
        assert after(held, tool, result, args) == []
    assert after(held, "read_file", ok, {"path": ""}) == []
    assert source.asked == ("src/a.py", "b.py")


def test_the_environment_is_an_ephemeral_message_and_not_a_contribution():
    _, held = registered(PromptContextPluginFactory(Source(), lambda: "Monday"))
    ((priority, owned),) = held.transforms
    context = type("Context", (), {"session_id": "s1", "state": View()})()
    prepared = asyncio.run(owned.value(context, PreparedContext()))
    assert (priority, [m.role for m in prepared.messages], prepared.messages[0].parts[0].content) == (
        50, ["User"], "Monday",
    )  # fmt: skip
    off = PromptContextConfig(include_environment=False, include_project_instructions=False)
    _, silent = registered(PromptContextPluginFactory(Source(), lambda: "Monday", off))
    assert (silent.transforms, silent.prompt, silent.after_tool_call) == ([], [], [])


# -- prompt


def guide(text, priority=0):
    return PromptContribution(slot="guidance", content=text, priority=priority)


BARE = PromptTemplate(sections=(PromptTemplateSection(title="G", entries=(SlotEntry(slot="guidance"),)),))


def rendered(*layers, tools=()):
    return resolve_prompt_layers([PromptLayer(template=BARE), *layers]).render("", tools)


def test_layers_add_up_sorted_by_priority_and_equal_texts_are_said_once():
    core = PromptLayer.of([guide("late", 5), guide("a"), guide(" a ")])
    session = PromptLayer.of([guide("b"), guide("a")])
    assert rendered(core, session) == "## G\n\na\n\nb\n\nlate"


def test_a_later_layer_that_replaces_a_slot_drops_what_came_before_in_it():
    plugins = PromptLayer.of([guide("plugin"), PromptContribution(slot="intro", content="hello")])
    replacing = PromptLayer().with_replaced_slot("guidance", PromptContribution.project_instructions("new"))
    resolved = resolve_prompt_layers([plugins, replacing, PromptLayer.of([guide("turn")])])
    assert [(each.slot, each.content) for each in resolved.contributions] == [
        ("intro", "hello"), ("guidance", "new"), ("guidance", "turn"),
    ]  # fmt: skip
    assert resolve_prompt_layers([plugins, PromptLayer().with_replaced_slot("guidance")]).contributions[0].slot == (
        "intro"
    )


def test_a_gate_keeps_a_contribution_while_one_of_its_tools_is_there():
    layer = PromptLayer.of([guide("x").requires_any_tool("a", "b"), guide("y")])
    assert rendered(layer, tools=["b"]) == "## G\n\nx\n\ny"
    assert rendered(layer, tools=["c"]) == "## G\n\ny"


def test_the_last_template_wins_and_empty_sections_are_left_out():
    other = PromptTemplate(
        sections=(
            PromptTemplateSection(title="Empty", entries=(SlotEntry(slot="intro"),)),
            PromptTemplateSection(entries=(TextEntry(content=" fixed "),)),
        )
    )
    assert rendered(PromptLayer(template=other)) == "fixed"


def test_the_default_template_says_what_runs_and_the_line_on_asking_needs_the_tool():
    resolved = resolve_prompt_layers([PromptLayer.of([PromptContribution.guidance("T", "t")])])
    text = resolved.render("run things", ["ask"])
    assert [part in text for part in ("## Execution\n\nrun things", "## Guidance", "### T\n\nt", ASK_GUIDANCE)] == [
        True
    ] * 4
    assert ASK_GUIDANCE not in resolved.render("run things", ["other"])
    assert "## Environment" not in text


def test_a_layer_round_trips_as_json():
    layer = PromptLayer(template=BARE).with_replaced_slot("guidance", guide("x").requires_any_tool("a"))
    assert PromptLayer.from_json(layer.to_json()) == layer
