# pyright: reportUnknownLambdaType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# what a patch replaces is typed where it stands
"""Broken RLM modes."""

from dataclasses import replace
from typing import Any

from lash_conformance.mutants.host import BrokenHost, Patch, host_mutant
from lash_ref.protocol import CodeResult


def _executed(patch: Patch, change: Any) -> None:
    """Change what a cell came to."""

    def make(original: Any) -> Any:
        async def execute(self: Any, code: str, language: str, tools: Any) -> CodeResult:
            before = self._state
            return change(self, before, await original(self, code, language, tools))

        return execute

    patch("lash_ref.rlm_cells:MontyExecutor.execute", make)


@host_mutant("RLM.1", character="Tight-lipped: shows the model no output.")
class ShowsNoOutput(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        _executed(patch, lambda self, before, ran: replace(ran, output=""))


@host_mutant("RLM.1", character="Proud: hides a cell's error.")
class HidesErrors(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        _executed(patch, lambda self, before, ran: replace(ran, error="it failed" if ran.error else None))


@host_mutant("RLM.2", character="Amnesiac: starts every cell afresh.")
class StartsAfresh(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def forget(self: Any, before: Any, ran: CodeResult) -> CodeResult:
            self._state = None
            return ran

        _executed(patch, forget)


@host_mutant("RLM.3", character="Uncounted: lets cells call tools behind the turn's back.")
class DoesNotCountCalls(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            async def run_cell(self: Any, effect_id: str, call: Any) -> Any:
                answer = await original(self, effect_id, call)
                self.records.pop()
                return answer

            return run_cell

        patch("lash_ref.dispatch:ToolDispatch.run_cell", make)


@host_mutant("RLM.3", character="Soft: answers a failed call with its words, as if it had worked.")
class AnswersFailures(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            async def call(self: Any, number: int, name: str, arguments: Any) -> Any:
                try:
                    return await original(self, number, name, arguments)
                except RuntimeError as err:
                    return "", str(err)

            return call

        patch("lash_ref.code_tools:CodeTools.call", make)


@host_mutant("RLM.4", character="Resident: keeps variables in the process only.")
class KeepsVariablesInTheProcess(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.rlm_cells:MontyExecutor.snapshot", lambda _: lambda self: None)


@host_mutant("RLM.4", character="Two-faced: keeps variables beside the commit.")
class KeepsVariablesBesideTheCommit(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        beside: dict[str, bytes] = self.__dict__.setdefault("beside", {})

        def keep(self: Any, before: Any, ran: CodeResult) -> CodeResult:
            if self._state is not None:
                beside["state"] = self._state
            return ran

        _executed(patch, keep)

        def make(original: Any) -> Any:
            def restore(self: Any, state: bytes | None) -> None:
                original(self, beside.get("state", state) if state is not None else None)

            return restore

        patch("lash_ref.rlm_cells:MontyExecutor.restore", make)


@host_mutant("RLM.5", character="Messy: keeps what a failing cell did.")
class KeepsHalfACell(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            async def execute(self: Any, code: str, language: str, tools: Any) -> CodeResult:
                lines = code.rstrip().splitlines()
                ran = await original(self, code, language, tools)
                if ran.error is not None and len(lines) > 1:
                    await original(self, "\n".join(lines[:-1]), language, tools)
                return ran

            return execute

        patch("lash_ref.rlm_cells:MontyExecutor.execute", make)


@host_mutant("RLM.6", character="Fragile: a cell that breaks its limits takes the variables with it.")
class LosesTheSession(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def lose(self: Any, before: Any, ran: CodeResult) -> CodeResult:
            if ran.error is not None and ("TimeoutError" in ran.error or "MemoryError" in ran.error):
                self._state = None
            return ran

        _executed(patch, lose)


@host_mutant("RLM.7", character="Uniform: answers everyone with the raw value.")
class AnswersWithRawValues(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.rlm:final_answer_format", lambda _: lambda options, *, is_root: "raw_submit_value")


@host_mutant("RLM.8", character="Endless: lets a model fail for ever.")
class LetsItFailForEver(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.rlm:NO_PROGRESS_BOUND", lambda _: 1000)


@host_mutant("RLM.9", character="Indulgent: takes the last submission for the answer.")
class TakesTheLastWord(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def submit(self: Any, value: Any = None) -> None:
                self.final = None
                original(self, value)

            return submit

        patch("lash_ref.rlm_cells:_Cell._submit", make)


@host_mutant("RLM.10", character="Diligent: runs any fenced block.")
class RunsAnyBlock(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.rlm:cell_of", lambda _: lambda text: text.split("```")[1] if "```" in text else None)


@host_mutant("SNP.60", character="Wiping: takes a clean executor's state for none.")
class WipesCleanState(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.rlm_cells:MontyExecutor.execution_state_dirty", lambda _: property(lambda self: True))

        def make(original: Any) -> Any:
            def snapshot(self: Any) -> bytes | None:
                return original(self) if self._dirty else None

            return snapshot

        patch("lash_ref.rlm_cells:MontyExecutor.snapshot", make)


@host_mutant("SNP.63", character="Fresh: starts every opened session without its variables.")
class HandsNothingBack(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        patch("lash_ref.rlm_cells:MontyExecutor.restore", lambda _: lambda self, state: None)


@host_mutant("RLM.6", character="Patient: lets a cell sleep as long as it likes.")
class LetsCellsSleep(BrokenHost):
    def breaks(self, patch: Patch) -> None:
        def make(original: Any) -> Any:
            def resources(self: Any) -> Any:
                return {name: limit for name, limit in original(self).items() if name != "max_total_sleep_secs"}

            return resources

        patch("lash_ref.rlm_cells:MontyExecutor._resources", make)
