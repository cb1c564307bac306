"""Sources and stored state reconciled: generations, orphans, opt-outs, hidden names, overlays, grants."""

import asyncio

import pytest

from lash_ref.errors import GenerationMismatch, InvalidToolSurface, UnknownToolSource
from lash_ref.scalars import Json
from lash_ref.tool_registry import ToolRegistry, ToolSourceHandle
from lash_ref.tool_results import Done
from lash_ref.tool_state import ToolState, ToolStateEntry
from lash_ref.tools import (
    PendingToolCall,
    StaticToolProvider,
    ToolCall,
    ToolContext,
    ToolContract,
    ToolDefinition,
    ToolExecutionGrant,
    ToolManifest,
    ToolPrepareCall,
    ToolProvider,
)


class Shelf(StaticToolProvider):
    """Tools that can be put on and taken off while the registry is live."""

    def put(self, *names, prefix="tool"):
        async def run(call):
            return Done.ok(f"{prefix} ran {call.name} with {call.context.execution_binding.text}")

        for name in names:
            self.add(ToolDefinition.raw(f"{prefix}:{name}", name, f"{prefix}'s", {}), run)
        return self

    def take(self, name):
        del self.tools[name]


def names(registry):
    return sorted(manifest.name for manifest in registry.tool_manifests())


def opted_out(registry, id):
    registry.apply_state(registry.export_state().with_membership(id, present=False))


def call(registry, id, name="any"):
    asked = ToolCall(name, Json({}), ToolContext(session_id="s1"))
    return asyncio.run(registry.execute_by_id(id, asked)).output.model_text()


def test_a_new_registry_is_at_one_and_an_empty_one_at_none():
    assert [ToolRegistry.from_providers([]).generation, ToolRegistry.from_providers([Shelf().put("a")]).generation] == [
        0, 1,
    ]  # fmt: skip


def test_the_generation_grows_when_a_refresh_finds_something_new_and_not_otherwise():
    shelf = Shelf().put("a")
    registry = ToolRegistry.from_providers([shelf])
    assert registry.refresh_sources() == 1
    shelf.put("b")
    assert (registry.refresh_sources(), names(registry)) == (2, ["a", "b"])


def test_apply_is_fenced_and_makes_the_surface_what_it_says():
    registry = ToolRegistry.from_providers([Shelf().put("a", "b")])
    state = registry.export_state()
    assert registry.apply_state(state.without("tool:b")) == 2
    assert names(registry) == ["a"]
    with pytest.raises(GenerationMismatch) as refused:
        registry.apply_state(state)
    assert refused.value.fields == {"expected": 1, "actual": 2}
    assert (registry.refresh_sources(), names(registry)) == (3, ["a", "b"])


def test_apply_refuses_what_resolves_nowhere_and_takes_orphans_back():
    registry = ToolRegistry.from_providers([Shelf().put("a")])
    ghost = ToolStateEntry(manifest=ToolManifest(id="tool:ghost", name="ghost"))
    state = registry.export_state()
    with pytest.raises(InvalidToolSurface, match="tool:ghost"):
        registry.apply_state(state.but(tools={**state.tools, "tool:ghost": ghost}))
    orphan = ghost.but(orphaned=True)
    assert registry.apply_state(state.but(tools={**state.tools, "tool:ghost": orphan})) == 2
    assert registry.apply_state(registry.export_state()) == 3


def test_a_restore_keeps_the_generation_of_an_equal_surface_and_adds_one_to_another():
    shelf = Shelf().put("a")
    stored = ToolRegistry.from_providers([shelf]).export_state().but(generation=7)
    assert ToolRegistry.from_providers([shelf]).restore_state(stored).generation == 7
    changed = ToolRegistry.from_providers([shelf.put("b")])
    assert changed.restore_state(stored).generation == 8
    again = ToolRegistry.from_providers([shelf])
    assert again.restore_state(changed.export_state()).generation == 8


def test_an_orphan_is_kept_without_being_offered_and_rebinds_with_its_opt_out():
    shelf = Shelf().put("a", "b")
    registry = ToolRegistry.from_providers([shelf])
    opted_out(registry, "tool:b")
    shelf.take("b")
    assert registry.refresh_sources() == 3
    assert registry.export_state().tools["tool:b"].orphaned
    assert "no registered source offers it" in call(registry, "tool:b")
    shelf.put("b")
    registry.refresh_sources()
    assert (names(registry), call(registry, "tool:b")) == (["a"], "Tool id tool:b is unavailable")


def test_a_tool_with_an_orphans_name_under_another_id_takes_its_place_as_a_member():
    stored = ToolRegistry.from_providers([Shelf().put("a")])
    opted_out(stored, "tool:a")
    registry = ToolRegistry.from_providers([Shelf().put("a", prefix="new")])
    registry.restore_state(stored.export_state())
    assert (names(registry), list(registry.export_state().tools)) == (["a"], ["new:a"])


def test_state_omits_what_is_default_and_names_no_source():
    state = ToolRegistry.from_providers([Shelf().put("a")]).export_state()
    assert state.to_data() == {
        "generation": 1,
        "tools": {"tool:a": {"manifest": {"id": "tool:a", "name": "a", "description": "tool's"}}},
    }
    assert ToolState.from_json(state.to_json()) == state


