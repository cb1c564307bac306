"""Broken hosts of the state chapter ([STA.1] to [STA.20])."""

# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false

from typing import Any

from lash_conformance.mutants.host import BrokenHost, Patch, SentStore, host_mutant
from lash_conformance.mutants.host_cancel import method

STATE = "lash_ref.state:PersistedSessionState"
HELPERS = "lash_conformance.targets.reference_state"


@host_mutant("STA.1", character="Indiscreet: exports what only a running session knows.")
class ExportsTheHead(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(export: Any) -> Any:
            async def broken(session: Any) -> Any:
                return (await export(session)).to_data() | {"head_revision": 1}

            return broken

        patch("lash_conformance.targets.reference_session:ReferenceSession._export_state", make)


@host_mutant("STA.2", character="Anonymous: a default state has no name.")
class NamelessDefault(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch(f"{HELPERS}:PersistedSessionState", lambda kind: lambda: kind(session_id=""))


@host_mutant("STA.3", character="Clinging: keeps bodies and flag after the commit.")
class KeepsTheBodies(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(apply: Any) -> Any:
            def broken(state: Any, result: Any) -> None:
                body, flag = state.tool_state_snapshot, state.graph_replace_required
                apply(state, result)
                state.tool_state_snapshot, state.graph_replace_required = body, flag

            return broken

        patch(f"{STATE}.apply_persisted_commit_result", make)


@host_mutant("STA.4", character="Half-hearted: clears the execution state and keeps its name.")
class KeepsTheExecutionRef(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def broken(state: Any, snapshot: Any) -> None:
            state.execution_state_snapshot = snapshot

        patch(f"{STATE}.set_execution_state_snapshot", method(broken))


@host_mutant("STA.5", character="Indiscriminate: a transient message is a message.")
class AppendsTheTransient(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.messages:Message.is_transient", method(False))


@host_mutant("STA.6", character="Shredder: replaces by deleting.")
class ReplacesByDeleting(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def broken(graph: Any, messages: Any, *, timestamp: str) -> None:
            graph._nodes.clear()
            graph.leaf_node_id = None
            graph.append_active_conversation_messages(messages, timestamp=timestamp)

        patch("lash_ref.graph:SessionGraph.replace_active_read_state", method(broken))


@host_mutant("STA.7", character="Blunt: heals to the last node whatever it is.")
class HealsToAnyNode(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def broken(graph: Any) -> bool:
            if graph.leaf_node_id is None or graph.leaf_node_id in graph._nodes:
                return False
            graph.leaf_node_id = graph.nodes[-1].node_id
            return True

        patch("lash_ref.graph:SessionGraph.heal_orphaned_leaf", method(broken))


@host_mutant("STA.8", character="Hasty: trims first.")
class TrimsFirst(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(normalize: Any) -> Any:
            def broken(state: Any) -> None:
                from lash_ref.persisted import apply_residency_on_load
                from lash_ref.policy import Residency

                apply_residency_on_load(state, Residency.ACTIVE_PATH_ONLY)
                normalize(state)

            return broken

        patch(f"{HELPERS}:normalize_session_graph", make)


@host_mutant("STA.9", character="Greedy: bills reasoning on top of output.")
class BillsReasoningTwice(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        total = property(lambda u: u.input_tokens + u.output_tokens + u.reasoning_output_tokens)
        patch("lash_ref.usage:TokenUsage.total", method(total))


@host_mutant("STA.10", character="Forgiving: a bill may shrink.")
class ForgivesDecreases(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        from lash_ref.usage import TokenUsage

        def make(minus: Any) -> Any:
            def broken(after: Any, before: Any) -> Any:
                return minus(after, before) or TokenUsage()

            return broken

        patch("lash_ref.usage:_minus", make)


@host_mutant("STA.11", character="Secretive: names every message itself.")
class NamesMessagesItself(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(message: Any) -> Any:
            def broken(given: Any, named: str) -> Any:
                return message(given.but(id=None), named)

            return broken

        patch("lash_ref.plugin_events:PluginMessage.message", make)


@host_mutant("STA.12", character="Contrary: answers ids last to first.")
class AnswersIdsReversed(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(append: Any) -> Any:
            def broken(*parts: Any, **named: Any) -> Any:
                return list(reversed(append(*parts, **named)))

            return broken

        patch(f"{HELPERS}:append_session_nodes_to_state", make)


@host_mutant("STA.13", character="Careless: appends wherever the session is now.")
class IgnoresTheAncestor(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(append: Any) -> Any:
            def broken(*parts: Any, **named: Any) -> Any:
                return append(*parts, **(named | {"requires_ancestor": None}))

            return broken

        patch(f"{HELPERS}:append_session_nodes_to_state", make)


@host_mutant("STA.14", character="Literal: an unconfigured state stays so.")
class KeepsTheUnconfigured(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.policy:SessionPolicy.is_unconfigured", method(False))


@host_mutant("STA.15", character="Hopeful: a model will turn up.")
class RunsWithoutAModel(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.policy:SessionPolicy.required_model", method(lambda policy: policy.model))


@host_mutant("STA.16", character="Sweeping: without a checkpoint there was no turn.")
class ClearsTooMuch(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(clear: Any) -> Any:
            def broken(state: Any) -> None:
                clear(state)
                state.turn_index = 0

            return broken

        patch("lash_ref.persisted:_clear_parts", make)


@host_mutant("STA.17", character="Own-minded: keeps its ledger whatever the head says.")
class KeepsItsLedger(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(apply: Any) -> Any:
            def broken(state: Any, head: Any) -> None:
                ledger = state.token_ledger
                apply(state, head)
                state.token_ledger = ledger

            return broken

        patch(f"{HELPERS}:apply_session_head", make)


@host_mutant("STA.18", character="Diligent: exports the tools with every commit.")
class AlwaysExportsTools(BrokenHost):
    class sends(SentStore):
        async def commit_runtime_state(self, commit: Any) -> Any:
            result = await self.inner.commit_runtime_state(commit)
            manifest = result.manifest.but(tool_state_ref=None)
            return result.but(manifest=manifest)


@host_mutant("STA.19", character="Lazy: captures plugins once.")
class CapturesOnce(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.plugin_session:PluginSession.snapshot_revision_fingerprint", method(lambda plugins: 7))


@host_mutant("STA.20", character="Exclusive: a code that it does not know is no code.")
class DropsUnknownCodes(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(known: Any) -> Any:
            from lash_ref.runtime_errors import RuntimeErrorCode

            def broken(code: str) -> str:
                return known(code) if code in set(RuntimeErrorCode) else "unknown"

            return broken

        patch(f"{HELPERS}:_code", make)


@host_mutant("STA.12", character="Aside: appends where the next turn does not look.")
class AppendsAside(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(append: Any) -> Any:
            async def broken(runtime: Any, *given: Any, **named: Any) -> Any:
                leaf = runtime.state.session_graph.leaf_node_id
                made = await append(runtime, *given, **named)
                runtime.state.session_graph.leaf_node_id = leaf
                return made

            return broken

        patch("lash_ref.session_changes:SessionChanges.append_session_nodes", make)