def test_hidden_names_are_never_members_and_never_run():
    registry = ToolRegistry.from_providers([Shelf().put("a", "b")], hidden=["b"])
    for each in (registry, registry.fork_with_state(registry.export_state())):
        assert (names(each), call(each, "tool:b")) == (["a"], "Tool id tool:b is unavailable")


def test_a_live_source_comes_and_goes_with_its_tools():
    registry = ToolRegistry.from_providers([Shelf().put("a")])
    handle = registry.add_tool_provider(Shelf().put("b"))
    assert (names(registry), registry.generation) == (["a", "b"], 2)
    assert (registry.remove_source(handle), names(registry)) == (3, ["a"])
    with pytest.raises(UnknownToolSource):
        registry.remove_source(ToolSourceHandle("live:9"))


@pytest.mark.parametrize("other", [Shelf().put("a", prefix="x"), Shelf().put("a")], ids=["name", "id"])
def test_sources_that_clash_are_refused_and_leave_the_surface(other):
    registry = ToolRegistry.from_providers([Shelf().put("a")])
    with pytest.raises(InvalidToolSurface):
        registry.add_tool_provider(other)
    assert (registry.generation, names(registry)) == (1, ["a"])


def test_an_overlay_wins_clashes_for_one_turn():
    shelf = Shelf().put("a", "b")
    registry = ToolRegistry.from_providers([shelf])
    composed = registry.compose_session_catalog([Shelf().put("a", prefix="ctx")])
    assert {m.name: m.id for m in composed.tool_manifests()} == {"a": "ctx:a", "b": "tool:b"}
    assert (names(registry), registry.generation) == (["a", "b"], 1)
    alone = registry.compose_session_catalog([Shelf().put("c")], include_base_tools=False)
    assert names(alone) == ["c"]
    shelf.put("d")
    assert names(registry.compose_session_catalog()) == ["a", "b", "d"]


class Lazy(Shelf):
    """Resolves what it does not offer."""

    def tool_manifests(self):
        return []

    def resolve_manifest(self, name):
        found = self.tools.get(name)
        return found[0].manifest if found else None

    def resolve_manifest_by_id(self, id):
        return next((d.manifest for d, _ in self.tools.values() if d.manifest.id == id), None)


def test_a_tool_resolved_on_demand_is_taken_in_once():
    registry = ToolRegistry.from_providers([Lazy().put("deep")])
    assert (registry.generation, names(registry)) == (0, [])
    assert registry.resolve_manifest("deep").id == "tool:deep"
    assert (registry.resolve_manifest_by_id("tool:deep").name, registry.generation) == ("deep", 1)


def test_a_grant_runs_a_non_member_with_its_binding_and_changes_nothing():
    registry = ToolRegistry.from_providers([Shelf().put("a")])
    opted_out(registry, "tool:a")
    manifest = registry.export_state().tools["tool:a"].manifest
    definition = ToolDefinition(manifest, registry.resolve_contract("a"))
    grant = ToolExecutionGrant(manifest=manifest, contract=definition.contract, source_id="plugins")
    pending = PendingToolCall(call_id="c", tool_name="a", args=Json({}))
    asked = ToolPrepareCall(tool_id="tool:a", pending=pending, session_id="s1")
    prepared = asyncio.run(registry.prepare_granted(grant, asked))
    assert prepared.tool_id == "tool:a"
    bound = ToolCall("a", Json({}), ToolContext(session_id="s1", execution_binding=Json("B")))
    assert asyncio.run(registry.execute_granted(grant, bound)) == Done.ok('tool ran a with "B"')
    refused = asyncio.run(registry.execute_granted(grant.but(source_id=None), bound))
    assert (refused.output.is_success, names(registry), registry.generation) == (False, [], 2)


class Bare(ToolProvider):
    """What a source must say, and no more."""

    def tool_manifests(self):
        return [ToolManifest(id="bare:one", name="one")]

    def resolve_contract(self, name):
        return ToolContract() if name == "one" else None

    async def execute(self, call):
        return Done.ok(call.name)


def test_a_source_that_says_the_least_is_found_by_name_and_id_and_takes_no_grants():
    async def run():
        bare = Bare()
        grant = ToolExecutionGrant(manifest=bare.tool_manifests()[0], contract=ToolContract())
        assert bare.resolve_manifest("one") == bare.resolve_manifest_by_id("bare:one") == grant.manifest
        assert (bare.resolve_contract_by_id("bare:one"), bare.resolve_contract_by_id("x")) == (ToolContract(), None)
        known = await bare.execute_by_id("bare:one", ToolCall("any", Json({}), ToolContext("s")))
        unknown = await bare.execute_by_id("x", ToolCall("any", Json({}), ToolContext("s")))
        assert (known.output.model_text(), unknown.output.model_text()) == ("one", "Unknown tool id: x")
        pending = PendingToolCall(call_id="c", tool_name="one", args=Json({}))
        for refused in (
            await bare.prepare_granted(grant, ToolPrepareCall("bare:one", pending, "s")),
            await bare.execute_granted(grant, ToolCall("one", Json({}), ToolContext("s"))),
        ):
            assert refused.output.outcome.payload.code == "tool_grant_unsupported"

    asyncio.run(run())


def test_a_definition_may_be_written_in_types():
    made = ToolDefinition.typed("t:add", "add", "Adds.", dict[str, int], int)
    assert made.contract.output_schema == Json({"type": "integer"})
    assert made.contract.input_schema == Json({"type": "object", "additionalProperties": {"type": "integer"}})
